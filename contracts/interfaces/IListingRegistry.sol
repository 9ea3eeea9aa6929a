// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {ListingId, Plan, RevisionTerms, SettlementTerms} from "./Types.sol";

/// @title The marketplace's catalogue: listings as ERC-721 tokens with immutable revisions.
/// @notice Holds no funds. A revision, once added, never changes; a listing's newest revision is the one for sale.
/// Transferring a listing moves what it will earn; what it has earned stays with who earned it.
interface IListingRegistry {
    /// @notice One model for sale as it stands now.
    struct Listing {
        /// The oracle of the revision that is for sale.
        address oracle;
        /// Revisions count from 1; this one is for sale.
        uint32 latestRevision;
        /// True while the owner has taken the listing off sale.
        bool withdrawn;
    }

    /// @notice A listing was minted to `owner`; its first revision follows in a `RevisionAdded`.
    event ListingPublished(ListingId indexed listingId, address indexed owner);
    /// @notice A listing got a new revision, which is now the one for sale.
    event RevisionAdded(
        ListingId indexed listingId, uint32 indexed revision, address indexed oracle, RevisionTerms terms
    );
    /// @notice The listing went off sale; calls that are under way end as they would have.
    event ListingWithdrawn(ListingId indexed listingId);
    /// @notice The listing is for sale again.
    event ListingRelisted(ListingId indexed listingId);

    /// @notice The caller is not the listing's owner.
    error Registry_NotOwner(address actual, address expected);
    /// @notice No such listing: ids run from 1 to `count`.
    error Registry_UnknownListing(ListingId actual, uint256 count);
    /// @notice No such revision: they run from 1 to `latest`.
    error Registry_UnknownRevision(uint32 actual, uint32 latest);
    /// @notice No such plan: a revision's plans count from 0.
    error Registry_UnknownPlan(uint256 actual, uint256 count);
    /// @notice A manifest hash of zero names no model.
    error Registry_EmptyManifest();
    /// @notice The zero address can neither run nor settle calls.
    error Registry_ZeroOracle();
    /// @notice The oracle can't have more than all that a call earns.
    error Registry_ShareTooHigh(uint16 actual, uint16 maximum);
    /// @notice A revision has more tiers than the contract reads for a price.
    error Registry_TooManyTiers(uint256 actual, uint256 maximum);
    /// @notice Tiers start after the first call, ascend in calls and in discount, and take off at most everything.
    error Registry_TierOutOfOrder(uint256 position);
    /// @notice A revision has more plans than it may carry.
    error Registry_TooManyPlans(uint256 actual, uint256 maximum);
    /// @notice A plan without credits, tranches or time, of over 366 days, or whose last tranche is due after it ended.
    error Registry_PlanUnusable(uint256 position);
    /// @notice The metadata URI has more bytes than a listing may carry.
    error Registry_URITooLong(uint256 actual, uint256 maximum);
    /// @notice The listing already is in the state asked for.
    error Registry_SaleStateUnchanged(bool withdrawn);

    /// @notice Mints a listing to the caller and adds its revision 1.
    function publish(RevisionTerms calldata terms) external returns (ListingId listingId);

    /// @notice Adds a revision, which becomes the one for sale. Calls authorised before keep theirs and its prices.
    function revise(ListingId listingId, RevisionTerms calldata terms) external returns (uint32 revision);

    /// @notice Takes the listing off sale. Calls under way still end as they would have; credits become reclaimable.
    function withdrawListing(ListingId listingId) external;

    /// @notice Puts a withdrawn listing back on sale at its latest revision.
    function relist(ListingId listingId) external;

    /// @notice How many listings were ever published; also the highest id.
    function listingCount() external view returns (uint256);

    /// @notice The listing as it stands now.
    function getListing(ListingId listingId) external view returns (Listing memory);

    /// @notice Up to `count` listings and their owners, from id `first` on.
    function getListings(uint256 first, uint256 count)
        external
        view
        returns (Listing[] memory listings, address[] memory owners);

    /// @notice One revision, for ever the same.
    function getRevision(ListingId listingId, uint32 revision) external view returns (RevisionTerms memory);

    /// @notice Up to `count` revisions of a listing, from number `first` on.
    function getRevisions(ListingId listingId, uint32 first, uint32 count)
        external
        view
        returns (RevisionTerms[] memory);

    /// @notice What an opening needs to know, in one call: the sale state and the asset of the latest revision.
    function saleTerms(ListingId listingId)
        external
        view
        returns (address oracle, uint32 latestRevision, bool withdrawn, address asset);

    /// @notice What a settlement needs to know, in one call: a revision's prices, tiers and share, and who earns now.
    /// Prices, tiers and share are zero for a revision that does not exist.
    function settlementTerms(ListingId listingId, uint32 revision) external view returns (SettlementTerms memory);

    /// @notice The oracle that a revision pins; zero for a revision that does not exist.
    function oracleOf(ListingId listingId, uint32 revision) external view returns (address);

    /// @notice One plan of a revision.
    function planOf(ListingId listingId, uint32 revision, uint256 plan) external view returns (Plan memory);
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";

import {OracleDirectory} from "./OracleDirectory.sol";
import {IListingRegistry} from "./interfaces/IListingRegistry.sol";
import {ListingId, Plan, RevisionTerms, SettlementTerms, Tier} from "./interfaces/Types.sol";
import {ALL_BPS} from "./libraries/Limits.sol";
import {Pricing} from "./libraries/Pricing.sol";
import {Tiers} from "./libraries/Tiers.sol";

/// @title The marketplace's catalogue. The interfaces are its specification.
contract ListingRegistry is IListingRegistry, OracleDirectory, ERC721 {
    /// @notice The most bytes that a metadata URI may have, so that a page can always show it.
    uint256 public constant MAX_URI_BYTES = 2048;
    /// @notice The most plans that a revision may have.
    uint256 public constant MAX_PLANS = 8;
    /// @notice The longest that a plan may bind money, in seconds.
    uint256 public constant MAX_PLAN_DURATION = 366 days;

    /// @dev The first two slots are all that the settlement of a call without tiers reads.
    struct Revision {
        uint256 priceWord;
        /// In the 16 bits that prices leave: the oracle's share, and the highest for whether there are tiers.
        uint256 rateWord;
        address oracle;
        uint256 packedTiers;
        bytes32 manifestHash;
        Plan[] plans;
        string metadataURI;
    }

    uint256 private constant SHARE_SHIFT = 240;
    uint256 private constant SHARE = (1 << 15) - 1;
    uint256 private constant TIERED = 1 << 255;

    uint256 public override listingCount;

    mapping(ListingId listingId => Listing) private _listings;
    mapping(ListingId listingId => mapping(uint32 revision => Revision)) private _revisions;

    modifier onlyListingOwner(ListingId listingId) {
        address owner = _existingOwnerOf(listingId);
        if (msg.sender != owner) revert Registry_NotOwner(msg.sender, owner);
        _;
    }

    constructor() ERC721("Tallystick Listing", "TALLY") {}

    /// @inheritdoc IListingRegistry
    function publish(RevisionTerms calldata terms) external override returns (ListingId listingId) {
        listingId = ListingId.wrap(++listingCount);
        emit ListingPublished(listingId, msg.sender);
        _addRevision(listingId, terms);
        // Not _safeMint: a receiver hook would hand control to the caller half-way through.
        _mint(msg.sender, ListingId.unwrap(listingId));
    }

    /// @inheritdoc IListingRegistry
    function revise(ListingId listingId, RevisionTerms calldata terms)
        external
        override
        onlyListingOwner(listingId)
        returns (uint32 revision)
    {
        revision = _addRevision(listingId, terms);
    }

    /// @inheritdoc IListingRegistry
    function withdrawListing(ListingId listingId) external override onlyListingOwner(listingId) {
        _setWithdrawn(listingId, true);
        emit ListingWithdrawn(listingId);
    }

    /// @inheritdoc IListingRegistry
    function relist(ListingId listingId) external override onlyListingOwner(listingId) {
        _setWithdrawn(listingId, false);
        emit ListingRelisted(listingId);
    }

    /// @inheritdoc IListingRegistry
    function getListing(ListingId listingId) external view override returns (Listing memory) {
        _existingOwnerOf(listingId);
        return _listings[listingId];
    }

    /// @inheritdoc IListingRegistry
    function getListings(uint256 first, uint256 count)
        external
        view
        override
        returns (Listing[] memory listings, address[] memory owners)
    {
        if (first == 0) first = 1;
        uint256 rest = first > listingCount ? 0 : listingCount - first + 1;
        if (count > rest) count = rest;
        listings = new Listing[](count);
        owners = new address[](count);
        for (uint256 i; i < count; ++i) {
            listings[i] = _listings[ListingId.wrap(first + i)];
            owners[i] = _ownerOf(first + i);
        }
    }

    /// @inheritdoc IListingRegistry
    function getRevision(ListingId listingId, uint32 revision) external view override returns (RevisionTerms memory) {
        return _termsOf(_existingRevision(listingId, revision));
    }

    /// @inheritdoc IListingRegistry
    function getRevisions(ListingId listingId, uint32 first, uint32 count)
        external
        view
        override
        returns (RevisionTerms[] memory found)
    {
        _existingOwnerOf(listingId);
        if (first == 0) first = 1;
        uint32 latest = _listings[listingId].latestRevision;
        uint32 rest = first > latest ? 0 : latest - first + 1;
        if (count > rest) count = rest;
        found = new RevisionTerms[](count);
        for (uint32 i; i < count; ++i) {
            found[i] = _termsOf(_revisions[listingId][first + i]);
        }
    }

    /// @inheritdoc IListingRegistry
    function saleTerms(ListingId listingId)
        external
        view
        override
        returns (address oracle, uint32 latestRevision, bool withdrawn, address asset)
    {
        Listing storage listing = _listings[listingId];
        latestRevision = listing.latestRevision;
        if (latestRevision == 0) revert Registry_UnknownListing(listingId, listingCount);
        return (listing.oracle, latestRevision, listing.withdrawn, Pricing.assetOf(_revisions[listingId][latestRevision].priceWord));
    }

    /// @inheritdoc IListingRegistry
    function settlementTerms(ListingId listingId, uint32 revision)
        external
        view
        override
        returns (SettlementTerms memory terms)
    {
        Revision storage found = _revisions[listingId][revision];
        uint256 rateWord = found.rateWord;
        (terms.priceWord, terms.rateWord) = (found.priceWord, rateWord);
        terms.oracleShareBps = (rateWord >> SHARE_SHIFT) & SHARE;
        if (rateWord & TIERED != 0) terms.packedTiers = found.packedTiers;
        terms.owner = _ownerOf(ListingId.unwrap(listingId));
    }

    /// @inheritdoc IListingRegistry
    function oracleOf(ListingId listingId, uint32 revision) external view override returns (address) {
        return _revisions[listingId][revision].oracle;
    }

    /// @inheritdoc IListingRegistry
    function planOf(ListingId listingId, uint32 revision, uint256 plan) external view override returns (Plan memory) {
        Plan[] storage plans = _existingRevision(listingId, revision).plans;
        if (plan >= plans.length) revert Registry_UnknownPlan(plan, plans.length);
        return plans[plan];
    }

    /// @notice The metadata URI of the revision that is for sale.
    function tokenURI(uint256 tokenId) public view override returns (string memory) {
        ListingId listingId = ListingId.wrap(tokenId);
        _existingOwnerOf(listingId);
        return _revisions[listingId][_listings[listingId].latestRevision].metadataURI;
    }

    function _addRevision(ListingId listingId, RevisionTerms calldata terms) private returns (uint32 revision) {
        _requireUsable(terms);
        revision = ++_listings[listingId].latestRevision;
        _listings[listingId].oracle = terms.oracle;

        Revision storage added = _revisions[listingId][revision];
        (uint256 priceWord, uint256 rateWord) = Pricing.pack(terms.prices);
        rateWord |= uint256(terms.oracleShareBps) << SHARE_SHIFT;
        (added.priceWord, added.rateWord) = (priceWord, terms.tiers.length == 0 ? rateWord : rateWord | TIERED);
        added.oracle = terms.oracle;
        added.packedTiers = Tiers.pack(terms.tiers);
        added.manifestHash = terms.manifestHash;
        for (uint256 i; i < terms.plans.length; ++i) {
            added.plans.push(terms.plans[i]);
        }
        added.metadataURI = terms.metadataURI;
        emit RevisionAdded(listingId, revision, terms.oracle, terms);
    }

    function _requireUsable(RevisionTerms calldata terms) private pure {
        if (terms.oracle == address(0)) revert Registry_ZeroOracle();
        if (terms.oracleShareBps > ALL_BPS) {
            revert Registry_ShareTooHigh(terms.oracleShareBps, uint16(ALL_BPS));
        }
        if (terms.manifestHash == bytes32(0)) revert Registry_EmptyManifest();
        if (bytes(terms.metadataURI).length > MAX_URI_BYTES) {
            revert Registry_URITooLong(bytes(terms.metadataURI).length, MAX_URI_BYTES);
        }
        _requireTiersInOrder(terms.tiers);
        if (terms.plans.length > MAX_PLANS) revert Registry_TooManyPlans(terms.plans.length, MAX_PLANS);
        for (uint256 i; i < terms.plans.length; ++i) {
            if (!_isUsable(terms.plans[i])) revert Registry_PlanUnusable(i);
        }
    }

    function _requireTiersInOrder(Tier[] calldata tiers) private pure {
        if (tiers.length > Tiers.MAX_TIERS) revert Registry_TooManyTiers(tiers.length, Tiers.MAX_TIERS);
        Tier memory before = Tier(0, 0);
        for (uint256 i; i < tiers.length; ++i) {
            Tier calldata tier = tiers[i];
            if (
                tier.fromCalls <= before.fromCalls || tier.discountBps <= before.discountBps
                    || tier.discountBps > ALL_BPS
            ) revert Registry_TierOutOfOrder(i);
            before = tier;
        }
    }

    function _isUsable(Plan calldata plan) private pure returns (bool) {
        if (plan.credits == 0 || plan.tranches == 0 || plan.duration == 0) return false;
        if (plan.duration > MAX_PLAN_DURATION) return false;
        if (uint256(plan.credits) * plan.tranches > type(uint32).max) return false;
        if (plan.tranches == 1) return plan.interval == 0;
        // A trial is given at once; a tranche that is due after the end could never be used.
        return plan.creditPrice != 0 && plan.interval != 0
            && uint256(plan.interval) * (plan.tranches - 1) < plan.duration;
    }

    function _setWithdrawn(ListingId listingId, bool withdrawn) private {
        if (_listings[listingId].withdrawn == withdrawn) revert Registry_SaleStateUnchanged(withdrawn);
        _listings[listingId].withdrawn = withdrawn;
    }

    function _termsOf(Revision storage found) private view returns (RevisionTerms memory) {
        return RevisionTerms(
            found.oracle,
            uint16((found.rateWord >> SHARE_SHIFT) & SHARE),
            found.manifestHash,
            Pricing.unpack(found.priceWord, found.rateWord),
            Tiers.unpack(found.packedTiers),
            found.plans,
            found.metadataURI
        );
    }

    /// @dev Listings are never burned, so an owner of zero means that the id was never published.
    function _existingOwnerOf(ListingId listingId) private view returns (address owner) {
        owner = _ownerOf(ListingId.unwrap(listingId));
        if (owner == address(0)) revert Registry_UnknownListing(listingId, listingCount);
    }

    function _existingRevision(ListingId listingId, uint32 revision) private view returns (Revision storage found) {
        found = _revisions[listingId][revision];
        if (found.oracle == address(0)) {
            _existingOwnerOf(listingId);
            revert Registry_UnknownRevision(revision, _listings[listingId].latestRevision);
        }
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @dev An ERC-721 token id: one model for sale. Ids count from 1.
type ListingId is uint256;

/// @notice What a revision costs. All amounts are atomic units (wei for the native asset).
/// @dev Two storage slots. A charge is `perCall + (inputTokens * perThousandInputTokens + outputTokens *
/// perThousandOutputTokens + computeMs * perComputeSecond) / 1000`, rounded down once.
struct PriceSheet {
    /// What is paid with: the zero address is the chain's native asset, anything else an ERC-20.
    address asset;
    uint96 perCall;
    uint80 perThousandInputTokens;
    uint80 perThousandOutputTokens;
    uint80 perComputeSecond;
}

/// @title The marketplace's catalogue: listings as ERC-721 tokens with immutable revisions.
/// @notice Holds no funds. A revision, once added, never changes; a listing's newest revision is the one for sale.
interface IListingRegistry {
    /// @notice One model for sale as it stands now.
    struct Listing {
        /// The operator that may run and settle new calls.
        address oracle;
        /// Revisions count from 1; this one is for sale.
        uint32 latestRevision;
        /// True while the owner has taken the listing off sale.
        bool withdrawn;
    }

    /// @notice One immutable version of a listing.
    struct Revision {
        /// keccak256 of the manifest's canonical JSON (see docs/SPEC.md).
        bytes32 manifestHash;
        PriceSheet prices;
        /// Where the manifest can be fetched; a hint, the hash decides.
        string metadataURI;
    }

    /// @notice A listing was minted to `owner`; its first revision follows in a `RevisionAdded`.
    event ListingPublished(ListingId indexed listingId, address indexed owner, address indexed oracle);
    /// @notice A listing got a new revision, which is now the one for sale.
    event RevisionAdded(
        ListingId indexed listingId,
        uint32 indexed revision,
        bytes32 manifestHash,
        PriceSheet prices,
        string metadataURI
    );
    /// @notice Calls opened from now on are run by another oracle; open calls keep theirs.
    event OracleChanged(ListingId indexed listingId, address indexed previous, address indexed oracle);
    /// @notice The listing went off sale; calls already open are unaffected.
    event ListingWithdrawn(ListingId indexed listingId);
    /// @notice The listing is for sale again.
    event ListingRelisted(ListingId indexed listingId);

    /// @notice The caller is not the listing's owner.
    error Registry_NotOwner(address actual, address expected);
    /// @notice No such listing: ids run from 1 to `count`.
    error Registry_UnknownListing(ListingId actual, uint256 count);
    /// @notice No such revision: they run from 1 to `latest`.
    error Registry_UnknownRevision(uint32 actual, uint32 latest);
    /// @notice A manifest hash of zero names no model.
    error Registry_EmptyManifest();
    /// @notice The zero address can neither run nor settle calls.
    error Registry_ZeroOracle();
    /// @notice The metadata URI has more bytes than a listing may carry.
    error Registry_URITooLong(uint256 actual, uint256 maximum);
    /// @notice The listing already is in the state asked for.
    error Registry_SaleStateUnchanged(bool withdrawn);

    /// @notice Mints a listing to the caller and adds its revision 1.
    function publish(address oracle, bytes32 manifestHash, PriceSheet calldata prices, string calldata metadataURI)
        external
        returns (ListingId listingId);

    /// @notice Adds a revision, which becomes the one for sale. Calls opened before keep theirs and its prices.
    function revise(ListingId listingId, bytes32 manifestHash, PriceSheet calldata prices, string calldata metadataURI)
        external
        returns (uint32 revision);

    /// @notice Names the oracle of calls opened from now on.
    function setOracle(ListingId listingId, address oracle) external;

    /// @notice Takes the listing off sale. Open calls still end as they would have.
    function withdrawListing(ListingId listingId) external;

    /// @notice Puts a withdrawn listing back on sale at its latest revision.
    function relist(ListingId listingId) external;

    /// @notice How many listings were ever published; also the highest id.
    function listingCount() external view returns (uint256);

    /// @notice The listing as it stands now.
    function getListing(ListingId listingId) external view returns (Listing memory);

    /// @notice One revision, for ever the same.
    function getRevision(ListingId listingId, uint32 revision) external view returns (Revision memory);

    /// @notice What an opening needs to know, in one call: the sale state and the asset of the latest revision.
    function saleTerms(ListingId listingId)
        external
        view
        returns (address oracle, uint32 latestRevision, bool withdrawn, address asset);

    /// @notice What a settlement needs to know, in one call: a revision's prices and who earns now.
    function settlementTerms(ListingId listingId, uint32 revision)
        external
        view
        returns (PriceSheet memory prices, address owner);
}

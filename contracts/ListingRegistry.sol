// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";

import {IListingRegistry, ListingId, PriceSheet} from "./interfaces/IListingRegistry.sol";

/// @title The marketplace's catalogue. The interface is its specification.
contract ListingRegistry is IListingRegistry, ERC721 {
    /// @notice The most bytes that a metadata URI may have, so that a page can always show it.
    uint256 public constant MAX_URI_BYTES = 2048;

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
    function publish(address oracle, bytes32 manifestHash, PriceSheet calldata prices, string calldata metadataURI)
        external
        override
        returns (ListingId listingId)
    {
        if (oracle == address(0)) revert Registry_ZeroOracle();
        listingId = ListingId.wrap(++listingCount);
        _listings[listingId].oracle = oracle;
        emit ListingPublished(listingId, msg.sender, oracle);
        _addRevision(listingId, manifestHash, prices, metadataURI);
        // Not _safeMint: a receiver hook would hand control to the caller half-way through.
        _mint(msg.sender, ListingId.unwrap(listingId));
    }

    /// @inheritdoc IListingRegistry
    function revise(ListingId listingId, bytes32 manifestHash, PriceSheet calldata prices, string calldata metadataURI)
        external
        override
        onlyListingOwner(listingId)
        returns (uint32 revision)
    {
        revision = _addRevision(listingId, manifestHash, prices, metadataURI);
    }

    /// @inheritdoc IListingRegistry
    function setOracle(ListingId listingId, address oracle) external override onlyListingOwner(listingId) {
        if (oracle == address(0)) revert Registry_ZeroOracle();
        emit OracleChanged(listingId, _listings[listingId].oracle, oracle);
        _listings[listingId].oracle = oracle;
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
    function getRevision(ListingId listingId, uint32 revision) external view override returns (Revision memory) {
        return _existingRevision(listingId, revision);
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
        return (listing.oracle, latestRevision, listing.withdrawn, _revisions[listingId][latestRevision].prices.asset);
    }

    /// @inheritdoc IListingRegistry
    function settlementTerms(ListingId listingId, uint32 revision)
        external
        view
        override
        returns (PriceSheet memory prices, address owner)
    {
        return (_existingRevision(listingId, revision).prices, _existingOwnerOf(listingId));
    }

    /// @notice The metadata URI of the revision that is for sale.
    function tokenURI(uint256 tokenId) public view override returns (string memory) {
        ListingId listingId = ListingId.wrap(tokenId);
        _existingOwnerOf(listingId);
        return _revisions[listingId][_listings[listingId].latestRevision].metadataURI;
    }

    function _addRevision(
        ListingId listingId,
        bytes32 manifestHash,
        PriceSheet calldata prices,
        string calldata metadataURI
    ) private returns (uint32 revision) {
        if (manifestHash == bytes32(0)) revert Registry_EmptyManifest();
        if (bytes(metadataURI).length > MAX_URI_BYTES) {
            revert Registry_URITooLong(bytes(metadataURI).length, MAX_URI_BYTES);
        }
        revision = ++_listings[listingId].latestRevision;
        _revisions[listingId][revision] = Revision(manifestHash, prices, metadataURI);
        emit RevisionAdded(listingId, revision, manifestHash, prices, metadataURI);
    }

    function _setWithdrawn(ListingId listingId, bool withdrawn) private {
        if (_listings[listingId].withdrawn == withdrawn) revert Registry_SaleStateUnchanged(withdrawn);
        _listings[listingId].withdrawn = withdrawn;
    }

    /// @dev Listings are never burned, so an owner of zero means that the id was never published.
    function _existingOwnerOf(ListingId listingId) private view returns (address owner) {
        owner = _ownerOf(ListingId.unwrap(listingId));
        if (owner == address(0)) revert Registry_UnknownListing(listingId, listingCount);
    }

    function _existingRevision(ListingId listingId, uint32 revision) private view returns (Revision storage found) {
        found = _revisions[listingId][revision];
        if (found.manifestHash == bytes32(0)) {
            _existingOwnerOf(listingId);
            revert Registry_UnknownRevision(revision, _listings[listingId].latestRevision);
        }
    }
}

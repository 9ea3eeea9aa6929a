"""ListingRegistry: publishing, revising, taking off sale, and what a listing is as an ERC-721 token."""

from __future__ import annotations

from typing import Any

import contractkit as kit
import pytest
from brownie import RejectingReceiverMock, accounts
from contractkit import PriceSheet, refuses

URI = "ipfs://manifest"
MAX_URI = 2048
UNKNOWN = 99
LARGEST = PriceSheet(kit.TOKEN, kit.UINT96, kit.UINT80, kit.UINT80, kit.UINT80)
OTHER_MANIFEST = kit.keccak(b"another manifest")


@pytest.fixture(scope="module")
def rejecting() -> Any:
    return kit.create(RejectingReceiverMock, by=accounts[0])


# ---- publish --------------------------------------------------------------------------------------------------------


def test_publish_mints_and_adds_revision_1(registry: Any, owner: Any, oracle: Any, prices: PriceSheet) -> None:
    mined = kit.accepted(registry.publish, oracle, kit.MANIFEST, prices, URI, by=owner)
    assert mined.events == [
        kit.Event(
            registry.address,
            "ListingPublished",
            {"listingId": 1, "owner": owner.address, "oracle": oracle.address},
            {},
        ),
        kit.Event(
            registry.address,
            "RevisionAdded",
            {"listingId": 1, "revision": 1},
            {"manifestHash": kit.MANIFEST, "prices": tuple(prices), "metadataURI": URI},
        ),
        kit.Event(registry.address, "Transfer", {"from": kit.NATIVE, "to": owner.address, "tokenId": 1}, {}),
    ]
    assert kit.view(registry.listingCount) == 1
    assert kit.view(registry.ownerOf, 1) == owner.address
    assert kit.view(registry.balanceOf, owner) == 1
    assert kit.view(registry.getListing, 1) == (oracle.address, 1, False)
    assert kit.view(registry.getRevision, 1, 1) == (kit.MANIFEST, tuple(prices), URI)
    assert kit.view(registry.saleTerms, 1) == (oracle.address, 1, False, kit.NATIVE)
    assert kit.view(registry.settlementTerms, 1, 1) == (tuple(prices), owner.address)
    assert kit.view(registry.tokenURI, 1) == URI


def test_publish_counts_ids_up(registry: Any, owner: Any, stranger: Any, oracle: Any, prices: PriceSheet) -> None:
    """The same manifest twice is two listings; an id is nobody's to choose."""
    for expected, publisher in ((1, owner), (2, stranger), (3, owner)):
        kit.accepted(registry.publish, oracle, kit.MANIFEST, prices, URI, by=publisher)
        assert kit.view(registry.listingCount) == expected
        assert kit.view(registry.ownerOf, expected) == publisher.address


def test_publish_with_the_largest_prices(registry: Any, owner: Any, oracle: Any) -> None:
    """M8: the limits of uint96 and uint80 are kept to the last unit."""
    kit.accepted(registry.publish, oracle, b"\xff" * 32, LARGEST, URI, by=owner)
    assert kit.view(registry.getRevision, 1, 1) == (b"\xff" * 32, tuple(LARGEST), URI)
    assert kit.view(registry.saleTerms, 1)[3] == kit.TOKEN


@pytest.mark.parametrize("uri", ["", "x" * MAX_URI, "é" * (MAX_URI // 2)], ids=["empty", "ascii", "two-byte"])
def test_publish_with_a_uri_at_its_limits(registry: Any, owner: Any, oracle: Any, prices: PriceSheet, uri: str) -> None:
    kit.accepted(registry.publish, oracle, kit.MANIFEST, prices, uri, by=owner)
    assert kit.view(registry.tokenURI, 1) == uri


def test_publish_by_a_contract_without_a_hook(
    registry: Any, rejecting: Any, stranger: Any, oracle: Any, prices: PriceSheet
) -> None:
    """No hook is called at minting, so control never passes to the publisher half-way through."""
    data = registry.publish.encode_input(oracle, kit.MANIFEST, prices, URI)
    kit.accepted(rejecting.execute, registry, 0, data, by=stranger)
    assert kit.view(registry.ownerOf, 1) == rejecting.address


@refuses("ListingRegistry.publish", "Registry_ZeroOracle")
def test_publish_without_an_oracle(registry: Any, owner: Any, prices: PriceSheet) -> None:
    kit.refused(registry.publish, kit.NATIVE, kit.MANIFEST, prices, URI, by=owner, error="Registry_ZeroOracle")


@refuses("ListingRegistry.publish", "Registry_EmptyManifest")
def test_publish_without_a_manifest(registry: Any, owner: Any, oracle: Any, prices: PriceSheet) -> None:
    kit.refused(registry.publish, oracle, bytes(32), prices, URI, by=owner, error="Registry_EmptyManifest")


@refuses("ListingRegistry.publish", "Registry_URITooLong")
def test_publish_with_a_long_uri(registry: Any, owner: Any, oracle: Any, prices: PriceSheet) -> None:
    uri = "x" * (MAX_URI + 1)
    kit.refused(
        registry.publish,
        oracle,
        kit.MANIFEST,
        prices,
        uri,
        by=owner,
        error="Registry_URITooLong",
        details=[MAX_URI + 1, MAX_URI],
    )


@pytest.mark.parametrize("word", [3, 4, 5, 6], ids=["perCall", "input", "output", "compute"])
def test_publish_beyond_a_price_type(registry: Any, owner: Any, oracle: Any, word: int) -> None:
    """M8: a price that does not fit its type is refused, never cut off."""
    data = registry.publish.encode_input(oracle, kit.MANIFEST, LARGEST, URI)
    at = 10 + 64 * word
    bits = 96 if word == 3 else 80
    assert int(data[at : at + 64], 16) == 2**bits - 1
    beyond = data[:at] + f"{2**bits:064x}" + data[at + 64 :]
    kit.refused_raw(registry, beyond, by=owner, function="ListingRegistry.publish", error="")


# ---- revise ---------------------------------------------------------------------------------------------------------


def test_revise_adds_a_revision(registry: Any, owner: Any, oracle: Any, listing: int, prices: PriceSheet) -> None:
    """M9: the revision before stays as it was."""
    mined = kit.accepted(registry.revise, listing, OTHER_MANIFEST, LARGEST, "https://two", by=owner)
    assert mined.events == [
        kit.Event(
            registry.address,
            "RevisionAdded",
            {"listingId": listing, "revision": 2},
            {"manifestHash": OTHER_MANIFEST, "prices": tuple(LARGEST), "metadataURI": "https://two"},
        )
    ]
    assert kit.view(registry.getListing, listing) == (oracle.address, 2, False)
    assert kit.view(registry.getRevision, listing, 1) == (kit.MANIFEST, tuple(prices), URI)
    assert kit.view(registry.getRevision, listing, 2) == (OTHER_MANIFEST, tuple(LARGEST), "https://two")
    assert kit.view(registry.settlementTerms, listing, 1) == (tuple(prices), owner.address)
    assert kit.view(registry.saleTerms, listing) == (oracle.address, 2, False, kit.TOKEN)
    assert kit.view(registry.tokenURI, listing) == "https://two"


def test_revise_while_withdrawn(registry: Any, owner: Any, oracle: Any, listing: int, prices: PriceSheet) -> None:
    """A withdrawn listing can be put right before it is relisted."""
    kit.accepted(registry.withdrawListing, listing, by=owner)
    kit.accepted(registry.revise, listing, OTHER_MANIFEST, prices, URI, by=owner)
    assert kit.view(registry.getListing, listing) == (oracle.address, 2, True)


def test_revise_by_the_new_owner(registry: Any, owner: Any, stranger: Any, listing: int, prices: PriceSheet) -> None:
    kit.accepted(registry.transferFrom, owner, stranger, listing, by=owner)
    kit.accepted(registry.revise, listing, OTHER_MANIFEST, prices, URI, by=stranger)
    assert kit.view(registry.saleTerms, listing)[1] == 2


@refuses("ListingRegistry.revise", "Registry_NotOwner")
def test_revise_by_another(registry: Any, owner: Any, stranger: Any, listing: int, prices: PriceSheet) -> None:
    kit.refused(
        registry.revise,
        listing,
        OTHER_MANIFEST,
        prices,
        URI,
        by=stranger,
        error="Registry_NotOwner",
        details=[stranger.address, owner.address],
    )


@refuses("ListingRegistry.revise", "Registry_NotOwner")
def test_revise_by_an_approved_account(
    registry: Any, owner: Any, stranger: Any, listing: int, prices: PriceSheet
) -> None:
    """M7: an approval is for transfers of the token, not for its prices."""
    kit.accepted(registry.approve, stranger, listing, by=owner)
    kit.accepted(registry.setApprovalForAll, stranger, True, by=owner)
    kit.refused(
        registry.revise,
        listing,
        OTHER_MANIFEST,
        prices,
        URI,
        by=stranger,
        error="Registry_NotOwner",
        details=[stranger.address, owner.address],
    )


@refuses("ListingRegistry.revise", "Registry_UnknownListing")
@pytest.mark.parametrize("unknown", [0, 2, 2**256 - 1])
def test_revise_an_unknown_listing(registry: Any, owner: Any, listing: int, prices: PriceSheet, unknown: int) -> None:
    kit.refused(
        registry.revise,
        unknown,
        OTHER_MANIFEST,
        prices,
        URI,
        by=owner,
        error="Registry_UnknownListing",
        details=[unknown, listing],
    )


@refuses("ListingRegistry.revise", "Registry_EmptyManifest")
def test_revise_without_a_manifest(registry: Any, owner: Any, listing: int, prices: PriceSheet) -> None:
    kit.refused(registry.revise, listing, bytes(32), prices, URI, by=owner, error="Registry_EmptyManifest")


@refuses("ListingRegistry.revise", "Registry_URITooLong")
def test_revise_with_a_long_uri(registry: Any, owner: Any, listing: int, prices: PriceSheet) -> None:
    kit.refused(
        registry.revise,
        listing,
        OTHER_MANIFEST,
        prices,
        "é" * (MAX_URI // 2) + "x",
        by=owner,
        error="Registry_URITooLong",
        details=[MAX_URI + 1, MAX_URI],
    )


# ---- setOracle, withdrawListing, relist -----------------------------------------------------------------------------


def test_set_oracle_names_the_next_one(registry: Any, owner: Any, oracle: Any, stranger: Any, listing: int) -> None:
    mined = kit.accepted(registry.setOracle, listing, stranger, by=owner)
    assert mined.events == [
        kit.Event(
            registry.address,
            "OracleChanged",
            {"listingId": listing, "previous": oracle.address, "oracle": stranger.address},
            {},
        )
    ]
    assert kit.view(registry.getListing, listing) == (stranger.address, 1, False)
    assert kit.view(registry.saleTerms, listing)[0] == stranger.address


@refuses("ListingRegistry.setOracle", "Registry_NotOwner")
def test_set_oracle_by_the_oracle(registry: Any, owner: Any, oracle: Any, listing: int) -> None:
    kit.refused(
        registry.setOracle,
        listing,
        oracle,
        by=oracle,
        error="Registry_NotOwner",
        details=[oracle.address, owner.address],
    )


@refuses("ListingRegistry.setOracle", "Registry_UnknownListing")
def test_set_oracle_of_an_unknown_listing(registry: Any, owner: Any, oracle: Any, listing: int) -> None:
    kit.refused(
        registry.setOracle, UNKNOWN, oracle, by=owner, error="Registry_UnknownListing", details=[UNKNOWN, listing]
    )


@refuses("ListingRegistry.setOracle", "Registry_ZeroOracle")
def test_set_oracle_to_nobody(registry: Any, owner: Any, listing: int) -> None:
    kit.refused(registry.setOracle, listing, kit.NATIVE, by=owner, error="Registry_ZeroOracle")


def test_withdraw_listing_takes_it_off_sale(registry: Any, owner: Any, oracle: Any, listing: int) -> None:
    mined = kit.accepted(registry.withdrawListing, listing, by=owner)
    assert mined.events == [kit.Event(registry.address, "ListingWithdrawn", {"listingId": listing}, {})]
    assert kit.view(registry.getListing, listing) == (oracle.address, 1, True)
    assert kit.view(registry.saleTerms, listing)[2] is True


@refuses("ListingRegistry.withdrawListing", "Registry_NotOwner")
def test_withdraw_listing_by_another(registry: Any, owner: Any, oracle: Any, listing: int) -> None:
    kit.refused(
        registry.withdrawListing,
        listing,
        by=oracle,
        error="Registry_NotOwner",
        details=[oracle.address, owner.address],
    )


@refuses("ListingRegistry.withdrawListing", "Registry_UnknownListing")
def test_withdraw_listing_that_is_unknown(registry: Any, owner: Any, listing: int) -> None:
    kit.refused(
        registry.withdrawListing, UNKNOWN, by=owner, error="Registry_UnknownListing", details=[UNKNOWN, listing]
    )


@refuses("ListingRegistry.withdrawListing", "Registry_SaleStateUnchanged")
def test_withdraw_listing_twice(registry: Any, owner: Any, listing: int) -> None:
    kit.accepted(registry.withdrawListing, listing, by=owner)
    kit.refused(registry.withdrawListing, listing, by=owner, error="Registry_SaleStateUnchanged", details=[True])


def test_relist_puts_it_on_sale(registry: Any, owner: Any, oracle: Any, listing: int) -> None:
    kit.accepted(registry.withdrawListing, listing, by=owner)
    mined = kit.accepted(registry.relist, listing, by=owner)
    assert mined.events == [kit.Event(registry.address, "ListingRelisted", {"listingId": listing}, {})]
    assert kit.view(registry.getListing, listing) == (oracle.address, 1, False)


@refuses("ListingRegistry.relist", "Registry_NotOwner")
def test_relist_by_another(registry: Any, owner: Any, stranger: Any, listing: int) -> None:
    kit.accepted(registry.withdrawListing, listing, by=owner)
    kit.refused(
        registry.relist, listing, by=stranger, error="Registry_NotOwner", details=[stranger.address, owner.address]
    )


@refuses("ListingRegistry.relist", "Registry_UnknownListing")
def test_relist_an_unknown_listing(registry: Any, owner: Any, listing: int) -> None:
    kit.refused(registry.relist, UNKNOWN, by=owner, error="Registry_UnknownListing", details=[UNKNOWN, listing])


@refuses("ListingRegistry.relist", "Registry_SaleStateUnchanged")
def test_relist_what_is_on_sale(registry: Any, owner: Any, listing: int) -> None:
    kit.refused(registry.relist, listing, by=owner, error="Registry_SaleStateUnchanged", details=[False])


# ---- views ----------------------------------------------------------------------------------------------------------


@refuses("ListingRegistry.getListing", "Registry_UnknownListing")
@pytest.mark.parametrize("unknown", [0, 2, 2**256 - 1])
def test_get_listing_of_an_unknown_listing(registry: Any, listing: int, unknown: int) -> None:
    kit.refused_view(registry.getListing, unknown, error="Registry_UnknownListing", details=[unknown, listing])


@refuses("ListingRegistry.getRevision", "Registry_UnknownListing")
def test_get_revision_of_an_unknown_listing(registry: Any, listing: int) -> None:
    kit.refused_view(registry.getRevision, UNKNOWN, 1, error="Registry_UnknownListing", details=[UNKNOWN, listing])


@refuses("ListingRegistry.getRevision", "Registry_UnknownRevision")
@pytest.mark.parametrize("unknown", [0, 2, kit.UINT32])
def test_get_revision_that_is_unknown(registry: Any, listing: int, unknown: int) -> None:
    kit.refused_view(registry.getRevision, listing, unknown, error="Registry_UnknownRevision", details=[unknown, 1])


@refuses("ListingRegistry.saleTerms", "Registry_UnknownListing")
@pytest.mark.parametrize("unknown", [0, 2, 2**256 - 1])
def test_sale_terms_of_an_unknown_listing(registry: Any, listing: int, unknown: int) -> None:
    kit.refused_view(registry.saleTerms, unknown, error="Registry_UnknownListing", details=[unknown, listing])


@refuses("ListingRegistry.settlementTerms", "Registry_UnknownListing")
def test_settlement_terms_of_an_unknown_listing(registry: Any, listing: int) -> None:
    kit.refused_view(registry.settlementTerms, UNKNOWN, 1, error="Registry_UnknownListing", details=[UNKNOWN, listing])


@refuses("ListingRegistry.settlementTerms", "Registry_UnknownRevision")
@pytest.mark.parametrize("unknown", [0, 2, kit.UINT32])
def test_settlement_terms_of_an_unknown_revision(registry: Any, listing: int, unknown: int) -> None:
    kit.refused_view(registry.settlementTerms, listing, unknown, error="Registry_UnknownRevision", details=[unknown, 1])


@refuses("ListingRegistry.tokenURI", "Registry_UnknownListing")
def test_token_uri_of_an_unknown_listing(registry: Any, listing: int) -> None:
    kit.refused_view(registry.tokenURI, UNKNOWN, error="Registry_UnknownListing", details=[UNKNOWN, listing])


def test_max_uri_bytes_is_published(registry: Any) -> None:
    assert kit.view(registry.MAX_URI_BYTES) == MAX_URI


# ---- ERC-721 --------------------------------------------------------------------------------------------------------

SAFE = {
    "without data": ("address,address,uint256", ()),
    "with data": ("address,address,uint256,bytes", (b"\x01",)),
}
safely = pytest.mark.parametrize(("signature", "extra"), SAFE.values(), ids=SAFE)


@pytest.mark.parametrize(
    ("identifier", "supported"),
    [("0x01ffc9a7", True), ("0x80ac58cd", True), ("0x5b5e139f", True), ("0xffffffff", False)],
    ids=["ERC-165", "ERC-721", "ERC-721 metadata", "none"],
)
def test_supports_interface(registry: Any, identifier: str, supported: bool) -> None:
    assert kit.view(registry.supportsInterface, identifier) is supported


def test_name_and_symbol(registry: Any) -> None:
    assert (kit.view(registry.name), kit.view(registry.symbol)) == ("Tallystick Listing", "TALLY")


def test_transfer_from_by_the_owner(registry: Any, owner: Any, stranger: Any, listing: int) -> None:
    mined = kit.accepted(registry.transferFrom, owner, stranger, listing, by=owner)
    assert mined.events == [
        kit.Event(registry.address, "Transfer", {"from": owner.address, "to": stranger.address, "tokenId": listing}, {})
    ]
    assert kit.view(registry.ownerOf, listing) == stranger.address
    assert kit.view(registry.settlementTerms, listing, 1)[1] == stranger.address


@safely
def test_safe_transfer_from_to_an_account(
    registry: Any, owner: Any, stranger: Any, listing: int, signature: str, extra: tuple[bytes, ...]
) -> None:
    kit.accepted(registry.safeTransferFrom[signature], owner, stranger, listing, *extra, by=owner)
    assert kit.view(registry.ownerOf, listing) == stranger.address


def test_approve_lets_one_listing_go(registry: Any, owner: Any, stranger: Any, listing: int) -> None:
    mined = kit.accepted(registry.approve, stranger, listing, by=owner)
    assert mined.events == [
        kit.Event(
            registry.address, "Approval", {"owner": owner.address, "approved": stranger.address, "tokenId": listing}, {}
        )
    ]
    assert kit.view(registry.getApproved, listing) == stranger.address
    kit.accepted(registry.transferFrom, owner, stranger, listing, by=stranger)
    assert kit.view(registry.ownerOf, listing) == stranger.address
    assert kit.view(registry.getApproved, listing) == kit.NATIVE


def test_set_approval_for_all_and_back(registry: Any, owner: Any, stranger: Any, listing: int) -> None:
    for approved in (True, False):
        mined = kit.accepted(registry.setApprovalForAll, stranger, approved, by=owner)
        assert mined.events == [
            kit.Event(
                registry.address,
                "ApprovalForAll",
                {"owner": owner.address, "operator": stranger.address},
                {"approved": approved},
            )
        ]
        assert kit.view(registry.isApprovedForAll, owner, stranger) is approved


@refuses("ListingRegistry.ownerOf", "ERC721NonexistentToken")
def test_owner_of_an_unknown_listing(registry: Any, listing: int) -> None:
    kit.refused_view(registry.ownerOf, UNKNOWN, error="ERC721NonexistentToken", details=[UNKNOWN])


@refuses("ListingRegistry.getApproved", "ERC721NonexistentToken")
def test_get_approved_of_an_unknown_listing(registry: Any, listing: int) -> None:
    kit.refused_view(registry.getApproved, UNKNOWN, error="ERC721NonexistentToken", details=[UNKNOWN])


@refuses("ListingRegistry.balanceOf", "ERC721InvalidOwner")
def test_balance_of_nobody(registry: Any, listing: int) -> None:
    kit.refused_view(registry.balanceOf, kit.NATIVE, error="ERC721InvalidOwner", details=[kit.NATIVE])


@refuses("ListingRegistry.approve", "ERC721InvalidApprover")
def test_approve_by_another(registry: Any, stranger: Any, listing: int) -> None:
    kit.refused(
        registry.approve, stranger, listing, by=stranger, error="ERC721InvalidApprover", details=[stranger.address]
    )


@refuses("ListingRegistry.approve", "ERC721NonexistentToken")
def test_approve_an_unknown_listing(registry: Any, owner: Any, listing: int) -> None:
    kit.refused(registry.approve, owner, UNKNOWN, by=owner, error="ERC721NonexistentToken", details=[UNKNOWN])


@refuses("ListingRegistry.setApprovalForAll", "ERC721InvalidOperator")
def test_set_approval_for_all_of_nobody(registry: Any, owner: Any, listing: int) -> None:
    kit.refused(
        registry.setApprovalForAll, kit.NATIVE, True, by=owner, error="ERC721InvalidOperator", details=[kit.NATIVE]
    )


@refuses("ListingRegistry.transferFrom", "ERC721InsufficientApproval")
def test_transfer_from_by_another(registry: Any, owner: Any, stranger: Any, listing: int) -> None:
    kit.refused(
        registry.transferFrom,
        owner,
        stranger,
        listing,
        by=stranger,
        error="ERC721InsufficientApproval",
        details=[stranger.address, listing],
    )


@refuses("ListingRegistry.transferFrom", "ERC721NonexistentToken")
def test_transfer_from_an_unknown_listing(registry: Any, owner: Any, stranger: Any, listing: int) -> None:
    kit.refused(
        registry.transferFrom, owner, stranger, UNKNOWN, by=owner, error="ERC721NonexistentToken", details=[UNKNOWN]
    )


@refuses("ListingRegistry.transferFrom", "ERC721IncorrectOwner")
def test_transfer_from_whom_it_is_not(registry: Any, owner: Any, stranger: Any, listing: int) -> None:
    kit.refused(
        registry.transferFrom,
        stranger,
        stranger,
        listing,
        by=owner,
        error="ERC721IncorrectOwner",
        details=[stranger.address, listing, owner.address],
    )


@refuses("ListingRegistry.transferFrom", "ERC721InvalidReceiver")
def test_transfer_from_to_nobody(registry: Any, owner: Any, listing: int) -> None:
    """Listings are never burned, so an open call always has somebody to earn from it."""
    kit.refused(
        registry.transferFrom,
        owner,
        kit.NATIVE,
        listing,
        by=owner,
        error="ERC721InvalidReceiver",
        details=[kit.NATIVE],
    )


@refuses("ListingRegistry.safeTransferFrom", "ERC721InsufficientApproval")
@safely
def test_safe_transfer_from_by_another(
    registry: Any, owner: Any, stranger: Any, listing: int, signature: str, extra: tuple[bytes, ...]
) -> None:
    kit.refused(
        registry.safeTransferFrom[signature],
        owner,
        stranger,
        listing,
        *extra,
        by=stranger,
        error="ERC721InsufficientApproval",
        details=[stranger.address, listing],
    )


@refuses("ListingRegistry.safeTransferFrom", "ERC721NonexistentToken")
@safely
def test_safe_transfer_from_an_unknown_listing(
    registry: Any, owner: Any, stranger: Any, listing: int, signature: str, extra: tuple[bytes, ...]
) -> None:
    kit.refused(
        registry.safeTransferFrom[signature],
        owner,
        stranger,
        UNKNOWN,
        *extra,
        by=owner,
        error="ERC721NonexistentToken",
        details=[UNKNOWN],
    )


@refuses("ListingRegistry.safeTransferFrom", "ERC721IncorrectOwner")
@safely
def test_safe_transfer_from_whom_it_is_not(
    registry: Any, owner: Any, stranger: Any, listing: int, signature: str, extra: tuple[bytes, ...]
) -> None:
    kit.refused(
        registry.safeTransferFrom[signature],
        stranger,
        stranger,
        listing,
        *extra,
        by=owner,
        error="ERC721IncorrectOwner",
        details=[stranger.address, listing, owner.address],
    )


@refuses("ListingRegistry.safeTransferFrom", "ERC721InvalidReceiver")
@safely
def test_safe_transfer_from_to_a_contract_without_a_hook(
    registry: Any, owner: Any, rejecting: Any, listing: int, signature: str, extra: tuple[bytes, ...]
) -> None:
    kit.refused(
        registry.safeTransferFrom[signature],
        owner,
        rejecting,
        listing,
        *extra,
        by=owner,
        error="ERC721InvalidReceiver",
        details=[rejecting.address],
    )

"""ListingRegistry: publishing, revising, taking off sale, and what a listing is as an ERC-721 token."""

from __future__ import annotations

from typing import Any

import contractkit as kit
import pytest
from brownie import RejectingReceiverMock, accounts
from contractkit import Plan, RevisionTerms, Tier, refuses

MAX_URI = 2048
MAX_PLANS = 8
MAX_TIERS = 4
ALL_BPS = 10_000
YEAR = 366 * 24 * 3600
UNKNOWN = 99
LARGEST = kit.LARGEST._replace(asset=kit.TOKEN)
OTHER_MANIFEST = kit.keccak(b"another manifest")
SETTLES_NOTHING = (0, 0, 0, 0)


@pytest.fixture(scope="module")
def rejecting() -> Any:
    return kit.create(RejectingReceiverMock, by=accounts[0])


@pytest.fixture(scope="module")
def other(revision: RevisionTerms, stranger: Any) -> RevisionTerms:
    """Terms that differ from `revision` in everything."""
    tiers = (Tier(1, 1), Tier(2, 500), Tier(1_000, 9_999), Tier(2**40 - 1, ALL_BPS))
    plans = (Plan(), Plan(0, 5), Plan(7, 100, 12, YEAR, 30 * 24 * 3600))
    return RevisionTerms(stranger.address, 2_500, OTHER_MANIFEST, LARGEST, tiers, plans, "https://two")


# ---- publish --------------------------------------------------------------------------------------------------------


def test_publish_mints_and_adds_revision_1(registry: Any, owner: Any, oracle: Any, revision: RevisionTerms) -> None:
    mined = kit.accepted(registry.publish, revision, by=owner)
    assert mined.events == [
        kit.Event(registry.address, "ListingPublished", {"listingId": 1, "owner": owner.address}, {}),
        kit.Event(
            registry.address,
            "RevisionAdded",
            {"listingId": 1, "revision": 1, "oracle": oracle.address},
            {"terms": revision},
        ),
        kit.Event(registry.address, "Transfer", {"from": kit.NATIVE, "to": owner.address, "tokenId": 1}, {}),
    ]
    assert kit.view(registry.listingCount) == 1
    assert kit.view(registry.ownerOf, 1) == owner.address
    assert kit.view(registry.balanceOf, owner) == 1
    assert kit.view(registry.getListing, 1) == (oracle.address, 1, False)
    assert kit.view(registry.getRevision, 1, 1) == revision
    assert kit.view(registry.saleTerms, 1) == (oracle.address, 1, False, kit.NATIVE)
    assert kit.view(registry.settlementTerms, 1, 1) == (*kit.price_words(revision), 0, 0, owner.address)
    assert kit.view(registry.oracleOf, 1, 1) == oracle.address
    assert kit.view(registry.tokenURI, 1) == revision.metadata_uri


def test_publish_with_everything(registry: Any, owner: Any, stranger: Any, other: RevisionTerms) -> None:
    """M9: share, tiers and plans are kept as they were given."""
    mined = kit.accepted(registry.publish, other, by=owner)
    assert mined.events[1].data == {"terms": other}
    assert kit.view(registry.getRevision, 1, 1) == other
    packed = kit.packed_tiers(other.tiers)
    assert kit.view(registry.settlementTerms, 1, 1) == (*kit.price_words(other), 2_500, packed, owner.address)
    assert [kit.view(registry.planOf, 1, 1, index) for index in range(3)] == list(other.plans)
    assert kit.view(registry.oracleOf, 1, 1) == stranger.address


def test_publish_counts_ids_up(registry: Any, owner: Any, stranger: Any, revision: RevisionTerms) -> None:
    """The same manifest twice is two listings; an id is nobody's to choose."""
    for expected, publisher in ((1, owner), (2, stranger), (3, owner)):
        kit.accepted(registry.publish, revision, by=publisher)
        assert kit.view(registry.listingCount) == expected
        assert kit.view(registry.ownerOf, expected) == publisher.address


def test_publish_with_the_largest_prices(registry: Any, owner: Any, revision: RevisionTerms) -> None:
    """M8: the limits of uint96 and uint80 are kept to the last unit."""
    largest = revision._replace(manifest_hash=b"\xff" * 32, prices=LARGEST)
    kit.accepted(registry.publish, largest, by=owner)
    assert kit.view(registry.getRevision, 1, 1) == largest
    assert kit.view(registry.saleTerms, 1)[3] == kit.TOKEN


@pytest.mark.parametrize("uri", ["", "x" * MAX_URI, "é" * (MAX_URI // 2)], ids=["empty", "ascii", "two-byte"])
def test_publish_with_a_uri_at_its_limits(registry: Any, owner: Any, revision: RevisionTerms, uri: str) -> None:
    kit.accepted(registry.publish, revision._replace(metadata_uri=uri), by=owner)
    assert kit.view(registry.tokenURI, 1) == uri


def test_publish_by_a_contract_without_a_hook(
    registry: Any, rejecting: Any, stranger: Any, revision: RevisionTerms
) -> None:
    """No hook is called at minting, so control never passes to the publisher half-way through."""
    kit.accepted(rejecting.execute, registry, 0, registry.publish.encode_input(revision), by=stranger)
    assert kit.view(registry.ownerOf, 1) == rejecting.address


@pytest.mark.parametrize("share", [0, 1, ALL_BPS])
def test_publish_with_a_share_within_its_limits(registry: Any, owner: Any, revision: RevisionTerms, share: int) -> None:
    kit.accepted(registry.publish, revision._replace(oracle_share_bps=share), by=owner)
    assert kit.view(registry.settlementTerms, 1, 1)[2:4] == (share, 0)


TIERS = {
    "one": (Tier(1, 1),),
    "everything off": (Tier(2**40 - 1, ALL_BPS),),
    "as close as can be": (Tier(1, 1), Tier(2, 2), Tier(3, 3), Tier(4, 4)),
}


@pytest.mark.parametrize("share", [0, ALL_BPS])
@pytest.mark.parametrize("tiers", TIERS.values(), ids=TIERS)
def test_publish_with_tiers(
    registry: Any, owner: Any, revision: RevisionTerms, tiers: tuple[Tier, ...], share: int
) -> None:
    """Share and tiers do not touch each other."""
    tiered = revision._replace(tiers=tiers, oracle_share_bps=share)
    kit.accepted(registry.publish, tiered, by=owner)
    assert kit.view(registry.getRevision, 1, 1) == tiered
    assert kit.view(registry.settlementTerms, 1, 1)[2:4] == (share, kit.packed_tiers(tiers))


DAY = 24 * 3600
USABLE_PLANS = {
    "a second": Plan(1, 1, 1, 1, 0),
    "the longest": Plan(kit.UINT96, kit.UINT32, 1, YEAR, 0),
    "a free trial": Plan(0, 3, 1, 7 * DAY, 0),
    "most tranches": Plan(1, kit.UINT32 // 255, 255, YEAR, DAY),
    "the last tranche a second before the end": Plan(1, 1, 3, 2 * DAY + 1, DAY),
}


@pytest.mark.parametrize("plan", USABLE_PLANS.values(), ids=USABLE_PLANS)
def test_publish_with_a_plan(registry: Any, owner: Any, revision: RevisionTerms, plan: Plan) -> None:
    kit.accepted(registry.publish, revision._replace(plans=(plan,)), by=owner)
    assert kit.view(registry.planOf, 1, 1, 0) == plan


def test_publish_with_the_most_plans(registry: Any, owner: Any, revision: RevisionTerms) -> None:
    plans = tuple(Plan(credits=1 + number) for number in range(MAX_PLANS))
    kit.accepted(registry.publish, revision._replace(plans=plans), by=owner)
    assert kit.view(registry.getRevision, 1, 1)[5] == plans


# ---- publish, revise: what they refuse ------------------------------------------------------------------------------


TOO_LONG = "é" * (MAX_URI // 2) + "x"
OUT_OF_ORDER = {
    "from the first call": ((Tier(0, 1),), 0),
    "no discount": ((Tier(1, 0),), 0),
    "above everything": ((Tier(1, ALL_BPS + 1),), 0),
    "the same calls": ((Tier(5, 1), Tier(5, 2)), 1),
    "fewer calls": ((Tier(5, 1), Tier(4, 2)), 1),
    "the same discount": ((Tier(5, 7), Tier(6, 7)), 1),
    "less discount": ((Tier(5, 7), Tier(6, 6)), 1),
    "in the last place": ((Tier(1, 1), Tier(2, 2), Tier(3, 3), Tier(4, ALL_BPS + 1)), 3),
}
UNUSABLE_PLANS = {
    "no credits": Plan(credits=0),
    "no tranches": Plan(tranches=0),
    "no time": Plan(duration=0),
    "too long": Plan(duration=YEAR + 1),
    "an interval for one tranche": Plan(interval=1),
    "no interval for two": Plan(tranches=2),
    "a trial in tranches": Plan(0, 10, 2, 30 * DAY, DAY),
    "the last tranche at the end": Plan(1, 1, 3, 2 * DAY, DAY),
    "more credits than are counted": Plan(1, kit.UINT32 // 255 + 1, 255, YEAR, DAY),
    "an interval beyond the end of time": Plan(1, 1, 255, YEAR, kit.UINT32),
}


@refuses("ListingRegistry.publish", "Registry_ZeroOracle")
def test_publish_without_an_oracle(registry: Any, owner: Any, revision: RevisionTerms) -> None:
    kit.refused(registry.publish, revision._replace(oracle=kit.NATIVE), by=owner, error="Registry_ZeroOracle")


@refuses("ListingRegistry.publish", "Registry_EmptyManifest")
def test_publish_without_a_manifest(registry: Any, owner: Any, revision: RevisionTerms) -> None:
    kit.refused(registry.publish, revision._replace(manifest_hash=bytes(32)), by=owner, error="Registry_EmptyManifest")


@refuses("ListingRegistry.publish", "Registry_URITooLong")
def test_publish_with_a_long_uri(registry: Any, owner: Any, revision: RevisionTerms) -> None:
    kit.refused(
        registry.publish,
        revision._replace(metadata_uri=TOO_LONG),
        by=owner,
        error="Registry_URITooLong",
        details=[MAX_URI + 1, MAX_URI],
    )


@refuses("ListingRegistry.publish", "Registry_ShareTooHigh")
@pytest.mark.parametrize("share", [ALL_BPS + 1, 2**15, 2**16 - 1])
def test_publish_with_too_high_a_share(registry: Any, owner: Any, revision: RevisionTerms, share: int) -> None:
    kit.refused(
        registry.publish,
        revision._replace(oracle_share_bps=share),
        by=owner,
        error="Registry_ShareTooHigh",
        details=[share, ALL_BPS],
    )


@refuses("ListingRegistry.publish", "Registry_TooManyTiers")
def test_publish_with_too_many_tiers(registry: Any, owner: Any, revision: RevisionTerms) -> None:
    tiers = tuple(Tier(number, number) for number in range(1, MAX_TIERS + 2))
    kit.refused(
        registry.publish,
        revision._replace(tiers=tiers),
        by=owner,
        error="Registry_TooManyTiers",
        details=[MAX_TIERS + 1, MAX_TIERS],
    )


@refuses("ListingRegistry.publish", "Registry_TierOutOfOrder")
@pytest.mark.parametrize(("tiers", "position"), OUT_OF_ORDER.values(), ids=OUT_OF_ORDER)
def test_publish_with_tiers_out_of_order(
    registry: Any, owner: Any, revision: RevisionTerms, tiers: tuple[Tier, ...], position: int
) -> None:
    """M3: more calls are never dearer, and no discount is above the price."""
    kit.refused(
        registry.publish,
        revision._replace(tiers=tiers),
        by=owner,
        error="Registry_TierOutOfOrder",
        details=[position],
    )


@refuses("ListingRegistry.publish", "Registry_TooManyPlans")
def test_publish_with_too_many_plans(registry: Any, owner: Any, revision: RevisionTerms) -> None:
    kit.refused(
        registry.publish,
        revision._replace(plans=(Plan(),) * (MAX_PLANS + 1)),
        by=owner,
        error="Registry_TooManyPlans",
        details=[MAX_PLANS + 1, MAX_PLANS],
    )


@refuses("ListingRegistry.publish", "Registry_PlanUnusable")
@pytest.mark.parametrize("plan", UNUSABLE_PLANS.values(), ids=UNUSABLE_PLANS)
def test_publish_with_an_unusable_plan(registry: Any, owner: Any, revision: RevisionTerms, plan: Plan) -> None:
    kit.refused(
        registry.publish,
        revision._replace(plans=(Plan(), plan)),
        by=owner,
        error="Registry_PlanUnusable",
        details=[1],
    )


@pytest.mark.parametrize(
    ("word", "bits"),
    [(0, 160), (1, 16), (3, 160), (4, 96), (5, 80), (6, 80), (7, 80)],
    ids=["oracle", "share", "asset", "perCall", "input", "output", "compute"],
)
def test_publish_beyond_a_type(registry: Any, owner: Any, revision: RevisionTerms, word: int, bits: int) -> None:
    """M8: what does not fit its type is refused, never cut off."""
    data = registry.publish.encode_input(revision)
    at = 10 + 64 * (1 + word)
    value = int(data[at : at + 64], 16)
    assert value < 2**bits
    beyond = data[:at] + f"{value + 2**bits:064x}" + data[at + 64 :]
    kit.refused_raw(registry, beyond, by=owner, function="ListingRegistry.publish", error="")


# ---- revise ---------------------------------------------------------------------------------------------------------


def test_revise_adds_a_revision(
    registry: Any, owner: Any, oracle: Any, stranger: Any, listing: int, revision: RevisionTerms, other: RevisionTerms
) -> None:
    """M9: the revision before stays as it was, its oracle too."""
    mined = kit.accepted(registry.revise, listing, other, by=owner)
    assert mined.events == [
        kit.Event(
            registry.address,
            "RevisionAdded",
            {"listingId": listing, "revision": 2, "oracle": stranger.address},
            {"terms": other},
        )
    ]
    assert kit.view(registry.getListing, listing) == (stranger.address, 2, False)
    assert kit.view(registry.getRevision, listing, 1) == revision
    assert kit.view(registry.getRevision, listing, 2) == other
    assert kit.view(registry.settlementTerms, listing, 1) == (*kit.price_words(revision), 0, 0, owner.address)
    assert kit.view(registry.saleTerms, listing) == (stranger.address, 2, False, kit.TOKEN)
    assert [kit.view(registry.oracleOf, listing, number) for number in (1, 2)] == [oracle.address, stranger.address]
    assert kit.view(registry.tokenURI, listing) == "https://two"


def test_revise_without_what_was_before(
    registry: Any, owner: Any, listing: int, revision: RevisionTerms, other: RevisionTerms
) -> None:
    """Tiers and plans of a revision are not those of the next."""
    for terms in (other, revision):
        kit.accepted(registry.revise, listing, terms, by=owner)
    assert kit.view(registry.getRevision, listing, 3) == revision


def test_revise_while_withdrawn(registry: Any, owner: Any, oracle: Any, listing: int, revision: RevisionTerms) -> None:
    """A withdrawn listing can be put right before it is relisted."""
    kit.accepted(registry.withdrawListing, listing, by=owner)
    kit.accepted(registry.revise, listing, revision, by=owner)
    assert kit.view(registry.getListing, listing) == (oracle.address, 2, True)


def test_revise_by_the_new_owner(
    registry: Any, owner: Any, stranger: Any, listing: int, revision: RevisionTerms
) -> None:
    kit.accepted(registry.transferFrom, owner, stranger, listing, by=owner)
    kit.accepted(registry.revise, listing, revision, by=stranger)
    assert kit.view(registry.saleTerms, listing)[1] == 2


@refuses("ListingRegistry.revise", "Registry_NotOwner")
@pytest.mark.parametrize("who", ["oracle", "stranger"])
def test_revise_by_another(
    registry: Any, owner: Any, listing: int, revision: RevisionTerms, who: str, request: pytest.FixtureRequest
) -> None:
    """M7: the oracle too, which runs a listing and does not own it."""
    caller = request.getfixturevalue(who)
    kit.refused(
        registry.revise,
        listing,
        revision,
        by=caller,
        error="Registry_NotOwner",
        details=[caller.address, owner.address],
    )


@refuses("ListingRegistry.revise", "Registry_NotOwner")
def test_revise_by_an_approved_account(
    registry: Any, owner: Any, stranger: Any, listing: int, revision: RevisionTerms
) -> None:
    """M7: an approval is for transfers of the token, not for its prices."""
    kit.accepted(registry.approve, stranger, listing, by=owner)
    kit.accepted(registry.setApprovalForAll, stranger, True, by=owner)
    kit.refused(
        registry.revise,
        listing,
        revision,
        by=stranger,
        error="Registry_NotOwner",
        details=[stranger.address, owner.address],
    )


@refuses("ListingRegistry.revise", "Registry_UnknownListing")
@pytest.mark.parametrize("unknown", [0, 2, 2**256 - 1])
def test_revise_an_unknown_listing(
    registry: Any, owner: Any, listing: int, revision: RevisionTerms, unknown: int
) -> None:
    kit.refused(
        registry.revise,
        unknown,
        revision,
        by=owner,
        error="Registry_UnknownListing",
        details=[unknown, listing],
    )


@refuses("ListingRegistry.revise", "Registry_ZeroOracle")
def test_revise_without_an_oracle(registry: Any, owner: Any, listing: int, revision: RevisionTerms) -> None:
    kit.refused(registry.revise, listing, revision._replace(oracle=kit.NATIVE), by=owner, error="Registry_ZeroOracle")


@refuses("ListingRegistry.revise", "Registry_EmptyManifest")
def test_revise_without_a_manifest(registry: Any, owner: Any, listing: int, revision: RevisionTerms) -> None:
    empty = revision._replace(manifest_hash=bytes(32))
    kit.refused(registry.revise, listing, empty, by=owner, error="Registry_EmptyManifest")


@refuses("ListingRegistry.revise", "Registry_URITooLong")
def test_revise_with_a_long_uri(registry: Any, owner: Any, listing: int, revision: RevisionTerms) -> None:
    kit.refused(
        registry.revise,
        listing,
        revision._replace(metadata_uri=TOO_LONG),
        by=owner,
        error="Registry_URITooLong",
        details=[MAX_URI + 1, MAX_URI],
    )


@refuses("ListingRegistry.revise", "Registry_ShareTooHigh")
def test_revise_with_too_high_a_share(registry: Any, owner: Any, listing: int, revision: RevisionTerms) -> None:
    kit.refused(
        registry.revise,
        listing,
        revision._replace(oracle_share_bps=ALL_BPS + 1),
        by=owner,
        error="Registry_ShareTooHigh",
        details=[ALL_BPS + 1, ALL_BPS],
    )


@refuses("ListingRegistry.revise", "Registry_TooManyTiers")
def test_revise_with_too_many_tiers(registry: Any, owner: Any, listing: int, revision: RevisionTerms) -> None:
    tiers = tuple(Tier(number, number) for number in range(1, MAX_TIERS + 2))
    kit.refused(
        registry.revise,
        listing,
        revision._replace(tiers=tiers),
        by=owner,
        error="Registry_TooManyTiers",
        details=[MAX_TIERS + 1, MAX_TIERS],
    )


@refuses("ListingRegistry.revise", "Registry_TierOutOfOrder")
def test_revise_with_tiers_out_of_order(registry: Any, owner: Any, listing: int, revision: RevisionTerms) -> None:
    kit.refused(
        registry.revise,
        listing,
        revision._replace(tiers=(Tier(2, 1), Tier(1, 2))),
        by=owner,
        error="Registry_TierOutOfOrder",
        details=[1],
    )


@refuses("ListingRegistry.revise", "Registry_TooManyPlans")
def test_revise_with_too_many_plans(registry: Any, owner: Any, listing: int, revision: RevisionTerms) -> None:
    kit.refused(
        registry.revise,
        listing,
        revision._replace(plans=(Plan(),) * (MAX_PLANS + 1)),
        by=owner,
        error="Registry_TooManyPlans",
        details=[MAX_PLANS + 1, MAX_PLANS],
    )


@refuses("ListingRegistry.revise", "Registry_PlanUnusable")
def test_revise_with_an_unusable_plan(registry: Any, owner: Any, listing: int, revision: RevisionTerms) -> None:
    kit.refused(
        registry.revise,
        listing,
        revision._replace(plans=(Plan(credits=0),)),
        by=owner,
        error="Registry_PlanUnusable",
        details=[0],
    )


# ---- withdrawListing, relist ----------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("unknown", [0, 2, kit.UINT32])
def test_settlement_terms_of_an_unknown_revision(registry: Any, owner: Any, listing: int, unknown: int) -> None:
    """All prices are zero, so nothing can be charged."""
    assert kit.view(registry.settlementTerms, listing, unknown) == (*SETTLES_NOTHING, owner.address)


def test_settlement_terms_of_an_unknown_listing(registry: Any, listing: int) -> None:
    assert kit.view(registry.settlementTerms, UNKNOWN, 1) == (*SETTLES_NOTHING, kit.NATIVE)


@pytest.mark.parametrize(("unknown", "number"), [(1, 0), (1, 2), (UNKNOWN, 1)])
def test_oracle_of_an_unknown_revision(registry: Any, listing: int, unknown: int, number: int) -> None:
    assert kit.view(registry.oracleOf, unknown, number) == kit.NATIVE


@refuses("ListingRegistry.planOf", "Registry_UnknownPlan")
@pytest.mark.parametrize("plan", [1, 2**256 - 1])
def test_plan_of_an_unknown_plan(registry: Any, owner: Any, listing: int, revision: RevisionTerms, plan: int) -> None:
    kit.accepted(registry.revise, listing, revision._replace(plans=(Plan(),)), by=owner)
    kit.refused_view(registry.planOf, listing, 2, plan, error="Registry_UnknownPlan", details=[plan, 1])


@refuses("ListingRegistry.planOf", "Registry_UnknownRevision")
@pytest.mark.parametrize("unknown", [0, 2])
def test_plan_of_an_unknown_revision(registry: Any, listing: int, unknown: int) -> None:
    kit.refused_view(registry.planOf, listing, unknown, 0, error="Registry_UnknownRevision", details=[unknown, 1])


@refuses("ListingRegistry.planOf", "Registry_UnknownListing")
def test_plan_of_an_unknown_listing(registry: Any, listing: int) -> None:
    kit.refused_view(registry.planOf, UNKNOWN, 1, 0, error="Registry_UnknownListing", details=[UNKNOWN, listing])


PAGES = {
    "all": (1, 3, [1, 2, 3]),
    "from zero": (0, 2, [1, 2]),
    "the middle": (2, 1, [2]),
    "past the end": (3, 10, [3]),
    "nothing": (1, 0, []),
    "after the end": (4, 1, []),
    "far too many": (1, 2**256 - 1, [1, 2, 3]),
    "far after the end": (2**256 - 1, 2**256 - 1, []),
}


@pytest.mark.parametrize(("first", "count", "expected"), PAGES.values(), ids=PAGES)
def test_get_listings(
    registry: Any,
    owner: Any,
    stranger: Any,
    listing: int,
    revision: RevisionTerms,
    first: int,
    count: int,
    expected: list[int],
) -> None:
    for publisher in (stranger, owner):
        kit.accepted(registry.publish, revision, by=publisher)
    kit.accepted(registry.withdrawListing, 3, by=owner)
    listings = tuple((revision.oracle, 1, number == 3) for number in expected)
    owners = tuple(stranger.address if number == 2 else owner.address for number in expected)
    assert kit.view(registry.getListings, first, count) == (listings, owners)


@pytest.mark.parametrize(
    ("first", "count", "expected"),
    [(min(first, kit.UINT32), min(count, kit.UINT32), expected) for first, count, expected in PAGES.values()],
    ids=PAGES,
)
def test_get_revisions(
    registry: Any,
    owner: Any,
    listing: int,
    revision: RevisionTerms,
    other: RevisionTerms,
    first: int,
    count: int,
    expected: list[int],
) -> None:
    for terms in (other, revision):
        kit.accepted(registry.revise, listing, terms, by=owner)
    found = tuple(other if number == 2 else revision for number in expected)
    assert kit.view(registry.getRevisions, listing, first, count) == found


@refuses("ListingRegistry.getRevisions", "Registry_UnknownListing")
def test_get_revisions_of_an_unknown_listing(registry: Any, listing: int) -> None:
    kit.refused_view(registry.getRevisions, UNKNOWN, 1, 1, error="Registry_UnknownListing", details=[UNKNOWN, listing])


@refuses("ListingRegistry.tokenURI", "Registry_UnknownListing")
def test_token_uri_of_an_unknown_listing(registry: Any, listing: int) -> None:
    kit.refused_view(registry.tokenURI, UNKNOWN, error="Registry_UnknownListing", details=[UNKNOWN, listing])


def test_limits_are_published(registry: Any) -> None:
    limits = (registry.MAX_URI_BYTES, registry.MAX_PLANS, registry.MAX_PLAN_DURATION)
    assert [kit.view(limit) for limit in limits] == [MAX_URI, MAX_PLANS, YEAR]


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
    assert kit.view(registry.settlementTerms, listing, 1)[4] == stranger.address


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

"""Plans: bought, paid in instalments, used, and given back."""

from __future__ import annotations

from typing import Any

import pytest
from tallystick.protocol.accounts import PositionTerms
from tallystick.protocol.plans import Plan

from tests.evm.machine import address_of
from tests.evm.refusals import refused
from tests.evm.scene import Call, Market, revision_terms

DAY = 86_400
TRIAL, BUNDLE, RATES = 0, 1, 2
PLANS = (Plan(0, 3, duration=DAY), Plan(100, 10), Plan(80, 5, 3, 90 * DAY, 30 * DAY))
NOBODY = "0x" + "00" * 20
refuses = pytest.mark.refuses


@pytest.fixture
def listing(market: Market) -> int:
    return market.publish(revision_terms(market.oracle, plans=PLANS))


def buy(market: Market, listing: int, plan: int, number: int = 0) -> PositionTerms:
    terms = market.position(plan, number, listing_id=listing)
    price = PLANS[plan].tranche_price
    market.escrow.send("buyCredits", terms.as_tuple(), by=market.payer.address, value=price)
    return terms


def state(market: Market, terms: PositionTerms) -> dict[str, Any]:
    return dict(market.escrow.view("positionState", terms.position_id(market.domain)))


def send(market: Market, function: str, terms: PositionTerms, value: int = 0, by: str | None = None) -> Any:
    return market.escrow.send(function, terms.as_tuple(), by=by or market.payer.address, value=value)


def use(market: Market, terms: PositionTerms, first: int, count: int) -> int:
    """How many of so many calls were charged."""
    calls = [Call(index, 1) for index in range(first, first + count)]
    return len(market.settle(credits=[market.credit_group(terms, calls)]).named("CallLogged"))


def test_buy_bundle_and_use_it(market: Market, listing: int) -> None:
    """M1, M2: the money is earned as credits are used."""
    terms = buy(market, listing, BUNDLE)
    assert state(market, terms) == {
        "creditPrice": 100,
        "unlocked": 10,
        "used": 0,
        "closesAt": 0,
        "tranches": 1,
        "closed": False,
        "expiresAt": market.machine.time + 30 * DAY,
    }
    assert use(market, terms, 0, 4) == 4
    assert market.owed(market.owner) == 400
    assert market.held() == 1_000


def test_buy_trial_costs_nothing(market: Market, listing: int) -> None:
    terms = buy(market, listing, TRIAL)
    assert use(market, terms, 0, 4) == 3
    assert market.owed(market.owner) == 0
    assert market.escrow.view("trialUsed", market.payer.address, listing)


def test_instalments_unlock_their_tranches(market: Market, listing: int) -> None:
    """The second is due after 30 days, the third after 60; each may be paid earlier, and by anyone."""
    terms = buy(market, listing, RATES)
    assert use(market, terms, 0, 6) == 5
    market.machine.pass_time(30 * DAY)
    send(market, "payInstalment", terms, 400, by=market.stranger)
    send(market, "payInstalment", terms, 400)
    assert (state(market, terms)["unlocked"], state(market, terms)["tranches"]) == (15, 3)
    assert use(market, terms, 5, 11) == 10


def test_overdue_instalment_loses_nothing_unlocked(market: Market, listing: int) -> None:
    terms = buy(market, listing, RATES)
    market.machine.pass_time(30 * DAY + 1)
    with refused(market, "Escrow_InstalmentOverdue", market.machine.time, market.machine.time - 1):
        send(market, "payInstalment", terms, 400)
    assert use(market, terms, 0, 5) == 5


def test_reclaim_after_the_plans_time(market: Market, listing: int) -> None:
    """M6: a day for the oracle to settle, then the money of unused credits is the payer's."""
    terms = buy(market, listing, BUNDLE)
    market.machine.pass_time(31 * DAY)
    assert use(market, terms, 0, 3) == 3
    market.machine.pass_time(1)
    assert use(market, terms, 3, 1) == 0
    (reclaimed,) = send(market, "reclaim", terms, by=market.stranger).named("CreditsReclaimed")
    assert (reclaimed["credits"], reclaimed["amount"]) == (7, 700)
    assert market.owed(market.payer.address) == 700
    assert market.owed(market.owner) == 300


@pytest.mark.parametrize("why", ["withdrawn", "another oracle"])
def test_reclaim_when_not_served_as_sold(market: Market, listing: int, why: str) -> None:
    """Putting it back on sale does not lengthen the window."""
    terms = buy(market, listing, BUNDLE)
    if why == "withdrawn":
        market.registry.send("withdrawListing", listing, by=market.owner)
    else:
        market.revise(listing, revision_terms(address_of("other"), plans=PLANS))
    send(market, "requestReclaim", terms)
    if why == "withdrawn":
        market.registry.send("relist", listing, by=market.owner)
    market.machine.pass_time(DAY)
    assert use(market, terms, 0, 1) == 1
    market.machine.pass_time(1)
    send(market, "reclaim", terms, by=market.stranger)
    assert market.owed(market.payer.address) == 900


def test_credits_pay_later_revisions_of_the_same_oracle(market: Market, listing: int) -> None:
    """M9."""
    terms = buy(market, listing, BUNDLE)
    market.revise(listing, revision_terms(market.oracle))
    mined = market.settle(credits=[market.credit_group(terms, [Call(0, 1)], revision=2)])
    assert len(mined.named("CallLogged")) == 1
    market.revise(listing, revision_terms(address_of("other")))
    mined = market.settle(credits=[market.credit_group(terms, [Call(1, 1)], revision=3)])
    assert [event["reason"] for event in mined.named("GroupSkipped")] == [1]


def test_credits_never_bought_pay_nothing(market: Market, listing: int) -> None:
    terms = market.position(BUNDLE, 9, listing_id=listing)
    assert use(market, terms, 0, 1) == 0


# ---- refusals -----------------------------------------------------------------------------------------------------------


@refuses("Escrow.buyCredits", "EnforcedPause")
@refuses("Escrow.payInstalment", "EnforcedPause")
def test_nothing_is_sold_while_paused(market: Market, listing: int) -> None:
    terms = buy(market, listing, RATES)
    market.escrow.send("pause", by=market.administrator)
    with refused(market, "EnforcedPause"):
        buy(market, listing, BUNDLE)
    with refused(market, "EnforcedPause"):
        send(market, "payInstalment", terms, 400)


@refuses("Escrow.buyCredits", "Escrow_NotPayer")
def test_buy_for_another(market: Market, listing: int) -> None:
    with refused(market, "Escrow_NotPayer", market.stranger, market.payer.address):
        send(market, "buyCredits", market.position(BUNDLE, listing_id=listing), 1_000, by=market.stranger)


@refuses("Escrow.buyCredits", "Escrow_WrongOracle")
@refuses("Escrow.buyCredits", "Escrow_WrongAsset")
@refuses("Escrow.buyCredits", "Escrow_RevisionNotForSale")
@refuses("Escrow.buyCredits", "Registry_UnknownListing")
@refuses("Escrow.buyCredits", "Registry_UnknownPlan")
@pytest.mark.parametrize(
    ("changes", "error", "values"),
    [
        ({"oracle": address_of("other")}, "Escrow_WrongOracle", (address_of("other"), address_of("oracle"))),
        ({"asset": address_of("asset")}, "Escrow_WrongAsset", (address_of("asset"), NOBODY)),
        ({"revision": 2}, "Escrow_RevisionNotForSale", (2, 1)),
        ({"listing_id": 9}, "Registry_UnknownListing", (9, 2)),
        ({"plan": 3}, "Registry_UnknownPlan", (3, 3)),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_buy_on_other_terms(
    market: Market, listing: int, changes: dict[str, Any], error: str, values: tuple[Any, ...]
) -> None:
    with refused(market, error, *values):
        send(market, "buyCredits", market.position(**{"plan": BUNDLE, "listing_id": listing, **changes}), 1_000)


@refuses("Escrow.buyCredits", "Escrow_ListingWithdrawn")
@refuses("Escrow.payInstalment", "Escrow_ListingWithdrawn")
def test_nothing_is_sold_of_a_withdrawn_listing(market: Market, listing: int) -> None:
    terms = buy(market, listing, RATES)
    market.registry.send("withdrawListing", listing, by=market.owner)
    with refused(market, "Escrow_ListingWithdrawn", listing):
        buy(market, listing, BUNDLE)
    with refused(market, "Escrow_ListingWithdrawn", listing):
        send(market, "payInstalment", terms, 400)


@refuses("Escrow.buyCredits", "Escrow_PositionExists")
def test_buy_the_same_again(market: Market, listing: int) -> None:
    terms = buy(market, listing, BUNDLE)
    with refused(market, "Escrow_PositionExists", terms.position_id(market.domain)):
        buy(market, listing, BUNDLE)
    buy(market, listing, BUNDLE, number=1)


@refuses("Escrow.buyCredits", "Escrow_TrialUsed")
def test_buy_another_trial(market: Market, listing: int) -> None:
    buy(market, listing, TRIAL)
    with refused(market, "Escrow_TrialUsed", market.payer.address, listing):
        buy(market, listing, TRIAL, number=1)


@refuses("Escrow.buyCredits", "Escrow_WrongValue")
@refuses("Escrow.payInstalment", "Escrow_WrongValue")
def test_buy_for_another_value(market: Market, listing: int) -> None:
    with refused(market, "Escrow_WrongValue", 999, 1_000):
        send(market, "buyCredits", market.position(BUNDLE, listing_id=listing), 999)
    terms = buy(market, listing, RATES)
    with refused(market, "Escrow_WrongValue", 401, 400):
        send(market, "payInstalment", terms, 401)


@refuses("Escrow.payInstalment", "Escrow_UnknownPosition")
@refuses("Escrow.requestReclaim", "Escrow_UnknownPosition")
@refuses("Escrow.reclaim", "Escrow_UnknownPosition")
@pytest.mark.parametrize("function", ["payInstalment", "requestReclaim", "reclaim"])
def test_position_never_bought(market: Market, listing: int, function: str) -> None:
    terms = market.position(RATES, 7, listing_id=listing)
    with refused(market, "Escrow_UnknownPosition", terms.position_id(market.domain)):
        send(market, function, terms)


@refuses("Escrow.payInstalment", "Escrow_NothingDue")
def test_instalment_beyond_the_plan(market: Market, listing: int) -> None:
    terms = buy(market, listing, RATES)
    send(market, "payInstalment", terms, 400)
    send(market, "payInstalment", terms, 400)
    with refused(market, "Escrow_NothingDue", 3, 3):
        send(market, "payInstalment", terms, 400)


@refuses("Escrow.payInstalment", "Escrow_InstalmentOverdue")
def test_instalment_overdue(market: Market, listing: int) -> None:
    """Due is due, whichever tranche it is."""
    terms = buy(market, listing, RATES)
    send(market, "payInstalment", terms, 400)
    market.machine.pass_time(60 * DAY + 1)
    with refused(market, "Escrow_InstalmentOverdue", market.machine.time, market.machine.time - 1):
        send(market, "payInstalment", terms, 400)


@refuses("Escrow.payInstalment", "Escrow_PositionClosing")
@refuses("Escrow.requestReclaim", "Escrow_PositionClosing")
def test_position_that_is_closing(market: Market, listing: int) -> None:
    terms = buy(market, listing, RATES)
    market.registry.send("withdrawListing", listing, by=market.owner)
    send(market, "requestReclaim", terms)
    market.registry.send("relist", listing, by=market.owner)
    values = (terms.position_id(market.domain), market.machine.time + DAY)
    with refused(market, "Escrow_PositionClosing", *values):
        send(market, "payInstalment", terms, 400)
    with refused(market, "Escrow_PositionClosing", *values):
        send(market, "requestReclaim", terms)


@refuses("Escrow.requestReclaim", "Escrow_NotPayer")
def test_request_reclaim_by_another(market: Market, listing: int) -> None:
    terms = buy(market, listing, BUNDLE)
    market.registry.send("withdrawListing", listing, by=market.owner)
    with refused(market, "Escrow_NotPayer", market.stranger, market.payer.address):
        send(market, "requestReclaim", terms, by=market.stranger)


@refuses("Escrow.requestReclaim", "Escrow_NotReclaimable")
def test_request_reclaim_while_served(market: Market, listing: int) -> None:
    """A committed bundle is a commitment of both sides."""
    terms = buy(market, listing, BUNDLE)
    with refused(market, "Escrow_NotReclaimable", market.machine.time, market.machine.time + 30 * DAY):
        send(market, "requestReclaim", terms)


@refuses("Escrow.reclaim", "Escrow_ReclaimTooEarly")
def test_reclaim_in_the_last_second_of_the_window(market: Market, listing: int) -> None:
    terms = buy(market, listing, BUNDLE)
    market.machine.pass_time(31 * DAY)
    with refused(market, "Escrow_ReclaimTooEarly", market.machine.time, market.machine.time):
        send(market, "reclaim", terms)


@refuses("Escrow.reclaim", "Escrow_PositionClosed")
def test_reclaim_twice(market: Market, listing: int) -> None:
    """M3."""
    terms = buy(market, listing, BUNDLE)
    market.machine.pass_time(32 * DAY)
    send(market, "reclaim", terms)
    with refused(market, "Escrow_PositionClosed", terms.position_id(market.domain)):
        send(market, "reclaim", terms)

"""What a direct call earns: the fee, the oracle's share, volume tiers, and the keys that act for an oracle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import contractkit as kit
import pytest
from brownie import accounts
from contractkit import DirectCall, Outcome, RevisionTerms, Tier, Units, refuses

MAX_FEE_BPS = 500
ALL_BPS = 10_000
TIERS = (Tier(1, 1_000), Tier(3, 2_500), Tier(4, ALL_BPS))


@pytest.fixture(scope="session")
def collector() -> Any:
    return accounts[6]


@pytest.fixture(scope="session")
def signer() -> Any:
    """A key that an oracle lets act for it."""
    return accounts[7]


@pytest.fixture
def revised(registry: Any, owner: Any, revision: RevisionTerms, terms: DirectCall) -> Callable[..., DirectCall]:
    """Add a revision that differs in this; gives the terms of a call of it."""

    def revise(**changes: Any) -> DirectCall:
        kit.accepted(registry.revise, terms.listing_id, revision._replace(**changes), by=owner)
        return terms._replace(revision=kit.view(registry.getListing, terms.listing_id)[1])

    return revise


def split_of(mined: kit.Mined) -> kit.Event | None:
    return next((event for event in mined.events if event.name == "EarningsSplit"), None)


def owed_to(escrow: Any, *people: Any) -> list[int]:
    return [kit.view(escrow.owed, account, kit.NATIVE) for account in people]


# ---- setFee ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bps", [1, MAX_FEE_BPS])
def test_set_fee_within_its_cap(escrow: Any, administrator: Any, collector: Any, bps: int) -> None:
    """M7"""
    mined = kit.accepted(escrow.setFee, bps, collector, by=administrator)
    assert mined.events == [kit.Event(escrow.address, "FeeChanged", {"collector": collector.address}, {"feeBps": bps})]
    assert kit.view(escrow.fee) == (bps, collector.address, MAX_FEE_BPS)


@refuses("Escrow.setFee", "Escrow_ZeroCollector")
def test_set_fee_to_nothing_needs_a_collector_too(escrow: Any, administrator: Any, collector: Any) -> None:
    """Calls that are open still pay the fee of their opening to somebody."""
    kit.accepted(escrow.setFee, MAX_FEE_BPS, collector, by=administrator)
    kit.refused(escrow.setFee, 0, kit.NATIVE, by=administrator, error="Escrow_ZeroCollector")
    assert kit.view(escrow.fee) == (MAX_FEE_BPS, collector.address, MAX_FEE_BPS)


@refuses("Escrow.setFee", "Escrow_FeeTooHigh")
@pytest.mark.parametrize("bps", [MAX_FEE_BPS + 1, ALL_BPS, 2**16 - 1])
def test_set_fee_above_its_cap(escrow: Any, administrator: Any, collector: Any, bps: int) -> None:
    """M7: the administrator can't take more than the contract was deployed with."""
    kit.refused(escrow.setFee, bps, collector, by=administrator, error="Escrow_FeeTooHigh", details=[bps, MAX_FEE_BPS])


@refuses("Escrow.setFee", "Escrow_ZeroCollector")
def test_set_fee_for_nobody(escrow: Any, administrator: Any) -> None:
    kit.refused(escrow.setFee, 1, kit.NATIVE, by=administrator, error="Escrow_ZeroCollector")


@refuses("Escrow.setFee", "OwnableUnauthorizedAccount")
@pytest.mark.parametrize("who", ["owner", "oracle", "collector"])
def test_set_fee_by_another(escrow: Any, collector: Any, who: str, request: pytest.FixtureRequest) -> None:
    caller = request.getfixturevalue(who)
    kit.refused(escrow.setFee, 1, collector, by=caller, error="OwnableUnauthorizedAccount", details=[caller.address])


# ---- fulfil: fee and share ------------------------------------------------------------------------------------------

SPLITS = {
    "neither": (0, 0, 1_000, 0, 0),
    "fee": (500, 0, 1_000, 50, 0),
    "share": (0, 2_500, 1_000, 0, 250),
    "fee first, share of the rest": (500, 2_500, 1_000, 50, 237),
    "fee rounded down": (1, 0, 9_999, 0, 0),
    "fee of one unit": (1, 0, 10_000, 1, 0),
    "share rounded down": (0, 3_333, 3, 0, 0),
    "share of one unit": (0, 3_334, 3, 0, 1),
    "both rounded down": (499, 9_999, 41, 2, 38),
    "everything to the oracle": (0, 10_000, 1_000, 0, 1_000),
    "everything but the fee to the oracle": (500, 10_000, 999, 49, 950),
    "nothing charged": (500, 2_500, 0, 0, 0),
    "one unit": (500, 9_999, 1, 0, 0),
}


@pytest.mark.parametrize(("fee_bps", "share_bps", "charge", "fee", "share"), SPLITS.values(), ids=SPLITS)
def test_fulfil_divides_the_charge(
    escrow: Any,
    administrator: Any,
    collector: Any,
    owner: Any,
    oracle: Any,
    payer: Any,
    revised: Callable[..., DirectCall],
    revision: RevisionTerms,
    fee_bps: int,
    share_bps: int,
    charge: int,
    fee: int,
    share: int,
) -> None:
    """M5, M8: what rounding leaves is the owner's, and nothing is lost."""
    kit.accepted(escrow.setFee, fee_bps, collector, by=administrator)
    call = revised(oracle_share_bps=share_bps, prices=revision.prices._replace(per_call=10_000))
    kit.accepted(escrow.open, call, by=payer, value=call.amount)
    call_id = kit.call_id_of(call, escrow.address)
    assert kit.view(escrow.callState, call_id) == (kit.OPEN, call.amount, call.deadline, fee_bps)
    mined = kit.accepted(escrow.fulfil, call, Outcome(charge=charge), by=oracle)
    split = kit.Event(
        escrow.address,
        "EarningsSplit",
        {"id": call_id, "oracle": oracle.address, "collector": collector.address},
        {"oracleAmount": share, "fee": fee},
    )
    assert split_of(mined) == (split if fee or share else None)
    assert owed_to(escrow, collector, oracle, owner, payer) == [fee, share, charge - fee - share, call.amount - charge]
    assert kit.view(escrow.callState, call_id) == (kit.FULFILLED, charge, call.deadline, fee_bps)


def test_fulfil_divides_the_largest_charge(
    escrow: Any,
    administrator: Any,
    collector: Any,
    owner: Any,
    oracle: Any,
    payer: Any,
    revised: Callable[..., DirectCall],
) -> None:
    """M8: no product overflows."""
    kit.accepted(escrow.setFee, MAX_FEE_BPS, collector, by=administrator)
    units = Units(kit.UINT32, kit.UINT32, kit.UINT32)
    charge = kit.price_of(kit.LARGEST, units)
    call = revised(oracle_share_bps=9_999, prices=kit.LARGEST)._replace(amount=charge)
    kit.fund(payer, charge + 10**18)
    kit.accepted(escrow.open, call, by=payer, value=charge)
    kit.accepted(escrow.fulfil, call, Outcome(units=units, charge=charge), by=oracle)
    fee = charge * MAX_FEE_BPS // ALL_BPS
    share = (charge - fee) * 9_999 // ALL_BPS
    assert owed_to(escrow, collector, oracle, owner) == [fee, share, charge - fee - share]


@pytest.mark.parametrize(("before", "after"), [(0, 500), (100, 500), (100, 0)], ids=["set", "raised", "taken off"])
def test_fulfil_keeps_the_fee_of_the_opening(
    escrow: Any,
    administrator: Any,
    collector: Any,
    owner: Any,
    oracle: Any,
    payer: Any,
    terms: DirectCall,
    before: int,
    after: int,
) -> None:
    """M9"""
    kit.accepted(escrow.setFee, before, collector, by=administrator)
    kit.accepted(escrow.open, terms, by=payer, value=terms.amount)
    kit.accepted(escrow.setFee, after, collector, by=administrator)
    kit.accepted(escrow.fulfil, terms, Outcome(charge=1_000), by=oracle)
    fee = 1_000 * before // ALL_BPS
    assert owed_to(escrow, collector, owner) == [fee, 1_000 - fee]


def test_fulfil_pays_the_fee_to_the_present_collector(
    escrow: Any, administrator: Any, collector: Any, stranger: Any, oracle: Any, payer: Any, terms: DirectCall
) -> None:
    kit.accepted(escrow.setFee, MAX_FEE_BPS, collector, by=administrator)
    kit.accepted(escrow.open, terms, by=payer, value=terms.amount)
    kit.accepted(escrow.setFee, MAX_FEE_BPS, stranger, by=administrator)
    kit.accepted(escrow.fulfil, terms, Outcome(charge=1_000), by=oracle)
    assert owed_to(escrow, collector, stranger) == [0, 50]


def test_fulfil_keeps_the_share_of_the_revision(
    escrow: Any, owner: Any, oracle: Any, payer: Any, revised: Callable[..., DirectCall]
) -> None:
    """M9: a later revision's share is for its own calls."""
    call = revised(oracle_share_bps=1_000)
    kit.accepted(escrow.open, call, by=payer, value=call.amount)
    revised(oracle_share_bps=ALL_BPS)
    kit.accepted(escrow.fulfil, call, Outcome(charge=1_000), by=oracle)
    assert owed_to(escrow, oracle, owner) == [100, 900]


def test_fulfil_divides_among_one(
    escrow: Any,
    registry: Any,
    administrator: Any,
    owner: Any,
    oracle: Any,
    payer: Any,
    revised: Callable[..., DirectCall],
) -> None:
    """M1: who is collector, oracle and owner at once has the whole charge, once."""
    kit.accepted(escrow.setFee, MAX_FEE_BPS, oracle, by=administrator)
    call = revised(oracle_share_bps=3_333)
    kit.accepted(registry.transferFrom, owner, oracle, call.listing_id, by=owner)
    kit.accepted(escrow.open, call, by=payer, value=call.amount)
    kit.accepted(escrow.fulfil, call, Outcome(charge=999), by=oracle)
    assert owed_to(escrow, oracle) == [999]


@pytest.mark.parametrize("ending", ["decline", "refund"])
def test_endings_take_no_fee(
    escrow: Any, administrator: Any, collector: Any, oracle: Any, payer: Any, terms: DirectCall, ending: str
) -> None:
    """M4: all goes back."""
    kit.accepted(escrow.setFee, MAX_FEE_BPS, collector, by=administrator)
    kit.accepted(escrow.open, terms, by=payer, value=terms.amount)
    kit.accepted(getattr(escrow, ending), terms, by=oracle, at=terms.deadline + 1)
    assert owed_to(escrow, payer, collector) == [terms.amount, 0]


# ---- fulfil: volume tiers -------------------------------------------------------------------------------------------


@pytest.fixture
def charged(escrow: Any, oracle: Any, payer: Any) -> Callable[[DirectCall, int], None]:
    """Have a number of calls like this one charged, for nothing."""

    def charge(call: DirectCall, count: int) -> None:
        for number in range(count):
            one = call._replace(request_commitment=kit.keccak(b"before" + bytes([number])))
            kit.accepted(escrow.open, one, by=payer, value=one.amount)
            kit.accepted(escrow.fulfil, one, Outcome(charge=0), by=oracle)

    return charge


tiered = pytest.mark.parametrize(
    ("before", "discount"), [(0, 0), (1, 1_000), (2, 1_000), (3, 2_500), (4, ALL_BPS), (5, ALL_BPS)]
)


@tiered
def test_fulfil_at_a_tier(
    escrow: Any,
    oracle: Any,
    owner: Any,
    payer: Any,
    prices: kit.PriceSheet,
    revised: Callable[..., DirectCall],
    charged: Callable[[DirectCall, int], None],
    before: int,
    discount: int,
) -> None:
    """M3: the payer's calls before this one decide."""
    call = revised(tiers=TIERS)
    charged(call, before)
    assert kit.view(escrow.callsOf, payer, call.listing_id) == before
    charge = kit.discounted(kit.price_of(prices, Units()), discount)
    kit.accepted(escrow.open, call, by=payer, value=call.amount)
    kit.accepted(escrow.fulfil, call, Outcome(charge=charge), by=oracle)
    assert owed_to(escrow, owner) == [charge]
    assert kit.view(escrow.callsOf, payer, call.listing_id) == before + 1


@tiered
@refuses("Escrow.fulfil", "Escrow_ChargeTooHigh")
def test_fulfil_above_a_tier(
    escrow: Any,
    oracle: Any,
    payer: Any,
    prices: kit.PriceSheet,
    revised: Callable[..., DirectCall],
    charged: Callable[[DirectCall, int], None],
    before: int,
    discount: int,
) -> None:
    """M3, M8: rounding of the discount favours the payer. What is refused does not count as a call either."""
    call = revised(tiers=TIERS)
    charged(call, before)
    maximum = kit.discounted(kit.price_of(prices, Units()), discount)
    kit.accepted(escrow.open, call, by=payer, value=call.amount)
    kit.refused(
        escrow.fulfil,
        call,
        Outcome(charge=maximum + 1),
        by=oracle,
        error="Escrow_ChargeTooHigh",
        details=[maximum + 1, maximum],
    )
    assert kit.view(escrow.callsOf, payer, call.listing_id) == before


def test_fulfil_counts_only_calls_of_revisions_with_tiers(
    escrow: Any, payer: Any, terms: DirectCall, charged: Callable[[DirectCall, int], None]
) -> None:
    charged(terms, 2)
    assert kit.view(escrow.callsOf, payer, terms.listing_id) == 0


@pytest.mark.parametrize("ending", ["decline", "refund"])
def test_endings_count_as_no_call(
    escrow: Any, oracle: Any, payer: Any, revised: Callable[..., DirectCall], ending: str
) -> None:
    """Only what was charged counts."""
    call = revised(tiers=TIERS)
    kit.accepted(escrow.open, call, by=payer, value=call.amount)
    kit.accepted(getattr(escrow, ending), call, by=oracle, at=call.deadline + 1)
    assert kit.view(escrow.callsOf, payer, call.listing_id) == 0


def test_fulfil_counts_each_payer_alone(
    escrow: Any,
    oracle: Any,
    stranger: Any,
    revised: Callable[..., DirectCall],
    charged: Callable[[DirectCall, int], None],
    prices: kit.PriceSheet,
) -> None:
    """One payer's calls take nothing off another's price."""
    call = revised(tiers=TIERS)
    charged(call, 4)
    theirs = call._replace(payer=stranger.address)
    kit.accepted(escrow.open, theirs, by=stranger, value=theirs.amount)
    charge = kit.price_of(prices, Units())
    kit.accepted(escrow.fulfil, theirs, Outcome(charge=charge), by=oracle)
    assert kit.view(escrow.callsOf, stranger, call.listing_id) == 1


# ---- keys that act for the oracle -----------------------------------------------------------------------------------


def test_fulfil_by_a_signer(
    escrow: Any, registry: Any, oracle: Any, signer: Any, owner: Any, revised: Callable[..., DirectCall], payer: Any
) -> None:
    """The share is the oracle's, whichever key posts."""
    kit.accepted(registry.rotateSigner, signer, 0, by=oracle)
    call = revised(oracle_share_bps=1_000)
    kit.accepted(escrow.open, call, by=payer, value=call.amount)
    kit.accepted(escrow.fulfil, call, Outcome(charge=1_000), by=signer)
    assert owed_to(escrow, signer, oracle, owner) == [0, 100, 900]


def test_fulfil_by_the_oracle_beside_its_signer(
    escrow: Any, registry: Any, oracle: Any, signer: Any, open_call: DirectCall
) -> None:
    kit.accepted(registry.rotateSigner, signer, 0, by=oracle)
    kit.accepted(escrow.fulfil, open_call, Outcome(charge=1), by=oracle)


def test_decline_by_a_signer(
    escrow: Any, registry: Any, oracle: Any, signer: Any, payer: Any, open_call: DirectCall
) -> None:
    kit.accepted(registry.rotateSigner, signer, 0, by=oracle)
    kit.accepted(escrow.decline, open_call, by=signer)
    assert owed_to(escrow, payer) == [open_call.amount]


def test_fulfil_by_the_signer_before_in_its_last_second(
    escrow: Any, registry: Any, oracle: Any, signer: Any, stranger: Any, open_call: DirectCall
) -> None:
    """M9: calls in flight can be ended with the key that they were begun with."""
    kit.accepted(registry.rotateSigner, signer, 0, by=oracle)
    mined = kit.accepted(registry.rotateSigner, stranger, 600, by=oracle)
    kit.accepted(escrow.fulfil, open_call, Outcome(charge=1), by=signer, at=mined.second + 600)


@refuses("Escrow.fulfil", "Escrow_NotOracle")
@pytest.mark.parametrize("grace", [600, 0], ids=["over", "none"])
def test_fulfil_by_the_signer_before_without_grace(
    escrow: Any, registry: Any, oracle: Any, signer: Any, stranger: Any, open_call: DirectCall, grace: int
) -> None:
    kit.accepted(registry.rotateSigner, signer, 0, by=oracle)
    mined = kit.accepted(registry.rotateSigner, stranger, grace, by=oracle)
    kit.refused(
        escrow.fulfil,
        open_call,
        Outcome(charge=1),
        by=signer,
        at=mined.second + grace + 1,
        error="Escrow_NotOracle",
        details=[signer.address, oracle.address],
    )

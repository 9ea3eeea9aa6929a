"""Escrow.fulfil: what may be charged, until when, to whom it goes, and what it leaves on chain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import contractkit as kit
import pytest
from brownie import web3
from contractkit import DirectCall, Outcome, PriceSheet, RevisionTerms, Units, refuses, rounded

FREE = PriceSheet(per_call=0, per_thousand_input_tokens=0, per_thousand_output_tokens=0, per_compute_second=0)


@pytest.fixture
def open_under(
    escrow: Any, registry: Any, owner: Any, payer: Any, revision: RevisionTerms, terms: DirectCall
) -> Callable[[PriceSheet, int], DirectCall]:
    """Open a call of `amount` under a new revision with these prices."""

    def open_it(prices: PriceSheet, amount: int) -> DirectCall:
        kit.accepted(registry.revise, terms.listing_id, revision._replace(prices=prices), by=owner)
        call = terms._replace(revision=2, amount=amount)
        kit.fund(payer, amount + 10**18)
        kit.accepted(escrow.open, call, by=payer, value=amount)
        return call

    return open_it


def test_fulfil_charges_and_logs(
    escrow: Any, owner: Any, oracle: Any, payer: Any, prices: PriceSheet, open_call: DirectCall
) -> None:
    """E1, M5: one log with everything about the call; the charge and the rest are owed, not sent."""
    units = Units(120, 35, 999)
    charge = kit.price_of(prices, units)
    call_id = kit.call_id_of(open_call, escrow.address)
    with kit.balances_move(escrow=(escrow, 0), owner=(owner, 0), payer=(payer, 0)):
        mined = kit.accepted(escrow.fulfil, open_call, Outcome(units=units, charge=charge), by=oracle)
    assert mined.events == [
        kit.Event(
            escrow.address,
            "CallLogged",
            {"callId": call_id, "listingId": open_call.listing_id, "payer": payer.address},
            {
                "requestCommitment": open_call.request_commitment,
                "resultHash": kit.RESULT,
                "outcome": kit.packed_outcome(1, units, charge),
            },
        ),
        kit.Event(
            escrow.address,
            "CallFulfilled",
            {"callId": call_id, "earner": owner.address},
            {"refund": open_call.amount - charge, "receiptDigest": kit.RECEIPT_DIGEST},
        ),
    ]
    assert kit.view(escrow.callState, call_id) == (kit.FULFILLED, charge, open_call.deadline, 0)
    assert kit.view(escrow.owed, owner, kit.NATIVE) == charge
    assert kit.view(escrow.owed, payer, kit.NATIVE) == open_call.amount - charge
    assert kit.view(escrow.owed, oracle, kit.NATIVE) == 0


@pytest.mark.parametrize("by", ["callId", "listingId", "payer"])
def test_fulfil_log_is_found_by_its_topics(escrow: Any, oracle: Any, payer: Any, terms: DirectCall, by: str) -> None:
    """E1"""
    others = [terms._replace(request_commitment=kit.keccak(bytes([number]))) for number in range(2)]
    for call in others:
        kit.accepted(escrow.open, call, by=payer, value=call.amount)
        kit.accepted(escrow.fulfil, call, Outcome(charge=1), by=oracle)
    position = ["callId", "listingId", "payer"].index(by)
    topic = {
        "callId": kit.call_id_of(others[0], escrow.address),
        "listingId": terms.listing_id.to_bytes(32, "big"),
        "payer": bytes(12) + bytes.fromhex(payer.address[2:]),
    }[by]
    signature = next(topic for (topic, _), entry in kit.EVENTS.items() if entry["name"] == "CallLogged")
    filtered = [signature, None, None, None]
    filtered[1 + position] = topic
    logs = web3.eth.get_logs({"address": escrow.address, "fromBlock": 0, "topics": filtered})
    assert len(logs) == (1 if by == "callId" else 2)


# ---- how much -------------------------------------------------------------------------------------------------------


def test_fulfil_at_the_price(escrow: Any, oracle: Any, owner: Any, prices: PriceSheet, open_call: DirectCall) -> None:
    """M3"""
    charge = kit.price_of(prices, Units())
    assert charge < open_call.amount
    kit.accepted(escrow.fulfil, open_call, Outcome(charge=charge), by=oracle)
    assert kit.view(escrow.owed, owner, kit.NATIVE) == charge


@refuses("Escrow.fulfil", "Escrow_ChargeTooHigh")
@pytest.mark.parametrize("over", [1, 10**6, kit.UINT128])
def test_fulfil_above_the_price(escrow: Any, oracle: Any, prices: PriceSheet, open_call: DirectCall, over: int) -> None:
    """M3: the contract itself checks the pinned price sheet."""
    maximum = kit.price_of(prices, Units())
    charge = min(maximum + over, kit.UINT128)
    kit.refused(
        escrow.fulfil,
        open_call,
        Outcome(charge=charge),
        by=oracle,
        error="Escrow_ChargeTooHigh",
        details=[charge, maximum],
    )


def test_fulfil_at_the_escrowed_amount(
    escrow: Any, oracle: Any, owner: Any, payer: Any, prices: PriceSheet, terms: DirectCall
) -> None:
    """M3: what is escrowed caps the charge, whatever the units."""
    call = terms._replace(amount=kit.price_of(prices, Units()) - 1)
    kit.accepted(escrow.open, call, by=payer, value=call.amount)
    mined = kit.accepted(escrow.fulfil, call, Outcome(charge=call.amount), by=oracle)
    assert mined.events[1].data["refund"] == 0
    assert kit.view(escrow.owed, owner, kit.NATIVE) == call.amount
    assert kit.view(escrow.owed, payer, kit.NATIVE) == 0


@refuses("Escrow.fulfil", "Escrow_ChargeTooHigh")
def test_fulfil_above_the_escrowed_amount(
    escrow: Any, oracle: Any, payer: Any, prices: PriceSheet, terms: DirectCall
) -> None:
    """M3: although the price sheet gives that much."""
    call = terms._replace(amount=kit.price_of(prices, Units()) - 1)
    kit.accepted(escrow.open, call, by=payer, value=call.amount)
    kit.refused(
        escrow.fulfil,
        call,
        Outcome(charge=call.amount + 1),
        by=oracle,
        error="Escrow_ChargeTooHigh",
        details=[call.amount + 1, call.amount],
    )


def test_fulfil_for_nothing(escrow: Any, oracle: Any, owner: Any, payer: Any, open_call: DirectCall) -> None:
    """E1: a call that is given away is logged all the same."""
    mined = kit.accepted(escrow.fulfil, open_call, Outcome(charge=0), by=oracle)
    assert [event.name for event in mined.events] == ["CallLogged", "CallFulfilled"]
    assert kit.view(escrow.callState, kit.call_id_of(open_call, escrow.address))[:2] == (kit.FULFILLED, 0)
    assert kit.view(escrow.owed, owner, kit.NATIVE) == 0
    assert kit.view(escrow.owed, payer, kit.NATIVE) == open_call.amount


def test_fulfil_a_call_of_no_amount(escrow: Any, oracle: Any, payer: Any, terms: DirectCall) -> None:
    call = terms._replace(amount=0)
    kit.accepted(escrow.open, call, by=payer)
    kit.accepted(escrow.fulfil, call, Outcome(charge=0), by=oracle)
    assert kit.view(escrow.owed, payer, kit.NATIVE) == 0


@refuses("Escrow.fulfil", "Escrow_ChargeTooHigh")
def test_fulfil_on_a_free_listing(
    escrow: Any, oracle: Any, open_under: Callable[[PriceSheet, int], DirectCall]
) -> None:
    """M3: all prices are zero, so nothing may be charged for any number of units."""
    call = open_under(FREE, 10_000)
    everything = Units(kit.UINT32, kit.UINT32, kit.UINT32)
    kit.refused(
        escrow.fulfil,
        call,
        Outcome(units=everything, charge=1),
        by=oracle,
        error="Escrow_ChargeTooHigh",
        details=[1, 0],
    )


@refuses("Escrow.fulfil", "Escrow_ChargeTooHigh")
def test_fulfil_without_units(escrow: Any, oracle: Any, prices: PriceSheet, open_call: DirectCall) -> None:
    """M3: without units only the price per call may be charged."""
    kit.refused(
        escrow.fulfil,
        open_call,
        Outcome(units=Units(0, 0, 0), charge=prices.per_call + 1),
        by=oracle,
        error="Escrow_ChargeTooHigh",
        details=[prices.per_call + 1, prices.per_call],
    )


@rounded
def test_fulfil_at_the_rounded_price(
    escrow: Any,
    oracle: Any,
    owner: Any,
    open_under: Callable[[PriceSheet, int], DirectCall],
    sheet: PriceSheet,
    units: Units,
    price: int,
) -> None:
    """M8: rounded down, once."""
    call = open_under(sheet, price + 10)
    kit.accepted(escrow.fulfil, call, Outcome(units=units, charge=price), by=oracle)
    assert kit.view(escrow.owed, owner, kit.NATIVE) == price


@rounded
@refuses("Escrow.fulfil", "Escrow_ChargeTooHigh")
def test_fulfil_above_the_rounded_price(
    escrow: Any,
    oracle: Any,
    open_under: Callable[[PriceSheet, int], DirectCall],
    sheet: PriceSheet,
    units: Units,
    price: int,
) -> None:
    """M8, M3: the fraction is the payer's."""
    call = open_under(sheet, price + 10)
    kit.refused(
        escrow.fulfil,
        call,
        Outcome(units=units, charge=price + 1),
        by=oracle,
        error="Escrow_ChargeTooHigh",
        details=[price + 1, price],
    )


@pytest.mark.parametrize("word", [10, 11, 12, 13], ids=["input", "output", "compute", "charge"])
def test_fulfil_beyond_a_type(escrow: Any, oracle: Any, open_call: DirectCall, word: int) -> None:
    """M3, M8: units and charge that do not fit their types are refused, never cut off."""
    data = escrow.fulfil.encode_input(open_call, Outcome(units=Units(1, 1, 1), charge=1))
    at = 10 + 64 * word
    assert int(data[at : at + 64], 16) == 1
    beyond = data[:at] + f"{1 + (1 << (128 if word == 13 else 32)):064x}" + data[at + 64 :]
    kit.refused_raw(escrow, beyond, by=oracle, function="Escrow.fulfil", error="")


# ---- which prices, to whom ------------------------------------------------------------------------------------------


def test_fulfil_keeps_the_pinned_price_when_prices_fall(
    escrow: Any, registry: Any, owner: Any, oracle: Any, revision: RevisionTerms, open_call: DirectCall
) -> None:
    """M9"""
    kit.accepted(registry.revise, open_call.listing_id, revision._replace(prices=FREE), by=owner)
    charge = kit.price_of(revision.prices, Units())
    mined = kit.accepted(escrow.fulfil, open_call, Outcome(charge=charge), by=oracle)
    assert mined.events[0].data["outcome"] >> 224 == 1
    assert kit.view(escrow.owed, owner, kit.NATIVE) == charge


@refuses("Escrow.fulfil", "Escrow_ChargeTooHigh")
def test_fulfil_keeps_the_pinned_price_when_prices_rise(
    escrow: Any, registry: Any, owner: Any, oracle: Any, revision: RevisionTerms, open_call: DirectCall
) -> None:
    """M9"""
    kit.accepted(registry.revise, open_call.listing_id, revision._replace(prices=kit.LARGEST), by=owner)
    maximum = kit.price_of(revision.prices, Units())
    kit.refused(
        escrow.fulfil,
        open_call,
        Outcome(charge=maximum + 1),
        by=oracle,
        error="Escrow_ChargeTooHigh",
        details=[maximum + 1, maximum],
    )


def test_fulfil_after_the_listing_was_sold(
    escrow: Any, registry: Any, owner: Any, stranger: Any, oracle: Any, payer: Any, terms: DirectCall
) -> None:
    """M5, M7: later charges are the new owner's, and what was earned before stays the old one's."""
    second = terms._replace(request_commitment=kit.keccak(b"second"))
    for call in (terms, second):
        kit.accepted(escrow.open, call, by=payer, value=call.amount)
    kit.accepted(escrow.fulfil, terms, Outcome(charge=1_000), by=oracle)
    kit.accepted(registry.transferFrom, owner, stranger, terms.listing_id, by=owner)
    mined = kit.accepted(escrow.fulfil, second, Outcome(charge=300), by=oracle)
    assert mined.events[1].indexed["earner"] == stranger.address
    assert kit.view(escrow.owed, owner, kit.NATIVE) == 1_000
    assert kit.view(escrow.owed, stranger, kit.NATIVE) == 300


def test_fulfil_where_the_payer_owns_the_listing(
    escrow: Any, registry: Any, owner: Any, oracle: Any, payer: Any, open_call: DirectCall
) -> None:
    kit.accepted(registry.transferFrom, owner, payer, open_call.listing_id, by=owner)
    kit.accepted(escrow.fulfil, open_call, Outcome(charge=1_000), by=oracle)
    assert kit.view(escrow.owed, payer, kit.NATIVE) == open_call.amount


def test_fulfil_after_the_listing_was_withdrawn(
    escrow: Any, registry: Any, owner: Any, oracle: Any, open_call: DirectCall
) -> None:
    """M9: open calls end as they would have."""
    kit.accepted(registry.withdrawListing, open_call.listing_id, by=owner)
    kit.accepted(escrow.fulfil, open_call, Outcome(charge=1_000), by=oracle)
    assert kit.view(escrow.owed, owner, kit.NATIVE) == 1_000


def test_fulfil_by_the_oracle_of_the_opening(
    escrow: Any, registry: Any, owner: Any, oracle: Any, stranger: Any, revision: RevisionTerms, open_call: DirectCall
) -> None:
    """M9: open calls keep their oracle."""
    kit.accepted(registry.revise, open_call.listing_id, revision._replace(oracle=stranger.address), by=owner)
    kit.accepted(escrow.fulfil, open_call, Outcome(charge=1_000), by=oracle)
    assert kit.view(escrow.owed, owner, kit.NATIVE) == 1_000


def test_fulfil_while_paused(escrow: Any, administrator: Any, oracle: Any, owner: Any, open_call: DirectCall) -> None:
    """M7"""
    kit.accepted(escrow.pause, by=administrator)
    kit.accepted(escrow.fulfil, open_call, Outcome(charge=1_000), by=oracle)
    assert kit.view(escrow.owed, owner, kit.NATIVE) == 1_000


# ---- by whom, when, with what ---------------------------------------------------------------------------------------


@refuses("Escrow.fulfil", "Escrow_NotOracle")
@pytest.mark.parametrize("who", ["payer", "owner", "administrator", "stranger"])
def test_fulfil_by_another(
    escrow: Any, oracle: Any, open_call: DirectCall, who: str, request: pytest.FixtureRequest
) -> None:
    """M7"""
    caller = request.getfixturevalue(who)
    kit.refused(
        escrow.fulfil,
        open_call,
        Outcome(charge=1),
        by=caller,
        error="Escrow_NotOracle",
        details=[caller.address, oracle.address],
    )


@refuses("Escrow.fulfil", "Escrow_NotOracle")
def test_fulfil_by_the_oracle_after(
    escrow: Any, registry: Any, owner: Any, oracle: Any, stranger: Any, revision: RevisionTerms, open_call: DirectCall
) -> None:
    """An owner can't move an open call to an oracle that the payer never named."""
    kit.accepted(registry.revise, open_call.listing_id, revision._replace(oracle=stranger.address), by=owner)
    kit.refused(
        escrow.fulfil,
        open_call,
        Outcome(charge=1),
        by=stranger,
        error="Escrow_NotOracle",
        details=[stranger.address, oracle.address],
    )


@refuses("Escrow.fulfil", "Escrow_CallNotInState")
@pytest.mark.parametrize("status", [kit.NONE, kit.FULFILLED, kit.DECLINED, kit.REFUNDED])
def test_fulfil_in_another_state(
    escrow: Any, oracle: Any, terms: DirectCall, call_in: Callable[[int], bytes], status: int
) -> None:
    """M3: a call is charged at most once."""
    call_id = call_in(status)
    kit.refused(
        escrow.fulfil,
        terms,
        Outcome(charge=1),
        by=oracle,
        error="Escrow_CallNotInState",
        details=[call_id, status, kit.OPEN],
    )


@refuses("Escrow.fulfil", "Escrow_CallNotInState")
@pytest.mark.parametrize(
    "change", [{"amount": 20_000}, {"revision": 0}, {"deadline": kit.UINT40}, {"listing_id": 2}], ids=str
)
def test_fulfil_with_altered_terms(escrow: Any, oracle: Any, open_call: DirectCall, change: dict[str, int]) -> None:
    """M2, M3: other terms are another call, which nobody opened."""
    altered = open_call._replace(**change)
    kit.refused(
        escrow.fulfil,
        altered,
        Outcome(charge=1),
        by=oracle,
        error="Escrow_CallNotInState",
        details=[kit.call_id_of(altered, escrow.address), kit.NONE, kit.OPEN],
    )


def test_fulfil_in_the_last_second(escrow: Any, oracle: Any, owner: Any, open_call: DirectCall) -> None:
    """M4: until its deadline, inclusive."""
    mined = kit.accepted(escrow.fulfil, open_call, Outcome(charge=1_000), by=oracle, at=open_call.deadline)
    assert mined.second == open_call.deadline
    assert kit.view(escrow.owed, owner, kit.NATIVE) == 1_000


@refuses("Escrow.fulfil", "Escrow_DeadlinePassed")
def test_fulfil_a_second_late(escrow: Any, oracle: Any, open_call: DirectCall) -> None:
    """M4"""
    kit.refused(
        escrow.fulfil,
        open_call,
        Outcome(charge=1_000),
        by=oracle,
        at=open_call.deadline + 1,
        error="Escrow_DeadlinePassed",
        details=[open_call.deadline + 1, open_call.deadline],
    )


@refuses("Escrow.fulfil", "Escrow_EmptyResult")
def test_fulfil_without_a_result(escrow: Any, oracle: Any, open_call: DirectCall) -> None:
    """M4: no result, no charge."""
    kit.refused(
        escrow.fulfil, open_call, Outcome(result_hash=bytes(32), charge=0), by=oracle, error="Escrow_EmptyResult"
    )


def test_fulfil_takes_no_ether(escrow: Any, oracle: Any, open_call: DirectCall) -> None:
    """M1"""
    data = escrow.fulfil.encode_input(open_call, Outcome(charge=1))
    kit.refused_raw(escrow, data, by=oracle, value=1, function="Escrow.fulfil", error="")

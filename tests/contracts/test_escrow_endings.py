"""Escrow.decline and Escrow.refund: the ways out of an open call that cost nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import contractkit as kit
import pytest
from contractkit import DirectCall, RevisionTerms, refuses


def test_decline_gives_all_back(escrow: Any, oracle: Any, owner: Any, payer: Any, open_call: DirectCall) -> None:
    """M4, M5: owed in full, not sent."""
    call_id = kit.call_id_of(open_call, escrow.address)
    with kit.balances_move(escrow=(escrow, 0), payer=(payer, 0)):
        mined = kit.accepted(escrow.decline, open_call, by=oracle)
    assert mined.events == [
        kit.Event(
            escrow.address,
            "CallDeclined",
            {"callId": call_id, "payer": payer.address},
            {"refund": open_call.amount},
        )
    ]
    assert kit.view(escrow.callState, call_id) == (kit.DECLINED, 0, open_call.deadline, 0)
    assert kit.view(escrow.owed, payer, kit.NATIVE) == open_call.amount
    assert kit.view(escrow.owed, owner, kit.NATIVE) == 0


@pytest.mark.parametrize("late", [0, 1, kit.WEEK])
def test_decline_at_and_after_the_deadline(
    escrow: Any, oracle: Any, payer: Any, open_call: DirectCall, late: int
) -> None:
    """M4: it can only give back, so it is never too late for it."""
    kit.accepted(escrow.decline, open_call, by=oracle, at=open_call.deadline + late)
    assert kit.view(escrow.owed, payer, kit.NATIVE) == open_call.amount


def test_decline_while_paused(escrow: Any, administrator: Any, oracle: Any, payer: Any, open_call: DirectCall) -> None:
    """M7"""
    kit.accepted(escrow.pause, by=administrator)
    kit.accepted(escrow.decline, open_call, by=oracle)
    assert kit.view(escrow.owed, payer, kit.NATIVE) == open_call.amount


@refuses("Escrow.decline", "Escrow_NotOracle")
@pytest.mark.parametrize("who", ["payer", "owner", "administrator", "stranger"])
def test_decline_by_another(
    escrow: Any, oracle: Any, open_call: DirectCall, who: str, request: pytest.FixtureRequest
) -> None:
    """The payer too: the oracle may already have run the model."""
    caller = request.getfixturevalue(who)
    kit.refused(
        escrow.decline,
        open_call,
        by=caller,
        error="Escrow_NotOracle",
        details=[caller.address, oracle.address],
    )


@refuses("Escrow.decline", "Escrow_CallNotInState")
@pytest.mark.parametrize("status", [kit.NONE, kit.FULFILLED, kit.DECLINED, kit.REFUNDED])
def test_decline_in_another_state(
    escrow: Any, oracle: Any, terms: DirectCall, call_in: Callable[[int], bytes], status: int
) -> None:
    """M1: nothing is given back twice."""
    call_id = call_in(status)
    kit.refused(
        escrow.decline,
        terms,
        by=oracle,
        error="Escrow_CallNotInState",
        details=[call_id, status, kit.OPEN],
    )


@pytest.mark.parametrize("who", ["payer", "oracle", "owner", "stranger"])
def test_refund_a_second_after_the_deadline(
    escrow: Any, payer: Any, owner: Any, open_call: DirectCall, who: str, request: pytest.FixtureRequest
) -> None:
    """M4: by anyone, without the oracle, and always to the payer."""
    call_id = kit.call_id_of(open_call, escrow.address)
    with kit.balances_move(escrow=(escrow, 0)):
        mined = kit.accepted(escrow.refund, open_call, by=request.getfixturevalue(who), at=open_call.deadline + 1)
    assert mined.second == open_call.deadline + 1
    assert mined.events == [
        kit.Event(
            escrow.address,
            "CallRefunded",
            {"callId": call_id, "payer": payer.address},
            {"refund": open_call.amount},
        )
    ]
    assert kit.view(escrow.callState, call_id) == (kit.REFUNDED, 0, open_call.deadline, 0)
    assert kit.view(escrow.owed, payer, kit.NATIVE) == open_call.amount
    assert kit.view(escrow.owed, owner, kit.NATIVE) == 0


@refuses("Escrow.refund", "Escrow_DeadlineNotPassed")
@pytest.mark.parametrize("early", [0, 1, 3_000])
def test_refund_before_the_deadline_has_passed(escrow: Any, payer: Any, open_call: DirectCall, early: int) -> None:
    """M4: fulfil and refund are never both possible in one second."""
    second = open_call.deadline - early
    kit.refused(
        escrow.refund,
        open_call,
        by=payer,
        at=second,
        error="Escrow_DeadlineNotPassed",
        details=[second, open_call.deadline],
    )


@refuses("Escrow.refund", "Escrow_CallNotInState")
@pytest.mark.parametrize("status", [kit.NONE, kit.FULFILLED, kit.DECLINED, kit.REFUNDED])
def test_refund_in_another_state(
    escrow: Any, payer: Any, terms: DirectCall, call_in: Callable[[int], bytes], status: int
) -> None:
    """M1, M3: nothing is given back twice, nor what was charged."""
    call_id = call_in(status)
    kit.refused(
        escrow.refund,
        terms,
        by=payer,
        at=terms.deadline + 2,
        error="Escrow_CallNotInState",
        details=[call_id, status, kit.OPEN],
    )


def test_refund_while_paused(escrow: Any, administrator: Any, stranger: Any, payer: Any, open_call: DirectCall) -> None:
    """M7"""
    kit.accepted(escrow.pause, by=administrator)
    kit.accepted(escrow.refund, open_call, by=stranger, at=open_call.deadline + 1)
    assert kit.view(escrow.owed, payer, kit.NATIVE) == open_call.amount


def test_refund_whatever_became_of_the_listing(
    escrow: Any, registry: Any, owner: Any, stranger: Any, payer: Any, revision: RevisionTerms, open_call: DirectCall
) -> None:
    """M4: withdrawn, revised, sold and given to another oracle, it can't stand in the way."""
    kit.accepted(registry.revise, open_call.listing_id, revision._replace(oracle=stranger.address), by=owner)
    kit.accepted(registry.withdrawListing, open_call.listing_id, by=owner)
    kit.accepted(registry.transferFrom, owner, stranger, open_call.listing_id, by=owner)
    kit.accepted(escrow.refund, open_call, by=payer, at=open_call.deadline + 1)
    assert kit.view(escrow.owed, payer, kit.NATIVE) == open_call.amount


@pytest.mark.parametrize("name", ["decline", "refund"])
def test_endings_take_no_ether(escrow: Any, oracle: Any, open_call: DirectCall, name: str) -> None:
    """M1"""
    data = getattr(escrow, name).encode_input(open_call)
    at = open_call.deadline + 1
    kit.refused_raw(escrow, data, by=oracle, value=1, at=at, function=f"Escrow.{name}", error="")

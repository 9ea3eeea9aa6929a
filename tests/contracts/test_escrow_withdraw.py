"""Escrow.withdraw, receivers that mean harm, and ether that nobody asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import contractkit as kit
import pytest
from brownie import (
    ForcedEtherMock,
    GasBurningReceiverMock,
    ReenteringReceiverMock,
    RejectingReceiverMock,
    ReturnBombReceiverMock,
    accounts,
)
from contractkit import DirectCall, Outcome, RevisionTerms, refuses

EARNED = 1_000
FORCED = 12_345


@pytest.fixture
def earned(escrow: Any, oracle: Any, open_call: DirectCall) -> int:
    """What `owner` is owed after one call; the rest of its escrow is owed to `payer`."""
    kit.accepted(escrow.fulfil, open_call, Outcome(charge=EARNED), by=oracle)
    return EARNED


def test_withdraw_pays_all_that_is_owed(escrow: Any, owner: Any, payer: Any, earned: int) -> None:
    """M5: pulled by whom it is owed to; another's share stays."""
    rest = kit.view(escrow.owed, payer, kit.NATIVE)
    before = kit.balance_of(owner)
    mined = kit.accepted(escrow.withdraw, kit.NATIVE, owner, by=owner)
    assert mined.events == [
        kit.Event(
            escrow.address,
            "Withdrawn",
            {"account": owner.address, "asset": kit.NATIVE, "to": owner.address},
            {"amount": earned},
        )
    ]
    assert kit.balance_of(owner) == before + earned - mined.fee
    assert kit.balance_of(escrow) == rest
    assert kit.view(escrow.owed, owner, kit.NATIVE) == 0
    assert kit.view(escrow.owed, payer, kit.NATIVE) == rest


def test_withdraw_to_another_address(escrow: Any, owner: Any, stranger: Any, earned: int) -> None:
    """M5"""
    with kit.balances_move(escrow=(escrow, -earned), stranger=(stranger, earned)):
        mined = kit.accepted(escrow.withdraw, kit.NATIVE, stranger, by=owner)
    assert mined.events[0].indexed == {"account": owner.address, "asset": kit.NATIVE, "to": stranger.address}


def test_withdraw_earnings_and_refunds_together(
    escrow: Any, registry: Any, owner: Any, oracle: Any, payer: Any, terms: DirectCall
) -> None:
    """One account's earnings and refunds of many calls are one sum."""
    declined = terms._replace(request_commitment=kit.keccak(b"declined"), amount=77)
    kit.accepted(registry.transferFrom, owner, payer, terms.listing_id, by=owner)
    for call in (terms, declined):
        kit.accepted(escrow.open, call, by=payer, value=call.amount)
    kit.accepted(escrow.fulfil, terms, Outcome(charge=EARNED), by=oracle)
    kit.accepted(escrow.decline, declined, by=oracle)
    with kit.balances_move(escrow=(escrow, -terms.amount - 77)):
        kit.accepted(escrow.withdraw, kit.NATIVE, payer, by=payer)
    assert kit.balance_of(escrow) == 0


def test_withdraw_while_paused(escrow: Any, administrator: Any, owner: Any, earned: int) -> None:
    """M7"""
    kit.accepted(escrow.pause, by=administrator)
    with kit.balances_move(escrow=(escrow, -earned)):
        kit.accepted(escrow.withdraw, kit.NATIVE, owner, by=owner)


def test_withdraw_leaves_open_calls_alone(escrow: Any, payer: Any, owner: Any, terms: DirectCall, earned: int) -> None:
    """M1: what is escrowed for a call in flight is nobody's yet."""
    second = terms._replace(request_commitment=kit.keccak(b"in flight"))
    kit.accepted(escrow.open, second, by=payer, value=second.amount)
    for account in (owner, payer):
        kit.accepted(escrow.withdraw, kit.NATIVE, account, by=account)
    assert kit.balance_of(escrow) == second.amount
    assert kit.view(escrow.callState, kit.call_id_of(second, escrow.address))[:2] == (kit.OPEN, second.amount)


@refuses("Escrow.withdraw", "Escrow_NothingToWithdraw")
@pytest.mark.parametrize("who", ["administrator", "oracle", "stranger"])
def test_withdraw_what_is_owed_to_others(escrow: Any, earned: int, who: str, request: pytest.FixtureRequest) -> None:
    """M7: no role reaches another's funds."""
    caller = request.getfixturevalue(who)
    kit.refused(
        escrow.withdraw,
        kit.NATIVE,
        caller,
        by=caller,
        error="Escrow_NothingToWithdraw",
        details=[caller.address, kit.NATIVE],
    )


@refuses("Escrow.withdraw", "Escrow_NothingToWithdraw")
def test_withdraw_twice(escrow: Any, owner: Any, earned: int) -> None:
    """M1"""
    kit.accepted(escrow.withdraw, kit.NATIVE, owner, by=owner)
    kit.refused(
        escrow.withdraw,
        kit.NATIVE,
        owner,
        by=owner,
        error="Escrow_NothingToWithdraw",
        details=[owner.address, kit.NATIVE],
    )


@refuses("Escrow.withdraw", "Escrow_NothingToWithdraw")
def test_withdraw_another_asset(escrow: Any, owner: Any, earned: int) -> None:
    """M1: books are kept per asset."""
    kit.refused(
        escrow.withdraw,
        kit.TOKEN,
        owner,
        by=owner,
        error="Escrow_NothingToWithdraw",
        details=[owner.address, kit.TOKEN],
    )


@refuses("Escrow.withdraw", "Escrow_ZeroReceiver")
def test_withdraw_to_nobody(escrow: Any, owner: Any, earned: int) -> None:
    """M5: what goes to the zero address is lost."""
    kit.refused(escrow.withdraw, kit.NATIVE, kit.NATIVE, by=owner, error="Escrow_ZeroReceiver")


@refuses("Escrow.withdraw", "Escrow_TransferFailed")
def test_withdraw_to_the_escrow_itself(escrow: Any, owner: Any, earned: int) -> None:
    kit.refused(
        escrow.withdraw,
        kit.NATIVE,
        escrow,
        by=owner,
        error="Escrow_TransferFailed",
        details=[escrow.address, earned],
    )


# ---- hostile receivers ----------------------------------------------------------------------------------------------


@pytest.fixture
def earned_by(
    escrow: Any, registry: Any, oracle: Any, payer: Any, stranger: Any, revision: RevisionTerms, terms: DirectCall
) -> Callable[[Any], Any]:
    """Create a hostile contract of a kind that owns a listing and has earned from a call."""

    def earn(kind: Any) -> Any:
        hostile = kit.create(kind, by=accounts[0])
        data = registry.publish.encode_input(revision)
        kit.accepted(hostile.execute, registry, 0, data, by=stranger)
        call = terms._replace(listing_id=kit.view(registry.listingCount))
        kit.accepted(escrow.open, call, by=payer, value=call.amount)
        kit.accepted(escrow.fulfil, call, Outcome(charge=EARNED), by=oracle)
        assert kit.view(escrow.owed, hostile, kit.NATIVE) == EARNED
        return hostile

    return earn


HOSTILE = [RejectingReceiverMock, GasBurningReceiverMock, ReturnBombReceiverMock, ReenteringReceiverMock]


@refuses("Escrow.withdraw", "Escrow_TransferFailed")
@pytest.mark.parametrize("kind", [RejectingReceiverMock, GasBurningReceiverMock], ids=lambda kind: kind._name)
def test_withdraw_to_a_contract_that_refuses(
    escrow: Any, stranger: Any, earned_by: Callable[[Any], Any], kind: Any
) -> None:
    """M5: what is owed stays owed."""
    hostile = earned_by(kind)
    kit.refused(
        hostile.execute,
        escrow,
        0,
        escrow.withdraw.encode_input(kit.NATIVE, hostile),
        by=stranger,
        function="Escrow.withdraw",
        error="Escrow_TransferFailed",
        details=[hostile.address, EARNED],
    )
    assert kit.view(escrow.owed, hostile, kit.NATIVE) == EARNED


@pytest.mark.parametrize("kind", HOSTILE, ids=lambda kind: kind._name)
def test_withdraw_past_a_hostile_contract(
    escrow: Any, payer: Any, stranger: Any, earned_by: Callable[[Any], Any], kind: Any
) -> None:
    """M5: one hostile recipient can't block another, and still gets its own at an address that takes it."""
    hostile = earned_by(kind)
    rest = kit.view(escrow.owed, payer, kit.NATIVE)
    kit.send(hostile.execute, escrow, 0, escrow.withdraw.encode_input(kit.NATIVE, hostile), by=stranger)
    held = kit.view(escrow.owed, hostile, kit.NATIVE)
    with kit.balances_move(escrow=(escrow, -rest)):
        kit.accepted(escrow.withdraw, kit.NATIVE, payer, by=payer)
    if held:
        data = escrow.withdraw.encode_input(kit.NATIVE, payer)
        with kit.balances_move(payer=(payer, EARNED)):
            kit.accepted(hostile.execute, escrow, 0, data, by=stranger)
    assert kit.balance_of(escrow) == 0


def test_withdraw_to_a_return_bomb(escrow: Any, payer: Any, stranger: Any, earned_by: Callable[[Any], Any]) -> None:
    """M5: a megabyte of return data costs whoever asked for it, and nobody else."""
    hostile = earned_by(ReturnBombReceiverMock)
    with kit.balances_move(hostile=(hostile, EARNED)):
        data = escrow.withdraw.encode_input(kit.NATIVE, hostile)
        bombed = kit.accepted(hostile.execute, escrow, 0, data, by=stranger)
    assert bombed.gas_used > 2_000_000
    assert kit.accepted(escrow.withdraw, kit.NATIVE, payer, by=payer).gas_used < 50_000


@refuses("Escrow.withdraw", "ReentrancyGuardReentrantCall")
def test_withdraw_during_a_withdrawal(escrow: Any, stranger: Any, earned_by: Callable[[Any], Any]) -> None:
    """M1: paid once."""
    hostile = earned_by(ReenteringReceiverMock)
    again = escrow.withdraw.encode_input(kit.NATIVE, hostile)
    kit.accepted(hostile.arm, escrow, 0, again, by=stranger)
    with kit.balances_move(hostile=(hostile, EARNED), escrow=(escrow, -EARNED)):
        mined = kit.accepted(hostile.execute, escrow, 0, again, by=stranger)
    assert [event.name for event in mined.events] == ["Withdrawn"]
    assert kit.view(hostile.entries) == 1
    assert kit.view(hostile.succeeded) is False
    assert kit.decoded_error(kit.view(hostile.returned)) == ("ReentrancyGuardReentrantCall", ())
    kit.REFUSALS.add(("Escrow.withdraw", "ReentrancyGuardReentrantCall"))


def test_open_during_a_withdrawal(
    escrow: Any, stranger: Any, earned_by: Callable[[Any], Any], terms: DirectCall
) -> None:
    """M1: the money that comes out may go straight back in; it is counted once."""
    hostile = earned_by(ReenteringReceiverMock)
    call = terms._replace(payer=hostile.address, amount=400)
    kit.accepted(hostile.arm, escrow, 400, escrow.open.encode_input(call), by=stranger)
    with kit.balances_move(hostile=(hostile, EARNED - 400), escrow=(escrow, 400 - EARNED)):
        data = escrow.withdraw.encode_input(kit.NATIVE, hostile)
        mined = kit.accepted(hostile.execute, escrow, 0, data, by=stranger)
    assert [event.name for event in mined.events] == ["Withdrawn", "CallOpened"]
    assert kit.view(hostile.succeeded) is True
    assert kit.view(escrow.callState, kit.call_id_of(call, escrow.address))[:2] == (kit.OPEN, 400)
    assert kit.view(escrow.owed, hostile, kit.NATIVE) == 0


def test_refund_during_a_withdrawal(
    escrow: Any, stranger: Any, earned_by: Callable[[Any], Any], terms: DirectCall
) -> None:
    """M1: what becomes owed meanwhile is owed afterwards, and not paid by the withdrawal under way."""
    hostile = earned_by(ReenteringReceiverMock)
    call = terms._replace(payer=hostile.address, amount=400)
    kit.fund(hostile, 400)
    kit.accepted(hostile.execute, escrow, 400, escrow.open.encode_input(call), by=stranger)
    kit.accepted(hostile.arm, escrow, 0, escrow.refund.encode_input(call), by=stranger)
    with kit.balances_move(hostile=(hostile, EARNED), escrow=(escrow, -EARNED)):
        data = escrow.withdraw.encode_input(kit.NATIVE, hostile)
        mined = kit.accepted(hostile.execute, escrow, 0, data, by=stranger, at=call.deadline + 1)
    assert [event.name for event in mined.events] == ["Withdrawn", "CallRefunded"]
    assert kit.view(escrow.owed, hostile, kit.NATIVE) == 400


def test_owed_seen_during_a_withdrawal(escrow: Any, stranger: Any, earned_by: Callable[[Any], Any]) -> None:
    """M1: whoever reads the books while money is on its way reads what is still owed."""
    hostile = earned_by(ReenteringReceiverMock)
    kit.accepted(hostile.arm, escrow, 0, escrow.owed.encode_input(hostile, kit.NATIVE), by=stranger)
    kit.accepted(hostile.execute, escrow, 0, escrow.withdraw.encode_input(kit.NATIVE, hostile), by=stranger)
    assert kit.view(hostile.returned) == bytes(32)


# ---- ether that nobody asked for ------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", ["0x", "0xdeadbeef"], ids=["plain", "unknown function"])
def test_ether_sent_without_a_call(escrow: Any, stranger: Any, data: str) -> None:
    """M1: what would be in no book is not taken."""
    kit.refused_raw(escrow, data, by=stranger, value=1, function="Escrow", error="")


@pytest.mark.surplus(FORCED)
def test_forced_ether_moves_no_book(escrow: Any, payer: Any, owner: Any, stranger: Any, earned: int) -> None:
    """M1: it is in nobody's reach and changes nothing that is owed."""
    owed = [kit.view(escrow.owed, account, kit.NATIVE) for account in (payer, owner, stranger)]
    with kit.balances_move(escrow=(escrow, FORCED)):
        kit.create(ForcedEtherMock, escrow, by=stranger, value=FORCED)
    assert [kit.view(escrow.owed, account, kit.NATIVE) for account in (payer, owner, stranger)] == owed
    for account in (payer, owner):
        kit.accepted(escrow.withdraw, kit.NATIVE, account, by=account)
    assert kit.balance_of(escrow) == FORCED


@pytest.mark.surplus(FORCED)
def test_forced_ether_stops_nothing(
    escrow: Any, payer: Any, oracle: Any, owner: Any, stranger: Any, terms: DirectCall
) -> None:
    """M1"""
    kit.create(ForcedEtherMock, escrow, by=stranger, value=FORCED)
    kit.accepted(escrow.open, terms, by=payer, value=terms.amount)
    kit.accepted(escrow.fulfil, terms, Outcome(charge=EARNED), by=oracle)
    with kit.balances_move(escrow=(escrow, -EARNED)):
        kit.accepted(escrow.withdraw, kit.NATIVE, owner, by=owner)


# ---- all together ---------------------------------------------------------------------------------------------------


def test_books_after_many_calls(
    escrow: Any,
    registry: Any,
    payer: Any,
    stranger: Any,
    owner: Any,
    oracle: Any,
    revision: RevisionTerms,
    terms: DirectCall,
) -> None:
    """M1: whatever happened to twelve calls of two payers on two listings, in the end everybody has been paid."""
    kit.accepted(registry.publish, revision, by=payer)
    payers = {payer.address: payer, stranger.address: stranger}
    calls = [
        terms._replace(
            payer=list(payers)[number % 2],
            listing_id=1 + number // 2 % 2,
            amount=1_000 * number + 1,
            request_commitment=kit.keccak(bytes([number])),
        )
        for number in range(12)
    ]
    for call in calls:
        kit.accepted(escrow.open, call, by=payers[call.payer], value=call.amount)
    for number, call in enumerate(calls[:8]):
        if number % 2:
            kit.accepted(escrow.decline, call, by=oracle)
        else:
            kit.accepted(escrow.fulfil, call, Outcome(charge=min(call.amount, 1_700)), by=oracle)
        kit.assert_books_balance(escrow)
    kit.accepted(escrow.withdraw, kit.NATIVE, owner, by=owner)
    kit.assert_books_balance(escrow)
    for call in calls[8:]:
        kit.accepted(escrow.refund, call, by=owner, at=max(kit.now(), call.deadline + 1))
    for account in (payer, stranger):
        kit.accepted(escrow.withdraw, kit.NATIVE, account, by=account)
        kit.assert_books_balance(escrow)
    assert kit.balance_of(escrow) == 0

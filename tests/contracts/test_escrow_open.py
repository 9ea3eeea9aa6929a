"""Escrow.open, and the ids that calls get."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import contractkit as kit
import pytest
from brownie import Escrow, accounts
from contractkit import DirectCall, RevisionTerms, refuses


def test_open_escrows_the_amount(escrow: Any, payer: Any, terms: DirectCall) -> None:
    """M1, M2, E1"""
    call_id = kit.call_id_of(terms, escrow.address)
    before = kit.balance_of(payer)
    mined = kit.accepted(escrow.open, terms, by=payer, value=terms.amount)
    assert mined.events == [
        kit.Event(
            escrow.address,
            "CallOpened",
            {"callId": call_id, "listingId": terms.listing_id, "payer": payer.address},
            {"call": tuple(terms)},
        )
    ]
    assert kit.view(escrow.callState, call_id) == (kit.OPEN, terms.amount, terms.deadline, 0)
    assert kit.balance_of(payer) == before - terms.amount - mined.fee
    assert kit.balance_of(escrow) == terms.amount
    assert kit.view(escrow.owed, payer, kit.NATIVE) == 0


def test_open_for_nothing(escrow: Any, payer: Any, terms: DirectCall) -> None:
    """A listing may be free; its calls are logged all the same."""
    free = terms._replace(amount=0)
    kit.accepted(escrow.open, free, by=payer)
    assert kit.view(escrow.callState, kit.call_id_of(free, escrow.address)) == (kit.OPEN, 0, free.deadline, 0)


def test_open_the_largest_amount(escrow: Any, payer: Any, terms: DirectCall) -> None:
    """M8: the whole of uint128 is kept and paid back to the last unit."""
    kit.fund(payer, 2 * kit.UINT128)
    largest = terms._replace(amount=kit.UINT128)
    kit.accepted(escrow.open, largest, by=payer, value=kit.UINT128)
    kit.accepted(escrow.refund, largest, by=payer, at=largest.deadline + 1)
    with kit.balances_move(escrow=(escrow, -kit.UINT128), to=(kit.TOKEN, kit.UINT128)):
        kit.accepted(escrow.withdraw, kit.NATIVE, kit.TOKEN, by=payer)


def test_open_two_calls_at_once(escrow: Any, payer: Any, terms: DirectCall) -> None:
    """They share every term but the commitment, and none of their books."""
    other = terms._replace(request_commitment=kit.keccak(b"another request"), amount=7)
    kit.accepted(escrow.open, terms, by=payer, value=terms.amount)
    kit.accepted(escrow.open, other, by=payer, value=7)
    assert kit.view(escrow.callState, kit.call_id_of(terms, escrow.address))[:2] == (kit.OPEN, terms.amount)
    assert kit.view(escrow.callState, kit.call_id_of(other, escrow.address))[:2] == (kit.OPEN, 7)


@pytest.mark.parametrize("ahead", [1, kit.WEEK], ids=["earliest", "latest"])
def test_open_with_a_deadline_at_its_limits(escrow: Any, payer: Any, terms: DirectCall, ahead: int) -> None:
    second = kit.now() + 100
    edge = terms._replace(deadline=second + ahead)
    kit.accepted(escrow.open, edge, by=payer, value=terms.amount, at=second)
    assert kit.view(escrow.callState, kit.call_id_of(edge, escrow.address))[2] == second + ahead


@refuses("Escrow.open", "Escrow_DeadlineOutOfRange")
@pytest.mark.parametrize("ahead", [0, -1, kit.WEEK + 1], ids=["now", "past", "too far"])
def test_open_with_a_deadline_beyond_its_limits(escrow: Any, payer: Any, terms: DirectCall, ahead: int) -> None:
    """M4: funds are never locked for longer than a week."""
    second = kit.now() + 100
    kit.refused(
        escrow.open,
        terms._replace(deadline=second + ahead),
        by=payer,
        value=terms.amount,
        at=second,
        error="Escrow_DeadlineOutOfRange",
        details=[second + ahead, second + 1, second + kit.WEEK],
    )


@refuses("Escrow.open", "Escrow_DeadlineOutOfRange")
@pytest.mark.parametrize("deadline", [0, kit.UINT40])
def test_open_with_a_deadline_at_the_ends_of_time(escrow: Any, payer: Any, terms: DirectCall, deadline: int) -> None:
    kit.refused(
        escrow.open,
        terms._replace(deadline=deadline),
        by=payer,
        value=terms.amount,
        error="Escrow_DeadlineOutOfRange",
        details=[deadline, lambda mined: mined.second + 1, lambda mined: mined.second + kit.WEEK],
    )


@refuses("Escrow.open", "EnforcedPause")
def test_open_while_paused(escrow: Any, payer: Any, administrator: Any, terms: DirectCall) -> None:
    """M7"""
    kit.accepted(escrow.pause, by=administrator)
    kit.refused(escrow.open, terms, by=payer, value=terms.amount, error="EnforcedPause")


@refuses("Escrow.open", "Escrow_NotPayer")
def test_open_for_somebody_else(escrow: Any, payer: Any, oracle: Any, terms: DirectCall) -> None:
    """M2: nobody else's terms, even with one's own money."""
    kit.refused(
        escrow.open,
        terms,
        by=oracle,
        value=terms.amount,
        error="Escrow_NotPayer",
        details=[oracle.address, payer.address],
    )


@refuses("Escrow.open", "Escrow_WrongValue")
@pytest.mark.parametrize("difference", [-10_000, -1, 1])
def test_open_with_another_value(escrow: Any, payer: Any, terms: DirectCall, difference: int) -> None:
    """M1: the books and what arrived are the same."""
    value = terms.amount + difference
    kit.refused(escrow.open, terms, by=payer, value=value, error="Escrow_WrongValue", details=[value, terms.amount])


@refuses("Escrow.open", "Escrow_EmptyCommitment")
def test_open_without_a_commitment(escrow: Any, payer: Any, terms: DirectCall) -> None:
    """S2"""
    empty = terms._replace(request_commitment=bytes(32))
    kit.refused(escrow.open, empty, by=payer, value=terms.amount, error="Escrow_EmptyCommitment")


@refuses("Escrow.open", "Registry_UnknownListing")
@pytest.mark.parametrize("unknown", [0, 2, 2**256 - 1])
def test_open_on_an_unknown_listing(escrow: Any, payer: Any, terms: DirectCall, unknown: int) -> None:
    kit.refused(
        escrow.open,
        terms._replace(listing_id=unknown),
        by=payer,
        value=terms.amount,
        error="Registry_UnknownListing",
        details=[unknown, 1],
    )


@refuses("Escrow.open", "Escrow_ListingWithdrawn")
def test_open_on_a_withdrawn_listing(escrow: Any, registry: Any, owner: Any, payer: Any, terms: DirectCall) -> None:
    kit.accepted(registry.withdrawListing, terms.listing_id, by=owner)
    kit.refused(
        escrow.open,
        terms,
        by=payer,
        value=terms.amount,
        error="Escrow_ListingWithdrawn",
        details=[terms.listing_id],
    )


def test_open_on_a_relisted_listing(escrow: Any, registry: Any, owner: Any, payer: Any, terms: DirectCall) -> None:
    kit.accepted(registry.withdrawListing, terms.listing_id, by=owner)
    kit.accepted(registry.relist, terms.listing_id, by=owner)
    kit.accepted(escrow.open, terms, by=payer, value=terms.amount)


@refuses("Escrow.open", "Escrow_RevisionNotForSale")
@pytest.mark.parametrize("number", [0, 1, 3, kit.UINT32])
def test_open_on_another_revision(
    escrow: Any, registry: Any, owner: Any, payer: Any, revision: RevisionTerms, terms: DirectCall, number: int
) -> None:
    """M9: only the newest revision is for sale."""
    kit.accepted(registry.revise, terms.listing_id, revision, by=owner)
    kit.refused(
        escrow.open,
        terms._replace(revision=number),
        by=payer,
        value=terms.amount,
        error="Escrow_RevisionNotForSale",
        details=[number, 2],
    )


def test_open_on_the_newest_revision(
    escrow: Any, registry: Any, owner: Any, payer: Any, revision: RevisionTerms, terms: DirectCall
) -> None:
    """M9"""
    kit.accepted(registry.revise, terms.listing_id, revision, by=owner)
    kit.accepted(escrow.open, terms._replace(revision=2), by=payer, value=terms.amount)


@refuses("Escrow.open", "Escrow_WrongOracle")
def test_open_with_another_oracle(escrow: Any, payer: Any, oracle: Any, stranger: Any, terms: DirectCall) -> None:
    kit.refused(
        escrow.open,
        terms._replace(oracle=stranger.address),
        by=payer,
        value=terms.amount,
        error="Escrow_WrongOracle",
        details=[stranger.address, oracle.address],
    )


@refuses("Escrow.open", "Escrow_WrongOracle")
def test_open_with_the_oracle_before(
    escrow: Any,
    registry: Any,
    owner: Any,
    payer: Any,
    oracle: Any,
    stranger: Any,
    revision: RevisionTerms,
    terms: DirectCall,
) -> None:
    """M9: it runs the revision before, which is not for sale any more."""
    kit.accepted(registry.revise, terms.listing_id, revision._replace(oracle=stranger.address), by=owner)
    kit.refused(
        escrow.open,
        terms._replace(revision=2),
        by=payer,
        value=terms.amount,
        error="Escrow_WrongOracle",
        details=[oracle.address, stranger.address],
    )


@refuses("Escrow.open", "Escrow_WrongAsset")
def test_open_in_another_asset(escrow: Any, payer: Any, terms: DirectCall) -> None:
    kit.refused(
        escrow.open,
        terms._replace(asset=kit.TOKEN),
        by=payer,
        value=terms.amount,
        error="Escrow_WrongAsset",
        details=[kit.TOKEN, kit.NATIVE],
    )


@pytest.fixture
def in_tokens(registry: Any, owner: Any, revision: RevisionTerms, terms: DirectCall) -> DirectCall:
    """The terms of a call that is priced in an asset without code."""
    priced = revision._replace(prices=revision.prices._replace(asset=kit.TOKEN))
    kit.accepted(registry.revise, terms.listing_id, priced, by=owner)
    return terms._replace(asset=kit.TOKEN, revision=2)


def test_open_in_an_asset_without_code(escrow: Any, payer: Any, in_tokens: DirectCall) -> None:
    """M1: what is no token can't be paid with."""
    kit.refused(escrow.open, in_tokens, by=payer, error="")


@refuses("Escrow.open", "Escrow_WrongValue")
def test_open_in_a_token_with_ether(escrow: Any, payer: Any, in_tokens: DirectCall) -> None:
    """M1: ether sent along with a token's call would be in no book."""
    kit.refused(escrow.open, in_tokens, by=payer, value=1, error="Escrow_WrongValue", details=[1, 0])


@refuses("Escrow.open", "Escrow_CallNotInState")
@pytest.mark.parametrize("status", [kit.OPEN, kit.FULFILLED, kit.DECLINED])
def test_open_again(escrow: Any, payer: Any, terms: DirectCall, call_in: Callable[[int], bytes], status: int) -> None:
    """M3: an id is used once, so no terms can be charged twice."""
    call_id = call_in(status)
    kit.refused(
        escrow.open,
        terms,
        by=payer,
        value=terms.amount,
        error="Escrow_CallNotInState",
        details=[call_id, status, kit.NONE],
    )


@refuses("Escrow.open", "Escrow_DeadlineOutOfRange")
def test_open_again_after_a_refund(escrow: Any, payer: Any, terms: DirectCall, call_in: Callable[[int], bytes]) -> None:
    """M3: a refunded call's deadline has passed, so its terms can't be opened again either."""
    call_in(kit.REFUNDED)
    kit.refused(
        escrow.open,
        terms,
        by=payer,
        value=terms.amount,
        error="Escrow_DeadlineOutOfRange",
        details=[terms.deadline, lambda mined: mined.second + 1, lambda mined: mined.second + kit.WEEK],
    )


@pytest.mark.parametrize(
    ("word", "bits"), [(0, 160), (2, 32), (3, 160), (4, 160), (5, 128), (6, 40)], ids=lambda value: str(value)
)
def test_open_beyond_a_type(escrow: Any, payer: Any, terms: DirectCall, word: int, bits: int) -> None:
    """M8: what does not fit its type is refused, never cut off."""
    data = escrow.open.encode_input(terms)
    at = 10 + 64 * word
    beyond = data[:at] + f"{int(data[at : at + 64], 16) + (1 << bits):064x}" + data[at + 64 :]
    kit.refused_raw(escrow, beyond, by=payer, value=terms.amount, function="Escrow.open", error="")


# ---- ids ------------------------------------------------------------------------------------------------------------


def test_call_id_of_is_the_typed_data_digest(escrow: Any, terms: DirectCall) -> None:
    """E5"""
    assert kit.view(escrow.callIdOf, terms) == kit.call_id_of(terms, escrow.address)


def test_call_id_of_is_of_this_chain(escrow: Any, terms: DirectCall) -> None:
    """S2: the same terms have another id on another chain."""
    assert kit.view(escrow.callIdOf, terms) != kit.call_id_of(terms, escrow.address, chain_id=1)


@pytest.mark.parametrize("field", DirectCall._fields)
def test_call_id_of_binds_each_term(escrow: Any, terms: DirectCall, field: str) -> None:
    """S2, M2: no term can change under an id."""
    value = getattr(terms, field)
    other = {int: lambda: value + 1, str: lambda: kit.TOKEN, bytes: lambda: kit.keccak(value)}[type(value)]()
    changed = terms._replace(**{field: other})
    assert kit.view(escrow.callIdOf, changed) == kit.call_id_of(changed, escrow.address)
    assert kit.view(escrow.callIdOf, changed) != kit.view(escrow.callIdOf, terms)


@pytest.fixture(scope="module")
def second_escrow(credit_plans: Any, registry: Any, administrator: Any) -> Any:
    return kit.create(Escrow, registry, administrator, by=accounts[0])


@refuses("Escrow.fulfil", "Escrow_CallNotInState")
def test_fulfil_on_another_contract(escrow: Any, second_escrow: Any, oracle: Any, open_call: DirectCall) -> None:
    """S2, M2: a call that is open in one escrow is unknown in another, under another id."""
    elsewhere = kit.call_id_of(open_call, second_escrow.address)
    assert elsewhere != kit.call_id_of(open_call, escrow.address)
    kit.refused(
        second_escrow.fulfil,
        open_call,
        kit.Outcome(),
        by=oracle,
        error="Escrow_CallNotInState",
        details=[elsewhere, kit.NONE, kit.OPEN],
    )


@pytest.mark.parametrize("word", ["unopened", "zero"])
def test_call_state_of_an_unknown_call(escrow: Any, terms: DirectCall, word: str) -> None:
    call_id = kit.call_id_of(terms, escrow.address) if word == "unopened" else bytes(32)
    assert kit.view(escrow.callState, call_id) == (kit.NONE, 0, 0, 0)

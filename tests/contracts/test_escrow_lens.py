"""EscrowLens: many values of the escrow at a time, and prices as settlement sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import contractkit as kit
import pytest
from contractkit import DirectCall, Outcome, PriceSheet, RevisionTerms, Tier, Units, refuses, rounded


def test_escrow_is_the_one_given(lens: Any, escrow: Any) -> None:
    assert kit.view(lens.escrow) == escrow.address


@rounded
def test_price_of_any_revision(
    lens: Any,
    registry: Any,
    owner: Any,
    listing: int,
    revision: RevisionTerms,
    sheet: PriceSheet,
    units: Units,
    price: int,
) -> None:
    """M8: the view gives what fulfil allows."""
    kit.accepted(registry.revise, listing, revision._replace(prices=sheet), by=owner)
    assert kit.view(lens.priceOf, listing, 2, units, 0) == price
    assert kit.view(lens.priceOf, listing, 1, units, 0) == kit.price_of(revision.prices, units)


@pytest.mark.parametrize(
    ("before", "discount"), [(0, 0), (9, 0), (10, 333), (99, 333), (100, 9_999), (2**256 - 1, 9_999)]
)
def test_price_of_at_a_tier(
    lens: Any, registry: Any, owner: Any, listing: int, revision: RevisionTerms, before: int, discount: int
) -> None:
    """M8: the discount is rounded in the payer's favour."""
    tiers = (Tier(10, 333), Tier(100, 9_999))
    kit.accepted(registry.revise, listing, revision._replace(tiers=tiers), by=owner)
    price = kit.price_of(revision.prices, Units())
    assert kit.view(lens.priceOf, listing, 2, Units(), before) == kit.discounted(price, discount)


@pytest.mark.parametrize(("unknown", "number"), [(99, 1), (1, 0), (1, 2), (0, 0)])
def test_price_of_an_unknown_revision(lens: Any, listing: int, unknown: int, number: int) -> None:
    assert kit.view(lens.priceOf, unknown, number, Units(), 0) == 0


@pytest.mark.parametrize("number", [1, kit.UINT32])
def test_unpack_outcome(lens: Any, number: int) -> None:
    """E1: the word that a call's log ends with."""
    for units, charge in ((Units(), 7), (Units(0, 0, 0), 0), (Units(*[kit.UINT32] * 3), 2**120 - 1)):
        outcome = kit.packed_outcome(number, units, charge)
        assert kit.view(lens.unpackOutcome, outcome) == (number, 0, units, charge)


def test_call_states_in_the_order_asked_for(
    lens: Any, escrow: Any, oracle: Any, terms: DirectCall, call_in: Callable[[int], bytes]
) -> None:
    call_id = call_in(kit.FULFILLED)
    states = kit.view(lens.callStates, [bytes(32), call_id])
    assert states == ((0, 0, 0, 0), (kit.FULFILLED, 1_000, terms.deadline, 0))


def test_owed_in_the_order_asked_for(
    lens: Any, escrow: Any, oracle: Any, owner: Any, payer: Any, stranger: Any, open_call: DirectCall
) -> None:
    kit.accepted(escrow.fulfil, open_call, Outcome(charge=1_000), by=oracle)
    people = [payer.address, stranger.address, owner.address]
    assert kit.view(lens.owed, people, kit.NATIVE) == (open_call.amount - 1_000, 0, 1_000)
    assert kit.view(lens.owed, people, kit.TOKEN) == (0, 0, 0)


def test_states_of_nothing(lens: Any) -> None:
    """All zero for ids that nothing is kept under."""
    empty = bytes(32)
    assert kit.view(lens.channelStates, [empty]) == ((0, 0, 0),)
    assert kit.view(lens.keyStates, empty, [empty]) == ((0, False),)
    assert kit.view(lens.positionStates, [empty]) == ((0, 0, 0, 0, 0, 0, False),)
    assert kit.view(lens.callStates, []) == ()


@pytest.mark.parametrize(("first", "count"), [(0, 10), (1, 1), (2**256 - 1, 2**256 - 1)])
def test_receipts_roots_before_any_batch(lens: Any, first: int, count: int) -> None:
    assert kit.view(lens.receiptsRoots, first, count) == ()


@refuses("EscrowLens.isReceiptOf", "Lens_UnknownBatch")
@pytest.mark.parametrize("batch", [0, 1])
def test_is_receipt_of_an_unknown_batch(lens: Any, batch: int) -> None:
    kit.refused_view(lens.isReceiptOf, batch, kit.RECEIPT_DIGEST, [], error="Lens_UnknownBatch", details=[batch, 0])

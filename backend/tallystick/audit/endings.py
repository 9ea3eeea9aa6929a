"""What must hold when a call is logged and when it ends."""

from __future__ import annotations

from collections.abc import Iterator

from tallystick.audit.kinds import CallKind
from tallystick.audit.records import Fault, Fulfilled, GivenBack, Logged, Opening
from tallystick.chain.types import Block, Listing
from tallystick.protocol.calls import CallStatus
from tallystick.protocol.hexes import to_hex
from tallystick.protocol.prices import Units


def log_faults(opening: Opening, logged: Logged, calls_before: int) -> Iterator[Fault]:
    """Every rule that a direct call's public log breaks; `calls_before` decides the volume tier."""
    terms = opening.terms
    pairs = {
        "listing": (logged.listing_id, terms.listing_id),
        "payer": (logged.payer, terms.payer),
        "revision": (logged.revision, terms.revision),
        "request commitment": (to_hex(logged.request_commitment), to_hex(terms.request_commitment)),
    }
    for name, (actual, expected) in pairs.items():
        if actual != expected:
            yield CallKind.LOG_CONTRADICTS_TERMS, f"The log's {name} is {actual}; the call's terms say {expected}."
    if not any(logged.result_hash):
        yield CallKind.RESULT_EMPTY, f"The call was charged {logged.charge} with a result hash of zero."
    if logged.block.timestamp > terms.deadline:
        yield (
            CallKind.FULFILLED_LATE,
            f"The call was charged at {logged.block.timestamp}; its deadline was {terms.deadline}.",
        )
    yield from charge_faults(opening, logged, calls_before)


def charge_faults(opening: Opening, logged: Logged, calls_before: int) -> Iterator[Fault]:
    """Rule M3: at most the escrow, and at most the pinned price for the posted units. Amounts in atomic units."""
    if logged.charge > opening.terms.amount:
        yield CallKind.CHARGE_ABOVE_ESCROW, f"The charge is {logged.charge}; {opening.terms.amount} was escrowed."
    price = pinned_price(opening, logged.units, calls_before)
    if price is not None and logged.charge > price:
        yield (
            CallKind.CHARGE_ABOVE_PRICE,
            f"The charge is {logged.charge}; revision {opening.terms.revision} gives {price} for the posted units.",
        )


def pinned_price(opening: Opening, units: Units, calls_before: int = 0) -> int | None:
    """What the pinned revision asks for `units` after `calls_before` calls of the payer, in atomic units.

    None if there never was such a revision.
    """
    return opening.pinned.terms.price_of(units, calls_before) if opening.pinned is not None else None


def fulfilment_faults(opening: Opening, ending: Fulfilled, listing: Listing | None) -> Iterator[Fault]:
    """Every rule that a fulfilment breaks; `listing` as it stands at that moment."""
    if listing is not None and ending.earner != listing.owner:
        yield CallKind.WRONG_EARNER, f"The charge went to {ending.earner}; the listing was held by {listing.owner}."
    expected = opening.terms.amount - ending.charge
    if ending.refund != expected:
        yield (
            CallKind.REFUND_WRONG,
            f"The refund is {ending.refund}; {opening.terms.amount} escrowed less {ending.charge} charged is {expected}.",
        )
    if not any(ending.receipt_digest):
        yield CallKind.DIGEST_EMPTY, "The receipt digest of the charge is zero."


def give_back_faults(opening: Opening, ending: GivenBack, block: Block) -> Iterator[Fault]:
    """Every rule that a decline or a refund breaks."""
    terms = opening.terms
    if ending.payer != terms.payer:
        yield CallKind.REFUND_WRONG_PAYER, f"The escrow went to {ending.payer}; it was paid by {terms.payer}."
    if ending.refund != terms.amount:
        yield CallKind.REFUND_WRONG, f"The refund is {ending.refund}; {terms.amount} was escrowed and nothing charged."
    if ending.status is CallStatus.REFUNDED and block.timestamp <= terms.deadline:
        yield (
            CallKind.REFUNDED_EARLY,
            f"The call was refunded at {block.timestamp}; its oracle had time until {terms.deadline}, inclusive.",
        )

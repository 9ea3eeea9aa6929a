"""What must hold when a call is opened. Each rule reads the terms and the auditor's own catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tallystick.audit.kinds import CallKind, ListingKind
from tallystick.audit.records import Fault, Opening
from tallystick.chain.events import ChainEvent
from tallystick.chain.types import Listing
from tallystick.protocol.encoding import Domain
from tallystick.protocol.hexes import to_hex

MAX_CALL_SECONDS: Final = 7 * 24 * 3600
"""The furthest that a deadline may lie ahead of the block that opens the call, in seconds."""


def opening_faults(
    event: ChainEvent, opening: Opening, listing: Listing | None, domain: Domain, *, paused: bool
) -> Iterator[Fault]:
    """Every rule that an opening breaks; `listing` as it stood just before."""
    terms = opening.terms
    digest = terms.call_id(domain)
    if digest != opening.call_id:
        yield (
            CallKind.CALL_ID_MISMATCH,
            f"The call's id is {to_hex(opening.call_id)}; its terms give {to_hex(digest)}.",
        )
    listed, paid = event.arguments["listingId"], event.arguments["payer"]
    if (listed, paid) != (terms.listing_id, terms.payer):
        yield (
            CallKind.OPENING_INCONSISTENT,
            f"The opening is indexed under listing {listed} and payer {paid}; its terms name listing "
            f"{terms.listing_id} and payer {terms.payer}.",
        )
    if paused:
        yield CallKind.OPENED_WHILE_PAUSED, "The call was opened while openings were paused."
    if not any(terms.request_commitment):
        yield CallKind.COMMITMENT_EMPTY, "The call's request commitment is zero."
    yield from _deadline_faults(opening)
    yield from _sale_faults(opening, listing)


def _deadline_faults(opening: Opening) -> Iterator[Fault]:
    earliest, latest = opening.block.timestamp + 1, opening.block.timestamp + MAX_CALL_SECONDS
    if not earliest <= opening.terms.deadline <= latest:
        yield (
            CallKind.DEADLINE_OUT_OF_RANGE,
            f"The call's deadline is {opening.terms.deadline}; it may be from {earliest} to {latest}.",
        )


def _sale_faults(opening: Opening, listing: Listing | None) -> Iterator[Fault]:
    terms = opening.terms
    if listing is None:
        yield ListingKind.LISTING_UNKNOWN, f"The call is for listing {terms.listing_id}, which was never published."
        return
    if listing.withdrawn:
        yield CallKind.OPENED_OFF_SALE, f"The call is for listing {terms.listing_id}, which was off sale."
    if terms.revision != listing.latest_revision:
        yield (
            CallKind.OPENED_WRONG_REVISION,
            f"The call pins revision {terms.revision}; revision {listing.latest_revision} was for sale.",
        )
    if terms.oracle != listing.oracle:
        yield (
            CallKind.OPENED_WRONG_ORACLE,
            f"The call names oracle {terms.oracle}; the listing was run by {listing.oracle}.",
        )
    if opening.pinned is not None and terms.asset != opening.pinned.prices.asset:
        yield (
            CallKind.OPENED_WRONG_ASSET,
            f"The call is paid in asset {terms.asset}; its revision is priced in {opening.pinned.prices.asset}.",
        )

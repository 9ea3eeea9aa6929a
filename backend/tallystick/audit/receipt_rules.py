"""What a receipt that the oracle signed must say, given what stands on chain of its call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tallystick.audit.endings import pinned_price
from tallystick.audit.kinds import ReceiptKind
from tallystick.audit.records import CallRecord, Fault, Fulfilled
from tallystick.chain.types import Block
from tallystick.protocol.calls import CallStatus, Mode
from tallystick.protocol.hexes import to_hex
from tallystick.protocol.receipts import Receipt

CLOCK_TOLERANCE_SECONDS: Final = 60
"""How far the oracle's clock may be ahead of the chain's: a block's time is when it was begun, not when it was filled."""


def receipt_faults(receipt: Receipt, digest: bytes, record: CallRecord) -> Iterator[Fault]:
    """Where a receipt disagrees with its call's terms, log, pinned revision and anchor."""
    for name, (signed, expected) in _fields(receipt, record).items():
        if signed != expected:
            yield (
                ReceiptKind.RECEIPT_CONTRADICTS_CHAIN,
                f"The receipt's {name} is {_text(signed)}; on chain it is {_text(expected)}.",
            )
    pinned = record.opening.pinned
    if pinned is not None and receipt.manifest_hash != pinned.manifest_hash:
        yield (
            ReceiptKind.RECEIPT_WRONG_MANIFEST,
            f"The receipt's manifest hash is {to_hex(receipt.manifest_hash)}; revision {pinned.revision} has "
            f"{to_hex(pinned.manifest_hash)}.",
        )
    if isinstance(record.ending, Fulfilled) and digest != record.ending.receipt_digest:
        yield (
            ReceiptKind.RECEIPT_NOT_ANCHORED,
            f"The receipt's digest is {to_hex(digest)}; anchored is {to_hex(record.ending.receipt_digest)}.",
        )
    earliest = record.opening.block.timestamp - CLOCK_TOLERANCE_SECONDS
    if receipt.issued_at < earliest:
        yield (
            ReceiptKind.RECEIPT_BEFORE_OPENING,
            f"The receipt was issued at {receipt.issued_at}; the call was opened at {record.opening.block.timestamp}, and "
            f"{CLOCK_TOLERANCE_SECONDS} s are tolerated.",
        )
    if record.logged is not None:
        latest = record.logged.block.timestamp + CLOCK_TOLERANCE_SECONDS
        if receipt.issued_at > latest:
            yield (
                ReceiptKind.RECEIPT_AFTER_POSTING,
                f"The receipt was issued at {receipt.issued_at}; the charge was posted at "
                f"{record.logged.block.timestamp}, and {CLOCK_TOLERANCE_SECONDS} s are tolerated.",
            )


def standing_faults(receipt: Receipt, record: CallRecord, audited: Block) -> Iterator[Fault]:
    """What to say of a receipt whose call has no log at the audited block."""
    if record.logged is not None:
        return
    terms = record.opening.terms
    price = pinned_price(record.opening, receipt.units)
    maximum = terms.amount if price is None else min(terms.amount, price)
    if receipt.charge > maximum:
        yield (
            ReceiptKind.RECEIPT_OVERCHARGES,
            f"The receipt charges {receipt.charge}; escrow and pinned price allow {maximum} for its units.",
        )
    if record.status is CallStatus.OPEN and audited.timestamp <= terms.deadline:
        yield ReceiptKind.RECEIPT_PENDING, f"The oracle can post this receipt until {terms.deadline}."
    else:
        what = "open past its deadline" if record.status is CallStatus.OPEN else record.status.name.lower()
        yield (
            ReceiptKind.RECEIPT_WITHOUT_LOG,
            f"The receipt charges {receipt.charge}, but the call is {what} and was not charged.",
        )


def _fields(receipt: Receipt, record: CallRecord) -> dict[str, tuple[Any, Any]]:
    terms, logged = record.opening.terms, record.logged
    fields: dict[str, tuple[Any, Any]] = {
        "mode": (receipt.mode, Mode.DIRECT),
        "payer": (receipt.payer, terms.payer),
        "oracle": (receipt.oracle, terms.oracle),
        "listing": (receipt.listing_id, terms.listing_id),
        "revision": (receipt.revision, terms.revision),
        "request commitment": (receipt.request_commitment, terms.request_commitment),
        "asset": (receipt.asset, terms.asset),
        # A direct call's escrow is charged once, so all that it was ever charged is this.
        "cumulative spend": (receipt.cumulative_spend, receipt.charge),
    }
    if logged is not None:
        fields |= {
            "result hash": (receipt.result_hash, logged.result_hash),
            "units": (receipt.units, logged.units),
            "charge": (receipt.charge, logged.charge),
        }
    return fields


def _text(value: Any) -> str:
    if isinstance(value, Mode):
        return value.name.lower()
    return to_hex(value) if isinstance(value, bytes) else str(value)

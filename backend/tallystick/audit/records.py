"""What the replay keeps of one call: how it was opened, its public log, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tallystick.audit.findings import Evidence, Kind
from tallystick.chain.events import ChainEvent
from tallystick.chain.types import Block, Revision
from tallystick.protocol.calls import CallState, CallStatus, DirectCall, Mode
from tallystick.protocol.outcomes import unpack_outcome
from tallystick.protocol.prices import Units

Fault = tuple[Kind, str]
"""A kind and the sentence for it; where the evidence is, the caller knows."""


@dataclass(frozen=True)
class Opening:
    """`pinned` is the revision that the terms name, as the catalogue had it then; None if it had none.

    `fee_bps` is the protocol's fee at that moment, in hundredths of a per cent; it holds for the call.
    """

    call_id: bytes
    terms: DirectCall
    pinned: Revision | None
    fee_bps: int
    block: Block
    evidence: Evidence

    @classmethod
    def from_event(cls, event: ChainEvent, block: Block, pinned: Revision | None, fee_bps: int) -> Opening:
        return cls(event.arguments["callId"], call_terms(event), pinned, fee_bps, block, Evidence.of(event))


@dataclass(frozen=True)
class Logged:
    """The public half of a receipt. `charge` in atomic units, in credits for those."""

    call_id: bytes
    mode: Mode
    payer: str
    listing_id: int
    revision: int
    request_commitment: bytes
    result_hash: bytes
    units: Units
    charge: int
    block: Block
    evidence: Evidence

    @classmethod
    def from_event(cls, event: ChainEvent, block: Block) -> Logged:
        """Raises ValueError for a mode that does not exist."""
        values = event.arguments
        outcome = unpack_outcome(values["outcome"])
        return cls(
            values["callId"],
            outcome.mode,
            values["payer"],
            values["listingId"],
            outcome.revision,
            values["requestCommitment"],
            values["resultHash"],
            outcome.units,
            outcome.charge,
            block,
            Evidence.of(event),
        )


@dataclass(frozen=True)
class Fulfilled:
    """The call ended with a charge: what its earner got and what its payer got back, in atomic units."""

    charge: int
    earner: str
    refund: int
    receipt_digest: bytes
    evidence: Evidence


@dataclass(frozen=True)
class GivenBack:
    """The call ended without a charge: all of its escrow is owed to `payer`."""

    status: Literal[CallStatus.DECLINED, CallStatus.REFUNDED]
    payer: str
    refund: int
    evidence: Evidence


@dataclass(frozen=True)
class CallRecord:
    """One call as far as it has come."""

    opening: Opening
    logged: Logged | None = None
    ending: Fulfilled | GivenBack | None = None

    @property
    def status(self) -> CallStatus:
        if self.ending is None:
            return CallStatus.OPEN
        return CallStatus.FULFILLED if isinstance(self.ending, Fulfilled) else self.ending.status

    @property
    def state(self) -> CallState:
        """What the contract's own books must say of this call."""
        terms, fee_bps = self.opening.terms, self.opening.fee_bps
        if self.ending is None:
            return CallState(CallStatus.OPEN, terms.amount, terms.deadline, fee_bps)
        charge = self.ending.charge if isinstance(self.ending, Fulfilled) else 0
        return CallState(self.status, charge, terms.deadline, fee_bps)


def call_terms(event: ChainEvent) -> DirectCall:
    """The terms in a CallOpened."""
    terms: Mapping[str, Any] = event.arguments["call"]
    return DirectCall(
        terms["payer"],
        terms["listingId"],
        terms["revision"],
        terms["oracle"],
        terms["asset"],
        terms["amount"],
        terms["deadline"],
        terms["requestCommitment"],
    )

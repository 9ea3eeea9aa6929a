"""What the store holds, a class per state: a call's life at the oracle, and a posting's way onto the chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tallystick.chain.types import Mined, SignedTransaction
from tallystick.protocol.calls import DirectCall, Outcome
from tallystick.protocol.disclosure import Disclosure
from tallystick.protocol.receipts import SignedReceipt
from tallystick.protocol.requests import InferenceRequest


@dataclass(frozen=True)
class Reservation:
    """A verified call that is claimed for inference; whoever holds it may run the model, once. `reserved_at`: Unix seconds."""

    call_id: bytes
    call: DirectCall
    salt: bytes
    request: InferenceRequest
    reserved_at: int

    def same_request(self, salt: bytes, request: InferenceRequest) -> bool:
        return self.salt == salt and self.request.canonical() == request.canonical()


@dataclass(frozen=True)
class Completed:
    """A call with its answer: the signed receipt and the exact bytes of the reply."""

    reservation: Reservation
    signed: SignedReceipt
    parameters: Mapping[str, Any]
    result: Any
    reply: bytes

    @property
    def disclosure(self) -> Disclosure:
        return Disclosure(self.reservation.salt, self.reservation.request, self.parameters, self.result)


@dataclass(frozen=True)
class Abandoned:
    """A call that got no answer and is not charged; `failure` is the error body that its payer is shown."""

    reservation: Reservation
    failure: Mapping[str, Any]


StoredCall = Reservation | Completed | Abandoned


@dataclass(frozen=True)
class Fulfil:
    """Post a result."""

    outcome: Outcome


@dataclass(frozen=True)
class Decline:
    """Give the escrow back."""


Action = Fulfil | Decline


@dataclass(frozen=True)
class Queued:
    """To be posted; no transaction yet."""

    posting_id: int
    call_id: bytes
    call: DirectCall
    action: Action


@dataclass(frozen=True)
class Signed:
    """Its transaction is stored, so that the same bytes can be sent again and again; not known to be with a node."""

    queued: Queued
    transaction: SignedTransaction


@dataclass(frozen=True)
class Posted:
    """A node has taken the transaction."""

    queued: Queued
    transaction: SignedTransaction


@dataclass(frozen=True)
class Confirmed:
    """In a block, as deep as configured; watched until it is final."""

    queued: Queued
    transaction: SignedTransaction
    mined: Mined


@dataclass(frozen=True)
class Finalised:
    """In a block too deep to be reorganised away."""

    queued: Queued
    transaction: SignedTransaction
    mined: Mined


@dataclass(frozen=True)
class Rejected:
    """The chain will never take it; `failure` is the typed error's body."""

    queued: Queued
    failure: Mapping[str, Any]


Posting = Queued | Signed | Posted | Confirmed | Finalised | Rejected

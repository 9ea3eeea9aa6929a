"""The life of a directly paid call at the oracle, from its verification to its record.

One type a step: `verify` makes a Verified, `reserve` turns it into a Reservation, `infer` that into an Inferred, and
`record` into a Completed. A step takes nothing but what the one before it returned, so none can be left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tallystick.chain.port import Chain
from tallystick.chain.types import Revision
from tallystick.chain.wallet import Wallet
from tallystick.errors import (
    CallClosed,
    CallNotOpened,
    CommitmentMismatch,
    DeadlineTooClose,
    EscrowTooSmall,
    InferenceFailed,
    ListingWithdrawn,
    TallystickError,
    WrongOracle,
)
from tallystick.inference.runner import Inference, Runner
from tallystick.metering.steps import Checkpoint, Step, When, no_checkpoint
from tallystick.protocol.calls import CallStatus, DirectCall, Mode, Outcome
from tallystick.protocol.canonical import canonical_bytes
from tallystick.protocol.commitments import parameters_hash, request_commitment, result_hash
from tallystick.protocol.hexes import to_hex
from tallystick.protocol.payments import DirectPayment
from tallystick.protocol.receipts import Receipt
from tallystick.protocol.requests import InferenceRequest
from tallystick.store.records import Abandoned, Completed, Fulfil, Reservation, StoredCall
from tallystick.store.store import Store


@dataclass(frozen=True)
class Served:
    """A revision that this oracle can run: what the chain says of it, and the model."""

    revision: Revision
    runner: Runner


@dataclass(frozen=True)
class Quote:
    """What a request costs at most, and what it was checked with."""

    request: InferenceRequest
    served: Served
    parameters: Mapping[str, Any]
    maximum: int


@dataclass(frozen=True)
class Verified:
    """A request whose payment was found on chain, deep enough, and covers it."""

    payment: DirectPayment
    call_id: bytes
    quote: Quote


@dataclass(frozen=True)
class Inferred:
    """A reserved call with the model's result."""

    reservation: Reservation
    quote: Quote
    inference: Inference


@dataclass(frozen=True)
class Taken:
    """The call was claimed before, by this or another worker; `found` is how far it has come."""

    found: StoredCall


ReplyWriter = Callable[[Receipt, "Inferred", bytes], bytes]
"""Makes the reply's bytes from the receipt, what was inferred and the signature; the HTTP layer owns its shape."""


class DirectCalls:
    """Admits, runs and records directly paid calls. Safe to use from several threads."""

    def __init__(
        self,
        chain: Chain,
        store: Store,
        wallet: Wallet,
        *,
        write_reply: ReplyWriter,
        confirmations: int = 1,
        service_margin: int = 15,
        posting_margin: int = 5,
        clock: Callable[[], float] = time.time,
        checkpoint: Checkpoint = no_checkpoint,
    ) -> None:
        self._chain = chain
        self._store = store
        self._wallet = wallet
        self._write_reply = write_reply
        self._confirmations = confirmations
        self._service_margin = service_margin
        self._posting_margin = posting_margin
        self._clock = clock
        self._checkpoint = checkpoint

    @property
    def confirmations(self) -> int:
        """How deep a call's opening has to be."""
        return self._confirmations

    def quote(self, request: InferenceRequest, served: Served) -> Quote:
        """Check the request itself and price its worst case. Raises what the runner refuses the request with."""
        parameters = served.runner.effective_parameters(request.parameters)
        worst = served.runner.worst_case(request.input, parameters)
        return Quote(request, served, parameters, served.revision.prices.price_of(worst))

    def stored(self, payment: DirectPayment, request: InferenceRequest) -> StoredCall | None:
        """What is known of this call already. Raises CommitmentMismatch if it was made for another request."""
        found = self._store.find_call(payment.call.call_id(self._chain.domain))
        if found is not None:
            reservation = found if isinstance(found, Reservation) else found.reservation
            if not reservation.same_request(payment.salt, request):
                raise _mismatch(payment)
        return found

    def verify(self, payment: DirectPayment, quote: Quote) -> Verified:
        """Check that the payment covers the request and is on chain, before anything is run (S1, S2, S5).

        Raises WrongOracle, CommitmentMismatch, EscrowTooSmall, DeadlineTooClose, CallNotOpened, CallClosed, or
        ChainUnreachable where that can't be told.
        """
        self._checkpoint(Step.VERIFIED, When.BEFORE)
        call, request = payment.call, quote.request
        if call.oracle != self._wallet.address:
            raise WrongOracle(
                f"The call was opened for oracle {call.oracle}; this one is {self._wallet.address}. Send it there, or "
                "refund it after its deadline.",
                actual=call.oracle,
                expected=self._wallet.address,
            )
        if (call.listing_id, call.revision) != (request.listing_id, request.revision) or (
            request_commitment(payment.salt, request.canonical()) != call.request_commitment
        ):
            raise _mismatch(payment)
        if call.amount < quote.maximum or call.asset != quote.served.revision.prices.asset:
            raise EscrowTooSmall(
                f"This request can cost {quote.maximum}, but the call escrows {call.amount}. Open a call with at least "
                f"{quote.maximum}; this one's escrow can be refunded after its deadline.",
                required=str(quote.maximum),
                available=str(call.amount),
                asset=quote.served.revision.prices.asset,
                deadline=call.deadline,
            )
        call_id = call.call_id(self._chain.domain)
        self._verify_on_chain(call, call_id)
        verified = Verified(payment, call_id, quote)
        self._checkpoint(Step.VERIFIED, When.AFTER)
        return verified

    def verify_again(self, reservation: Reservation) -> None:
        """Before a call of the last run is gone on with: it may have ended or vanished meanwhile (S5). Raises as `verify`."""
        self._verify_on_chain(reservation.call, reservation.call_id)

    def reserve(self, verified: Verified) -> Reservation | Taken:
        """Claim the call, durably and at most once over all workers: a Reservation is the caller's alone to run."""
        self._checkpoint(Step.RESERVED, When.BEFORE)
        payment = verified.payment
        mine = Reservation(verified.call_id, payment.call, payment.salt, verified.quote.request, int(self._clock()))
        found = self._store.reserve(mine)
        self._checkpoint(Step.RESERVED, When.AFTER)
        return mine if found is None else Taken(found)

    def infer(self, reservation: Reservation, quote: Quote) -> Inferred | Abandoned:
        """Run the model. A run that fails is abandoned durably, and its escrow queued to go back (M4)."""
        self._checkpoint(Step.INFERRED, When.BEFORE)
        try:
            self._require_time(reservation)
            inference = quote.served.runner.run(quote.request.input, quote.parameters)
            self._require_time(reservation)
        except (InferenceFailed, DeadlineTooClose) as error:
            return self.abandon(reservation, error)
        except Exception as error:
            unexpected = InferenceFailed(
                f"The model failed ({type(error).__name__}). Nothing is charged: the escrow goes back to the payer."
            )
            return self.abandon(reservation, unexpected)
        self._checkpoint(Step.INFERRED, When.AFTER)
        return Inferred(reservation, quote, inference)

    def record(self, inferred: Inferred) -> Completed:
        """Sign the receipt and store it with the reply and the posting to come, in one transaction."""
        self._checkpoint(Step.RECORDED, When.BEFORE)
        reservation, call, salt = inferred.reservation, inferred.reservation.call, inferred.reservation.salt
        revision, units = inferred.quote.served.revision, inferred.inference.units
        # Never above what was escrowed, whatever the engine says it used (M3). At the highest tier: which one holds is
        # known when the call is posted, and a receipt above that could not be.
        charge = min(revision.terms.lowest_price_of(units), call.amount)
        receipt = Receipt(
            call_id=reservation.call_id,
            mode=Mode.DIRECT,
            payer=call.payer,
            oracle=call.oracle,
            listing_id=call.listing_id,
            revision=call.revision,
            manifest_hash=revision.manifest_hash,
            request_commitment=call.request_commitment,
            parameters_hash=parameters_hash(salt, canonical_bytes(dict(inferred.quote.parameters))),
            result_hash=result_hash(salt, canonical_bytes(inferred.inference.result)),
            units=units,
            asset=call.asset,
            charge=charge,
            cumulative_spend=charge,
            issued_at=int(self._clock()),
        )
        signed = receipt.signed(self._chain.domain, self._wallet.key)
        completed = Completed(
            reservation,
            signed,
            inferred.quote.parameters,
            inferred.inference.result,
            self._write_reply(receipt, inferred, signed.signature),
        )
        outcome = Outcome(receipt.result_hash, receipt.digest(self._chain.domain), units, charge)
        self._store.complete(completed, Fulfil(outcome))
        self._checkpoint(Step.RECORDED, When.AFTER)
        return completed

    def abandon(self, reservation: Reservation, error: TallystickError) -> Abandoned:
        """End a call without an answer: nothing is charged, and its escrow is queued to go back to the payer."""
        failure = error.body()
        self._store.abandon(reservation, failure)
        return Abandoned(reservation, failure)

    def _require_time(self, reservation: Reservation) -> None:
        """A receipt that can't be posted in time would be an answer without a charge. Raises DeadlineTooClose."""
        now = int(self._clock())
        if now + self._posting_margin > reservation.call.deadline:
            raise DeadlineTooClose(
                f"The call's turn came too late for its deadline {reservation.call.deadline} (now {now}). Nothing is charged: "
                "the escrow goes back to the payer. Open a call with more time.",
                deadline=reservation.call.deadline,
                now=now,
            )

    def _verify_on_chain(self, call: DirectCall, call_id: bytes) -> None:
        self._chain.verify_history()
        deep = self._chain.call_state(call_id, self._confirmations)
        newest = deep if self._confirmations == 1 else self._chain.call_state(call_id)
        if newest.status is CallStatus.NONE or deep.status is CallStatus.NONE:
            raise CallNotOpened(
                f"Call {to_hex(call_id)} is not on chain {self._confirmations} block(s) deep. Open it first, or wait for "
                "its confirmations and send the same request again.",
                call_id=to_hex(call_id),
                confirmations=self._confirmations,
                escrow=self._chain.domain.escrow,
            )
        if newest.status is not CallStatus.OPEN:
            raise CallClosed(
                f"Call {to_hex(call_id)} is {newest.status.name.lower()} on chain and can't be used again. Open a new "
                "one; what you are owed can be withdrawn.",
                call_id=to_hex(call_id),
                status=newest.status.name.lower(),
            )
        # The chain's clock decides; where no block was mined for a while, ours is closer to the next block's.
        now = max(self._chain.head().timestamp, int(self._clock()))
        if now + self._service_margin > call.deadline:
            raise DeadlineTooClose(
                f"The call's deadline {call.deadline} is less than {self._service_margin} s away (now {now}). Refund it "
                "once it has passed, and open a call with more time.",
                deadline=call.deadline,
                now=now,
                required_seconds=self._service_margin,
            )


def check_for_sale(listing_id: int, withdrawn: bool) -> None:
    """Raises ListingWithdrawn for a request that is not paid yet; calls already open are served to their end."""
    if withdrawn:
        raise ListingWithdrawn(
            f"Listing {listing_id} is off sale; choose another. Nothing was charged.", listing=str(listing_id)
        )


def _mismatch(payment: DirectPayment) -> CommitmentMismatch:
    return CommitmentMismatch(
        "This payment was made for another request: listing, revision, method, parameters, input and salt must be those "
        "it was opened with. Send that request, or open a call for this one. Nothing was charged.",
        expected=to_hex(payment.call.request_commitment),
        deadline=payment.call.deadline,
    )

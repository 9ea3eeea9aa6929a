"""From the store onto the chain: every answered call is posted once, whatever happens in between (S3, S4).

A posting goes queued → signed → posted → confirmed → finalised. The signed bytes are stored before they are sent and are
sent again, unchanged, until the chain has them. One thread of one process posts for a key, in the order of its nonces.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from tallystick.chain.port import Chain
from tallystick.chain.types import Mined, Pending
from tallystick.chain.wallet import Wallet
from tallystick.errors import (
    ChainError,
    ChainUnreachable,
    ContractRefused,
    NodeError,
    StoreUnavailable,
    TallystickError,
)
from tallystick.metering.steps import Checkpoint, Step, When, no_checkpoint
from tallystick.protocol.calls import CallStatus
from tallystick.protocol.hexes import to_hex
from tallystick.store.records import (
    Confirmed,
    Finalised,
    Fulfil,
    Posted,
    Posting,
    Queued,
    Rejected,
    Signed,
)
from tallystick.store.store import Store

log = logging.getLogger("tallystick.posting")

IDLE_SECONDS = 0.5
BUSY_SECONDS = 0.02
TROUBLE_SECONDS = 1.0
RESEND_SECONDS = 5.0


class Poster:
    """Moves every unfinished posting as far as the chain lets it."""

    def __init__(
        self,
        chain: Chain,
        store: Store,
        wallet: Wallet,
        *,
        confirmations: int = 1,
        finality: int = 1,
        checkpoint: Checkpoint = no_checkpoint,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._chain = chain
        self._store = store
        self._wallet = wallet
        self._confirmations = confirmations
        self._finality = max(finality, confirmations)
        self._checkpoint = checkpoint
        self._clock = clock
        self._sent_at: dict[int, float] = {}
        self._wake = threading.Event()
        self._moved = threading.Condition()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.trouble: str | None = None
        """Why the last round got stuck, for the readiness route; None while postings flow."""

    # ---- the thread ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="poster", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There is something new to post."""
        self._wake.set()

    def wait_for_a_move(self, seconds: float) -> None:
        """Return when some posting has moved, or after `seconds`."""
        with self._moved:
            self._moved.wait(seconds)

    def stop(self, wait: float) -> None:
        """End the thread. What is not posted yet is in the store and goes on at the next start."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(wait)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            try:
                pause = self.round()
            except Exception as error:
                self.trouble = f"unexpected {type(error).__name__}"
                log.exception("a round of postings failed unexpectedly")
                pause = TROUBLE_SECONDS
            self._wake.wait(pause)

    def round(self) -> float:
        """Move every posting once, oldest first. Returns the seconds until the next round is worth while."""
        troubles: list[str] = []
        try:
            before = self._store.unfinished_postings()
            if before:
                # On a chain that was reset our transactions would mean something else, or nothing (S5).
                self._chain.verify_history()
            after = [self._advance_as_far_as_possible(posting, troubles) for posting in before]
        except (ChainError, StoreUnavailable) as error:
            # Nothing moves while either is gone; the rest of the round would only wait for it too.
            troubles.append(_hold_up(error))
            after = []
        self.trouble = troubles[0] if troubles else None
        if troubles:
            return TROUBLE_SECONDS
        if all(isinstance(posting, Finalised | Rejected) for posting in after):
            return IDLE_SECONDS
        return BUSY_SECONDS if before != after else 5 * BUSY_SECONDS

    def _advance_as_far_as_possible(self, posting: Posting, troubles: list[str]) -> Posting:
        """One posting that is stuck does not hold up those behind it, unless nothing can move at all."""
        try:
            while (advanced := self.advance(posting)) != posting:
                posting = advanced
                with self._moved:
                    self._moved.notify_all()
        except (ChainUnreachable, StoreUnavailable) as error:
            if not isinstance(error, NodeError):
                raise
            troubles.append(_hold_up(error))
        except ChainError as error:
            troubles.append(_hold_up(error))
        except Exception as error:
            # A defect must not silence every posting that comes after it.
            troubles.append(f"unexpected {type(error).__name__}")
            log.exception("posting failed unexpectedly")
        return posting

    # ---- one posting --------------------------------------------------------------------------------------------------

    def advance(self, posting: Posting) -> Posting:
        """Take the next step of one posting if the chain allows it, else return it as it is."""
        if isinstance(posting, Queued):
            return self._sign(posting)
        if isinstance(posting, Signed):
            return self._send(posting)
        if isinstance(posting, Posted):
            return self._confirm(posting)
        if isinstance(posting, Confirmed):
            return self._finalise(posting)
        return posting

    def _sign(self, queued: Queued) -> Posting:
        self._checkpoint(Step.QUEUED, When.BEFORE)
        nonce = self._next_nonce()
        try:
            if isinstance(queued.action, Fulfil):
                transaction = self._chain.prepare_fulfil(self._wallet, queued.call, queued.action.outcome, nonce)
            else:
                transaction = self._chain.prepare_decline(self._wallet, queued.call, nonce)
        except ContractRefused as refusal:
            if not refusal.name or self._may_return(queued, refusal):
                raise  # nothing says that it is for good
            return self._reject(queued, refusal)
        signed = self._store.sign_posting(queued, transaction)
        self._checkpoint(Step.QUEUED, When.AFTER)
        return signed

    def _send(self, signed: Signed) -> Posting:
        self._checkpoint(Step.POSTED, When.BEFORE)
        self._sent_at[signed.queued.posting_id] = self._clock()
        try:
            self._chain.broadcast(signed.transaction)
        except ChainError:
            if self._nonce_was_taken(signed):
                log.error("nonce used outside this oracle", extra={"call_id": to_hex(signed.queued.call_id)})
                return self._store.requeue_posting(signed.queued)
            raise
        posted = self._store.mark_posted(signed)
        self._checkpoint(Step.POSTED, When.AFTER)
        return posted

    def _confirm(self, posted: Posted) -> Posting:
        found = self._chain.outcome(posted.transaction.hash)
        if isinstance(found, Pending):
            return self._send_again(posted)
        if found.depth < self._confirmations:
            return posted
        if not found.succeeded:
            return self._after_revert(posted)
        self._checkpoint(Step.CONFIRMED, When.BEFORE)
        confirmed = self._store.mark_confirmed(posted, found)
        self._checkpoint(Step.CONFIRMED, When.AFTER)
        return self._finalise_at(confirmed, found)

    def _after_revert(self, posted: Posted) -> Posting:
        """A transaction that ran out of gas, or was too early, says nothing of the next; only a typed refusal ends it."""
        queued = posted.queued
        try:
            refusal = self._chain.why_reverted(posted.transaction.hash)
        except ChainError:
            refusal = ContractRefused("It reverted, for a reason that the node does not give.", name="", arguments={})
        if self._may_return(queued, refusal):
            return self._store.requeue_posting(queued)
        if not refusal.name and self._chain.call_state(queued.call_id).status is CallStatus.OPEN:
            log.warning("a posting reverted without a reason", extra={"call_id": to_hex(queued.call_id)})
            return self._store.requeue_posting(queued)
        return self._reject(queued, refusal)

    def _send_again(self, posted: Posted) -> Posting:
        """A node may drop what it took: the same bytes again, every so often."""
        identifier, now = posted.queued.posting_id, self._clock()
        if now - self._sent_at.get(identifier, 0.0) >= RESEND_SECONDS:
            self._sent_at[identifier] = now
            return self._send(Signed(posted.queued, posted.transaction))
        return posted

    def _finalise(self, confirmed: Confirmed) -> Posting:
        found = self._chain.outcome(confirmed.transaction.hash)
        if not isinstance(found, Mined) or found.block_hash != confirmed.mined.block_hash or not found.succeeded:
            log.warning("a posted result was reorganised away", extra={"call_id": to_hex(confirmed.queued.call_id)})
            return self._store.mark_posted(confirmed)
        return self._finalise_at(confirmed, found)

    def _finalise_at(self, confirmed: Confirmed, found: Mined) -> Posting:
        if found.depth < self._finality:
            return confirmed
        self._checkpoint(Step.FINALISED, When.BEFORE)
        finalised = self._store.mark_finalised(confirmed, found)
        self._sent_at.pop(finalised.queued.posting_id, None)
        self._checkpoint(Step.FINALISED, When.AFTER)
        return finalised

    def _may_return(self, queued: Queued, refusal: ContractRefused) -> bool:
        """A reorganisation took the call's opening; most come back in a later block, and can until the deadline."""
        gone = refusal.name == "Escrow_CallNotInState" and refusal.arguments["actual"] == str(int(CallStatus.NONE))
        return gone and self._chain.head().timestamp <= queued.call.deadline

    def _reject(self, queued: Queued, refusal: ContractRefused) -> Rejected:
        """The contract will not take it: its deadline is over, or the call has ended some other way."""
        log.error("a posting was refused", extra={"call_id": to_hex(queued.call_id), "code": refusal.name})
        return self._store.mark_rejected(queued, refusal.body())

    def _next_nonce(self) -> int:
        """Above everything mined and everything stored: a stored transaction may still be on its way."""
        stored = self._store.highest_nonce(self._wallet.address)
        return max(self._chain.next_nonce(self._wallet.address), 0 if stored is None else stored + 1)

    def _nonce_was_taken(self, signed: Signed) -> bool:
        mined = self._chain.next_nonce(self._wallet.address)
        return mined > signed.transaction.nonce and isinstance(self._chain.outcome(signed.transaction.hash), Pending)


def _hold_up(error: TallystickError) -> str:
    log.warning("posting is held up", extra={"code": error.code})
    return error.message

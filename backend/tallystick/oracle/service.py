"""The oracle without HTTP: the life of one call, told in order, and what can be asked about it."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tallystick.chain.port import Chain
from tallystick.chain.wallet import Wallet
from tallystick.errors import (
    CallClosed,
    CallInProgress,
    ChainError,
    ChainUnreachable,
    DeadlineTooClose,
    InferenceFailed,
    InvalidRequest,
    PaymentRequired,
    TallystickError,
    UnknownCall,
    UnknownListing,
)
from tallystick.metering.direct import DirectCalls, Inferred, Taken, Verified, check_for_sale
from tallystick.metering.posting import Poster
from tallystick.metering.steps import Checkpoint, Step, When, no_checkpoint
from tallystick.oracle import replies
from tallystick.oracle.catalogue import Catalogue
from tallystick.protocol.canonical import canonical_bytes
from tallystick.protocol.hexes import from_decimal, to_hex
from tallystick.protocol.payments import DirectPayment, parse_payment
from tallystick.protocol.requests import InferenceRequest
from tallystick.store.records import Abandoned, Completed, Posting, Queued, Reservation, Signed, StoredCall
from tallystick.store.store import Store

log = logging.getLogger("tallystick.calls")

POLL_SECONDS = 0.01
MOVE_SECONDS = 0.05
CLASSIFY = "classify"


@dataclass(frozen=True)
class Answer:
    """A reply's exact bytes, whether they were stored before, and how far the posting has come."""

    call_id: bytes
    body: bytes
    replayed: bool
    posting: Posting | None


@dataclass(frozen=True)
class Waits:
    """Seconds: for the posting before a reply leaves, and for another request's reply to the same call."""

    post: float = 5.0
    reply: float = 30.0


class OracleService:
    """Everything the routes do. Safe to use from several threads."""

    def __init__(
        self,
        chain: Chain,
        store: Store,
        catalogue: Catalogue,
        wallet: Wallet,
        direct: DirectCalls,
        poster: Poster,
        *,
        service_margin: int = 15,
        waits: Waits | None = None,
        checkpoint: Checkpoint = no_checkpoint,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._chain = chain
        self._store = store
        self._catalogue = catalogue
        self._wallet = wallet
        self._direct = direct
        self._poster = poster
        self._service_margin = service_margin
        self._waits = waits or Waits()
        self._checkpoint = checkpoint
        self._sleep = sleep
        self._lock = threading.Lock()
        self._working: Counter[bytes] = Counter()
        self._resuming = threading.Lock()
        self._ready = threading.Event()
        self.not_ready = "starting"

    # ---- start and end ------------------------------------------------------------------------------------------------

    def recover(self) -> None:
        """End what the last run left reserved, then go on posting. Called once, before anything is served."""
        for reservation in self._store.reservations():
            log.info("resuming a call of the last run", extra={"call_id": to_hex(reservation.call_id)})
            self._resume(reservation)
        self._poster.start()
        self._ready.set()

    def stop(self, wait: float) -> None:
        self._ready.clear()
        self.not_ready = "stopping"
        self._poster.stop(wait)

    def wait_until_idle(self, seconds: float) -> bool:
        """Whether nobody is between reserving and recording a call any more, waiting for it up to `seconds`."""
        waited = 0.0
        while self._working and waited < seconds:
            self._sleep(POLL_SECONDS)
            waited += POLL_SECONDS
        return not self._working

    def ready(self) -> str | None:
        """None if requests can be served, else why not."""
        if not self._ready.is_set():
            return self.not_ready
        try:
            self._chain.verify_history()
        except ChainError as error:
            return error.message
        return self._poster.trouble

    def _resume(self, reservation: Reservation) -> None:
        request = reservation.request
        try:
            self._direct.verify_again(reservation)
            quote = self._direct.quote(request, self._catalogue.served(request.listing_id, request.revision))
        except ChainError:
            raise  # nothing is known of the call; it is looked at again at the next start
        except TallystickError as error:
            self._direct.abandon(reservation, error)
            return
        inferred = self._direct.infer(reservation, quote)
        if isinstance(inferred, Inferred):
            self._direct.record(inferred)

    # ---- one call -----------------------------------------------------------------------------------------------------

    def classify(self, body: Any, payment_header: str | None) -> Answer:
        """Answer one request: verify, reserve, infer, record, post. Raises PaymentRequired with the quote if unpaid."""
        self._checkpoint(Step.RECEIVED, When.BEFORE)
        self._require_ready()
        payment = parse_payment(payment_header) if payment_header is not None else None
        request = self._request(body, payment)
        self._checkpoint(Step.RECEIVED, When.AFTER)
        if payment is None:
            raise self._payment_required(request)

        stored = self._direct.stored(payment, request)
        if stored is not None:
            return self._replay(stored)
        served = self._catalogue.served(request.listing_id, request.revision)
        try:
            verified = self._direct.verify(payment, self._direct.quote(request, served))
        except CallClosed:
            # Another worker may have answered, and posted, since we looked.
            stored = self._direct.stored(payment, request)
            if stored is None:
                raise
            return self._replay(stored)
        ended = self._run(verified)
        self._poster.wake()
        if isinstance(ended, Taken):
            return self._replay(ended.found)
        if isinstance(ended, Abandoned):
            raise _failure(ended)
        log.info(
            "call answered",
            extra={"call_id": to_hex(verified.call_id), "charge": str(ended.signed.receipt.charge)},
        )
        posting = self._await_posting(verified.call_id)
        return Answer(verified.call_id, ended.reply, replayed=False, posting=posting)

    def _run(self, verified: Verified) -> Completed | Abandoned | Taken:
        """Reserve, infer, record: the part that happens once for a call."""
        with self._at_work(verified.call_id):
            reservation = self._direct.reserve(verified)
            if isinstance(reservation, Taken):
                return reservation
            inferred = self._direct.infer(reservation, verified.quote)
            return inferred if isinstance(inferred, Abandoned) else self._direct.record(inferred)

    @contextmanager
    def _at_work(self, call_id: bytes) -> Iterator[None]:
        """Counts who is between reserving and recording a call: a reservation that nobody works on is stranded."""
        with self._lock:
            self._working[call_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._working[call_id] -= 1
                if not self._working[call_id]:
                    del self._working[call_id]

    def _is_stranded(self, call_id: bytes) -> bool:
        with self._lock:
            return call_id not in self._working

    def _request(self, body: Any, payment: DirectPayment | None) -> InferenceRequest:
        """The body as a request; without a revision, the one that the payment names, else the one for sale."""
        listing_id, revision, fields = _checked_body(body)
        if revision is None:
            revision = payment.call.revision if payment else self._catalogue.own_listing(listing_id)[0]
        request = InferenceRequest(CLASSIFY, listing_id, revision, fields["input"], fields.get("parameters", {}))
        try:
            request.canonical()
        except ValueError as error:
            raise InvalidRequest(f"The request has no canonical form: {error}.", param="input") from None
        return request

    def _payment_required(self, request: InferenceRequest) -> PaymentRequired:
        latest, withdrawn = self._catalogue.own_listing(request.listing_id)
        check_for_sale(request.listing_id, withdrawn)
        quote = self._direct.quote(request, self._catalogue.served(request.listing_id, request.revision))
        details = replies.quote_details(
            quote,
            self._chain.domain,
            self._wallet.address,
            service_margin=self._service_margin,
            confirmations=self._direct.confirmations,
        )
        superseded = "" if request.revision == latest else f" Revision {latest} is the one for sale now."
        return PaymentRequired(
            f"This request costs at most {quote.maximum} (atomic units of {quote.served.revision.prices.asset}). Open a "
            f"call on escrow {self._chain.domain.escrow} with that amount and send the same request with its "
            f"Tallystick-Payment header.{superseded} Nothing was charged.",
            **details,
        )

    def _replay(self, stored: StoredCall) -> Answer:
        """The stored reply, byte for byte; while another request works on it, wait for that."""
        waited = 0.0
        while isinstance(stored, Reservation):
            if self._is_stranded(stored.call_id):
                self._go_on(stored)
                stored = self._store.find_call(stored.call_id) or stored
                continue
            if waited >= self._waits.reply:
                raise CallInProgress(
                    f"Call {to_hex(stored.call_id)} is being worked on. Send the same request again in a moment: it costs "
                    "nothing more.",
                    call_id=to_hex(stored.call_id),
                )
            self._sleep(POLL_SECONDS)
            waited += POLL_SECONDS
            stored = self._store.find_call(stored.call_id) or stored
        if isinstance(stored, Abandoned):
            raise _failure(stored)
        call_id = stored.reservation.call_id
        return Answer(call_id, stored.reply, replayed=True, posting=self._store.find_posting(call_id))

    def _go_on(self, stranded: Reservation) -> None:
        """The store failed between reserving and recording this call; its payer came back, so end it now."""
        with self._resuming, self._at_work(stranded.call_id):
            if isinstance(self._store.find_call(stranded.call_id), Reservation):
                self._resume(stranded)
                self._poster.wake()

    def _await_posting(self, call_id: bytes) -> Posting | None:
        """Give the posting a moment, so that the reply can name its transaction; it goes on without us if it takes longer."""
        waited = 0.0
        posting = self._store.find_posting(call_id)
        while isinstance(posting, Queued | Signed) and waited < self._waits.post:
            self._poster.wait_for_a_move(MOVE_SECONDS)
            waited += MOVE_SECONDS
            posting = self._store.find_posting(call_id)
        return posting

    def _require_ready(self) -> None:
        if not self._ready.is_set():
            raise ChainUnreachable(
                f"The oracle can't serve yet: {self.not_ready}. Nothing was charged; try again soon."
            )

    # ---- what can be asked --------------------------------------------------------------------------------------------

    def call(self, call_id: bytes) -> dict[str, Any]:
        """Raises UnknownCall."""
        stored = self._store.find_call(call_id)
        if stored is None:
            raise UnknownCall(f"This oracle has no call {to_hex(call_id)}.", call_id=to_hex(call_id))
        return replies.call_entry(call_id, stored, self._store.find_posting(call_id))

    def models(self) -> list[dict[str, Any]]:
        self._require_ready()
        return [
            replies.model_entry(served, self._chain.listing(served.revision.listing_id), self._chain.domain)
            for served, _withdrawn in self._catalogue.for_sale()
        ]

    def manifest(self, manifest_hash: bytes) -> bytes:
        """Canonical bytes of the manifest of a loaded model. Raises UnknownListing."""
        runner = self._catalogue.loaded(manifest_hash)
        if runner is None:
            raise UnknownListing(f"No model with manifest {to_hex(manifest_hash)} is loaded here.")
        return canonical_bytes(runner.manifest.to_dict())

    def receipts(self, after: int, limit: int) -> dict[str, Any]:
        """A page of the public archive: signed receipts, without disclosures."""
        page = self._store.receipts(after=after, limit=limit)
        entries = [{**signed.to_dict(), "disclosure": None} for _number, signed in page]
        return {"object": "list", "data": entries, "next_after": page[-1][0] if page else after}

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        return {"calls": self._store.count_calls(), "postings": self._store.count_postings()}


def _checked_body(body: Any) -> tuple[int, int | None, dict[str, Any]]:
    if not isinstance(body, dict):
        raise InvalidRequest("Send a JSON object with listing and input.")
    unknown = sorted(set(body) - {"listing", "revision", "input", "parameters"})
    if unknown:
        raise InvalidRequest(f"Unknown field {unknown[0][:50]!r}.", param=unknown[0][:50])
    if "input" not in body:
        raise InvalidRequest("The field input is missing: it is what the model is to read.", param="input")
    try:
        listing_id = from_decimal(body.get("listing"), 256)
    except ValueError as error:
        raise InvalidRequest(f'listing: {error}. Name a listing\'s id, such as "1".', param="listing") from None
    revision = body.get("revision")
    if revision is not None:
        try:
            revision = from_decimal(revision, 32)
        except ValueError as error:
            raise InvalidRequest(f"revision: {error}.", param="revision") from None
    if not isinstance(body.get("parameters", {}), dict):
        raise InvalidRequest("parameters is an object.", param="parameters")
    return listing_id, revision, body


def _failure(abandoned: Abandoned) -> TallystickError:
    error = abandoned.failure["error"]
    if error["code"] == DeadlineTooClose.code:
        return DeadlineTooClose(str(error["message"]), **error["details"])
    return InferenceFailed(str(error["message"]), **error["details"])

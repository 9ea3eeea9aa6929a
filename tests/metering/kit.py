"""A shop without a node, a model or a network: what is sold, who pays, and time that passes when it is told to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from coincurve import PrivateKey
from eth_hash.auto import keccak
from sqlalchemy import event
from tallystick.chain.null import NullChain
from tallystick.chain.null_books import NEVER_OPENED
from tallystick.chain.wallet import Wallet
from tallystick.inference.manifest import write_manifest
from tallystick.inference.null import NullRunner, null_manifest
from tallystick.inference.runner import Runner
from tallystick.metering.direct import DirectCalls, Inferred, Quote, Served, Taken, Verified
from tallystick.metering.posting import Poster
from tallystick.metering.steps import Checkpoint, no_checkpoint
from tallystick.oracle.catalogue import Catalogue
from tallystick.oracle.replies import write_reply
from tallystick.oracle.service import OracleService, Waits
from tallystick.protocol.calls import CallState, DirectCall
from tallystick.protocol.commitments import request_commitment
from tallystick.protocol.payments import DirectPayment
from tallystick.protocol.prices import NATIVE, PriceSheet
from tallystick.protocol.requests import InferenceRequest
from tallystick.store.engine import open_engine
from tallystick.store.records import Completed, Reservation
from tallystick.store.store import Store

ORACLE, OWNER, PAYER, STRANGER = (Wallet.from_key(PrivateKey(keccak(bytes([number])))) for number in range(4))
PRICES = PriceSheet(NATIVE, 1_000, 50_000, 0, 2_000)
TEXT = "where is my parcel"
CALL_SECONDS = 600
MARGIN = 15


def null_model(models: Path) -> Path:
    """A folder of models in which the null model's manifest is found."""
    folder = models / "null"
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(folder, null_manifest())
    return models


def open_store(path: Path, clock: Callable[[], float]) -> Store:
    """As the oracle opens it, but for the wait until it is on the disk: nobody pulls the plug in these tests."""
    engine = open_engine(path)
    engine.dispose()
    event.listen(engine, "connect", lambda connection, _record: connection.execute("PRAGMA synchronous=OFF"))
    return Store(engine, clock)


class Clock:
    """Unix time, or any other clock: it stands still until it is moved."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def pass_time(self, seconds: float) -> None:
        self.now += seconds


class HandDriven(Poster):
    """A poster whose rounds are the test's to make."""

    def start(self) -> None:
        """No thread."""


@dataclass(frozen=True)
class Order:
    """One request with what pays for it."""

    request: InferenceRequest
    payment: DirectPayment

    @property
    def call(self) -> DirectCall:
        return self.payment.call

    def body(self) -> dict[str, Any]:
        """The request as a client sends it."""
        return {
            "listing": str(self.request.listing_id),
            "revision": self.request.revision,
            "input": self.request.input,
            "parameters": dict(self.request.parameters),
        }

    def header(self) -> str:
        return self.payment.to_header()


class Shop:
    """One oracle with one listing of the null model, on a null chain, over a store in `folder`."""

    def __init__(
        self,
        folder: Path,
        *,
        confirmations: int = 1,
        finality: int = 1,
        before_run: Callable[[str], object] = lambda _text: None,
    ) -> None:
        self.clock = Clock()
        self.ticks = Clock(0.0)
        """The monotonic clock, of postings and of compute time."""
        self.confirmations = confirmations
        self.finality = finality
        self.chain = NullChain(clock=self.clock)
        self.path = folder / "oracle.sqlite3"
        self.store = open_store(self.path, self.clock)
        self.runner = NullRunner(clock=self.ticks, before_run=before_run)
        self.listing = self.chain.publish(OWNER.address, ORACLE.address, self.runner.manifest_hash, PRICES)

    def close(self) -> None:
        self.store.close()

    def reopen(self) -> None:
        """The process ended here; another goes on with the same file."""
        self.store.close()
        self.store = open_store(self.path, self.clock)

    def pass_time(self, seconds: float) -> None:
        self.clock.pass_time(seconds)
        self.ticks.pass_time(seconds)

    # ---- the parts ----------------------------------------------------------------------------------------------------

    def direct(self, checkpoint: Checkpoint = no_checkpoint) -> DirectCalls:
        return DirectCalls(
            self.chain,
            self.store,
            ORACLE,
            write_reply=write_reply,
            confirmations=self.confirmations,
            service_margin=MARGIN,
            clock=self.clock,
            checkpoint=checkpoint,
        )

    def poster(self, checkpoint: Checkpoint = no_checkpoint) -> Poster:
        return Poster(
            self.chain,
            self.store,
            ORACLE,
            confirmations=self.confirmations,
            finality=self.finality,
            checkpoint=checkpoint,
            clock=self.ticks,
        )

    def service(
        self,
        models: Path,
        checkpoint: Checkpoint = no_checkpoint,
        *,
        poster: type[Poster] = HandDriven,
        waits: Waits | None = None,
        sleep: Callable[[float], None] = lambda _seconds: None,
    ) -> tuple[OracleService, Poster]:
        """The oracle over this shop's store, not recovered yet, and its poster. `models` has to hold the null model."""
        catalogue = Catalogue(self.chain, models, ORACLE.address, lambda _folder, _hash: self.runner)
        posting = poster(
            self.chain,
            self.store,
            ORACLE,
            confirmations=self.confirmations,
            finality=self.finality,
            checkpoint=checkpoint,
            clock=self.ticks,
        )
        service = OracleService(
            self.chain,
            self.store,
            catalogue,
            ORACLE,
            self.direct(checkpoint),
            posting,
            service_margin=MARGIN,
            waits=waits or Waits(post=0, reply=1),
            checkpoint=checkpoint,
            sleep=sleep,
        )
        return service, posting

    def served(self, runner: Runner | None = None, revision: int = 1) -> Served:
        # From the books: what a test sets up is not asked of the node, which may be down.
        return Served(self.chain.books_at(1).revisions[self.listing, revision], runner or self.runner)

    # ---- orders -------------------------------------------------------------------------------------------------------

    def request(self, text: str = TEXT, **changes: Any) -> InferenceRequest:
        return replace(InferenceRequest("classify", self.listing, 1, text, {}), **changes)

    def maximum(self, request: InferenceRequest) -> int:
        return self.direct().quote(request, self.served()).maximum

    def order(self, text: str = TEXT, *, number: int = 1, seconds: int = CALL_SECONDS, **changes: Any) -> Order:
        """A request and its payment, not opened on chain yet. `changes` are to the call's terms."""
        request = self.request(text)
        salt = keccak(f"salt {number}".encode())
        call = DirectCall(
            PAYER.address,
            self.listing,
            1,
            ORACLE.address,
            NATIVE,
            self.maximum(request),
            int(self.clock()) + seconds,
            request_commitment(salt, request.canonical()),
        )
        return Order(request, DirectPayment(replace(call, **changes), salt))

    def opened(self, text: str = TEXT, *, number: int = 1, seconds: int = CALL_SECONDS, **changes: Any) -> Order:
        """An order whose call is on chain, as deep as it has to be."""
        order = self.order(text, number=number, seconds=seconds, **changes)
        self.chain.open(order.call)
        self.chain.mine(self.confirmations - 1)
        return order

    # ---- steps --------------------------------------------------------------------------------------------------------

    def quote(self, order: Order, runner: Runner | None = None) -> Quote:
        return self.direct().quote(order.request, self.served(runner))

    def verified(self, order: Order, runner: Runner | None = None) -> Verified:
        return self.direct().verify(order.payment, self.quote(order, runner))

    def reserved(self, order: Order) -> Reservation:
        reservation = self.direct().reserve(self.verified(order))
        assert not isinstance(reservation, Taken)
        return reservation

    def answered(self, order: Order, runner: Runner | None = None) -> Completed:
        """From an opened order to its recorded answer."""
        direct, verified = self.direct(), self.verified(order, runner)
        reservation = direct.reserve(verified)
        assert not isinstance(reservation, Taken)
        inferred = direct.infer(reservation, verified.quote)
        assert isinstance(inferred, Inferred)
        return direct.record(inferred)

    # ---- the books ----------------------------------------------------------------------------------------------------

    def state(self, order: Order) -> CallState:
        return self.chain.books_at(1).calls.get(order.call.call_id(self.chain.domain), NEVER_OPENED)

    def logs(self, order: Order) -> list[Any]:
        call_id = order.call.call_id(self.chain.domain)
        return [entry for entry in self.chain.logged() if entry.call_id == call_id]

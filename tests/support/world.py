"""A real marketplace for end-to-end tests: Ganache, contracts deployed by Brownie, oracle processes, payers."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tallystick.chain.deployment import Deployment
from tallystick.chain.events import ChainEvent, read_events
from tallystick.chain.marketplace import Marketplace
from tallystick.chain.rpc import connect, disconnect
from tallystick.chain.wallet import development_wallet
from tallystick.client.client import Client
from tallystick.client.journal import PendingCall
from tallystick.client.remote import RemoteOracle
from tallystick.devnet import marketplace as devnet
from tallystick.devnet.processes import Process, start, wait_until
from tallystick.inference.manifest import write_manifest
from tallystick.inference.null import null_manifest
from tallystick.protocol.prices import NATIVE, PriceSheet
from tallystick.protocol.revisions import RevisionTerms

from tests.support.null_oracle import RUNS
from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
PRICES = PriceSheet(NATIVE, 10**14, 10**15, 0, 0)
NULL_MODEL = "null"
Result = TypeVar("Result")


@dataclass
class World:
    """One chain with its contracts; listings and oracles come and go on it."""

    folder: Path
    rpc_url: str
    deployment: Deployment
    chain: Process
    market: Marketplace = field(init=False)

    def __post_init__(self) -> None:
        self.market = Marketplace(self.rpc_url, self.deployment)

    @property
    def deployment_file(self) -> Path:
        return self.folder / "deployment.json"

    @property
    def models(self) -> Path:
        return self.folder / "models"

    def publish(self, manifest_hash: bytes, prices: PriceSheet = PRICES, revise: int | None = None) -> int:
        """List a manifest as dev:owner, run by dev:oracle; or add a revision. Returns the listing id."""
        owner, oracle = development_wallet("owner", 1337), development_wallet("oracle", 1337)
        transactions = self.market.transactions
        if revise is not None:
            function = self.market.revise_listing(revise, RevisionTerms(oracle.address, manifest_hash, prices))
            transactions.send_and_wait(transactions.prepare(owner, function))
            return revise
        function = self.market.publish_listing(RevisionTerms(oracle.address, manifest_hash, prices))
        return self.market.published_in(transactions.send_and_wait(transactions.prepare(owner, function)))

    def null_listing(self) -> int:
        """A listing of the null model, whose folder the null oracle finds."""
        folder = self.models / NULL_MODEL / "artifacts" / "model"
        folder.mkdir(parents=True, exist_ok=True)
        write_manifest(folder, null_manifest())
        return self.publish(null_manifest().hash())

    def events(self, call_id: bytes | None = None) -> list[ChainEvent]:
        web3 = connect(self.rpc_url, 10.0)
        try:
            found = list(read_events(web3, self.rpc_url, self.deployment, to_block=self.market.head().number))
        finally:
            disconnect(web3)
        return [event for event in found if call_id is None or event.arguments.get("callId") == call_id]

    def rpc(self, method: str, *parameters: Any) -> Any:
        web3 = connect(self.rpc_url, 10.0)
        try:
            return web3.provider.make_request(method, list(parameters))["result"]  # type: ignore[arg-type]
        finally:
            disconnect(web3)

    def pass_time(self, seconds: int) -> None:
        """Move the chain's clock ahead and mine a block."""
        self.rpc("evm_increaseTime", seconds)
        self.rpc("evm_mine")

    def environment(self, state: Path, port: int, **extra: str) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("TALLYSTICK_")},
            "TALLYSTICK_RPC_URL": self.rpc_url,
            "TALLYSTICK_DEPLOYMENT_FILE": str(self.deployment_file),
            "TALLYSTICK_STATE_DIR": str(state),
            "TALLYSTICK_MODELS_DIR": str(self.models),
            "TALLYSTICK_ORACLE_URL": f"http://127.0.0.1:{port}",
            "TALLYSTICK_PORT": str(port),
            RUNS: str(state / "runs"),
            **extra,
        }

    @contextmanager
    def oracle(self, state: Path, *, null: bool = True, ready: bool = True, **settings: str) -> Iterator[Oracle]:
        """An oracle process, ended on the way out. `settings` become TALLYSTICK_ variables."""
        port = free_port()
        state.mkdir(parents=True, exist_ok=True)
        extra = {f"TALLYSTICK_{name.upper()}": value for name, value in settings.items()}
        command = (
            [sys.executable, "-m", "tests.support.null_oracle"]
            if null
            else [sys.executable, "-m", "tallystick", "oracle", "run"]
        )
        environment = self.environment(state, port, PYTHONPATH=str(ROOT), **extra)
        process = start(command, state / "oracle.log", environment)
        oracle = Oracle(process, f"http://127.0.0.1:{port}", state)
        try:
            if ready:
                wait_until(lambda: devnet.is_ready(oracle.url), 60, process, "the oracle", state / "oracle.log")
            yield oracle
        finally:
            process.stop()

    @contextmanager
    def payer(
        self, oracle: Oracle, folder: Path, *, role: str = "payer", attempts: int = 5, duration: int = 300
    ) -> Iterator[Client]:
        remote = RemoteOracle(oracle.url, attempts=attempts)
        client = Client(self.market, remote, development_wallet(role, 1337), folder, call_duration=duration)
        try:
            yield client
        finally:
            client.close()


@dataclass(frozen=True)
class Oracle:
    process: Process
    url: str
    state: Path

    def runs(self) -> int:
        """How many inferences were begun in this state folder, over all processes."""
        path = self.state / "runs"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def log(self) -> str:
        return (self.state / "oracle.log").read_text()


@contextmanager
def running_world(folder: Path) -> Iterator[World]:
    """Ganache and the contracts, gone on the way out."""
    checkout = devnet.Checkout.find()
    port = free_port()
    chain = devnet.start_chain(checkout, port, folder / "chain.log")
    try:
        rpc_url = f"http://127.0.0.1:{port}"
        devnet.deploy(checkout, rpc_url, folder / "deployment.json")
        world = World(folder, rpc_url, Deployment.load(folder / "deployment.json"), chain)
        yield world
        world.market.close()
    finally:
        chain.stop()


def eventually(question: Callable[[], Result | None], seconds: float = 30.0) -> Result:
    """The first answer of `question` that is neither None nor false; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        if time.monotonic() > deadline:
            raise AssertionError("it did not happen in time")
        time.sleep(0.02)
    return answer


def settled(client: Client, pending: PendingCall) -> dict[str, Any]:
    """Wait until the oracle says that the call's posting is final."""

    def question() -> dict[str, Any] | None:
        settlement = dict(client.settlement(pending.call_id))
        return settlement if settlement["state"] == "finalised" else None

    return eventually(question)

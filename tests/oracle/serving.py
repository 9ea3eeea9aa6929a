"""The oracle as it is served, over a chain and a model that are null: a real server on a free loopback port."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
from fastapi import FastAPI
from tallystick.chain.marketplace import Marketplace
from tallystick.chain.null import NullChain
from tallystick.chain.wallet import Wallet, development_wallet
from tallystick.inference.manifest import write_manifest
from tallystick.inference.null import NullRunner
from tallystick.oracle.app import create_app
from tallystick.oracle.server import build_service, http_server
from tallystick.oracle.service import OracleService
from tallystick.protocol.calls import DirectCall
from tallystick.protocol.commitments import new_salt, request_commitment
from tallystick.protocol.payments import PAYMENT_HEADER, DirectPayment
from tallystick.protocol.prices import NATIVE, PriceSheet
from tallystick.protocol.requests import InferenceRequest
from tallystick.settings import Settings, load_settings
from tallystick.store.store import Store

PRICES = PriceSheet(NATIVE, 10**14, 10**15, 0, 0)
ESCROWED = 10**16
WAIT = 30.0
"""Seconds that a test waits at most for what has to happen; nothing waits that long unless something is wrong."""


@dataclass(frozen=True)
class Paid:
    """A request and the payment that was opened for it."""

    payment: DirectPayment
    request: InferenceRequest

    @property
    def call(self) -> DirectCall:
        return self.payment.call

    def body(self) -> bytes:
        value = {
            "listing": str(self.request.listing_id),
            "revision": self.request.revision,
            "input": self.request.input,
        }
        return json.dumps(value).encode()

    def headers(self) -> dict[str, str]:
        return {PAYMENT_HEADER: self.payment.to_header(), "content-type": "application/json"}


@dataclass
class Stand:
    """An oracle with one listing, and everything behind it."""

    settings: Settings
    chain: NullChain
    store: Store
    runner: NullRunner
    service: OracleService
    oracle: Wallet
    payer: Wallet
    listing_id: int

    def app(self) -> FastAPI:
        return create_app(self.service, self.settings)

    def call_id(self, paid: Paid) -> str:
        return "0x" + paid.call.call_id(self.chain.domain).hex()

    def pay(self, text: str, salt: bytes | None = None) -> Paid:
        """Open a call for a request, as the payer."""
        salt = salt or new_salt()
        request = InferenceRequest("classify", self.listing_id, 1, text, {})
        call = DirectCall(
            self.payer.address,
            self.listing_id,
            1,
            self.oracle.address,
            NATIVE,
            ESCROWED,
            self.chain.head().timestamp + 300,
            request_commitment(salt, request.canonical()),
        )
        self.chain.open(call)
        return Paid(DirectPayment(call, salt), request)


@contextmanager
def stand(
    folder: Path,
    before_run: Callable[[str], object] = lambda _: None,
    *,
    clock: Callable[[], float] = time.time,
    **settings: Any,
) -> Iterator[Stand]:
    """The parts put together as `run_oracle` does, and taken apart again. `clock`: the chain's."""
    chain, runner = NullChain(clock=clock), NullRunner(before_run=before_run)
    oracle, payer = (development_wallet(role, 1337) for role in ("oracle", "payer"))
    chosen = load_settings({}, state_dir=folder / "state", models_dir=folder / "models", drain=1, **settings)
    model = chosen.models_dir / "null"
    model.mkdir(parents=True)
    write_manifest(model, runner.manifest)
    listing_id = chain.publish(development_wallet("owner", 1337).address, oracle.address, runner.manifest_hash, PRICES)
    store = Store.open(chosen.store_file)
    # The null chain keeps every promise of the port, which is all that the service uses of a marketplace.
    service = build_service(chosen, cast(Marketplace, chain), store, oracle, lambda _folder, _hash: runner)
    try:
        service.recover()
        yield Stand(chosen, chain, store, runner, service, oracle, payer, listing_id)
    finally:
        service.stop(WAIT)
        store.close()


@contextmanager
def serving(app: FastAPI, settings: Settings, *, max_connections: int = 512) -> Iterator[int]:
    """The application on a real server in a thread of its own. Gives the port, on which it listens already."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = http_server(app, settings, max_connections)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server")
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(WAIT)
    assert not thread.is_alive()


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT) as connection:
        yield connection


def head(method: str, path: str, **headers: str) -> bytes:
    """The head of a request, its empty line included; header names with underscores for hyphens."""
    lines = {"host": "127.0.0.1", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return "\r\n".join(
        [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in lines.items()), "", ""]
    ).encode()


def post(paid: Paid) -> bytes:
    """A whole paid request, as it goes over the wire."""
    fields = {name.replace("-", "_"): value for name, value in paid.headers().items()}
    return head("POST", "/v1/classify", content_length=str(len(paid.body())), **fields) + paid.body()


def get(port: int, path: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=WAIT, trust_env=False)


def spellings(secret: bytes) -> list[str]:
    """The ways in which some bytes could stand in a text."""
    text = [
        secret.hex(),
        secret.hex().upper(),
        base64.b64encode(secret).decode(),
        base64.urlsafe_b64encode(secret).decode(),
    ]
    return [*text, repr(secret)[2:-1], str(int.from_bytes(secret, "big"))]

"""One oracle process, from its settings to its last posting."""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from filelock import FileLock, Timeout

from tallystick.chain.deployment import Deployment
from tallystick.chain.marketplace import Marketplace
from tallystick.chain.wallet import DEVELOPMENT_CHAIN_ID, Wallet, development_wallet
from tallystick.errors import ChainUnreachable, InvalidSetting, PortInUse, StartFailed, StoreLocked, TallystickError
from tallystick.inference.runner import Runner
from tallystick.metering.direct import DirectCalls
from tallystick.metering.posting import Poster
from tallystick.metering.steps import Checkpoint, Step, When, no_checkpoint, parse_point
from tallystick.oracle.app import create_app
from tallystick.oracle.catalogue import Catalogue
from tallystick.oracle.connections import MAX_CONNECTIONS, guarded_protocol
from tallystick.oracle.replies import write_reply
from tallystick.oracle.service import OracleService, Waits
from tallystick.protocol.hexes import checksum_address, to_hex
from tallystick.settings import Settings
from tallystick.store.store import Store

log = logging.getLogger("tallystick.oracle")

RETRY_SECONDS = 1.0
GWEI = 10**9


def run_oracle(settings: Settings, wallet: Wallet, load: Callable[[Path, bytes], Runner]) -> None:
    """Serve until SIGINT or SIGTERM. Raises SetupError, ChainError or ModelError where a start makes no sense.

    A node that can't be reached is waited for: until it answers, requests are refused with 503 and readiness is false.
    """
    deployment = Deployment.load(settings.deployment_file)
    checkpoint = crash_checkpoint(settings.crash_at, deployment.chain_id)
    owners = served_owners(settings, deployment.chain_id)
    chain = Marketplace(
        settings.rpc_url, deployment, timeout=settings.rpc_timeout, max_fee=settings.max_fee_gwei * GWEI
    )
    try:
        chain.verify()
    except ChainUnreachable as error:
        log.warning("waiting for the chain: %s", error.message)
    listener = _listen(settings.host, settings.port)
    with listener, _only_one(settings.state_dir):
        store = Store.open(settings.store_file)
        try:
            _bind_store(store, deployment, wallet)
            service = build_service(settings, chain, store, wallet, load, checkpoint, owners=owners)
            _serve(settings, chain, service, listener, checkpoint)
        finally:
            store.close()
            chain.close()


def build_service(
    settings: Settings,
    chain: Marketplace,
    store: Store,
    wallet: Wallet,
    load: Callable[[Path, bytes], Runner],
    checkpoint: Checkpoint = no_checkpoint,
    *,
    owners: frozenset[str] | None = None,
) -> OracleService:
    """Put the parts together; nothing runs yet. `owners`: whose listings are served, None for everybody's."""
    direct = DirectCalls(
        chain,
        store,
        wallet,
        write_reply=write_reply,
        confirmations=settings.confirmations,
        service_margin=settings.service_margin,
        posting_margin=settings.posting_margin,
        checkpoint=checkpoint,
    )
    poster = Poster(
        chain,
        store,
        wallet,
        confirmations=settings.confirmations,
        finality=settings.finality,
        checkpoint=checkpoint,
    )
    return OracleService(
        chain,
        store,
        Catalogue(chain, settings.models_dir, wallet.address, load, owners),
        wallet,
        direct,
        poster,
        service_margin=settings.service_margin,
        waits=Waits(settings.post_wait, settings.reply_wait),
        checkpoint=checkpoint,
    )


def served_owners(settings: Settings, chain_id: int) -> frozenset[str]:
    """Whose listings this oracle serves. Raises InvalidSetting where nobody is named, or not by an address."""
    if not settings.served_owners and chain_id == DEVELOPMENT_CHAIN_ID:
        return frozenset({development_wallet("owner", chain_id).address})
    try:
        owners = frozenset(checksum_address(owner) for owner in settings.served_owners)
    except ValueError as error:
        raise InvalidSetting(f"served_owners: {error}.", setting="served_owners") from None
    if not owners:
        raise InvalidSetting(
            "Name the owners whose listings this oracle serves with TALLYSTICK_SERVED_OWNERS: anybody can list a model "
            "and name this oracle for it.",
            setting="served_owners",
        )
    return owners


def crash_checkpoint(point: str | None, chain_id: int) -> Checkpoint:
    """For crash tests: a checkpoint that kills this process, as SIGKILL does, at one point. Raises InvalidSetting."""
    if point is None:
        return no_checkpoint
    if chain_id != DEVELOPMENT_CHAIN_ID:
        raise InvalidSetting(f"crash_at is for the development chain, not for chain {chain_id}.", setting="crash_at")
    try:
        chosen = parse_point(point)
    except ValueError:
        raise InvalidSetting(f"crash_at: {point!r} is no step:before or step:after.", setting="crash_at") from None

    def checkpoint(step: Step, when: When) -> None:
        if (step, when) == chosen:
            os.kill(os.getpid(), signal.SIGKILL)

    return checkpoint


def http_server(app: FastAPI, settings: Settings, max_connections: int = MAX_CONNECTIONS) -> uvicorn.Server:
    """The server for an application; `run` starts it on a listening socket."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=guarded_protocol(settings.body_timeout, max_connections),
            ws="none",
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=int(settings.drain),
        )
    )


def _serve(
    settings: Settings, chain: Marketplace, service: OracleService, listener: socket.socket, checkpoint: Checkpoint
) -> None:
    server = http_server(create_app(service, settings, checkpoint), settings)
    stopping = threading.Event()
    failures: list[TallystickError] = []

    def begin() -> None:
        try:
            _become_ready(chain, service, stopping)
        except TallystickError as error:
            failures.append(error)
            server.should_exit = True
        except Exception as error:
            log.exception("the start failed unexpectedly")
            failures.append(StartFailed(f"The oracle could not start: {type(error).__name__}; see its log."))
            server.should_exit = True

    starter = threading.Thread(target=begin, name="starter", daemon=True)
    starter.start()
    # The server ends at these signals and raises them once more when it has; by then they have done their work.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: None)
    try:
        server.run(sockets=[listener])
    finally:
        stopping.set()
        starter.join(settings.drain)
        service.stop(settings.drain)
        if not service.wait_until_idle(settings.drain):
            # A run that goes on would write to the store after we let go of it. To end hard is safe: it is a crash like any
            # other, and what is reserved is gone on with at the next start.
            log.warning("calls in flight did not end in time; they go on at the next start")
            os._exit(0)
    if failures:
        raise failures[0]


def _become_ready(chain: Marketplace, service: OracleService, stopping: threading.Event) -> None:
    while not stopping.is_set():
        try:
            chain.verify()
            service.recover()
            log.info("ready")
            return
        except ChainUnreachable as error:
            service.not_ready = error.message
            stopping.wait(RETRY_SECONDS)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(
                f"Port {port} on {host} is taken. Stop what uses it (`tallystick status` shows ours), or choose another "
                "with TALLYSTICK_PORT.",
                port=port,
            ) from None
        raise StartFailed(f"Can't listen on {host}:{port}: {error.strerror}.", port=port) from None
    return listener


def _only_one(state_dir: Path) -> AbstractContextManager[object]:
    """One process a store and key: two would race for nonces. Raises StoreLocked."""
    state_dir.mkdir(parents=True, exist_ok=True)
    try:
        return FileLock(state_dir / "oracle.lock").acquire(timeout=0)
    except Timeout:
        raise StoreLocked(
            f"Another oracle works with {state_dir}. Stop it first, or give this one a state folder of its own."
        ) from None


def _bind_store(store: Store, deployment: Deployment, wallet: Wallet) -> None:
    store.bind(
        {
            "chain": str(deployment.chain_id),
            "genesis": to_hex(deployment.genesis_hash),
            "escrow": deployment.escrow.address,
            "oracle": wallet.address,
        }
    )

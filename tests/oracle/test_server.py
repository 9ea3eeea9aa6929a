"""One oracle process: what it refuses to start with, and what it is like while it waits for its chain."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from filelock import FileLock
from tallystick.chain.wallet import development_wallet
from tallystick.devnet.processes import Process, start, wait_until
from tallystick.errors import (
    ChainUnreachable,
    DeploymentMismatch,
    DeploymentMissing,
    InvalidSetting,
    PortInUse,
    StartFailed,
    StoreLocked,
    StoreMismatch,
)
from tallystick.inference.null import NullRunner
from tallystick.metering.steps import Step, When, no_checkpoint
from tallystick.oracle.server import crash_checkpoint, run_oracle, served_owners
from tallystick.settings import Settings, load_settings
from tallystick.store.store import Store

from tests.support.deployments import write_deployment
from tests.support.ports import free_port
from tests.support.refusals import assert_refused, assert_unchanged

ORACLE = development_wallet("oracle", 1337)


def settings_of(folder: Path, **changes: Any) -> Settings:
    """An oracle's settings with everything in one folder, and a node that is nowhere."""
    fields = {
        "state_dir": folder / "state",
        "models_dir": folder / "models",
        "deployment_file": write_deployment(folder / "deployment.json"),
        "rpc_url": f"http://127.0.0.1:{free_port()}",
        "rpc_timeout": 1,
        "port": free_port(),
        **changes,
    }
    return load_settings({}, **fields)


def run(settings: Settings) -> None:
    run_oracle(settings, ORACLE, lambda _folder, _hash: NullRunner())


# ---- crash points -----------------------------------------------------------------------------------------------------


def test_crash_checkpoint_without_a_point_does_nothing() -> None:
    assert crash_checkpoint(None, 1) is no_checkpoint


@pytest.mark.parametrize("chain_id", [0, 1, 1336, 11155111])
def test_crash_checkpoint_off_the_development_chain_is_refused(chain_id: int) -> None:
    with pytest.raises(InvalidSetting, match=str(chain_id)) as caught:
        crash_checkpoint("reserved:before", chain_id)
    assert caught.value.details["setting"] == "crash_at"


@pytest.mark.parametrize(
    "point", ["", "reserved", "reserved:", ":before", "reserved:during", "lunch:after", "RESERVED:before"]
)
def test_crash_checkpoint_that_names_no_step_is_refused(point: str) -> None:
    with pytest.raises(InvalidSetting, match="crash_at"):
        crash_checkpoint(point, 1337)


def test_crash_checkpoint_kills_at_its_point_and_at_no_other() -> None:
    program = (
        "from tallystick.metering.steps import Step, When\n"
        "from tallystick.oracle.server import crash_checkpoint\n"
        "checkpoint = crash_checkpoint('inferred:after', 1337)\n"
        "for step in Step:\n"
        "    for when in When:\n"
        "        print(step.value, when.value, flush=True)\n"
        "        checkpoint(step, when)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout.splitlines()[-1] == f"{Step.INFERRED.value} {When.AFTER.value}"


# ---- whose listings are served ----------------------------------------------------------------------------------------


def test_served_owners_on_the_development_chain_are_its_owner() -> None:
    assert served_owners(load_settings({}), 1337) == {development_wallet("owner", 1337).address}


def test_served_owners_are_those_of_the_settings() -> None:
    owner = development_wallet("payer", 1337).address
    settings = load_settings({"TALLYSTICK_SERVED_OWNERS": f"{owner.lower()},{ORACLE.address}"})
    for chain_id in (1, 1337):
        assert served_owners(settings, chain_id) == {owner, ORACLE.address}


def test_served_owners_elsewhere_have_to_be_named() -> None:
    """Else anybody could list somebody's model, and have it run here."""
    with pytest.raises(InvalidSetting, match="TALLYSTICK_SERVED_OWNERS"):
        served_owners(load_settings({}), 1)


@pytest.mark.parametrize("text", ["owner", "0x", "0x" + "11" * 19, ORACLE.address[:-1] + "0", f"{ORACLE.address},x"])
def test_served_owners_that_are_no_addresses_are_refused(text: str) -> None:
    with pytest.raises(InvalidSetting, match="served_owners") as caught:
        served_owners(load_settings({"TALLYSTICK_SERVED_OWNERS": text}), 1337)
    assert caught.value.details["setting"] == "served_owners"


# ---- what a start refuses ---------------------------------------------------------------------------------------------


def test_run_oracle_without_a_deployment_file_is_refused(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, deployment_file=tmp_path / "none.json")
    with pytest.raises(DeploymentMissing, match=r"none\.json"):
        run(settings)
    assert not settings.state_dir.exists()


def test_run_oracle_with_contracts_of_another_version_is_refused(tmp_path: Path) -> None:
    file = write_deployment(tmp_path / "deployment.json", escrow=b"\1" * 32)
    with pytest.raises(DeploymentMismatch, match="escrow"):
        run(settings_of(tmp_path / "oracle", deployment_file=file))


def test_run_oracle_with_a_crash_point_off_the_development_chain_is_refused(tmp_path: Path) -> None:
    file = write_deployment(tmp_path / "deployment.json", chain_id=1)
    settings = settings_of(tmp_path / "oracle", deployment_file=file, crash_at="reserved:before")
    with pytest.raises(InvalidSetting, match="crash_at"):
        run(settings)
    assert not settings.state_dir.exists()


def test_run_oracle_on_a_port_in_use_is_refused(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = settings_of(tmp_path, port=taken.getsockname()[1])
        with pytest.raises(PortInUse, match=str(settings.port)) as caught:
            run(settings)
    assert caught.value.details["port"] == settings.port
    assert not settings.state_dir.exists()


@pytest.mark.parametrize("host", ["203.0.113.1", "no-such-host.invalid"])
def test_run_oracle_on_an_address_that_is_not_here_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(StartFailed, match=host):
        run(settings_of(tmp_path, host=host))


def test_run_oracle_on_a_state_folder_in_use_is_refused(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    settings.state_dir.mkdir()
    with FileLock(settings.state_dir / "oracle.lock"), pytest.raises(StoreLocked, match="state"):
        run(settings)
    assert not settings.store_file.exists()


@pytest.mark.parametrize("name", ["chain", "genesis", "escrow", "oracle"])
def test_run_oracle_on_the_store_of_another_deployment_or_key_is_refused(tmp_path: Path, name: str) -> None:
    """S5: what an oracle owes on one chain is not taken for what it owes on another."""
    settings = settings_of(tmp_path)
    facts = {
        "chain": "1337",
        "genesis": "0x" + "77" * 32,
        "escrow": "0x" + "01" * 20,
        "oracle": ORACLE.address,
        name: "another",
    }
    store = Store.open(settings.store_file)
    store.bind(facts)
    store.close()

    def attempt() -> None:
        with pytest.raises(StoreMismatch, match=name):
            run(settings)

    assert_unchanged(lambda: _facts(settings), attempt)


def _facts(settings: Settings) -> bool:
    """Whether the store is still the one that the test made: binding it again to anything else is refused."""
    store = Store.open(settings.store_file)
    try:
        store.bind({"chain": "no such chain"})
    except StoreMismatch:
        return True
    finally:
        store.close()
    return False


# ---- a process that waits for its chain -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Waiting:
    process: Process
    port: int
    state: Path
    environment: dict[str, str]

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=30, trust_env=False)


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Waiting]:
    """A real oracle process whose node can't be reached."""
    folder = tmp_path_factory.mktemp("waiting")
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TALLYSTICK_")},
        "TALLYSTICK_STATE_DIR": str(folder / "state"),
        "TALLYSTICK_DEPLOYMENT_FILE": str(write_deployment(folder / "deployment.json")),
        "TALLYSTICK_RPC_URL": f"http://127.0.0.1:{free_port()}",
        "TALLYSTICK_PORT": str(port),
    }
    log = folder / "oracle.log"
    process = start([sys.executable, "-m", "tallystick", "oracle", "run"], log, environment)
    try:
        wait_until(lambda: _answers(port), 60, process, "the oracle", log)
        yield Waiting(process, port, folder / "state", environment)
    finally:
        process.stop()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False


def test_oracle_without_its_chain_is_alive_and_not_ready(waiting: Waiting) -> None:
    assert waiting.get("/healthz").status_code == 200
    assert_refused(waiting.get("/readyz"), ChainUnreachable)


def test_oracle_without_its_chain_serves_nothing(waiting: Waiting) -> None:
    """S1, S5: no inference for a payment that can't be seen."""
    response = httpx.post(
        f"http://127.0.0.1:{waiting.port}/v1/classify",
        content=b'{"listing":"1","input":"hello"}',
        timeout=30,
        trust_env=False,
    )
    assert_refused(response, ChainUnreachable)
    assert waiting.get("/v1/status").json()["calls"] == {}


def test_oracle_listens_on_loopback_only(waiting: Waiting) -> None:
    listening = [
        found.laddr for found in psutil.Process(waiting.process.pid).net_connections() if found.status == "LISTEN"
    ]
    assert [tuple(address) for address in listening] == [("127.0.0.1", waiting.port)]


def test_second_oracle_on_a_state_folder_ends_with_store_locked(waiting: Waiting) -> None:
    environment = {**waiting.environment, "TALLYSTICK_PORT": str(free_port())}
    ended = _run_command(environment)
    assert ended.returncode == StoreLocked.exit_code
    assert ended.stderr.splitlines()[-1].startswith("store_locked: ") or "store_locked: " in ended.stderr
    assert "Traceback" not in ended.stderr
    assert waiting.get("/healthz").status_code == 200


def test_second_oracle_on_a_port_ends_with_port_in_use(waiting: Waiting, tmp_path: Path) -> None:
    ended = _run_command({**waiting.environment, "TALLYSTICK_STATE_DIR": str(tmp_path / "other")})
    assert ended.returncode == PortInUse.exit_code
    assert "port_in_use: " in ended.stderr
    assert "Traceback" not in ended.stderr


def test_store_of_a_running_oracle_is_its_owners_only(waiting: Waiting) -> None:
    modes = {path.name: path.stat().st_mode & 0o077 for path in waiting.state.glob("oracle.sqlite3*")}
    assert modes["oracle.sqlite3"] == 0
    assert set(modes.values()) == {0}


def test_sigterm_ends_an_oracle_that_waits_for_its_chain(tmp_path: Path, waiting: Waiting) -> None:
    port = free_port()
    environment = {**waiting.environment, "TALLYSTICK_STATE_DIR": str(tmp_path), "TALLYSTICK_PORT": str(port)}
    with subprocess.Popen(
        [sys.executable, "-m", "tallystick", "oracle", "run"], env=environment, stderr=subprocess.PIPE, text=True
    ) as child:
        wait_until(lambda: _answers(port), 60, None, "the oracle", tmp_path / "none")
        child.send_signal(signal.SIGTERM)
        _, errors = child.communicate(timeout=30)
    assert child.returncode == 0
    assert "Traceback" not in errors


def _run_command(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tallystick", "oracle", "run"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

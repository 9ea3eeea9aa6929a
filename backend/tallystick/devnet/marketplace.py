"""Starting the parts of a development marketplace: the chain, the contracts, the oracle."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tallystick.chain.rpc import connect, disconnect
from tallystick.chain.wallet import DEVELOPMENT_CHAIN_ID, DEVELOPMENT_MNEMONIC
from tallystick.devnet.processes import Process, port_is_taken, start, wait_until
from tallystick.errors import PortInUse, StartFailed, ToolMissing

GANACHE_SECONDS = 60.0
ORACLE_SECONDS = 120.0
GAS_LIMIT = 30_000_000


@dataclass(frozen=True)
class Checkout:
    """A checkout of the repository: what deploys contracts and starts Ganache lies there, not in the package."""

    root: Path

    @classmethod
    def find(cls) -> Checkout:
        """Raises ToolMissing where the package was installed without its repository."""
        root = Path(__file__).resolve().parents[3]
        if not (root / "scripts" / "brownie.sh").exists():
            raise ToolMissing(
                "The development chain and the contracts need a checkout of the repository, with `make setup` run in it. "
                "A bare install talks to a marketplace that runs elsewhere: name it with TALLYSTICK_RPC_URL and "
                "TALLYSTICK_DEPLOYMENT_FILE."
            )
        return cls(root)

    @property
    def models(self) -> Path:
        return self.root / "models"

    def environment(self, **extra: str) -> dict[str, str]:
        path = os.pathsep.join(
            [str(self.root / "build" / "bin"), str(self.root / "node_modules" / ".bin"), os.environ.get("PATH", "")]
        )
        # Keys and passwords in our settings are no business of the tools that are started.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TALLYSTICK_")}
        return {**inherited, "PATH": path, **extra}


def start_chain(checkout: Checkout, port: int, log: Path, database: Path | None = None) -> Process:
    """Start Ganache on loopback. With `database` it keeps its blocks there over restarts. Raises PortInUse, StartFailed."""
    if port_is_taken(port):
        raise PortInUse(
            f"Port {port} is taken, the chain can't use it. Stop what uses it, or choose another with TALLYSTICK_RPC_URL.",
            port=port,
        )
    ganache = checkout.root / "node_modules" / ".bin" / "ganache"
    if not ganache.exists():
        raise ToolMissing("Ganache is not installed; run `make setup`.")
    command = [
        str(ganache),
        *("--server.host", "127.0.0.1", "--server.port", str(port)),
        *("--wallet.mnemonic", DEVELOPMENT_MNEMONIC),
        *("--chain.chainId", str(DEVELOPMENT_CHAIN_ID), "--chain.networkId", str(DEVELOPMENT_CHAIN_ID)),
        *("--chain.hardfork", "shanghai", "--miner.blockGasLimit", str(GAS_LIMIT)),
        "--logging.quiet",
    ]
    if database is not None:
        database.mkdir(parents=True, exist_ok=True)
        command += ["--database.dbPath", str(database)]
    # Ganache keeps blocks it was not told where to keep in a temporary folder, and leaves it behind when it is killed.
    scratch = log.parent / "chain.tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    process = start(command, log, checkout.environment(TMPDIR=str(scratch)))
    web3 = connect(f"http://127.0.0.1:{port}", 5.0)
    try:
        wait_until(web3.is_connected, GANACHE_SECONDS, process, "Ganache", log)
    except BaseException:
        process.stop()
        raise
    finally:
        disconnect(web3)
    return process


def deploy(checkout: Checkout, rpc_url: str, deployment_file: Path) -> None:
    """Deploy the contracts with Brownie and write the deployment file. Raises StartFailed with Brownie's last words."""
    environment = checkout.environment(
        TALLYSTICK_RPC_URL=rpc_url, TALLYSTICK_DEPLOYMENT_FILE=str(deployment_file.absolute())
    )
    command = [str(checkout.root / "scripts" / "brownie.sh"), "run", "deploy", "--network", "tallystick"]
    # A session of its own: Ctrl-C reaches us, and we end it, rather than both at once.
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as child:
        try:
            output, _ = child.communicate(timeout=180)
        except BaseException:
            Process(child.pid, _created(child.pid)).stop()
            raise
    if child.returncode:
        raise StartFailed("The contracts could not be deployed:\n" + "\n".join(output.splitlines()[-8:]))


def _created(pid: int) -> float:
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return 0.0


def start_oracle(environment: dict[str, str], oracle_url: str, log: Path) -> Process:
    """Start `tallystick oracle run` and wait until it is ready. Raises StartFailed with the end of its log."""
    process = start([sys.executable, "-m", "tallystick", "oracle", "run"], log, environment)
    try:
        wait_until(lambda: is_ready(oracle_url), ORACLE_SECONDS, process, "The oracle", log)
    except BaseException:
        process.stop()
        raise
    return process


def is_ready(oracle_url: str) -> bool:
    try:
        return httpx.get(f"{oracle_url}/readyz", timeout=2.0, trust_env=False).is_success
    except httpx.TransportError:
        return False


def port_of(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)

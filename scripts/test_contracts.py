#!/usr/bin/env python3
"""Run the contract tests on a Ganache of their own, which is gone afterwards, however they end.

    python3 scripts/test_contracts.py [pytest arguments, such as -x or -k withdraw]

Standard library only. Brownie could start Ganache itself, but then a crash of Brownie leaves it running, two runs could
meet on one port (Brownie attaches to whatever answers there and rewinds it), and Ganache's log fills a pipe that nobody
reads. Any number of runs may go on at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
TESTS = "tests/contracts"
BROWNIE = str(ROOT / "scripts" / "brownie.sh")
MNEMONIC = "myth like bonus scare over problem client lizard pioneer submit female collect"
START_SECONDS = 60
STOP_SECONDS = 10
PORT_ATTEMPTS = 5


class RunnerError(Exception):
    """The message says what happened and what to do."""


class Stopped(Exception):
    """A signal asked this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def main(arguments: Sequence[str]) -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        with _temporary_folder() as folder:
            environment = {**os.environ, "TALLYSTICK_BROWNIE_HOME": str(folder / "home")}
            _compile(environment)
            with _ganache(folder) as port:
                environment["TALLYSTICK_TEST_PORT"] = str(port)
                code = _run_tests(arguments, environment)
        return code
    except RunnerError as error:
        print(f"test_contracts: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Stopped as stopped:
        return 128 + stopped.number


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    # A second signal must not interrupt the clearing up that the first one began.
    for again in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(again, signal.SIG_IGN)
    raise Stopped(number)


@contextlib.contextmanager
def _temporary_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="tallystick-contracts-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _compile(environment: Mapping[str, str]) -> None:
    """One run at a time compiles; the others wait and then find nothing left to do."""
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "compile.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        compiled = subprocess.run([BROWNIE, "compile"], env=environment, capture_output=True, text=True)
    if compiled.returncode:
        raise RunnerError(f"the contracts do not compile.\n{compiled.stdout}{compiled.stderr}")


@contextlib.contextmanager
def _ganache(folder: Path) -> Iterator[int]:
    """A chain on a port that nobody else uses."""
    log = folder / "ganache.log"
    for _ in range(PORT_ATTEMPTS):
        port, network = _free_port(), secrets.randbelow(2**31)
        with log.open("w") as output:
            process = subprocess.Popen(
                _ganache_command(port, network),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PATH": f"{BUILD / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"},
                start_new_session=True,  # so that Ctrl-C reaches Brownie first, and a group can be ended
            )
        try:
            if _answers(process, port, network):
                yield port
                if process.poll() is not None:
                    raise RunnerError(f"Ganache ended during the tests ({process.returncode}).{_end_of(log)}")
                return
        finally:
            _end(process)
    raise RunnerError(f"Ganache did not start.{_end_of(log)}")


def _end_of(log: Path) -> str:
    text = log.read_text(errors="replace")[-2000:].strip()
    return f" Its log ends with:\n{text}" if text else " Its log is empty."


def _ganache_command(port: int, network: int) -> list[str]:
    """The chain of scripts/brownie-networks.yaml. The network id tells this Ganache from any other."""
    options = {
        "--server.host": "127.0.0.1",
        "--server.port": port,
        "--wallet.totalAccounts": 10,
        "--wallet.defaultBalance": 1000,
        "--wallet.mnemonic": MNEMONIC,
        "--chain.chainId": 1337,
        "--chain.networkId": network,
        "--chain.vmErrorsOnRPCResponse": "true",
        "--hardfork": "shanghai",
        "--miner.blockGasLimit": 30_000_000,
    }
    listed = [str(part) for option in options.items() for part in option]
    return [str(ROOT / "node_modules" / ".bin" / "ganache"), *listed, "--logging.quiet"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(process: subprocess.Popen[bytes], port: int, network: int) -> bool:
    """Wait until this very Ganache answers. False where it ended, as it does when its port was taken meanwhile."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "net_version", "params": []}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}", body, {"Content-Type": "application/json"})
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with (
            contextlib.suppress(OSError, ValueError, KeyError),
            urllib.request.urlopen(request, timeout=5) as reply,  # noqa: S310 (a fixed loopback address)
        ):
            if json.load(reply)["result"] == str(network):
                return True
        time.sleep(0.05)
    return False


def _run_tests(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    named = any(argument.split("::")[0].startswith(TESTS) for argument in arguments)
    paths = [] if named else [TESTS]
    command = [BROWNIE, "test", *paths, *arguments, "--network", "tallystick-test"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        return process.wait()
    except KeyboardInterrupt:
        # The terminal sent it to Brownie as well, which reports how far it came.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        raise
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process, and its group where it leads one; first by asking."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(process.pid) == process.pid:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
            return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Child processes that are known by id and start time, so that none but our own is ever ended."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from tallystick.errors import StartFailed

STOP_SECONDS = 15.0
_children: dict[int, subprocess.Popen[bytes]] = {}
"""What this very process started: their parent has to collect them when they end."""


@dataclass(frozen=True)
class Process:
    """`started` is the start time that the system reports: an id alone may have been reused."""

    pid: int
    started: float

    def alive(self) -> bool:
        found = self._find()
        return found is not None and found.status() != psutil.STATUS_ZOMBIE

    def stop(self, wait: float = STOP_SECONDS) -> None:
        """SIGTERM, and SIGKILL if that is not enough; also to what the process started."""
        found = self._find()
        family = [found, *found.children(recursive=True)] if found is not None else []
        for member in family:
            _signal(member, signal.SIGTERM)
        _gone, stubborn = psutil.wait_procs(family, timeout=wait)
        for member in stubborn:
            _signal(member, signal.SIGKILL)
        psutil.wait_procs(stubborn, timeout=wait)
        if (child := _children.pop(self.pid, None)) is not None:
            child.wait()

    def _find(self) -> psutil.Process | None:
        try:
            found = psutil.Process(self.pid)
            return found if abs(found.create_time() - self.started) < 1.0 else None
        except psutil.NoSuchProcess:
            return None


def start(command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> Process:
    """Start a process of its own session, its output appended to `log`. Raises StartFailed where it can't be started.

    Its own session: Ctrl-C in our terminal is ours to act on, and ends it through `stop`.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("ab") as output:
            child = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment) if environment is not None else None,
                start_new_session=True,
            )
    except OSError as error:
        raise StartFailed(f"{command[0]} can't be started: {error.strerror}.") from None
    _children[child.pid] = child
    return Process(child.pid, psutil.Process(child.pid).create_time())


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def free_port() -> int:
    """A port on loopback that was free a moment ago.

    Not from the range of outgoing connections (32768 and up on Linux), one of which could take it in that moment.
    """
    choice = random.SystemRandom()
    while True:
        port = choice.randrange(30_000, 32_768)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def port_is_taken(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, port)) == 0


def tail(log: Path, lines: int = 8) -> str:
    """The end of a log, for an error message."""
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


class Registry:
    """Which of our processes run, in a file of the state folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> dict[str, Process]:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            return {name: Process(int(value["pid"]), float(value["started"])) for name, value in content.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def save(self, processes: Mapping[str, Process]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps({name: asdict(process) for name, process in processes.items()}))
        temporary.replace(self._path)


def wait_until(condition: object, seconds: float, process: Process | None, what: str, log: Path) -> None:
    """Poll a callable until it returns true. Raises StartFailed with the log's end on time-out or if the process ends."""
    assert callable(condition)  # noqa: S101
    deadline = time.monotonic() + seconds
    while not condition():
        if process is not None and not process.alive():
            raise StartFailed(f"{what} ended before it was ready. The end of its log {log}:\n{tail(log)}")
        if time.monotonic() > deadline:
            raise StartFailed(f"{what} was not ready within {seconds:.0f} s. The end of its log {log}:\n{tail(log)}")
        time.sleep(0.05)

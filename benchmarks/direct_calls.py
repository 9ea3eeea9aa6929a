"""How long a directly paid call takes, end to end and part by part, on a fresh Ganache with the null model.

    make bench            medians over the rounds, printed as a table and written to reports/direct-calls.json

Every round is the real path: escrow on chain, HTTP, verification on chain, durable record, receipt, posting. The model
is null, so that what is measured is the marketplace. Nothing here asserts a time.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tallystick.client.client import Client  # noqa: E402

from tests.support.world import Oracle, World, eventually, running_world, settled  # noqa: E402

QUESTION = "Where is my parcel?"
WARM_UP = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--parallel", type=int, default=8, help="payers at once in the throughput part")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tallystick-bench-") as folder, running_world(Path(folder)) as world:
        listing = world.null_listing()
        with world.oracle(Path(folder) / "oracle") as oracle:
            parts = sequential(world, oracle, listing, Path(folder), options.rounds)
            rate = throughput(world, oracle, listing, Path(folder), options.rounds, options.parallel)
    report = {
        "command": "make bench",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "rounds": options.rounds,
        "median_ms": {name: round(statistics.median(times) * 1000, 2) for name, times in parts.items()},
        "answered_per_second": round(rate, 1),
        "parallel_payers": options.parallel,
    }
    target = ROOT / "reports" / "direct-calls.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(report, indent=2) + "\n")
    show(report)


def sequential(world: World, oracle: Oracle, listing: int, folder: Path, rounds: int) -> dict[str, list[float]]:
    """One call after another; seconds of each part."""
    parts: dict[str, list[float]] = {name: [] for name in ("quote", "open", "answer", "final on chain", "repeat")}
    with world.payer(oracle, folder / "payer") as client:
        for number in range(rounds + WARM_UP):
            times: dict[str, float] = {}
            quote = timed(times, "quote", lambda: client.quote(listing, QUESTION))
            pending, _ = timed(times, "open", lambda quote=quote: client.open(quote))
            timed(times, "answer", lambda pending=pending: client.fetch(pending))
            timed(times, "final on chain", lambda pending=pending: settled(client, pending))
            timed(times, "repeat", lambda pending=pending: client.fetch(pending))
            if number >= WARM_UP:
                for name, seconds in times.items():
                    parts[name].append(seconds)
    return parts


def throughput(world: World, oracle: Oracle, listing: int, folder: Path, rounds: int, parallel: int) -> float:
    """Answers a second for calls that were opened before, from several payers at once."""
    with world.payer(oracle, folder / "payers") as client:
        opened = [client.open(client.quote(listing, f"{QUESTION} {number}"))[0] for number in range(rounds)]
        runs = oracle.runs()
        started = time.perf_counter()
        with ThreadPoolExecutor(parallel) as pool:
            list(pool.map(lambda pending: answer(client, pending), opened))
        elapsed = time.perf_counter() - started
        eventually(lambda: oracle.runs() == runs + rounds)
    return rounds / elapsed


def answer(client: Client, pending: object) -> None:
    client.fetch(pending)  # type: ignore[arg-type]


def timed(times: dict[str, float], name: str, work: Callable[[], Any]) -> Any:
    started = time.perf_counter()
    result = work()
    times[name] = time.perf_counter() - started
    return result


def machine() -> dict[str, str]:
    node = subprocess.run([ROOT / "build" / "bin" / "node", "--version"], capture_output=True, text=True, check=True)
    return {
        "processor": platform.processor() or platform.machine(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "node": node.stdout.strip(),
        "web3": version("web3"),
        "fastapi": version("fastapi"),
    }


def show(report: dict[str, Any]) -> None:
    table = Table("part of a direct call", "median", title=f"{report['rounds']} rounds, {report['date']}")
    for name, milliseconds in report["median_ms"].items():
        table.add_row(name, f"{milliseconds} ms")
    console = Console()
    console.print(table)
    console.print(f"{report['answered_per_second']} answers a second from {report['parallel_payers']} payers at once")
    console.print("written to reports/direct-calls.json")


if __name__ == "__main__":
    main()

"""One of several processes that reserve the same call at once: `python -m tests.store.racer DATABASE THREADS`.

Opens the store, says `ready`, and waits for a line on standard input. Then every thread reserves, and how many were told
that the call is theirs is printed.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from tallystick.store.store import Store

from .samples import reservation


def main(database: Path, threads: int) -> None:
    store = Store.open(database)
    mine: list[bool] = []
    start = threading.Barrier(threads)

    def race() -> None:
        start.wait()
        mine.append(store.reserve(reservation()) is None)

    print("ready", flush=True)
    sys.stdin.readline()
    racing = [threading.Thread(target=race) for _ in range(threads)]
    for thread in racing:
        thread.start()
    for thread in racing:
        thread.join()
    store.close()
    print(len(mine), sum(mine), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

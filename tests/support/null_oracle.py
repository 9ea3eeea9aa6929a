"""A real oracle process whose models are null: for tests that start one many times, or count what it runs.

Everything but the model is the production code; the runner is handed in through the seam that exists for it. Each run
appends a line to NULL_ORACLE_RUNS, so that a test can count inferences over several processes.
"""

from __future__ import annotations

import os
from pathlib import Path

from tallystick.chain.wallet import development_wallet
from tallystick.inference.manifest import read_manifest
from tallystick.inference.null import NullRunner
from tallystick.oracle.logs import configure_logs
from tallystick.oracle.server import run_oracle
from tallystick.settings import load_settings

RUNS = "NULL_ORACLE_RUNS"


def load_null(folder: Path, _manifest_hash: bytes) -> NullRunner:
    def count(_text: str) -> None:
        with Path(os.environ[RUNS]).open("a") as file:
            file.write("run\n")

    return NullRunner(read_manifest(folder), before_run=count)


if __name__ == "__main__":
    configure_logs()
    run_oracle(load_settings(), development_wallet("oracle", 1337), load_null)

#!/usr/bin/env python3
"""Show what each step costs in gas, and how that differs from docs/gas.json.

python3 scripts/gas_report.py             print docs/gas.json, which the contract tests hold to one per cent
python3 scripts/gas_report.py --update    measure on Ganache, rewrite docs/gas.json, and print what changed
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "docs" / "gas.json"
TEST = "tests/contracts/test_gas.py"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Show what each step costs in gas.")
    parser.add_argument("--update", action="store_true", help="measure, and rewrite docs/gas.json")
    before = _documented()
    if parser.parse_args(arguments).update:
        measured = subprocess.run(
            [sys.executable, str(ROOT / "scripts" / "test_contracts.py"), TEST],
            env={**os.environ, "TALLYSTICK_UPDATE_GAS": "1"},
            capture_output=True,
            text=True,
        )
        if measured.returncode:
            print(f"gas_report: the measurement failed.\n{measured.stdout}{measured.stderr}", file=sys.stderr)
            return 1
    elif not before:
        print("gas_report: docs/gas.json is missing; run with --update.", file=sys.stderr)
        return 1
    for name, gas in _documented().items():
        change = f"   was {before[name]:,}" if name in before and before[name] != gas else ""
        print(f"{name:10} {gas:>9,}{change}")
    return 0


def _documented() -> Mapping[str, int]:
    if not FILE.exists():
        return {}
    transactions: dict[str, int] = json.loads(FILE.read_text(encoding="utf-8"))["transactions"]
    return transactions


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

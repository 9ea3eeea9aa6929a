#!/usr/bin/env python3
"""Copy the contracts' ABIs from a fresh compile into the Python package, which never imports Brownie.

python3 scripts/export_abi.py            compile, then write backend/tallystick/chain/abi/*.json
python3 scripts/export_abi.py --check    compile, then exit 1 if the committed files differ; writes nothing
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMPILED = ROOT / "build" / "brownie" / "contracts"
EXPORTED = ROOT / "backend" / "tallystick" / "chain" / "abi"
CONTRACTS = ("Escrow", "EscrowLens", "ListingRegistry")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Copy the contracts' ABIs into the Python package.")
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 if they differ")
    check = parser.parse_args(arguments).check

    compiled = _compile()
    if compiled.returncode:
        print(f"export_abi: the contracts do not compile.\n{compiled.stdout}{compiled.stderr}", file=sys.stderr)
        return 1
    differing = [name for name in CONTRACTS if _text_of(EXPORTED / f"{name}.json") != _fresh_abi(name)]
    if check and differing:
        print(f"export_abi: {', '.join(differing)} differ from the compile; run python3 scripts/export_abi.py")
        return 1
    for name in differing:
        _write_atomically(EXPORTED / f"{name}.json", _fresh_abi(name))
    print(f"export_abi: {', '.join(CONTRACTS)} {'written' if differing else 'up to date'}.")
    return 0


def _compile() -> subprocess.CompletedProcess[str]:
    """After any other compile that is under way (scripts/test_contracts.py), so that no file is read half written."""
    (ROOT / "build").mkdir(exist_ok=True)
    with (ROOT / "build" / "compile.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return subprocess.run([str(ROOT / "scripts" / "brownie.sh"), "compile"], capture_output=True, text=True)


def _fresh_abi(name: str) -> str:
    abi = json.loads((COMPILED / f"{name}.json").read_text(encoding="utf-8"))["abi"]
    return json.dumps(abi, indent=2, sort_keys=True) + "\n"


def _text_of(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _write_atomically(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

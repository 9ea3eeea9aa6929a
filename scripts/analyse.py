#!/usr/bin/env python3
"""Run Slither over the contracts, mocks aside; exit 1 on a finding of high or medium impact that is not answered.

    .venv/bin/python scripts/analyse.py

What is answered stands in the source, as a `slither-disable` comment with its reason on the line before, so that a new
finding of the same kind elsewhere is seen.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from setup import ROOT
from solidity import SOLC, environment, standard_input

SHOWN = ("High", "Medium")
OUTPUTS = {
    "*": [
        *("abi", "metadata", "devdoc", "userdoc", "evm.methodIdentifiers"),
        *("evm.bytecode.object", "evm.bytecode.sourceMap"),
        *("evm.deployedBytecode.object", "evm.deployedBytecode.sourceMap"),
    ],
    "": ["ast"],
}
"""What Slither reads."""


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        request, report = Path(folder) / "standard.json", Path(folder) / "report.json"
        request.write_text(json.dumps(_standard_input()), encoding="utf-8")
        ran = subprocess.run(
            [
                *(str(Path(sys.executable).parent / "slither"), str(request)),
                *("--compile-force-framework", "Solc-json", "--solc", str(SOLC)),
                *("--json", str(report), "--filter-paths", "node_modules"),
            ],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
        )
        if not report.exists():
            print(f"analyse: Slither failed.\n{ran.stdout}{ran.stderr}", file=sys.stderr)
            return 1
        outcome = json.loads(report.read_text(encoding="utf-8"))
    if not outcome["success"]:
        print(f"analyse: Slither failed.\n{outcome['error']}", file=sys.stderr)
        return 1
    found = [entry for entry in outcome["results"].get("detectors", []) if entry["impact"] in SHOWN]
    for entry in found:
        print(f"{entry['impact']}: {entry['check']}\n{entry['description']}")
    print(f"analyse: {len(found)} unanswered findings of high or medium impact.")
    return 1 if found else 0


def _standard_input() -> dict[str, object]:
    sources = [path for path in sorted((ROOT / "contracts").rglob("*.sol")) if "mocks" not in path.parts]
    return standard_input(ROOT, sources, OUTPUTS, via_ir=True)


if __name__ == "__main__":
    sys.exit(main())

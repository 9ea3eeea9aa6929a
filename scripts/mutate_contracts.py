#!/usr/bin/env python3
"""Change the contracts' money paths one line at a time, and see whether the in-process tests notice.

    .venv/bin/python scripts/mutate_contracts.py [NAME ...]

The mutants are in tests/evm/mutants.toml. Each is compiled into a folder of its own and tests/evm is run against it; a
mutant is killed when a test fails. Prints a table, writes reports/mutants.json, and exits 1 where fewer than 95 % are
killed or a survivor has no explanation in the file.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from setup import ROOT
from solidity import SOLC, environment, standard_input

MUTANTS = ROOT / "tests" / "evm" / "mutants.toml"
OUTPUTS = {"*": ["abi", "evm.bytecode", "evm.deployedBytecode"]}
REPORT = ROOT / "reports" / "mutants.json"
WANTED = 0.95
TESTS_SECONDS = 300
SEEDS = ("0", "1", "2")
STEPS = "1600"
"""Of the stateful machine for each mutant that the unit tests do not notice."""


def main(names: Sequence[str]) -> int:
    mutants = tomllib.loads(MUTANTS.read_text(encoding="utf-8"))["mutant"]
    chosen = [mutant for mutant in mutants if not names or mutant["name"] in names]
    started = time.monotonic()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = list(pool.map(_try, chosen))
    killed = sum(outcome["killed"] for outcome in outcomes)
    survivors = [outcome for outcome in outcomes if not outcome["killed"]]
    for outcome in survivors:
        print(f"survived: {outcome['name']}: {outcome['survives'] or 'NOT EXPLAINED'}")
    print(f"{killed} of {len(outcomes)} mutants killed, {time.monotonic() - started:.0f} s")
    if not names:
        REPORT.parent.mkdir(exist_ok=True)
        REPORT.write_text(json.dumps(outcomes, indent=2) + "\n", encoding="utf-8")
    good = killed >= WANTED * len(outcomes) and all(outcome["survives"] for outcome in survivors)
    return 0 if good else 1


def _try(mutant: dict[str, str]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="tallystick-mutant-") as folder:
        contracts = Path(folder) / "contracts"
        shutil.copytree(ROOT / "contracts", contracts)
        _apply(mutant, contracts / mutant["file"])
        compiled = Path(folder) / "compiled"
        compile_into(contracts, compiled)
        first = _failing_test(compiled)
    print(f"{'killed' if first else 'SURVIVED':9} {mutant['name']}: {first or ''}", flush=True)
    return {"name": mutant["name"], "killed": bool(first), "by": first, "survives": mutant.get("survives", "")}


def _apply(mutant: dict[str, str], path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if text.count(mutant["find"]) != 1:
        raise SystemExit(
            f"mutate_contracts: {mutant['name']}: its text is in {mutant['file']} "
            f"{text.count(mutant['find'])} times; once is needed."
        )
    path.write_text(text.replace(mutant["find"], mutant["replace"]), encoding="utf-8")


def _failing_test(compiled: Path) -> str:
    """What notices: the first failing unit test, else a seed of the stateful machine; empty where nothing does."""
    unit = ["-m", "pytest", "-q", "-x", "--no-header", "--ignore-glob", "*test_invariants*", "tests/evm"]
    try:
        ran = _python(compiled, unit)
    except subprocess.TimeoutExpired:
        return f"no end within {TESTS_SECONDS} s"
    if ran.returncode not in (0, 1):
        raise SystemExit(f"mutate_contracts: the tests could not run.\n{ran.stdout}{ran.stderr}")
    failed = [line for line in ran.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if failed:
        return failed[0].split(" - ")[0]
    for seed in SEEDS:
        if _python(compiled, ["-m", "tests.evm.test_invariants", seed, STEPS]).returncode:
            return f"seed {seed} of the stateful machine"
    return ""


def _python(compiled: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "TALLYSTICK_COMPILED": str(compiled)},
        capture_output=True,
        text=True,
        timeout=TESTS_SECONDS,
    )


def compile_into(contracts: Path, target: Path) -> None:
    """Compile all of `contracts` without the IR pipeline, which is quicker, as artifacts that tests/evm reads."""
    request = standard_input(contracts.parent, sorted(contracts.rglob("*.sol")), OUTPUTS, via_ir=False)
    ran = subprocess.run(
        [str(SOLC)], input=json.dumps(request), cwd=ROOT, env=environment(), capture_output=True, text=True
    )
    answer = json.loads(ran.stdout)
    errors = [entry["formattedMessage"] for entry in answer.get("errors", []) if entry["severity"] == "error"]
    if errors:
        raise SystemExit(f"mutate_contracts: does not compile.\n{errors[0]}")
    target.mkdir(parents=True)
    for file in answer["contracts"].values():
        for name, made in file.items():
            artifact = {
                "abi": made["abi"],
                "bytecode": _with_names(made["evm"]["bytecode"]),
                "deployedBytecode": _with_names(made["evm"]["deployedBytecode"]),
            }
            (target / f"{name}.json").write_text(json.dumps(artifact), encoding="utf-8")


def _with_names(bytecode: dict[str, Any]) -> str:
    """Bytecode with the libraries that it links by name, 40 characters, as Brownie writes it."""
    text: str = bytecode["object"]
    for libraries in bytecode.get("linkReferences", {}).values():
        for name, places in libraries.items():
            for place in places:
                start = 2 * place["start"]
                text = text[:start] + f"__{name}".ljust(40, "_") + text[start + 40 :]
    return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The auditor trusts nobody: of this project it may know the protocol, the chain and the errors, and nothing else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import tallystick.audit

FOLDER = Path(tallystick.audit.__file__).parent
MODULES = sorted(FOLDER.rglob("*.py"))
ALLOWED = ("tallystick.audit", "tallystick.protocol", "tallystick.chain", "tallystick.errors")


def imported(source: str) -> set[str]:
    """Every module that the source names in an import, at any depth; relative ones as the audit's own."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            names |= {"tallystick.audit"} if node.level == 1 else {f"{'.' * node.level}{base}"}
            # `from tallystick import store` names a module in its second half.
            names |= {f"{base}.{alias.name}" for alias in node.names} if base == "tallystick" else set()
    return names


def forbidden(names: set[str]) -> set[str]:
    ours = {name for name in names if name.split(".")[0] == "tallystick" and name != "tallystick"}
    outside = {name for name in ours if not any(name == wall or name.startswith(f"{wall}.") for wall in ALLOWED)}
    return outside | {name for name in names if name.startswith(".")} | (names & {"importlib", "tallystick"})


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_audit_imports_nothing_but_protocol_chain_and_errors(path: Path) -> None:
    assert forbidden(imported(path.read_text(encoding="utf-8"))) == set()


def test_every_module_of_the_audit_is_looked_at() -> None:
    assert {"auditor", "replay", "receipts", "node"} <= {path.stem for path in MODULES}


@pytest.mark.parametrize(
    "source",
    [
        "import tallystick.store",
        "from tallystick.oracle.app import create_app",
        "from tallystick import metering",
        "from ..client import Client",
        "def late():\n    from tallystick.inference import runner",
        "import tallystick.errors_extra",
        "import importlib",
    ],
)
def test_imports_beyond_the_wall_are_noticed(source: str) -> None:
    assert forbidden(imported(source))

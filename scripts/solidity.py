"""How the scripts that compile by themselves ask the compiler, beside Brownie. Standard library only."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from setup import BIN, compiler

SOLC = compiler()
OPTIMIZER = {"enabled": True, "runs": 200}
"""As in brownie-config.yaml."""


def environment() -> dict[str, str]:
    """With Node on the PATH, which the compiler runs in."""
    return {**os.environ, "PATH": os.pathsep.join([str(BIN), os.environ.get("PATH", "")])}


def standard_input(
    root: Path, sources: Iterable[Path], outputs: Mapping[str, list[str]], *, via_ir: bool
) -> dict[str, Any]:
    """The compiler's standard JSON input for `sources`, named as they lie below `root`."""
    return {
        "language": "Solidity",
        "sources": {str(path.relative_to(root)): {"content": path.read_text(encoding="utf-8")} for path in sources},
        "settings": {
            "remappings": ["@openzeppelin=node_modules/@openzeppelin"],
            "optimizer": OPTIMIZER,
            "viaIR": via_ir,
            "evmVersion": "shanghai",
            "outputSelection": {"*": dict(outputs)},
        },
    }

"""The contracts' ABIs as committed JSON; `scripts/export_abi.py` writes them, and a test holds them against a compile."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from eth_hash.auto import keccak

from tallystick.protocol.canonical import canonical_bytes


def _load(name: str) -> list[dict[str, Any]]:
    abi: list[dict[str, Any]] = json.loads(files(__package__).joinpath(f"{name}.json").read_text(encoding="utf-8"))
    return abi


ABIS = {"escrow": _load("Escrow"), "registry": _load("ListingRegistry")}
"""Contract name, as in deployment files, to ABI."""

ABI_HASHES = {name: keccak(canonical_bytes(abi)) for name, abi in ABIS.items()}
"""keccak256 of each ABI's canonical JSON; a deployment file names the ones it was made with."""


def canonical_type(parameter: dict[str, Any]) -> str:
    """The type of an ABI parameter as signatures spell it: tuples written out."""
    kind: str = parameter["type"]
    if not kind.startswith("tuple"):
        return kind
    inner = ",".join(canonical_type(component) for component in parameter["components"])
    return f"({inner}){kind.removeprefix('tuple')}"

"""The contracts' ABIs as committed JSON; `scripts/export_abi.py` writes them, and a test holds them against a compile."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from eth_abi.codec import ABICodec
from eth_abi.decoding import StringDecoder
from eth_abi.registry import registry as standard_types
from eth_hash.auto import keccak

from tallystick.protocol.canonical import canonical_bytes


def _load(name: str) -> list[dict[str, Any]]:
    abi: list[dict[str, Any]] = json.loads(files(__package__).joinpath(f"{name}.json").read_text(encoding="utf-8"))
    return abi


ABIS = {"escrow": _load("Escrow"), "registry": _load("ListingRegistry"), "lens": _load("EscrowLens")}
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


class _AnyText(StringDecoder):
    """Solidity does not check that a string is UTF-8: one owner's odd URI must not make every listing unreadable."""

    def __init__(self) -> None:
        super().__init__(handle_string_errors="backslashreplace")  # type: ignore[no-untyped-call]


def _codec() -> ABICodec:
    types = standard_types.copy()  # type: ignore[no-untyped-call]
    types.unregister_decoder("string")
    types.register_decoder("string", _AnyText, label="string")
    return ABICodec(types)


CODEC = _codec()
"""Encodes and decodes ABI values; bytes of a string that are not UTF-8 are written as \\xNN."""

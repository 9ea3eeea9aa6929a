"""The contracts' ABIs as committed JSON; `scripts/export_abi.py` writes them, and a test holds them against a compile."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from eth_abi.codec import ABICodec
from eth_abi.decoding import StringDecoder
from eth_abi.registry import registry as standard_types
from eth_hash.auto import keccak

from tallystick.protocol.canonical import canonical_bytes
from tallystick.protocol.hexes import checksum_address


def _load(name: str) -> list[dict[str, Any]]:
    abi: list[dict[str, Any]] = json.loads(files(__package__).joinpath(f"{name}.json").read_text(encoding="utf-8"))
    return abi


ABIS = {"escrow": _load("Escrow"), "registry": _load("ListingRegistry"), "lens": _load("EscrowLens")}
"""Contract name, as in deployment files, to ABI."""

ABI_HASHES = {name: keccak(canonical_bytes(abi)) for name, abi in ABIS.items()}
"""keccak256 of each ABI's canonical JSON; a deployment file names the ones it was made with."""


def canonical_type(parameter: Mapping[str, Any]) -> str:
    """The type of an ABI parameter as signatures spell it: tuples written out."""
    kind: str = parameter["type"]
    if not kind.startswith("tuple"):
        return kind
    inner = ",".join(canonical_type(component) for component in parameter["components"])
    return f"({inner}){kind.removeprefix('tuple')}"


def signature(entry: Mapping[str, Any]) -> str:
    """A function, event or error as its hash is made from."""
    return f"{entry['name']}({','.join(canonical_type(parameter) for parameter in entry['inputs'])})"


def named_value(parameter: Mapping[str, Any], value: Any) -> Any:
    """A decoded value with EIP-55 addresses, and for tuples mappings by component name."""
    kind: str = parameter["type"]
    if kind.endswith("[]"):
        item = {**parameter, "type": kind.removesuffix("[]")}
        return [named_value(item, one) for one in value]
    if kind == "address":
        return checksum_address(value)
    if kind != "tuple":
        return value
    return {part["name"]: named_value(part, item) for part, item in zip(parameter["components"], value, strict=True)}


def event_arguments(entry: Mapping[str, Any], topics: Sequence[bytes], data: bytes) -> dict[str, Any]:
    """The arguments of a log by ABI name, in the ABI's order. `topics` without the first.

    Raises eth_abi's DecodingError or ValueError where the log does not fit the event.
    """
    indexed = [parameter for parameter in entry["inputs"] if parameter["indexed"]]
    plain = [parameter for parameter in entry["inputs"] if not parameter["indexed"]]
    values = {
        parameter["name"]: named_value(parameter, CODEC.decode([canonical_type(parameter)], topic)[0])
        for parameter, topic in zip(indexed, topics, strict=True)
    }
    decoded = CODEC.decode([canonical_type(parameter) for parameter in plain], data)
    values |= {
        parameter["name"]: named_value(parameter, value) for parameter, value in zip(plain, decoded, strict=True)
    }
    return {parameter["name"]: values[parameter["name"]] for parameter in entry["inputs"]}


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

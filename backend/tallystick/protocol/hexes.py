"""0x-hex and decimal strings, as they stand on the wire: parsed strictly, written in one form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from eth_hash.auto import keccak

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,77}")
_HEX = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
ZERO_ADDRESS = "0x" + "0" * 40


def to_hex(value: bytes) -> str:
    return "0x" + value.hex()


def from_hex(text: object, length: int | None = None) -> bytes:
    """Bytes of a 0x-hex string, `length` bytes where given. Raises ValueError otherwise."""
    if not isinstance(text, str) or not _HEX.fullmatch(text):
        raise ValueError("expected a 0x-prefixed hex string of whole bytes")
    value = bytes.fromhex(text[2:])
    if length is not None and len(value) != length:
        raise ValueError(f"expected {length} bytes, got {len(value)}")
    return value


def from_object(value: object) -> Mapping[str, Any]:
    """A JSON object. Raises ValueError on anything else, where indexing would raise TypeError."""
    if not isinstance(value, Mapping):
        raise ValueError("expected an object")
    return value


def from_decimal(value: object, bits: int) -> int:
    """An unsigned integer of at most `bits` bits, written as a decimal string or a JSON integer."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("expected an unsigned integer as a decimal string")
    if isinstance(value, str):
        if not _DECIMAL.fullmatch(value):
            raise ValueError("expected an unsigned integer in plain decimal digits")
        value = int(value)
    if not 0 <= value < 1 << bits:
        raise ValueError(f"out of range for {bits} bits")
    return value


def checksum_address(address: object) -> str:
    """The EIP-55 form. Accepts all-lower, all-upper or correctly checksummed; raises ValueError otherwise."""
    raw = from_hex(address, 20).hex()
    digest = keccak(raw.encode()).hex()
    checksummed = "0x" + "".join(
        character.upper() if int(nibble, 16) >= 8 else character for character, nibble in zip(raw, digest, strict=False)
    )
    given = str(address)[2:]
    if given not in (raw, raw.upper()) and "0x" + given != checksummed:
        raise ValueError("the address has a wrong checksum; copy it again")
    return checksummed

"""EIP-712 for structs of static fields only: every value is one 32-byte word, so encoding is concatenation.

Source: EIP-712, "Definition of encodeData". Generic encoders walk a type description at each call; these structs are
known in advance, and signing and verifying them is on the path of every call.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from eth_hash.auto import keccak

from tallystick.protocol.hexes import from_hex

_DOMAIN_TYPEHASH = keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
_NAME_HASH = keccak(b"Tallystick")
_VERSION_HASH = keccak(b"1")


def uint_word(value: int, bits: int = 256) -> bytes:
    """An unsigned integer of at most `bits` bits. Raises ValueError outside its range."""
    if not 0 <= value < 1 << bits:
        raise ValueError(f"{value} is not a uint{bits}")
    return value.to_bytes(32, "big")


def address_word(address: str) -> bytes:
    """A 0x-prefixed address, any case. Raises ValueError otherwise."""
    return bytes(12) + address_bytes(address)


def address_bytes(address: str) -> bytes:
    """The 20 bytes of a 0x-prefixed address, any case. Raises ValueError otherwise."""
    return from_hex(address, 20)


def bytes32_word(value: bytes) -> bytes:
    """Exactly 32 bytes. Raises ValueError otherwise."""
    if len(value) != 32:
        raise ValueError(f"expected 32 bytes, got {len(value)}")
    return value


@dataclass(frozen=True)
class Domain:
    """The EIP-712 domain: name `Tallystick`, version `1`, this chain, the escrow's address."""

    chain_id: int
    escrow: str

    @cached_property
    def separator(self) -> bytes:
        return keccak(
            _DOMAIN_TYPEHASH + _NAME_HASH + _VERSION_HASH + uint_word(self.chain_id) + address_word(self.escrow)
        )

    def digest(self, struct_hash: bytes) -> bytes:
        """What is signed, or used as an id: keccak256(0x1901 ‖ separator ‖ struct hash)."""
        return keccak(b"\x19\x01" + self.separator + struct_hash)

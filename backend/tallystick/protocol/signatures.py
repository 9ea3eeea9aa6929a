"""ECDSA over secp256k1 digests as Ethereum wants it: 65 bytes r ‖ s ‖ v, low s only (EIP-2), v of 27 or 28."""

from __future__ import annotations

from coincurve import PrivateKey, PublicKey
from eth_hash.auto import keccak

from tallystick.protocol.hexes import checksum_address, to_hex

_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
SIGNATURE_BYTES = 65


def sign(private_key: PrivateKey, digest: bytes) -> bytes:
    """Sign a 32-byte digest. Deterministic (RFC 6979) and always low s."""
    signature = private_key.sign_recoverable(digest, hasher=None)
    return signature[:64] + bytes([signature[64] + 27])


def recover(digest: bytes, signature: bytes) -> str:
    """The EIP-55 address that signed `digest`. Raises ValueError on anything but one well-formed low-s signature."""
    if len(signature) != SIGNATURE_BYTES:
        raise ValueError(f"a signature has {SIGNATURE_BYTES} bytes, not {len(signature)}")
    if signature[64] not in (27, 28):
        raise ValueError("a signature ends with 27 or 28")
    if int.from_bytes(signature[32:64], "big") > _HALF_ORDER:
        raise ValueError("the signature is malleable (high s)")
    try:
        key = PublicKey.from_signature_and_message(signature[:64] + bytes([signature[64] - 27]), digest, hasher=None)
    except Exception as error:  # coincurve raises bare Exception subclasses for points that are not on the curve
        raise ValueError("the signature is not valid") from error
    return address_of(key)


def address_of(key: PrivateKey | PublicKey) -> str:
    """The EIP-55 address of a key."""
    public = key.public_key if isinstance(key, PrivateKey) else key
    return checksum_address(to_hex(keccak(public.format(compressed=False)[1:])[12:]))

"""Salted commitments, domain-separated and versioned (rules E4, E5).

Each is keccak256(tag ‖ salt ‖ canonical bytes) where the tag is the keccak256 of a fixed name, so that a hash of one
kind can never stand for another. The vectors in tests/vectors are shared with Solidity and JavaScript.
"""

from __future__ import annotations

import secrets
from typing import Any, Final

from eth_hash.auto import keccak

from tallystick.protocol.canonical import canonical_bytes

SALT_BYTES: Final = 32
REQUEST_TAG: Final = keccak(b"tallystick/request/1")
RESULT_TAG: Final = keccak(b"tallystick/result/1")
PARAMETERS_TAG: Final = keccak(b"tallystick/parameters/1")


def new_salt() -> bytes:
    """32 bytes from the operating system; whoever knows them can open the commitments made with them."""
    return secrets.token_bytes(SALT_BYTES)


def request_commitment(salt: bytes, request: bytes) -> bytes:
    """What a payment is bound to: `request` is a canonical request (`InferenceRequest.canonical()`)."""
    return _commit(REQUEST_TAG, salt, request)


def result_hash(salt: bytes, result: bytes) -> bytes:
    """What goes on chain in place of the result: `result` is canonical JSON on the result grid."""
    return _commit(RESULT_TAG, salt, result)


def parameters_hash(salt: bytes, parameters: bytes) -> bytes:
    """Binds the effective decoding parameters into the receipt without revealing them."""
    return _commit(PARAMETERS_TAG, salt, parameters)


def manifest_hash(manifest: Any) -> bytes:
    """keccak256 of the manifest's canonical JSON: public, hence neither salted nor tagged."""
    return keccak(canonical_bytes(manifest))


def _commit(tag: bytes, salt: bytes, content: bytes) -> bytes:
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes, not {len(salt)}")
    return keccak(tag + salt + content)

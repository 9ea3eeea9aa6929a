"""Signatures: 65 bytes, low s only."""

from __future__ import annotations

import pytest
from coincurve import PrivateKey
from eth_account import Account
from hypothesis import given
from tallystick.protocol.signatures import SIGNATURE_BYTES, address_of, recover, sign

from .strategies import CURVE_ORDER, keys, words

# An account of `ganache --wallet.deterministic`: known to everybody.
KEY = PrivateKey.from_hex("4f3edf983ac636a65a842ce7c78d9aa706d3b113bce9c46f30d7d21715b23b1d")
ADDRESS = "0x90F8bf6A479f320ead074411a4B0e7944Ea8c9C1"
DIGEST = bytes(range(32))
SIGNATURE = sign(KEY, DIGEST)
R, S, V = SIGNATURE[:32], SIGNATURE[32:64], SIGNATURE[64:]


def word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def test_address_of_a_known_key() -> None:
    assert address_of(KEY) == address_of(KEY.public_key) == ADDRESS


@given(keys)
def test_address_of_as_another_implementation(key: PrivateKey) -> None:
    assert address_of(key) == Account.from_key(key.secret).address


@given(keys, words)
def test_sign_as_another_implementation(key: PrivateKey, digest: bytes) -> None:
    """Deterministic (RFC 6979), so two implementations give the same bytes."""
    assert sign(key, digest) == bytes(Account.from_key(key.secret).unsafe_sign_hash(digest).signature)


@given(keys, words)
def test_recover_what_was_signed(key: PrivateKey, digest: bytes) -> None:
    signature = sign(key, digest)
    assert len(signature) == SIGNATURE_BYTES
    assert signature[64] in (27, 28)
    assert int.from_bytes(signature[32:64], "big") <= CURVE_ORDER // 2
    assert recover(digest, signature) == address_of(key)


@given(words, words)
def test_recover_from_another_digest(digest: bytes, other: bytes) -> None:
    signature = sign(KEY, digest)
    try:
        signer = recover(other, signature)
    except ValueError:
        return
    assert (signer == ADDRESS) == (digest == other)


def test_recover_with_high_s() -> None:
    """The other signature that anyone can make of a valid one."""
    flipped = R + word(CURVE_ORDER - int.from_bytes(S, "big")) + bytes([55 - V[0]])
    with pytest.raises(ValueError, match="high s"):
        recover(DIGEST, flipped)


def test_recover_with_the_other_parity() -> None:
    assert recover(DIGEST, R + S + bytes([55 - V[0]])) != ADDRESS


@pytest.mark.parametrize("end", [0, 1, 26, 29, 255])
def test_recover_with_another_last_byte(end: int) -> None:
    with pytest.raises(ValueError, match="27 or 28"):
        recover(DIGEST, R + S + bytes([end]))


@pytest.mark.parametrize("size", [0, 1, 64, 66, 130])
def test_recover_with_another_length(size: int) -> None:
    """The 64-byte compact form of EIP-2098 too: one signature, one form."""
    with pytest.raises(ValueError, match="65 bytes"):
        recover(DIGEST, (SIGNATURE * 2)[:size])


@pytest.mark.parametrize(
    ("r", "s"),
    [
        (bytes(32), S),
        (R, bytes(32)),
        (bytes(32), bytes(32)),
        (word(CURVE_ORDER), S),
        (b"\xff" * 32, S),
        (word(5), S),  # no point of the curve has this x
    ],
)
def test_recover_from_no_signature(r: bytes, s: bytes) -> None:
    with pytest.raises(ValueError, match="the signature is not valid"):
        recover(DIGEST, r + s + V)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_recover_with_no_digest(size: int) -> None:
    with pytest.raises(ValueError, match="the signature is not valid"):
        recover(bytes(size), SIGNATURE)


@given(words, words)
def test_recover_raises_only_value_error(r: bytes, s: bytes) -> None:
    try:
        signer = recover(DIGEST, r + s + b"\x1b")
    except ValueError:
        return
    assert signer != ADDRESS

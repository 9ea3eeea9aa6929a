"""Salted commitments (rules E4, E5)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st
from tallystick.protocol.commitments import (
    SALT_BYTES,
    manifest_hash,
    new_salt,
    parameters_hash,
    request_commitment,
    result_hash,
)

from .strategies import words

COMMITMENTS = {
    "tallystick/request/1": request_commitment,
    "tallystick/result/1": result_hash,
    "tallystick/parameters/1": parameters_hash,
}
each = pytest.mark.parametrize(("name", "commit"), COMMITMENTS.items(), ids=[f.__name__ for f in COMMITMENTS.values()])


@each
def test_commit_is_tag_salt_content(name: str, commit: Callable[[bytes, bytes], bytes]) -> None:
    """E5"""
    salt = bytes(range(32))
    assert commit(salt, b"content") == keccak(keccak(name.encode()) + salt + b"content")


@each
def test_commit_separates_kinds(name: str, commit: Callable[[bytes, bytes], bytes]) -> None:
    """E5: a hash of one kind can't stand for another."""
    same = [other for other in COMMITMENTS.values() if other(bytes(32), b"x") == commit(bytes(32), b"x")]
    assert same == [commit]


@each
@pytest.mark.parametrize("size", [0, 1, 31, 33, 64])
def test_commit_with_a_salt_of_another_length(name: str, commit: Callable[[bytes, bytes], bytes], size: int) -> None:
    """E4: salt and content can't be shifted into each other."""
    with pytest.raises(ValueError, match="32 bytes"):
        commit(bytes(size), b"content")


@given(words, words, st.binary(), st.binary())
def test_commit_hides_and_binds(salt: bytes, other_salt: bytes, content: bytes, other: bytes) -> None:
    """E4: equal exactly where salt and content are equal."""
    same = request_commitment(salt, content) == request_commitment(other_salt, other)
    assert same == ((salt, content) == (other_salt, other))


def test_new_salt_is_fresh() -> None:
    """E4"""
    salts = {new_salt() for _ in range(1_000)}
    assert len(salts) == 1_000
    assert {len(salt) for salt in salts} == {SALT_BYTES}


def test_manifest_hash_is_public_and_canonical() -> None:
    """E5: no salt, no tag, and the order of keys does not matter."""
    assert manifest_hash({"b": 1, "a": 2.0}) == manifest_hash({"a": 2, "b": 1}) == keccak(b'{"a":2,"b":1}')


def test_manifest_hash_without_a_canonical_form() -> None:
    with pytest.raises(ValueError, match="safe integer"):
        manifest_hash({"size": 2**53})

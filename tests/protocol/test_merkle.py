"""The tree over a batch's receipts: every receipt can be proved, and nothing else."""

from __future__ import annotations

import pytest
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st
from tallystick.protocol import merkle

from .strategies import words

trees = st.lists(words, min_size=1, max_size=40, unique=True)
ONE, TWO, THREE = (keccak(bytes([number])) for number in range(3))


def pair(one: bytes, other: bytes) -> bytes:
    return keccak(b"".join(sorted([one, other])))


def test_root_of_one_is_its_leaf() -> None:
    assert merkle.root([ONE]) == keccak(ONE)
    assert merkle.proof([ONE], 0) == []


def test_root_of_three_moves_the_odd_one_up() -> None:
    below = pair(keccak(ONE), keccak(TWO))
    assert merkle.root([ONE, TWO, THREE]) == pair(below, keccak(THREE))
    assert merkle.proof([ONE, TWO, THREE], 2) == [below]
    assert merkle.proof([ONE, TWO, THREE], 0) == [keccak(TWO), keccak(THREE)]


@given(trees)
def test_proof_of_every_digest_verifies(digests: list[bytes]) -> None:
    """E2"""
    root = merkle.root(digests)
    for position, digest in enumerate(digests):
        assert merkle.verify(root, digest, merkle.proof(digests, position))


@given(trees, words)
def test_proof_of_another_digest_does_not_verify(digests: list[bytes], other: bytes) -> None:
    """E2"""
    if other not in digests:
        assert not merkle.verify(merkle.root(digests), other, merkle.proof(digests, 0))


def test_verify_of_an_inner_node_fails() -> None:
    """E2: an inner node is no receipt, because a leaf is hashed once more."""
    root = merkle.root([ONE, TWO, THREE])
    assert not merkle.verify(root, pair(keccak(ONE), keccak(TWO)), [keccak(THREE)])


@given(trees)
def test_verify_of_a_shortened_or_lengthened_proof_fails(digests: list[bytes]) -> None:
    root, proof = merkle.root(digests), merkle.proof(digests, 0)
    assert not merkle.verify(root, digests[0], [*proof, ONE])
    if proof:
        assert not merkle.verify(root, digests[0], proof[:-1])


def test_root_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a digest"):
        merkle.root([])


@pytest.mark.parametrize("position", [-1, 2])
def test_proof_of_a_position_that_is_not_there_is_refused(position: int) -> None:
    with pytest.raises(ValueError, match="no digest"):
        merkle.proof([ONE, TWO], position)


def test_digests_and_siblings_have_32_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        merkle.root([ONE, b"short"])
    with pytest.raises(ValueError, match="32 bytes"):
        merkle.verify(ONE, ONE, [b"short"])

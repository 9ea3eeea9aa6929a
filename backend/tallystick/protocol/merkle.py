"""The Merkle tree over a batch's receipts. A proof is verified on chain by EscrowLens.sol (OpenZeppelin's MerkleProof).

A leaf is keccak256 of a receipt's digest, an inner node keccak256 of its two children in ascending order; a node without
a sibling moves up unchanged. Leaves are hashed once more than a receipt is, so that no inner node can pass for one.
"""

from __future__ import annotations

from collections.abc import Sequence

from eth_hash.auto import keccak

from tallystick.protocol.encoding import bytes32_word


def root(digests: Sequence[bytes]) -> bytes:
    """The root over these digests, in this order. Raises ValueError where there are none, or one is not 32 bytes."""
    return _levels(digests)[-1][0]


def proof(digests: Sequence[bytes], position: int) -> list[bytes]:
    """The siblings on the way from digest `position` (from 0) to the root. Raises ValueError where there is none such."""
    if not 0 <= position < len(digests):
        raise ValueError(f"there is no digest {position} of {len(digests)}")
    siblings = []
    for level in _levels(digests)[:-1]:
        if position ^ 1 < len(level):
            siblings.append(level[position ^ 1])
        position //= 2
    return siblings


def verify(merkle_root: bytes, digest: bytes, siblings: Sequence[bytes]) -> bool:
    """Whether `digest` is under `merkle_root` by these siblings. Raises ValueError where one is not 32 bytes."""
    node = _leaf(digest)
    for sibling in siblings:
        node = _parent(node, bytes32_word(sibling))
    return node == merkle_root


def _levels(digests: Sequence[bytes]) -> list[list[bytes]]:
    """From the leaves to the root."""
    if not digests:
        raise ValueError("a tree needs a digest")
    levels = [[_leaf(digest) for digest in digests]]
    while len(levels[-1]) > 1:
        below = levels[-1]
        pairs = [_parent(*below[at : at + 2]) for at in range(0, len(below) - 1, 2)]
        levels.append(pairs + below[2 * len(pairs) :])
    return levels


def _leaf(digest: bytes) -> bytes:
    return keccak(bytes32_word(digest))


def _parent(one: bytes, other: bytes) -> bytes:
    return keccak(min(one, other) + max(one, other))

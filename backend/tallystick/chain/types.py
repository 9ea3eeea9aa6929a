"""What is read from the chain, as values."""

from __future__ import annotations

from dataclasses import dataclass

from tallystick.protocol.prices import PriceSheet
from tallystick.protocol.revisions import RevisionTerms


@dataclass(frozen=True)
class Block:
    """`timestamp` in Unix seconds."""

    number: int
    hash: bytes
    timestamp: int


@dataclass(frozen=True)
class Listing:
    """One model for sale as it stands now. `oracle` is that of the latest revision."""

    listing_id: int
    owner: str
    oracle: str
    latest_revision: int
    withdrawn: bool


@dataclass(frozen=True)
class Revision:
    """One immutable version of a listing."""

    listing_id: int
    revision: int
    terms: RevisionTerms

    @property
    def oracle(self) -> str:
        return self.terms.oracle

    @property
    def manifest_hash(self) -> bytes:
        return self.terms.manifest_hash

    @property
    def prices(self) -> PriceSheet:
        return self.terms.prices

    @property
    def metadata_uri(self) -> str:
        return self.terms.metadata_uri


@dataclass(frozen=True)
class SignedTransaction:
    """A transaction that is complete: the same bytes may be sent again, and can be mined at most once."""

    sender: str
    nonce: int
    raw: bytes
    hash: bytes


@dataclass(frozen=True)
class Pending:
    """Not in a block that we can see: nothing can be said about it yet."""


@dataclass(frozen=True)
class Mined:
    """In a block. `fee` is what its sender paid, in wei; `depth` counts confirmations, the block itself included."""

    transaction: bytes
    succeeded: bool
    block: int
    block_hash: bytes
    gas_used: int
    fee: int
    depth: int

"""The seam between the oracle and a chain: `Marketplace` is the real one, `NullChain` the one without a node."""

from __future__ import annotations

from typing import Protocol

from tallystick.chain.types import Block, Listing, Mined, Pending, Revision, SignedTransaction
from tallystick.chain.wallet import Wallet
from tallystick.errors import ContractRefused
from tallystick.protocol.calls import CallState, DirectCall, Outcome
from tallystick.protocol.encoding import Domain


class Chain(Protocol):
    """What metering needs of a chain. Every method may raise ChainUnreachable; then nothing is known, and nothing failed."""

    @property
    def domain(self) -> Domain: ...

    def verify_history(self) -> None:
        """Raises DeploymentMismatch where the chain was reset or rewritten behind the same address."""
        ...

    def head(self) -> Block: ...

    def listing_count(self) -> int: ...

    def listing(self, listing_id: int) -> Listing:
        """Raises UnknownListing."""
        ...

    def revision(self, listing_id: int, revision: int) -> Revision:
        """Raises UnknownListing or WrongRevision."""
        ...

    def call_state(self, call_id: bytes, confirmations: int = 1) -> CallState:
        """The call's state `confirmations` deep: 1 reads the newest block, 2 the one before it, and so on."""
        ...

    def next_nonce(self, address: str) -> int:
        """How many transactions of `address` the chain has mined."""
        ...

    def prepare_fulfil(self, wallet: Wallet, call: DirectCall, outcome: Outcome, nonce: int) -> SignedTransaction:
        """Raises ContractRefused if it would revert now; then no nonce is used up."""
        ...

    def prepare_decline(self, wallet: Wallet, call: DirectCall, nonce: int) -> SignedTransaction:
        """Raises ContractRefused if it would revert now; then no nonce is used up."""
        ...

    def broadcast(self, transaction: SignedTransaction) -> None:
        """Hand the bytes to a node; one that has them already counts as success."""
        ...

    def outcome(self, transaction_hash: bytes) -> Mined | Pending: ...

    def why_reverted(self, transaction_hash: bytes) -> ContractRefused: ...

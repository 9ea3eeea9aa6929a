"""A chain without a node: blocks, a mempool and the contracts' rules in memory, and the failures that nodes have.

It keeps the promises of `Chain` as `Marketplace` does; tests/chain/test_port_contract.py holds the two side by side. For
tests of everything that stands above a chain: what a real node does once a year, this one does when it is told to.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from eth_hash.auto import keccak

from tallystick.chain.null_books import NEVER_OPENED, Books, Effect, Logged
from tallystick.chain.types import Block, Listing, Mined, Pending, Revision, SignedTransaction
from tallystick.chain.wallet import DEVELOPMENT_CHAIN_ID, Wallet
from tallystick.errors import (
    ChainUnreachable,
    ContractRefused,
    DeploymentMismatch,
    NodeError,
    UnknownListing,
    WrongRevision,
)
from tallystick.protocol.calls import CallState, CallStatus, DirectCall, Outcome
from tallystick.protocol.canonical import canonical_bytes
from tallystick.protocol.encoding import Domain
from tallystick.protocol.hexes import checksum_address, from_hex, to_hex
from tallystick.protocol.prices import PriceSheet, Units
from tallystick.protocol.revisions import RevisionTerms
from tallystick.protocol.signatures import SIGNATURE_BYTES, recover, sign
from tallystick.protocol.tiers import Tier

ESCROW: Final = checksum_address("0x" + keccak(b"null escrow")[12:].hex())
GAS_USED: Final = 100_000
GAS_PRICE: Final = 10**9
"""Every transaction costs the same: gas, and wei per gas."""


@dataclass(frozen=True)
class _Transaction:
    sender: str
    nonce: int
    hash: bytes
    effect: Effect


@dataclass(frozen=True)
class _Mined:
    """A block, the books after it, and why each of its transactions reverted, or None."""

    block: Block
    books: Books
    results: dict[bytes, ContractRefused | None] = field(default_factory=dict)


class NullChain:
    """The contracts are in block 1. Mines at each transaction unless told to hold. Safe to use from several threads."""

    def __init__(self, chain_id: int = DEVELOPMENT_CHAIN_ID, *, clock: Callable[[], float] = time.time) -> None:
        self._domain = Domain(chain_id, ESCROW)
        self._clock = clock
        self._lock = threading.RLock()
        self._branch = 0
        self._holding = False
        self._failing: float = 0
        self._answering = 0
        self._lost_answers = 0
        self._dropped_broadcasts = 0
        self._without_gas = 0
        self._begin()
        self._deployed = self._chain[1].block

    def _begin(self) -> None:
        self._mempool: dict[bytes, _Transaction] = {}
        self._chain: list[_Mined] = []
        self._add_block([])
        self._add_block([])

    # ---- what a node answers: the protocol `Chain` --------------------------------------------------------------------

    @property
    def domain(self) -> Domain:
        return self._domain

    def verify_history(self) -> None:
        with self._node():
            actual = self._chain[self._deployed.number].block.hash
            if actual != self._deployed.hash:
                raise DeploymentMismatch(
                    f"Block {self._deployed.number} is not the one that the contracts were deployed in: the chain was "
                    "reset behind the same address. Nothing is served on it; deploy again.",
                    block=self._deployed.number,
                    actual=to_hex(actual),
                    expected=to_hex(self._deployed.hash),
                )

    def head(self) -> Block:
        with self._node():
            return self._chain[-1].block

    def listing_count(self) -> int:
        with self._node():
            return len(self._books.listings)

    def listing(self, listing_id: int) -> Listing:
        with self._node():
            found = self._books.listings.get(listing_id)
        if found is None:
            raise UnknownListing(f"There is no listing {listing_id}.", listing=str(listing_id))
        return found

    def revision(self, listing_id: int, revision: int) -> Revision:
        with self._node():
            found = self._books.revisions.get((listing_id, revision))
            known = listing_id in self._books.listings
        if not known:
            raise UnknownListing(f"There is no listing {listing_id}.", listing=str(listing_id))
        if found is None:
            raise WrongRevision(
                f"Listing {listing_id} has no revision {revision}.", listing=str(listing_id), actual=revision
            )
        return found

    def call_state(self, call_id: bytes, confirmations: int = 1) -> CallState:
        with self._node():
            number = max(0, len(self._chain) - confirmations)
            return self._chain[number].books.calls.get(call_id, NEVER_OPENED)

    def next_nonce(self, address: str) -> int:
        with self._node():
            return self._books.nonces.get(checksum_address(address), 0)

    def prepare_fulfil(self, wallet: Wallet, call: DirectCall, outcome: Outcome, nonce: int) -> SignedTransaction:
        return self._prepare(wallet, call, outcome, nonce)

    def prepare_decline(self, wallet: Wallet, call: DirectCall, nonce: int) -> SignedTransaction:
        return self._prepare(wallet, call, None, nonce)

    def broadcast(self, transaction: SignedTransaction) -> None:
        with self._node():
            if self._dropped_broadcasts:
                self._dropped_broadcasts -= 1
                return
            self._take(self._parse(transaction.raw))
            if self._lost_answers:
                self._lost_answers -= 1
                raise ChainUnreachable("The null chain took a transaction, and its answer was lost.")

    def outcome(self, transaction_hash: bytes) -> Mined | Pending:
        with self._node():
            mined = self._find(transaction_hash)
            if mined is None:
                return Pending()
            return Mined(
                transaction_hash,
                mined.results[transaction_hash] is None,
                mined.block.number,
                mined.block.hash,
                GAS_USED,
                GAS_USED * GAS_PRICE,
                len(self._chain) - mined.block.number,
            )

    def why_reverted(self, transaction_hash: bytes) -> ContractRefused:
        with self._node():
            mined = self._find(transaction_hash)
            if mined is None:
                raise NodeError(f"The null chain has no transaction {to_hex(transaction_hash)}.")
            refused = mined.results[transaction_hash]
            return refused or ContractRefused("It did not revert.", name="", arguments={})

    # ---- what others do on the chain: mined at once, unless mining is held --------------------------------------------

    def publish(
        self,
        owner: str,
        oracle: str,
        manifest_hash: bytes,
        prices: PriceSheet,
        uri: str = "",
        *,
        oracle_share_bps: int = 0,
        tiers: tuple[Tier, ...] = (),
    ) -> int:
        """Returns the listing's id. Not while mining is held."""
        terms = RevisionTerms(oracle, manifest_hash, prices, uri, oracle_share_bps, tiers)
        with self._lock:
            self.send(owner, lambda books, _now: books.publish(owner, terms))
            return len(self._books.listings)

    def revise(
        self,
        owner: str,
        listing_id: int,
        manifest_hash: bytes,
        prices: PriceSheet,
        uri: str = "",
        *,
        oracle: str | None = None,
    ) -> None:
        """Run by the oracle of the revision before, unless told otherwise."""

        def effect(books: Books, _now: int) -> None:
            runs = oracle or books.existing_listing(listing_id).oracle
            books.revise(owner, listing_id, RevisionTerms(runs, manifest_hash, prices, uri))

        self.send(owner, effect)

    def set_fee(self, fee_bps: int, collector: str) -> None:
        """As the administrator."""
        self.send(collector, lambda books, _now: books.set_fee(fee_bps, collector))

    def withdraw_listing(self, owner: str, listing_id: int) -> None:
        self.send(owner, lambda books, _now: books.set_withdrawn(owner, listing_id, True))

    def relist(self, owner: str, listing_id: int) -> None:
        self.send(owner, lambda books, _now: books.set_withdrawn(owner, listing_id, False))

    def open(self, call: DirectCall, *, sender: str | None = None, value: int | None = None) -> bytes:
        """As the call's payer with the call's amount, unless told otherwise. Returns the transaction's hash."""
        by, sent = sender or call.payer, call.amount if value is None else value
        return self.send(by, lambda books, now: books.open(by, call, sent, now))

    def refund(self, call: DirectCall, sender: str) -> bytes:
        return self.send(sender, lambda books, now: books.refund(call, now))

    def withdraw_owed(self, account: str, asset: str) -> bytes:
        return self.send(account, lambda books, _now: books.withdraw(account, asset))

    def send(self, sender: str, effect: Effect = lambda _books, _now: None) -> bytes:
        """Any transaction of `sender`, by default one that only uses up a nonce. Raises what a dry run is refused with."""
        with self._lock:
            self._dry_run(effect)
            queued = sum(transaction.sender == sender for transaction in self._mempool.values())
            nonce = self._books.nonces.get(sender, 0) + queued
            identity = keccak(f"{sender} {nonce} {self._branch} {len(self._chain)} {len(self._mempool)}".encode())
            self._take(_Transaction(sender, nonce, identity, effect))
            return identity

    def owed(self, account: str, asset: str) -> int:
        with self._lock:
            return self._books.owed.get((account, asset), 0)

    def escrowed(self) -> int:
        """All that the escrow holds, in atomic units over all assets: amounts of open calls, and what is owed."""
        with self._lock:
            states = self._books.calls.values()
            return sum(state.amount for state in states if state.status is CallStatus.OPEN) + sum(
                self._books.owed.values()
            )

    def books_at(self, confirmations: int) -> Books:
        """A copy of the books as they were so many blocks deep: 1 is now."""
        with self._lock:
            return self._chain[max(0, len(self._chain) - confirmations)].books.copy()

    def logged(self) -> list[Logged]:
        """Every call that was charged, in the order of the chain."""
        with self._lock:
            return list(self._books.logs)

    # ---- what the network does ----------------------------------------------------------------------------------------

    def mine(self, blocks: int = 1) -> None:
        """Mine, also while mining is held. The first block takes everything that is ready in the mempool."""
        with self._lock:
            for _ in range(blocks):
                self._add_block(self._ready())

    def hold(self) -> None:
        """Leave transactions in the mempool until `release`."""
        self._holding = True

    def release(self) -> None:
        with self._lock:
            self._holding = False
            self._mine_what_is_ready()

    def reorganise(self, depth: int) -> None:
        """Replace the newest `depth` blocks by one more empty ones. Their transactions are nowhere; the mempool stays."""
        with self._lock:
            if not 0 < depth < len(self._chain) - 1:
                raise ValueError(f"no reorganisation of depth {depth}: the chain has {len(self._chain)} blocks")
            del self._chain[-depth:]
            self._branch += 1
            for _ in range(depth + 1):
                self._add_block([])

    def reset(self) -> None:
        """Another chain behind the same address, with the contracts deployed anew and nothing else on it."""
        with self._lock:
            self._branch += 1
            self._begin()

    # ---- what goes wrong on the way to a node -------------------------------------------------------------------------

    def go_down(self, calls: float = math.inf, *, after: int = 0) -> None:
        """So many calls of the protocol's methods, by default all, raise ChainUnreachable, once `after` more are answered."""
        self._failing, self._answering = calls, after

    def come_back(self) -> None:
        self._failing = 0

    def lose_next_answer(self, broadcasts: int = 1) -> None:
        """The next broadcasts are taken, but whoever sent them gets ChainUnreachable: their outcome is unknown."""
        self._lost_answers = broadcasts

    def drop_next_broadcast(self, broadcasts: int = 1) -> None:
        """The next broadcasts are answered as if taken, and are not."""
        self._dropped_broadcasts = broadcasts

    def run_out_of_gas(self, transactions: int = 1) -> None:
        """The next transactions that are mined revert, and nobody can tell why."""
        self._without_gas = transactions

    # ---- inside, with the lock held -----------------------------------------------------------------------------------

    @property
    def _books(self) -> Books:
        return self._chain[-1].books

    @contextmanager
    def _node(self) -> Iterator[None]:
        """The lock, if the node can be reached."""
        with self._lock:
            if self._failing > 0 and self._answering > 0:
                self._answering -= 1
            elif self._failing > 0:
                self._failing -= 1
                raise ChainUnreachable("The null chain can't be reached. Try again.")
            yield

    def _next_timestamp(self) -> int:
        return max(self._chain[-1].block.timestamp if self._chain else 0, int(self._clock()))

    def _dry_run(self, effect: Effect) -> None:
        effect(self._books.copy(), self._next_timestamp())

    def _prepare(self, wallet: Wallet, call: DirectCall, outcome: Outcome | None, nonce: int) -> SignedTransaction:
        with self._node():
            self._dry_run(_effect(wallet.address, call, outcome))
            value: dict[str, Any] = {"nonce": nonce, "call": call.to_dict(), "outcome": None}
            if outcome is not None:
                value["outcome"] = {
                    "result_hash": to_hex(outcome.result_hash),
                    "receipt_digest": to_hex(outcome.receipt_digest),
                    "units": outcome.units.to_dict(),
                    "charge": str(outcome.charge),
                }
            body = canonical_bytes(value)
            raw = body + sign(wallet.key, self._domain.digest(keccak(body)))
            return SignedTransaction(wallet.address, nonce, raw, keccak(raw))

    def _parse(self, raw: bytes) -> _Transaction:
        body, signature = raw[:-SIGNATURE_BYTES], raw[-SIGNATURE_BYTES:]
        sender = recover(self._domain.digest(keccak(body)), signature)
        value = json.loads(body)
        outcome = value["outcome"] and Outcome(
            from_hex(value["outcome"]["result_hash"], 32),
            from_hex(value["outcome"]["receipt_digest"], 32),
            Units.from_dict(value["outcome"]["units"]),
            int(value["outcome"]["charge"]),
        )
        effect = _effect(sender, DirectCall.from_dict(value["call"]), outcome)
        return _Transaction(sender, value["nonce"], keccak(raw), effect)

    def _take(self, transaction: _Transaction) -> None:
        if transaction.hash in self._mempool or self._find(transaction.hash) is not None:
            return
        if transaction.nonce < self._books.nonces.get(transaction.sender, 0):
            raise NodeError("The null chain answered with an error: nonce too low.")
        waiting = ((other.sender, other.nonce) for other in self._mempool.values())
        if (transaction.sender, transaction.nonce) in waiting:
            raise NodeError("The null chain answered with an error: replacement transaction underpriced.")
        self._mempool[transaction.hash] = transaction
        if not self._holding:
            self._mine_what_is_ready()

    def _find(self, transaction_hash: bytes) -> _Mined | None:
        return next((mined for mined in reversed(self._chain) if transaction_hash in mined.results), None)

    def _mine_what_is_ready(self) -> None:
        """A block for each, as a development chain does."""
        while ready := self._ready():
            self._add_block(ready[:1])

    def _ready(self) -> list[_Transaction]:
        """What the next block can hold: the mempool without gaps in its nonces."""
        nonces = self._books.nonces.copy()
        ready: list[_Transaction] = []
        for transaction in sorted(self._mempool.values(), key=lambda waiting: waiting.nonce):
            if transaction.nonce == nonces.get(transaction.sender, 0):
                nonces[transaction.sender] = transaction.nonce + 1
                ready.append(transaction)
        return ready

    def _add_block(self, transactions: Iterable[_Transaction]) -> None:
        timestamp = self._next_timestamp()
        books = self._books.copy() if self._chain else Books(self._domain)
        results: dict[bytes, ContractRefused | None] = {}
        for transaction in transactions:
            results[transaction.hash] = self._run(transaction, books, timestamp)
            books.nonces[transaction.sender] = transaction.nonce + 1
        # A transaction whose nonce another has used can't be mined any more; nodes forget it.
        self._mempool = {
            key: waiting
            for key, waiting in self._mempool.items()
            if waiting.nonce >= books.nonces.get(waiting.sender, 0)
        }
        number = len(self._chain)
        parent = self._chain[-1].block.hash if self._chain else b""
        block_hash = keccak(parent + f"{self._branch} {number} {timestamp}".encode() + b"".join(results))
        self._chain.append(_Mined(Block(number, block_hash, timestamp), books, results))

    def _run(self, transaction: _Transaction, books: Books, timestamp: int) -> ContractRefused | None:
        """Why it reverted, or None."""
        if self._without_gas:
            self._without_gas -= 1
            return ContractRefused("It reverted, for a reason that a replay does not show.", name="", arguments={})
        try:
            transaction.effect(books, timestamp)
        except ContractRefused as refused:
            return refused
        return None


def _effect(sender: str, call: DirectCall, outcome: Outcome | None) -> Effect:
    if outcome is None:
        return lambda books, _now: books.decline(sender, call)
    return lambda books, now: books.fulfil(sender, call, outcome, now)

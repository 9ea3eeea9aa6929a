"""One bench for two chains: the same deeds on a `NullChain` and on Ganache with the deployed contracts."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Protocol

import httpx
from eth_account import Account
from eth_hash.auto import keccak
from tallystick.chain.marketplace import Marketplace
from tallystick.chain.null import NullChain
from tallystick.chain.port import Chain
from tallystick.chain.types import Mined, Pending
from tallystick.chain.wallet import Wallet, development_wallet
from tallystick.protocol.calls import DirectCall, Outcome
from tallystick.protocol.prices import NATIVE, PriceSheet, Units
from tallystick.protocol.revisions import RevisionTerms

OWNER, ORACLE, PAYER, STRANGER = (
    development_wallet(role, 1337) for role in ("owner", "oracle", "payer", "administrator")
)
FIRST_TIMER = development_wallet("payer2", 1337)
"""Has never sent a transaction."""

PRICES = PriceSheet(NATIVE, 1_000, 50_000, 0, 2_000)
MANIFEST = keccak(b"manifest")
UNITS = Units(20, 0, 500)
CHARGE = PRICES.price_of(UNITS)
OUTCOME = Outcome(keccak(b"result"), keccak(b"receipt"), UNITS, CHARGE)
AMOUNT = 10_000


class Bench(Protocol):
    """A chain, and what others than the oracle do to it. Deeds are mined when they return, unless mining is held."""

    chain: Chain

    def publish(self, prices: PriceSheet = PRICES, *, oracle: Wallet = ORACLE, manifest: bytes = MANIFEST) -> int: ...
    def revise(self, listing: int, prices: PriceSheet, *, by: Wallet = OWNER) -> None: ...
    def withdraw_listing(self, listing: int, *, by: Wallet = OWNER) -> None: ...
    def relist(self, listing: int) -> None: ...
    def open(self, call: DirectCall, *, by: Wallet = PAYER, value: int | None = None) -> None: ...
    def refund(self, call: DirectCall) -> None: ...
    def withdraw_owed(self, by: Wallet) -> None: ...
    def owed(self, wallet: Wallet) -> int: ...
    def use_nonce(self, wallet: Wallet) -> None: ...
    def wait_for(self, transaction_hash: bytes) -> Mined: ...
    def pass_time(self, seconds: int) -> None: ...
    def mine(self, blocks: int) -> None: ...
    def hold(self) -> None: ...
    def release(self) -> None: ...
    def mark(self) -> Any: ...
    def reorganise_to(self, mark: Any) -> None: ...


def terms(bench: Bench, listing: int, *, salt: int = 1, seconds: int = 600, **changes: Any) -> DirectCall:
    """A call that could be opened now; `salt` tells calls apart."""
    deadline = bench.chain.head().timestamp + seconds
    call = DirectCall(
        PAYER.address, listing, 1, ORACLE.address, NATIVE, AMOUNT, deadline, keccak(f"request {salt}".encode())
    )
    return replace(call, **changes)


class NullBench:
    def __init__(self) -> None:
        self.now = 1_800_000_000
        self.null = NullChain(clock=lambda: self.now)
        self.chain: Chain = self.null

    def publish(self, prices: PriceSheet = PRICES, *, oracle: Wallet = ORACLE, manifest: bytes = MANIFEST) -> int:
        return self.null.publish(OWNER.address, oracle.address, manifest, prices, "ipfs://manifest")

    def revise(self, listing: int, prices: PriceSheet, *, by: Wallet = OWNER) -> None:
        self.null.revise(by.address, listing, MANIFEST, prices)

    def withdraw_listing(self, listing: int, *, by: Wallet = OWNER) -> None:
        self.null.withdraw_listing(by.address, listing)

    def relist(self, listing: int) -> None:
        self.null.relist(OWNER.address, listing)

    def open(self, call: DirectCall, *, by: Wallet = PAYER, value: int | None = None) -> None:
        self.null.open(call, sender=by.address, value=value)

    def refund(self, call: DirectCall) -> None:
        self.null.refund(call, STRANGER.address)

    def withdraw_owed(self, by: Wallet) -> None:
        self.null.withdraw_owed(by.address, NATIVE)

    def owed(self, wallet: Wallet) -> int:
        return self.null.owed(wallet.address, NATIVE)

    def use_nonce(self, wallet: Wallet) -> None:
        self.null.send(wallet.address)

    def wait_for(self, transaction_hash: bytes) -> Mined:
        found = self.null.outcome(transaction_hash)
        assert isinstance(found, Mined)
        return found

    def pass_time(self, seconds: int) -> None:
        self.now += seconds
        self.null.mine()

    def mine(self, blocks: int) -> None:
        self.null.mine(blocks)

    def hold(self) -> None:
        self.null.hold()

    def release(self) -> None:
        self.null.release()

    def mark(self) -> int:
        return self.null.head().number

    def reorganise_to(self, mark: int) -> None:
        self.null.reorganise(self.null.head().number - mark)


class GanacheBench:
    def __init__(self, market: Marketplace) -> None:
        self.market = market
        self.chain: Chain = market

    def rpc(self, method: str, *parameters: Any) -> Any:
        question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
        return httpx.post(self.market.url, json=question, timeout=30, trust_env=False).json()["result"]

    def _send(self, by: Wallet, function: Any, value: int = 0) -> Mined:
        transactions = self.market.transactions
        return transactions.send_and_wait(transactions.prepare(by, function, value=value))

    def publish(self, prices: PriceSheet = PRICES, *, oracle: Wallet = ORACLE, manifest: bytes = MANIFEST) -> int:
        function = self.market.publish_listing(RevisionTerms(oracle.address, manifest, prices, "ipfs://manifest"))
        return self.market.published_in(self._send(OWNER, function))

    def revise(self, listing: int, prices: PriceSheet, *, by: Wallet = OWNER) -> None:
        terms = RevisionTerms(self.market.listing(listing).oracle, MANIFEST, prices)
        self._send(by, self.market.revise_listing(listing, terms))

    def withdraw_listing(self, listing: int, *, by: Wallet = OWNER) -> None:
        self._send(by, self.market.withdraw_listing(listing))

    def relist(self, listing: int) -> None:
        self._send(OWNER, self.market.relist(listing))

    def open(self, call: DirectCall, *, by: Wallet = PAYER, value: int | None = None) -> None:
        self._send(by, self.market.open_call(call), call.amount if value is None else value)

    def refund(self, call: DirectCall) -> None:
        self._send(STRANGER, self.market.refund_call(call))

    def withdraw_owed(self, by: Wallet) -> None:
        self._send(by, self.market.withdraw_owed(NATIVE, by.address))

    def owed(self, wallet: Wallet) -> int:
        return self.market.owed(wallet.address, NATIVE)

    def use_nonce(self, wallet: Wallet) -> None:
        # With its nonce spelled out: what Ganache thinks is next survives a revert.
        transaction = {
            "to": wallet.address,
            "value": 0,
            "gas": 21_000,
            "maxFeePerGas": 10**11,
            "maxPriorityFeePerGas": 10**9,
            "nonce": self.market.next_nonce(wallet.address),
            "chainId": self.market.domain.chain_id,
        }
        signed = Account.sign_transaction(transaction, wallet.key.secret)
        self.wait_for(bytes.fromhex(self.rpc("eth_sendRawTransaction", signed.raw_transaction.to_0x_hex())[2:]))

    def wait_for(self, transaction_hash: bytes) -> Mined:
        deadline = time.monotonic() + 30
        while isinstance(found := self.market.outcome(transaction_hash), Pending):
            assert time.monotonic() < deadline, "it was not mined in time"
        return found

    def pass_time(self, seconds: int) -> None:
        self.rpc("evm_increaseTime", seconds)
        self.mine(1)

    def mine(self, blocks: int) -> None:
        for _ in range(blocks):
            self.rpc("evm_mine")

    def hold(self) -> None:
        self.rpc("miner_stop")

    def release(self) -> None:
        self.rpc("miner_start")

    def mark(self) -> tuple[str, int]:
        return self.rpc("evm_snapshot"), self.market.head().number

    def reorganise_to(self, mark: tuple[str, int]) -> None:
        snapshot, number = mark
        depth = self.market.head().number - number
        assert self.rpc("evm_revert", snapshot)
        self.mine(depth + 1)

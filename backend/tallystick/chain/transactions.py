"""Transactions from signing to their outcome, which has three values: succeeded, failed, unknown (rule S4)."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final

from eth_account import Account
from eth_typing import HexStr
from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import TransactionNotFound
from web3.types import TxParams, Wei

from tallystick.chain.rpc import rpc_errors
from tallystick.chain.types import Mined, Pending, SignedTransaction
from tallystick.chain.wallet import Wallet
from tallystick.errors import ChainUnreachable, ContractRefused, FeeTooHigh, TransactionUnknown
from tallystick.protocol.hexes import to_hex

GAS_MARGIN: Final = 1.25
GAS_RESERVE: Final = 45_000
"""Gas limit over the node's estimate, times and plus: books that were non-zero when it was estimated may be empty when it
is executed, and filling one anew costs 17,100 more. Gas that is not used is not paid."""

PRIORITY_FEE: Final = 10**9
"""Wei per gas offered to the block's producer."""


class Transactions:
    """Prepares, sends and follows transactions on one node."""

    def __init__(self, web3: Web3, url: str, chain_id: int, max_fee: int | None = None) -> None:
        """`max_fee`: above this many wei per gas nothing is signed."""
        self._web3 = web3
        self._url = url
        self._chain_id = chain_id
        self._max_fee = max_fee

    def _errors(self) -> AbstractContextManager[None]:
        return rpc_errors(self._url)

    def prepare(self, wallet: Wallet, function: Any, *, value: int = 0, nonce: int | None = None) -> SignedTransaction:
        """Sign a contract call after a dry run. Raises ContractRefused if it would revert; then no nonce is used up."""
        with self._errors():
            sender = Web3.to_checksum_address(wallet.address)
            gas = int(int(function.estimate_gas({"from": sender, "value": Wei(value)})) * GAS_MARGIN) + GAS_RESERVE
            base_fee = int(self._web3.eth.get_block("latest").get("baseFeePerGas", 0))
            fee = 2 * base_fee + PRIORITY_FEE
            if self._max_fee is not None and fee > self._max_fee:
                raise FeeTooHigh(
                    f"The chain asks for up to {fee} wei per gas, the limit is {self._max_fee}. It is posted once the "
                    "fee has fallen, or raise TALLYSTICK_MAX_FEE_GWEI.",
                    actual=str(fee),
                    limit=str(self._max_fee),
                )
            fields: TxParams = {
                "from": sender,
                "value": Wei(value),
                "nonce": self._web3.eth.get_transaction_count(sender, "pending") if nonce is None else nonce,  # type: ignore[typeddict-item]
                "gas": gas,
                "maxFeePerGas": Wei(fee),
                "maxPriorityFeePerGas": Wei(PRIORITY_FEE),
                "chainId": self._chain_id,
            }
            transaction = function.build_transaction(fields)
            signed = Account.sign_transaction(transaction, wallet.key.secret)
            return SignedTransaction(
                wallet.address, int(transaction["nonce"]), bytes(signed.raw_transaction), bytes(signed.hash)
            )

    def broadcast(self, transaction: SignedTransaction) -> None:
        """Hand the bytes to the node; a node that already has them counts as success.

        Raises ChainUnreachable where nothing is known, so the transaction may or may not be on its way, and InsufficientFunds.
        """
        # Ganache takes a nonce of zero for none: it would run the same bytes a second time, and lose the first receipt.
        if transaction.nonce == 0 and self._is_known(transaction.hash):
            return
        try:
            with self._errors():
                self._web3.eth.send_raw_transaction(HexBytes(transaction.raw))
        except ChainUnreachable:
            # "already known", "nonce too low" and a lost answer look alike from here: ask for the transaction itself.
            if not self._is_known(transaction.hash):
                raise

    def _is_known(self, transaction_hash: bytes) -> bool:
        try:
            with self._errors():
                self._web3.eth.get_transaction(HexBytes(transaction_hash))
        except ChainUnreachable:
            return False
        return True

    def outcome(self, transaction_hash: bytes) -> Mined | Pending:
        """Where a transaction stands. Pending says nothing about its future."""
        with self._errors():
            try:
                receipt = self._web3.eth.get_transaction_receipt(HexBytes(transaction_hash))
            except TransactionNotFound:
                return Pending()
            if receipt is None or receipt.get("blockNumber") is None:
                return Pending()
            head = int(self._web3.eth.block_number)
            return Mined(
                transaction_hash,
                bool(receipt["status"]),
                int(receipt["blockNumber"]),
                bytes(receipt["blockHash"]),
                int(receipt["gasUsed"]),
                int(receipt["gasUsed"]) * int(receipt["effectiveGasPrice"]),
                head - int(receipt["blockNumber"]) + 1,
            )

    def next_nonce(self, address: str) -> int:
        """How many transactions of `address` the chain has mined."""
        with self._errors():
            return int(self._web3.eth.get_transaction_count(Web3.to_checksum_address(address), "latest"))

    def send_and_wait(
        self,
        transaction: SignedTransaction,
        *,
        wait: float = 60.0,
        on_pending: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Mined:
        """Broadcast and wait until it is mined, for `wait` seconds at most.

        Raises TransactionUnknown when time is up (it may still be mined), ContractRefused when it was mined and reverted.
        """
        try:
            self.broadcast(transaction)
        except ChainUnreachable as error:
            raise TransactionUnknown(
                f"Nobody knows whether transaction {to_hex(transaction.hash)} was taken: {error.message} Look it up before you "
                "send it again.",
                transaction=to_hex(transaction.hash),
            ) from error
        deadline = clock() + wait
        pause = 0.01
        while True:
            found = self.outcome(transaction.hash)
            if isinstance(found, Mined):
                if not found.succeeded:
                    raise self.why_reverted(transaction.hash)
                return found
            if clock() > deadline:
                raise TransactionUnknown(
                    f"Transaction {to_hex(transaction.hash)} was sent, but is in no block after {wait:.0f} s. It may "
                    "still be mined: look it up before you send it again.",
                    transaction=to_hex(transaction.hash),
                )
            on_pending()
            sleep(pause)
            pause = min(0.5, pause * 1.5)

    def why_reverted(self, transaction_hash: bytes) -> ContractRefused:
        """Replay a reverted transaction on its block's state and time, for its typed error."""
        try:
            with self._errors():
                sent = self._web3.eth.get_transaction(HexBytes(transaction_hash))
                self._web3.eth.call(
                    {
                        "from": sent["from"],
                        "to": sent["to"],
                        "value": sent["value"],
                        "data": HexStr(HexBytes(sent["input"]).to_0x_hex()),
                        "gas": sent["gas"],
                    },
                    int(sent["blockNumber"]),
                )
        except ContractRefused as refusal:
            return refusal
        return ContractRefused(
            f"Transaction {to_hex(transaction_hash)} was mined and reverted, for a reason that a replay does not show.",
            name="",
            arguments={"transaction": to_hex(transaction_hash)},
        )

"""The contracts as typed functions: what the oracle, client, auditor and CLI read from and send to the chain."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from web3 import Web3
from web3.types import BlockIdentifier

from tallystick.chain.abi import ABIS
from tallystick.chain.deployment import Deployment, verify_deployment, verify_history
from tallystick.chain.rpc import connect, disconnect, rpc_errors
from tallystick.chain.transactions import Transactions
from tallystick.chain.types import Block, Listing, Mined, Pending, Revision, SignedTransaction
from tallystick.chain.wallet import Wallet
from tallystick.errors import ContractRefused, UnknownListing, WrongRevision
from tallystick.protocol.calls import CallState, CallStatus, DirectCall, Outcome
from tallystick.protocol.encoding import Domain
from tallystick.protocol.prices import Units
from tallystick.protocol.revisions import RevisionTerms


class Marketplace:
    """One deployment on one node. Every method raises ChainUnreachable where the node gives no usable answer."""

    def __init__(self, url: str, deployment: Deployment, *, timeout: float = 10.0, max_fee: int | None = None) -> None:
        self.url = url
        self.deployment = deployment
        self._web3 = connect(url, timeout)
        self.transactions = Transactions(self._web3, url, deployment.chain_id, max_fee)
        self._escrow = self._contract("escrow", deployment.escrow.address)
        self._registry = self._contract("registry", deployment.registry.address)
        self._lens = self._contract("lens", deployment.lens.address)

    @property
    def domain(self) -> Domain:
        return self.deployment.domain

    def close(self) -> None:
        """Close the connections to the node."""
        disconnect(self._web3)

    def _contract(self, name: str, address: str) -> Any:
        return self._web3.eth.contract(Web3.to_checksum_address(address), abi=ABIS[name])

    def _errors(self) -> AbstractContextManager[None]:
        return rpc_errors(self.url)

    # ---- reading ------------------------------------------------------------------------------------------------------

    def verify(self) -> None:
        """The whole check of chain against deployment file, for a start. Raises what `verify_deployment` raises."""
        with self._errors():
            verify_deployment(self._web3, self.deployment)

    def verify_history(self) -> None:
        """The cheap check for every admission: the chain has not been reset or rewritten underneath."""
        with self._errors():
            verify_history(self._web3, self.deployment)

    def head(self) -> Block:
        with self._errors():
            block = self._web3.eth.get_block("latest")
            return Block(int(block["number"]), bytes(block["hash"]), int(block["timestamp"]))

    def native_balance(self, address: str) -> int:
        """Wei."""
        with self._errors():
            return int(self._web3.eth.get_balance(Web3.to_checksum_address(address)))

    def owed(self, account: str, asset: str) -> int:
        """What `account` could withdraw of `asset` now, in atomic units."""
        with self._errors():
            return int(self._escrow.functions.owed(account, asset).call())

    def listing_count(self) -> int:
        with self._errors():
            return int(self._registry.functions.listingCount().call())

    def listing(self, listing_id: int) -> Listing:
        """Raises UnknownListing."""
        try:
            with self._errors():
                oracle, latest, withdrawn = self._registry.functions.getListing(listing_id).call()
                owner = self._registry.functions.ownerOf(listing_id).call()
        except ContractRefused as refusal:
            raise UnknownListing(
                f"There is no listing {listing_id}; `tallystick models` shows those there are.", listing=str(listing_id)
            ) from refusal
        return Listing(listing_id, owner, oracle, int(latest), bool(withdrawn))

    def revision(self, listing_id: int, revision: int) -> Revision:
        """Raises UnknownListing or WrongRevision."""
        try:
            with self._errors():
                terms = self._registry.functions.getRevision(listing_id, revision).call()
        except ContractRefused as refusal:
            if refusal.name == "Registry_UnknownListing":
                raise UnknownListing(f"There is no listing {listing_id}.", listing=str(listing_id)) from refusal
            raise WrongRevision(
                f"Listing {listing_id} has no revision {revision}.", listing=str(listing_id), actual=revision
            ) from refusal
        return Revision(listing_id, revision, RevisionTerms.from_tuple(terms))

    def published_in(self, mined: Mined) -> int:
        """The id of the listing that a mined `publish` made."""
        with self._errors():
            logs = self._registry.events.ListingPublished().get_logs(from_block=mined.block, to_block=mined.block)
        return next(int(log["args"]["listingId"]) for log in logs if bytes(log["transactionHash"]) == mined.transaction)

    def call_state(self, call_id: bytes, confirmations: int = 1) -> CallState:
        """The call's state `confirmations` deep: 1 reads the newest block, 2 the one before it, and so on."""
        with self._errors():
            block: BlockIdentifier = "latest"
            if confirmations > 1:
                block = int(self._web3.eth.block_number) - confirmations + 1
                if block < self.deployment.escrow.block:
                    return CallState(CallStatus.NONE, 0, 0)
            return CallState.from_tuple(self._escrow.functions.callState(call_id).call(block_identifier=block))

    def price_of(self, listing_id: int, revision: int, units: Units, calls_before: int = 0) -> int:
        """What the contracts compute, in atomic units, for a payer who was charged for `calls_before` calls before.

        `RevisionTerms.price_of` is its twin.
        """
        with self._errors():
            triple = (units.input_tokens, units.output_tokens, units.compute_ms)
            return int(self._lens.functions.priceOf(listing_id, revision, triple, calls_before).call())

    # ---- the oracle's transactions ------------------------------------------------------------------------------------

    def next_nonce(self, address: str) -> int:
        return self.transactions.next_nonce(address)

    def prepare_fulfil(self, wallet: Wallet, call: DirectCall, outcome: Outcome, nonce: int) -> SignedTransaction:
        return self.transactions.prepare(wallet, self.fulfil_call(call, outcome), nonce=nonce)

    def prepare_decline(self, wallet: Wallet, call: DirectCall, nonce: int) -> SignedTransaction:
        return self.transactions.prepare(wallet, self.decline_call(call), nonce=nonce)

    def broadcast(self, transaction: SignedTransaction) -> None:
        self.transactions.broadcast(transaction)

    def outcome(self, transaction_hash: bytes) -> Mined | Pending:
        return self.transactions.outcome(transaction_hash)

    def why_reverted(self, transaction_hash: bytes) -> ContractRefused:
        return self.transactions.why_reverted(transaction_hash)

    # ---- the functions that are sent ----------------------------------------------------------------------------------

    def open_call(self, call: DirectCall) -> Any:
        return self._escrow.functions.open(call.as_tuple())

    def fulfil_call(self, call: DirectCall, outcome: Outcome) -> Any:
        return self._escrow.functions.fulfil(call.as_tuple(), outcome.as_tuple())

    def decline_call(self, call: DirectCall) -> Any:
        return self._escrow.functions.decline(call.as_tuple())

    def refund_call(self, call: DirectCall) -> Any:
        return self._escrow.functions.refund(call.as_tuple())

    def withdraw_owed(self, asset: str, to: str) -> Any:
        return self._escrow.functions.withdraw(asset, to)

    def publish_listing(self, terms: RevisionTerms) -> Any:
        return self._registry.functions.publish(terms.as_tuple())

    def revise_listing(self, listing_id: int, terms: RevisionTerms) -> Any:
        return self._registry.functions.revise(listing_id, terms.as_tuple())

    def withdraw_listing(self, listing_id: int) -> Any:
        return self._registry.functions.withdrawListing(listing_id)

    def relist(self, listing_id: int) -> Any:
        return self._registry.functions.relist(listing_id)

"""Everybody on a real chain: owners, oracles and payers that act through the contracts, and keep what they are handed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from coincurve import PrivateKey
from eth_account import Account
from eth_hash.auto import keccak
from hexbytes import HexBytes
from tallystick.chain.abi import ABIS
from tallystick.chain.deployment import Deployment
from tallystick.chain.rpc import connect, disconnect
from tallystick.chain.types import Block, Revision
from tallystick.chain.wallet import DEVELOPMENT_MNEMONIC
from tallystick.protocol.calls import CallStatus, DirectCall, Outcome
from tallystick.protocol.canonical import canonical_bytes
from tallystick.protocol.disclosure import ArchiveEntry
from tallystick.protocol.prices import NATIVE, PriceSheet
from tallystick.protocol.revisions import RevisionTerms
from web3 import Web3
from web3.types import RPCEndpoint, Wei

from .making import commit, make_request, serve

PRICES = PriceSheet(NATIVE, 10**15, 10**16, 0, 10**14)
ESCROW = 10**16
HOUR = 3600


@dataclass(frozen=True)
class OpenedCall:
    """A call on chain, what its oracle made of it, and what an honest one posts. Posted or not, its payer has the entry."""

    call_id: bytes
    terms: DirectCall
    entry: ArchiveEntry
    outcome: Outcome


class Market:
    """Each method is one transaction of an unlocked account, mined when it returns; a revert raises."""

    def __init__(self, url: str, deployment: Deployment) -> None:
        self.url = url
        self.deployment = deployment
        self.web3 = connect(url, 20.0)
        self.escrow = self._contract("escrow", deployment.escrow.address)
        self.registry = self._contract("registry", deployment.registry.address)
        accounts = [str(account) for account in self.web3.eth.accounts]
        self.administrator, self.stranger = accounts[0], accounts[9]
        self.owners, self.oracles, self.payers = accounts[1:3], accounts[3:5], accounts[5:8]
        Account.enable_unaudited_hdwallet_features()
        self.keys = {oracle: _key(number) for number, oracle in enumerate(self.oracles, start=3)}
        self.revisions: dict[tuple[int, int], Revision] = {}
        self.calls: list[OpenedCall] = []

    def close(self) -> None:
        disconnect(self.web3)

    # ---- the catalogue ------------------------------------------------------------------------------------------------

    def publish(
        self, owner: str, oracle: str, prices: PriceSheet = PRICES, uri: str = "ipfs://manifest", **more: Any
    ) -> int:
        """`more`: share, tiers and plans, as in `RevisionTerms`."""
        listing_id = int(self.registry.functions.listingCount().call()) + 1
        manifest_hash = keccak(f"manifest {listing_id}.1".encode())
        terms = RevisionTerms(oracle, manifest_hash, prices, uri, **more)
        self.send(self.registry.functions.publish(terms.as_tuple()), owner)
        self.revisions[listing_id, 1] = Revision(listing_id, 1, terms)
        return listing_id

    def revise(self, listing_id: int, prices: PriceSheet | None = None, oracle: str | None = None) -> None:
        """With the terms of the revision before, but for those that are given."""
        latest = self.listing(listing_id)[1]
        number, before = latest + 1, self.revisions[listing_id, latest].terms
        terms = replace(
            before,
            oracle=oracle or before.oracle,
            manifest_hash=keccak(f"manifest {listing_id}.{number}".encode()),
            prices=prices or before.prices,
            metadata_uri="ipfs://revised",
        )
        self.send(self.registry.functions.revise(listing_id, terms.as_tuple()), self.owner_of(listing_id))
        self.revisions[listing_id, number] = Revision(listing_id, number, terms)

    def transfer(self, listing_id: int, to: str) -> None:
        owner = self.owner_of(listing_id)
        self.send(self.registry.functions.transferFrom(owner, to, listing_id), owner)

    def set_sale(self, listing_id: int, *, withdrawn: bool) -> None:
        name = "withdrawListing" if withdrawn else "relist"
        self.send(self.registry.functions[name](listing_id), self.owner_of(listing_id))

    def owner_of(self, listing_id: int) -> str:
        return str(self.registry.functions.ownerOf(listing_id).call())

    def listing(self, listing_id: int) -> tuple[str, int, bool]:
        """Oracle, latest revision, off sale."""
        oracle, latest, withdrawn = self.registry.functions.getListing(listing_id).call()
        return str(oracle), int(latest), bool(withdrawn)

    # ---- calls --------------------------------------------------------------------------------------------------------

    def open(self, payer: str, listing_id: int, text: str, amount: int = ESCROW, seconds: int = HOUR) -> OpenedCall:
        oracle, latest, _ = self.listing(listing_id)
        salt = keccak(f"salt {len(self.calls)}".encode())
        request = make_request(listing_id, latest, text)
        deadline = self.head().timestamp + seconds
        terms = DirectCall(payer, listing_id, latest, oracle, NATIVE, amount, deadline, commit(request, salt))
        self.send(self.escrow.functions.open(terms.as_tuple()), payer, value=amount)
        entry = serve(
            terms,
            self.deployment.domain,
            self.revisions[listing_id, latest],
            self.keys[oracle],
            request,
            salt,
            self.head().timestamp,
        )
        receipt = entry.signed.receipt
        digest = receipt.digest(self.deployment.domain)
        outcome = Outcome(receipt.result_hash, digest, receipt.units, receipt.charge)
        call = OpenedCall(receipt.call_id, terms, entry, outcome)
        self.calls.append(call)
        return call

    def fulfil(self, call: OpenedCall, outcome: Outcome | None = None) -> None:
        """As its oracle; `outcome` is another than the honest one."""
        posted = (outcome or call.outcome).as_tuple()
        self.send(self.escrow.functions.fulfil(call.terms.as_tuple(), posted), call.terms.oracle)

    def decline(self, call: OpenedCall) -> None:
        self.send(self.escrow.functions.decline(call.terms.as_tuple()), call.terms.oracle)

    def refund(self, call: OpenedCall) -> None:
        self.send(self.escrow.functions.refund(call.terms.as_tuple()), self.stranger)

    def status(self, call: OpenedCall) -> CallStatus:
        return CallStatus(self.escrow.functions.callState(call.call_id).call()[0])

    def withdraw(self, account: str, to: str | None = None) -> None:
        self.send(self.escrow.functions.withdraw(NATIVE, to or account), account)

    def owed(self, account: str) -> int:
        return int(self.escrow.functions.owed(account, NATIVE).call())

    def set_paused(self, *, paused: bool) -> None:
        name = "pause" if paused else "unpause"
        self.send(self.escrow.functions[name](), self.administrator)

    def set_fee(self, fee_bps: int, collector: str) -> None:
        self.send(self.escrow.functions.setFee(fee_bps, collector), self.administrator)

    def force_ether(self, amount: int) -> None:
        """Create a contract that destroys itself in favour of the escrow: nothing there runs, so nothing can refuse."""
        code = b"\x73" + bytes.fromhex(self.deployment.escrow.address[2:]) + b"\xff"
        self._mined(self.web3.eth.send_transaction({"from": self.stranger, "value": Wei(amount), "data": code}))

    # ---- the chain ----------------------------------------------------------------------------------------------------

    def head(self) -> Block:
        block = self.web3.eth.get_block("latest")
        return Block(int(block["number"]), bytes(block["hash"]), int(block["timestamp"]))

    def pass_time(self, seconds: int) -> None:
        self.rpc("evm_increaseTime", seconds)
        self.rpc("evm_mine")

    def rpc(self, method: str, *parameters: Any) -> Any:
        answer = self.web3.provider.make_request(RPCEndpoint(method), list(parameters))
        assert "error" not in answer, answer
        return answer["result"]

    def send(self, function: Any, sender: str, value: int = 0) -> None:
        self._mined(function.transact({"from": sender, "value": value}))

    def in_one_block(self, sent: Sequence[tuple[Any, str]]) -> list[Mapping[str, Any]]:
        """Transactions of several senders, mined together in this order. Gives their receipts."""
        self.rpc("miner_stop")
        # The tip decides the order among senders.
        hashes = [
            function.transact(
                {
                    "from": sender,
                    "gas": 400_000,
                    "maxFeePerGas": 200 * 10**9,
                    "maxPriorityFeePerGas": (100 - order) * 10**9,
                }
            )
            for order, (function, sender) in enumerate(sent)
        ]
        self.rpc("miner_start")
        return [self.web3.eth.wait_for_transaction_receipt(transaction, timeout=20) for transaction in hashes]

    def _mined(self, transaction: bytes) -> None:
        assert self.web3.eth.wait_for_transaction_receipt(HexBytes(transaction), timeout=20)["status"] == 1

    def _contract(self, name: str, address: str) -> Any:
        return self.web3.eth.contract(Web3.to_checksum_address(address), abi=ABIS[name])


def write_archive(path: Path, calls: Iterable[OpenedCall]) -> Path:
    path.write_bytes(b"".join(canonical_bytes(call.entry.to_dict()) + b"\n" for call in calls))
    return path


def _key(index: int) -> PrivateKey:
    account = Account.from_mnemonic(DEVELOPMENT_MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}")
    return PrivateKey(bytes(account.key))

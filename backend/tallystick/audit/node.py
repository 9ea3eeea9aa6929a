"""Everything that an audit asks of a node: the logs, the headers, and the contracts' own views at one fixed block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Self

from eth_hash.auto import keccak
from eth_typing import HexStr
from web3 import Web3
from web3.exceptions import BlockNotFound
from web3.types import BlockIdentifier

from tallystick.chain.abi import ABIS
from tallystick.chain.deployment import Deployment, verify_deployment
from tallystick.chain.events import ChainEvent, read_events
from tallystick.chain.rpc import connect, disconnect, rpc_errors
from tallystick.chain.types import Block, Listing, Revision
from tallystick.errors import BlockOutOfRange, ContractRefused
from tallystick.protocol.calls import CallState
from tallystick.protocol.encoding import address_word
from tallystick.protocol.hexes import to_hex
from tallystick.protocol.prices import NATIVE
from tallystick.protocol.revisions import RevisionTerms

BALANCE_OF: Final = keccak(b"balanceOf(address)")[:4]


class Node:
    """One node, never trusted. Every method raises ChainUnreachable where it gives no usable answer."""

    def __init__(self, url: str, deployment: Deployment, *, timeout: float) -> None:
        """`timeout` in seconds bounds each request."""
        self._url = url
        self._deployment = deployment
        self._web3 = connect(url, timeout)
        self._escrow = self._contract("escrow", deployment.escrow.address)
        self._registry = self._contract("registry", deployment.registry.address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        disconnect(self._web3)

    def verify(self) -> None:
        """Chain id, genesis, creation block and code. Raises WrongChain, ContractMissing or DeploymentMismatch."""
        with rpc_errors(self._url):
            verify_deployment(self._web3, self._deployment)

    def header(self, number: BlockIdentifier) -> Block:
        with rpc_errors(self._url):
            block = self._web3.eth.get_block(number)
            return Block(int(block["number"]), bytes(block["hash"]), int(block["timestamp"]))

    def block_hash(self, number: int) -> bytes | None:
        """None where the node has no such block (any more)."""
        with rpc_errors(self._url):
            try:
                return bytes(self._web3.eth.get_block(number)["hash"])
            except BlockNotFound:
                return None

    def events(self, to_block: int, page_blocks: int) -> Iterator[ChainEvent]:
        """From the deployment to `to_block`, inclusive. Raises UndecodableLog."""
        return read_events(self._web3, self._url, self._deployment, to_block=to_block, page_blocks=page_blocks)

    def at(self, to_block: int | None) -> View:
        """The contracts at a block, by default the newest. Raises BlockOutOfRange."""
        head = self.header("latest")
        # The younger contract's block: before it, half of the marketplace is missing.
        first = max(contract.block for contract in self._deployment.emitting().values())
        number = head.number if to_block is None else to_block
        if not first <= number <= head.number:
            raise BlockOutOfRange(
                f"Block {number} can't be audited: the contracts exist since block {first}, and the newest block is "
                f"{head.number}. Choose one of these, or wait.",
                actual=number,
                earliest=first,
                latest=head.number,
            )
        return View(self._url, self._web3, self._escrow, self._registry, self.header(number))

    def newest_call_state(self, call_id: bytes) -> CallState:
        with rpc_errors(self._url):
            return _call_state(self._escrow, call_id, "latest")

    def _contract(self, name: str, address: str) -> Any:
        return self._web3.eth.contract(Web3.to_checksum_address(address), abi=ABIS[name])


class View:
    """What the contracts say of themselves at `block`."""

    def __init__(self, url: str, web3: Web3, escrow: Any, registry: Any, block: Block) -> None:
        self.block = block
        self._url = url
        self._web3 = web3
        self._escrow = escrow
        self._registry = registry

    def registry_address(self) -> str:
        return str(self._read(self._escrow.functions.registry()))

    def max_call_seconds(self) -> int:
        return int(self._read(self._escrow.functions.maxCallDuration()))

    def balance(self, asset: str) -> int | None:
        """What the escrow holds of `asset`, in atomic units; None where a token does not tell."""
        with rpc_errors(self._url):
            if asset == NATIVE:
                return int(self._web3.eth.get_balance(self._escrow.address, self.block.number))
            question = BALANCE_OF + address_word(self._escrow.address)
            try:
                with rpc_errors(self._url):
                    answer = self._web3.eth.call(
                        {"to": Web3.to_checksum_address(asset), "data": HexStr(to_hex(question))}, self.block.number
                    )
            except ContractRefused:
                return None
            return int.from_bytes(answer, "big") if len(answer) == 32 else None

    def owed(self, account: str, asset: str) -> int:
        """Atomic units."""
        return int(self._read(self._escrow.functions.owed(account, asset)))

    def call_state(self, call_id: bytes) -> CallState:
        with rpc_errors(self._url):
            return _call_state(self._escrow, call_id, self.block.number)

    def listing_count(self) -> int:
        return int(self._read(self._registry.functions.listingCount()))

    def listing(self, listing_id: int) -> Listing | None:
        """None where the contract has no such listing."""
        try:
            oracle, latest, withdrawn = self._read(self._registry.functions.getListing(listing_id))
            owner = self._read(self._registry.functions.ownerOf(listing_id))
        except ContractRefused:
            return None
        return Listing(listing_id, str(owner), str(oracle), int(latest), bool(withdrawn))

    def revision(self, listing_id: int, revision: int) -> Revision | None:
        """None where the contract has no such revision."""
        try:
            terms = self._read(self._registry.functions.getRevision(listing_id, revision))
        except ContractRefused:
            return None
        return Revision(listing_id, revision, RevisionTerms.from_tuple(terms))

    def _read(self, function: Any) -> Any:
        with rpc_errors(self._url):
            return function.call(block_identifier=self.block.number)


def _call_state(escrow: Any, call_id: bytes, block: BlockIdentifier) -> CallState:
    return CallState.from_tuple(escrow.functions.callState(call_id).call(block_identifier=block))

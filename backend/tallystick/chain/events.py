"""Every event of the contracts, decoded by the ABI, in the order in which it happened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from eth_abi.exceptions import DecodingError
from eth_hash.auto import keccak
from web3 import Web3

from tallystick.chain.abi import ABIS, event_arguments, signature
from tallystick.chain.deployment import Deployment
from tallystick.chain.rpc import rpc_errors
from tallystick.errors import ChainUnreachable, UndecodableLog

DEFAULT_PAGE_BLOCKS = 2000


@dataclass(frozen=True, order=True)
class Position:
    """Where in the history something happened; sorts in that order."""

    block: int
    log_index: int


@dataclass(frozen=True)
class ChainEvent:
    """One log of ours. `arguments` by ABI name: ints, bytes, strings, lists, and for tuples mappings by component name."""

    contract: str
    name: str
    arguments: Mapping[str, Any]
    position: Position
    block_hash: bytes
    transaction: bytes


def read_events(
    web3: Web3,
    url: str,
    deployment: Deployment,
    *,
    from_block: int | None = None,
    to_block: int,
    page_blocks: int = DEFAULT_PAGE_BLOCKS,
) -> Iterator[ChainEvent]:
    """All events of escrow and registry in `from_block` (default: the deployment) to `to_block`, inclusive.

    Asks for `page_blocks` blocks at a time and for half as many whenever the node refuses so wide a range. Raises
    ChainUnreachable when it refuses a single block, UndecodableLog on a log that is not in the ABI.
    """
    addresses = {contract.address.lower(): name for name, contract in deployment.emitting().items()}
    start = deployment.first_block if from_block is None else from_block
    width = page_blocks
    while start <= to_block:
        end = min(start + width - 1, to_block)
        try:
            with rpc_errors(url):
                logs = web3.eth.get_logs(
                    {
                        "fromBlock": start,
                        "toBlock": end,
                        "address": [Web3.to_checksum_address(address) for address in addresses],
                    }
                )
        except ChainUnreachable:
            if width == 1 or end == start:
                raise
            width = max(1, (end - start + 1) // 2)
            continue
        decoded = [_read(addresses, log) for log in logs]
        yield from sorted(decoded, key=lambda event: event.position)
        start = end + 1


def _read(addresses: Mapping[str, str], log: Mapping[str, Any]) -> ChainEvent:
    try:
        return _decode(addresses[str(log["address"]).lower()], log)
    except (DecodingError, LookupError, TypeError, ValueError) as error:
        raise UndecodableLog(
            f"The node returned a log in block {log.get('blockNumber')}, index {log.get('logIndex')}, that is not one of "
            f"the contracts' ({type(error).__name__})."
        ) from error


def _decode(contract: str, log: Mapping[str, Any]) -> ChainEvent:
    position = Position(int(log["blockNumber"]), int(log["logIndex"]))
    topics = [bytes(topic) for topic in log["topics"]]
    entry = _events_by_topic(contract).get(topics[0]) if topics else None
    if entry is None:
        raise UndecodableLog(
            f"The {contract} has a log at block {position.block}, index {position.log_index}, that its ABI does not "
            "explain.",
            block=position.block,
        )
    arguments = event_arguments(entry, topics[1:], bytes(log["data"]))
    return ChainEvent(
        contract, entry["name"], arguments, position, bytes(log["blockHash"]), bytes(log["transactionHash"])
    )


@cache
def _events_by_topic(contract: str) -> dict[bytes, dict[str, Any]]:
    return {keccak(signature(entry).encode()): entry for entry in ABIS[contract] if entry["type"] == "event"}

"""Every event of both contracts, in the order of the chain, however many blocks a node is willing to look at (B12, B14)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from eth_hash.auto import keccak
from tallystick.chain.abi import ABIS, CODEC, canonical_type
from tallystick.chain.deployment import DeployedContract, Deployment
from tallystick.chain.events import ChainEvent, Position, read_events
from tallystick.chain.rpc import connect, disconnect
from tallystick.errors import ChainUnreachable, UndecodableLog
from tallystick.protocol.calls import Mode
from tallystick.protocol.hexes import checksum_address, to_hex
from tallystick.protocol.outcomes import LoggedOutcome, pack_outcome
from tallystick.protocol.plans import Plan
from tallystick.protocol.revisions import RevisionTerms
from tallystick.protocol.tiers import Tier
from web3 import Web3

from .bench import AMOUNT, CHARGE, MANIFEST, ORACLE, OUTCOME, OWNER, PAYER, PRICES, UNITS, GanacheBench, terms
from .rpc_server import Answer, Error, RpcServer

REGISTRY, ESCROW, LENS, CREDIT_PLANS = (
    checksum_address("0x" + keccak(name)[12:].hex()) for name in (b"registry", b"escrow", b"lens", b"credit plans")
)
DEPLOYMENT = Deployment(
    1337,
    bytes(32),
    DeployedContract(ESCROW, 12, *(bytes(32) for _ in range(4))),
    DeployedContract(REGISTRY, 10, *(bytes(32) for _ in range(4))),
    DeployedContract(LENS, 13, *(bytes(32) for _ in range(4))),
    DeployedContract(CREDIT_PLANS, 11, *(bytes(32) for _ in range(4))),
)


@pytest.fixture
def web3(server: RpcServer) -> Iterator[Web3]:
    client = connect(server.url, 2.0)
    yield client
    disconnect(client)


def log(event: str, values: dict[str, Any], *, block: int, index: int, contract: str = "escrow") -> dict[str, Any]:
    """A log as a node returns it, encoded by the ABI."""
    entry = next(item for item in ABIS[contract] if item["type"] == "event" and item["name"] == event)
    types = [canonical_type(parameter) for parameter in entry["inputs"]]
    topics = [keccak(f"{event}({','.join(types)})".encode())]
    topics += [CODEC.encode([canonical_type(p)], [values[p["name"]]]) for p in entry["inputs"] if p["indexed"]]
    plain = [parameter for parameter in entry["inputs"] if not parameter["indexed"]]
    data = CODEC.encode([canonical_type(p) for p in plain], [values[p["name"]] for p in plain])
    return {
        "address": (ESCROW if contract == "escrow" else REGISTRY).lower(),
        "topics": [to_hex(topic) for topic in topics],
        "data": to_hex(data),
        "blockNumber": hex(block),
        "logIndex": hex(index),
        "blockHash": to_hex(keccak(bytes([block]))),
        "transactionHash": to_hex(keccak(bytes([block, index]))),
        "transactionIndex": "0x0",
        "removed": False,
    }


def declined(block: int, index: int = 0) -> dict[str, Any]:
    values = {"callId": bytes([block]) * 32, "payer": PAYER.address, "refund": 5}
    return log("CallDeclined", values, block=block, index=index)


def logs_between(*logs: dict[str, Any], widest: int = 10**9) -> Callable[[dict[str, Any]], Answer]:
    """A node that has these logs and refuses to look at more than `widest` blocks at once."""

    def answer(query: dict[str, Any]) -> Answer:
        start, end = int(query["fromBlock"], 16), int(query["toBlock"], 16)
        if end - start + 1 > widest:
            return Error("query exceeds max block range", code=-32602)
        return [entry for entry in logs if start <= int(entry["blockNumber"], 16) <= end]

    return answer


def ranges(server: RpcServer) -> list[tuple[int, int]]:
    return [(int(query["fromBlock"], 16), int(query["toBlock"], 16)) for (query,) in server.asked("eth_getLogs")]


def read(server: RpcServer, web3: Web3, to_block: int, **options: Any) -> list[ChainEvent]:
    return list(read_events(web3, server.url, DEPLOYMENT, to_block=to_block, **options))


# ---- paging -----------------------------------------------------------------------------------------------------------


def test_read_events_begins_at_the_first_contract(server: RpcServer, web3: Web3) -> None:
    server.script["eth_getLogs"] = logs_between(declined(11))
    assert [event.position.block for event in read(server, web3, 20)] == [11]
    assert ranges(server) == [(10, 20)]
    ((query,),) = server.asked("eth_getLogs")
    assert {address.lower() for address in query["address"]} == {ESCROW.lower(), REGISTRY.lower()}


def test_read_events_asks_page_by_page_without_gap_or_overlap(server: RpcServer, web3: Web3) -> None:
    """B14"""
    server.script["eth_getLogs"] = logs_between(*(declined(block) for block in (10, 14, 15, 19, 20)))
    events = read(server, web3, 20, page_blocks=5)
    assert [event.position.block for event in events] == [10, 14, 15, 19, 20]
    assert ranges(server) == [(10, 14), (15, 19), (20, 20)]


@pytest.mark.parametrize("widest", [1, 2, 3, 7])
def test_read_events_halves_a_range_that_is_refused(server: RpcServer, web3: Web3, widest: int) -> None:
    """B14: whatever the node's limit, every block is asked for once in an accepted query."""
    blocks = list(range(10, 40))
    server.script["eth_getLogs"] = logs_between(*(declined(block) for block in blocks), widest=widest)
    events = read(server, web3, 39, page_blocks=16)
    assert [event.position.block for event in events] == blocks
    accepted = [(start, end) for start, end in ranges(server) if end - start + 1 <= widest]
    assert [block for start, end in accepted for block in range(start, end + 1)] == blocks


def test_read_events_gives_up_when_one_block_is_refused(server: RpcServer, web3: Web3) -> None:
    server.script["eth_getLogs"] = logs_between(widest=0)
    with pytest.raises(ChainUnreachable, match="max block range"):
        read(server, web3, 40, page_blocks=4)
    assert ranges(server) == [(10, 13), (10, 11), (10, 10)]


def test_read_events_that_fails_half_way_says_so_after_what_was_read(server: RpcServer, web3: Web3) -> None:
    """S5: a reader never takes a part for the whole."""
    server.script["eth_getLogs"] = server.in_turn([declined(10)], Error("down"))
    events = read_events(web3, server.url, DEPLOYMENT, to_block=11, page_blocks=1)
    assert next(events).position.block == 10
    with pytest.raises(ChainUnreachable):
        next(events)


def test_read_events_of_nothing_asks_nothing(server: RpcServer, web3: Web3) -> None:
    assert read(server, web3, 9) == []
    assert server.calls == []


def test_read_events_sorts_what_a_node_returns_in_another_order(server: RpcServer, web3: Web3) -> None:
    """B12"""
    server.script["eth_getLogs"] = [declined(12, 3), declined(11, 7), declined(12, 0)]
    assert [event.position for event in read(server, web3, 20)] == [
        Position(11, 7),
        Position(12, 0),
        Position(12, 3),
    ]


# ---- decoding ---------------------------------------------------------------------------------------------------------

UNDECODABLE: dict[str, dict[str, Any]] = {
    "an event that the ABI does not have": {"topics": [to_hex(keccak(b"Other()"))]},
    "no topics": {"topics": []},
    "a topic too few": {"topics": declined(11)["topics"][:-1]},
    "a topic too many": {"topics": [*declined(11)["topics"], to_hex(bytes(32))]},
    "data too short": {"data": "0x"},
    "an amount beyond its type": {"data": to_hex(b"\xff" * 32)},
    "an address that was not asked for": {"address": "0x" + "33" * 20},
}


@pytest.mark.parametrize("case", UNDECODABLE)
def test_read_events_with_an_undecodable_log_is_refused(server: RpcServer, web3: Web3, case: str) -> None:
    """S7: never skipped, never guessed at."""
    server.script["eth_getLogs"] = [{**declined(11), **UNDECODABLE[case]}]
    with pytest.raises(UndecodableLog, match="11"):
        read(server, web3, 20)


def test_read_events_with_a_uri_that_is_no_text_still_reads_it(server: RpcServer, web3: Web3) -> None:
    """One owner's odd bytes must not make the marketplace unreadable for everybody."""
    values = {
        "listingId": 1,
        "revision": 1,
        "oracle": ORACLE.address,
        "terms": RevisionTerms(ORACLE.address, MANIFEST, PRICES, "aaa").as_tuple(),
    }
    odd = log("RevisionAdded", values, block=11, index=0, contract="registry")
    odd["data"] = odd["data"].replace(b"aaa".hex(), b"\xffa\xfe".hex())
    server.script["eth_getLogs"] = [odd]
    (event,) = read(server, web3, 20)
    assert event.arguments["terms"]["metadataURI"] == "\\xffa\\xfe"


# ---- against the contracts --------------------------------------------------------------------------------------------


def of_contracts(ganache: GanacheBench, first: int) -> list[ChainEvent]:
    market = ganache.market
    client = connect(market.url, 10.0)
    head = market.head().number
    events = list(read_events(client, market.url, market.deployment, from_block=first, to_block=head))
    disconnect(client)
    return events


def test_read_events_of_a_listing_gives_its_terms(ganache: GanacheBench) -> None:
    first = ganache.market.head().number + 1
    listing = ganache.publish()
    published, added, minted = of_contracts(ganache, first)
    assert (published.contract, published.name) == ("registry", "ListingPublished")
    assert published.arguments == {"listingId": listing, "owner": OWNER.address}
    assert added.name == "RevisionAdded"
    assert (added.arguments["listingId"], added.arguments["revision"]) == (listing, 1)
    assert added.arguments["oracle"] == ORACLE.address
    assert RevisionTerms.from_arguments(added.arguments["terms"]) == RevisionTerms(
        ORACLE.address, MANIFEST, PRICES, "ipfs://manifest"
    )
    assert (minted.name, minted.arguments["to"]) == ("Transfer", OWNER.address)


def test_read_events_of_a_revision_with_tiers_and_plans_names_their_parts(ganache: GanacheBench) -> None:
    given = RevisionTerms(
        ORACLE.address,
        MANIFEST,
        PRICES,
        "",
        1_250,
        (Tier(1, 500), Tier(100, 2_000)),
        (Plan(0, 3, 1, 60, 0), Plan(7, 10, 2, 3_600, 600)),
    )
    listing = ganache.publish()
    first = ganache.market.head().number + 1
    transactions = ganache.market.transactions
    transactions.send_and_wait(transactions.prepare(OWNER, ganache.market.revise_listing(listing, given)))
    (added,) = of_contracts(ganache, first)
    assert RevisionTerms.from_arguments(added.arguments["terms"]) == given
    assert ganache.market.revision(listing, 2).terms == given


def test_read_events_of_a_charged_call_logs_everything_once(ganache: GanacheBench) -> None:
    """E1: callId, listing, revision, payer, request commitment, result hash, units, charge and mode, in one log."""
    call = terms(ganache, ganache.publish())
    first = ganache.market.head().number + 1
    ganache.open(call)
    transaction = ganache.chain.prepare_fulfil(ORACLE, call, OUTCOME, ganache.chain.next_nonce(ORACLE.address))
    ganache.chain.broadcast(transaction)
    mined = ganache.wait_for(transaction.hash)

    opened, logged, fulfilled = of_contracts(ganache, first)
    call_id = call.call_id(ganache.chain.domain)
    assert [opened.name, logged.name, fulfilled.name] == ["CallOpened", "CallLogged", "CallFulfilled"]
    assert tuple(opened.arguments["call"].values()) == call.as_tuple()
    assert logged.arguments == {
        "callId": call_id,
        "listingId": call.listing_id,
        "payer": PAYER.address,
        "requestCommitment": call.request_commitment,
        "resultHash": OUTCOME.result_hash,
        "outcome": pack_outcome(LoggedOutcome(1, Mode.DIRECT, UNITS, CHARGE)),
    }
    assert fulfilled.arguments == {
        "callId": call_id,
        "earner": OWNER.address,
        "refund": AMOUNT - CHARGE,
        "receiptDigest": OUTCOME.receipt_digest,
    }
    assert (logged.transaction, logged.block_hash) == (transaction.hash, mined.block_hash)

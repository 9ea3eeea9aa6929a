"""What the contract tests send, expect and look at.

Transactions go to the chain as they are and come back as receipts with decoded logs, or as raw revert data that is
matched by selector and decoded arguments, never by a message's text. Brownie compiles, deploys and isolates.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from brownie import accounts, project, web3
from eth_abi import decode
from eth_account.messages import encode_typed_data
from eth_utils import keccak, to_checksum_address
from eth_utils.abi import collapse_if_tuple, event_abi_to_log_topic, function_abi_to_4byte_selector

ROOT = Path(__file__).resolve().parents[2]
NATIVE = "0x" + "0" * 40
TOKEN = to_checksum_address("0xdac17f958d2ee523a2206206994597c13d831ec7")
UINT32, UINT40, UINT80, UINT96, UINT128 = (2**bits - 1 for bits in (32, 40, 80, 96, 128))
WEEK = 7 * 24 * 3600
GAS = 5_000_000
CREATION_GAS = 10_000_000
MAX_CODE_BYTES = 24_576
MAX_FEE, TIP = 10 * 10**9, 10**9
NONE, OPEN, FULFILLED, DECLINED, REFUNDED = range(5)
MANIFEST = keccak(b"manifest")
RESULT = keccak(b"result")
RECEIPT_DIGEST = keccak(b"receipt")


class PriceSheet(NamedTuple):
    """In the order of the contract's struct; atomic units."""

    asset: str = NATIVE
    per_call: int = 1_000
    per_thousand_input_tokens: int = 2_000
    per_thousand_output_tokens: int = 6_000
    per_compute_second: int = 500


class Tier(NamedTuple):
    from_calls: int
    discount_bps: int


class Plan(NamedTuple):
    credit_price: int = 100
    credits: int = 10
    tranches: int = 1
    duration: int = 30 * 24 * 3600
    interval: int = 0


class RevisionTerms(NamedTuple):
    oracle: str
    oracle_share_bps: int = 0
    manifest_hash: bytes = MANIFEST
    prices: PriceSheet = PriceSheet()
    tiers: tuple[Tier, ...] = ()
    plans: tuple[Plan, ...] = ()
    metadata_uri: str = "ipfs://manifest"


class Units(NamedTuple):
    input_tokens: int = 120
    output_tokens: int = 35
    compute_ms: int = 999


class DirectCall(NamedTuple):
    payer: str
    listing_id: int
    revision: int
    oracle: str
    asset: str
    amount: int
    deadline: int
    request_commitment: bytes


class Outcome(NamedTuple):
    result_hash: bytes = RESULT
    receipt_digest: bytes = RECEIPT_DIGEST
    units: Units = Units()
    charge: int = 0


def price_of(sheet: PriceSheet, units: Units) -> int:
    metered = (
        units.input_tokens * sheet.per_thousand_input_tokens
        + units.output_tokens * sheet.per_thousand_output_tokens
        + units.compute_ms * sheet.per_compute_second
    )
    return sheet.per_call + metered // 1000


def discounted(price: int, bps: int) -> int:
    """The price less a volume tier's discount, rounded down."""
    return price * (10_000 - bps) // 10_000


def packed_tiers(tiers: Sequence[Tier]) -> int:
    packed = 0
    for tier in tiers:
        packed = packed << 56 | tier.from_calls << 16 | tier.discount_bps
    return packed


def price_words(terms: RevisionTerms) -> tuple[int, int]:
    """A revision's prices as the catalogue keeps them, with the oracle's share and whether there are tiers."""
    prices = terms.prices
    rates = (
        prices.per_compute_second << 160 | prices.per_thousand_output_tokens << 80 | prices.per_thousand_input_tokens
    )
    flag = 1 << 255 if terms.tiers else 0
    return prices.per_call << 160 | int(prices.asset, 16), flag | terms.oracle_share_bps << 240 | rates


def packed_outcome(revision: int, units: Units, charge: int) -> int:
    """The last word of a direct call's log."""
    return revision << 224 | units.input_tokens << 184 | units.output_tokens << 152 | units.compute_ms << 120 | charge


def call_id_of(call: DirectCall, escrow: str, chain_id: int = 1337) -> bytes:
    """By eth-account's general encoder of typed data."""
    kinds = ["address", "uint256", "uint32", "address", "address", "uint128", "uint40", "bytes32"]
    names = ["payer", "listingId", "revision", "oracle", "asset", "amount", "deadline", "requestCommitment"]
    signable = encode_typed_data(
        {"name": "Tallystick", "version": "1", "chainId": chain_id, "verifyingContract": escrow},
        {"DirectCall": [{"name": name, "type": kind} for name, kind in zip(names, kinds, strict=True)]},
        dict(zip(names, call, strict=True)),
    )
    return keccak(b"\x19\x01" + signable.header + signable.body)


# ---- the ABI --------------------------------------------------------------------------------------------------------


def abi_of(name: str) -> list[dict[str, Any]]:
    abi: list[dict[str, Any]] = json.loads((ROOT / "build/brownie/contracts" / f"{name}.json").read_text())["abi"]
    return abi


ABIS = {
    name: abi_of(name)
    for name in ("Escrow", "ListingRegistry", "EscrowLens", "RejectingReceiverMock", "TestStablecoin")
}
ERRORS = {
    function_abi_to_4byte_selector(entry): entry for abi in ABIS.values() for entry in abi if entry["type"] == "error"
}
EVENTS = {
    (event_abi_to_log_topic(entry), sum(item["indexed"] for item in entry["inputs"])): entry
    for abi in ABIS.values()
    for entry in abi
    if entry["type"] == "event"
}
"""By first topic and number of further ones: ERC-20 and ERC-721 have one name for two events."""


def plain(value: Any) -> Any:
    """Addresses in one form, and the same few types whoever decoded it."""
    if isinstance(value, str) and value.startswith("0x") and len(value) == 42:
        return to_checksum_address(value)
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, list | tuple):
        return tuple(plain(item) for item in value)
    return value


def decoded(entries: Sequence[dict[str, Any]], data: bytes) -> tuple[Any, ...]:
    return plain(decode([collapse_if_tuple(entry) for entry in entries], data))


def decoded_error(data: bytes) -> tuple[str, tuple[Any, ...]]:
    """The error's name and arguments; ("", ()) for a revert without data, as the ABI decoder gives it."""
    if not data:
        return "", ()
    entry = ERRORS[data[:4]]
    return entry["name"], decoded(entry["inputs"], data[4:])


class Event(NamedTuple):
    """One log. `indexed` are the arguments that a node can filter by."""

    address: str
    name: str
    indexed: dict[str, Any]
    data: dict[str, Any]


def decoded_event(log: dict[str, Any]) -> Event:
    topics = [bytes(topic) for topic in log["topics"]]
    entry = EVENTS[topics[0], len(topics) - 1]
    indexed = [item for item in entry["inputs"] if item["indexed"]]
    others = [item for item in entry["inputs"] if not item["indexed"]]
    return Event(
        log["address"],
        entry["name"],
        {item["name"]: decoded([item], topic)[0] for item, topic in zip(indexed, topics[1:], strict=True)},
        dict(zip([item["name"] for item in others], decoded(others, bytes(log["data"])), strict=True)),
    )


# ---- the chain ------------------------------------------------------------------------------------------------------


class RpcRefused(Exception):
    """What the node answered in place of a result."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error)
        self.data: Any = error.get("data")


def rpc(method: str, *params: Any) -> Any:
    """Straight to the node, past Brownie's caches."""
    reply = web3.provider.make_request(method, list(params))
    if "error" in reply:
        raise RpcRefused(reply["error"])
    return reply["result"]


def now() -> int:
    """The latest block's second."""
    return int(web3.eth.get_block("latest")["timestamp"])


@dataclass(frozen=True)
class Mined:
    """A transaction in a block."""

    hash: str
    succeeded: bool
    events: list[Event]
    gas_used: int
    fee: int
    second: int
    revert_data: bytes


def send(call: Any, *arguments: Any, by: Any, value: int = 0, at: int | None = None, gas: int = GAS) -> Mined:
    """Send a contract function's call and mine it, in a block of exactly the second `at` if one is given."""
    return send_raw(call._address, call.encode_input(*arguments), by=by, value=value, at=at, gas=gas)


def send_raw(to: Any, data: str, *, by: Any, value: int = 0, at: int | None = None, gas: int = GAS) -> Mined:
    transaction = {
        "from": str(by),
        **({} if to is None else {"to": str(to)}),
        "data": data,
        "value": hex(value),
        "gas": hex(gas),
        "maxFeePerGas": hex(MAX_FEE),
        "maxPriorityFeePerGas": hex(TIP),
    }
    transaction_hash = _submitted(transaction) if at is None else _mined_at(at, transaction)
    receipt = web3.eth.get_transaction_receipt(transaction_hash)
    succeeded = receipt["status"] == 1
    return Mined(
        transaction_hash,
        succeeded,
        [decoded_event(log) for log in receipt["logs"]],
        receipt["gasUsed"],
        receipt["gasUsed"] * receipt["effectiveGasPrice"],
        int(web3.eth.get_block(receipt["blockNumber"])["timestamp"]),
        b"" if succeeded else _returned(transaction_hash),
    )


def _submitted(transaction: dict[str, str]) -> str:
    """The transaction's hash. Ganache answers an error where it reverts, though it is mined all the same."""
    try:
        return str(rpc("eth_sendTransaction", transaction))
    except RpcRefused as refused:
        return str(refused.data["hash"])


def _mined_at(second: int, transaction: dict[str, str]) -> str:
    """Ganache's clock runs on between setting it and mining, so the second is given to the block itself."""
    rpc("miner_stop")
    try:
        transaction_hash = _submitted(transaction)
        with suppress(RpcRefused):  # as in _submitted; a block that is missing shows when the receipt is read
            rpc("evm_mine", second)
    finally:
        rpc("miner_start")
    rpc("evm_setTime", second * 1000)  # later blocks are not before this one
    return transaction_hash


def _returned(transaction_hash: str) -> bytes:
    """The revert data of a mined transaction. No receipt has it, so it is read where REVERT, as the last step, found it."""
    last = rpc("debug_traceTransaction", transaction_hash, {"disableStorage": True})["structLogs"][-1]
    if last["op"] != "REVERT":
        return b""
    offset, size = int(last["stack"][-1], 16), int(last["stack"][-2], 16)
    return bytes.fromhex("".join(last["memory"]))[offset : offset + size]


def view(call: Any, *arguments: Any) -> Any:
    """What a view function returns: one value, or a tuple of them."""
    data = rpc("eth_call", {"to": call._address, "data": call.encode_input(*arguments)}, "latest")
    values = decoded(call.abi["outputs"], bytes.fromhex(data.removeprefix("0x")))
    return values[0] if len(values) == 1 else values


def create(container: Any, *arguments: Any, by: Any, value: int = 0) -> Any:
    """Deploy a contract that Brownie compiled."""
    mined = send_raw(None, _creation(container, *arguments), by=by, value=value, gas=CREATION_GAS)
    assert mined.succeeded, decoded_error(mined.revert_data)
    address = web3.eth.get_transaction_receipt(mined.hash)["contractAddress"]
    return container.at(address) if web3.eth.get_code(address) else address


def _creation(container: Any, *arguments: Any) -> str:
    """Brownie links a library that a contract needs, once it has been created."""
    return "0x" + str(container.deploy.encode_input(*arguments)).removeprefix("0x")


def deployed() -> list[Any]:
    """All contracts that stand on the chain."""
    return [contract for loaded in project.get_loaded_projects() for container in loaded for contract in container]


@contextmanager
def rewound() -> Iterator[None]:
    """Take back whatever is mined or deployed meanwhile. Brownie's own way takes a tenth of a second longer."""
    snapshot, before = rpc("evm_snapshot"), {contract.address for contract in deployed()}
    try:
        yield
    finally:
        assert rpc("evm_revert", snapshot)
        for contract in deployed():
            if contract.address not in before:
                contract._project[contract._name].remove(contract)


def fund(account: Any, wei: int) -> None:
    """Give an account a balance."""
    rpc("evm_setAccountBalance", str(account), hex(wei))


# ---- what tests expect ----------------------------------------------------------------------------------------------

REFUSALS: set[tuple[str, str]] = set()
"""(function, error) pairs that the running test has provoked."""


def refuses(function: str, error: str) -> Any:
    """Mark a test as the one that provokes `error` from `function`; the test fails where it does not."""
    return pytest.mark.refuses(function, error)


LARGEST = PriceSheet(NATIVE, UINT96, UINT80, UINT80, UINT80)
ROUNDED = {
    "999 thousandths": (PriceSheet(NATIVE, 5, 1, 0, 0), Units(999, 0, 0), 5),
    "1000 thousandths": (PriceSheet(NATIVE, 5, 1, 0, 0), Units(1000, 0, 0), 6),
    "summed, then rounded": (PriceSheet(NATIVE, 0, 1, 1, 1), Units(500, 400, 100), 1),
    "1999 thousandths": (PriceSheet(NATIVE, 0, 0, 1, 0), Units(0, 1999, 0), 1),
    "a millisecond": (PriceSheet(NATIVE, 0, 0, 0, 1000), Units(0, 0, 1), 1),
    "largest prices and units": (
        LARGEST,
        Units(UINT32, UINT32, UINT32),
        UINT96 + 3 * UINT80 * UINT32 // 1000,
    ),
}
rounded = pytest.mark.parametrize(("sheet", "units", "price"), ROUNDED.values(), ids=ROUNDED)
"""Mark a test to run with price sheets and units whose price has to be rounded, or is the largest."""


def accepted(call: Any, *arguments: Any, by: Any, value: int = 0, at: int | None = None) -> Mined:
    """Send, and fail unless it succeeds."""
    mined = send(call, *arguments, by=by, value=value, at=at)
    assert mined.succeeded, decoded_error(mined.revert_data)
    return mined


def refused(
    call: Any,
    *arguments: Any,
    by: Any,
    error: str,
    details: Sequence[Any] = (),
    value: int = 0,
    at: int | None = None,
    function: str | None = None,
) -> Mined:
    """Send, and fail unless it reverts with exactly this error and leaves everything but the sender's fee as it was.

    A callable as a detail is given the mined transaction, for errors that name the block's second. `function`: which
    one refuses, where it is called through another contract.
    """
    return refused_raw(
        call._address,
        call.encode_input(*arguments),
        by=by,
        function=function or f"{call._name.split('.')[0]}.{call.abi['name']}",
        error=error,
        details=details,
        value=value,
        at=at,
    )


def refused_raw(
    to: Any,
    data: str,
    *,
    by: Any,
    function: str,
    error: str,
    details: Sequence[Any] = (),
    value: int = 0,
    at: int | None = None,
) -> Mined:
    before = world()
    assert str(to) in before
    mined = send_raw(to, data, by=by, value=value, at=at)
    assert not mined.succeeded, f"{function} was accepted"
    expected = tuple(detail(mined) if callable(detail) else detail for detail in details)
    assert decoded_error(mined.revert_data) == (error, plain(expected))
    assert mined.events == []
    after = world()
    sender = str(by)
    assert after.pop(sender) == before.pop(sender) - mined.fee
    assert after == before
    if error:
        REFUSALS.add((function, error))
    return mined


def refused_creation(container: Any, *arguments: Any, by: Any, error: str, details: Sequence[Any] = ()) -> None:
    """Try to create a contract, and fail unless its constructor reverts with exactly this error."""
    before = world()
    data = _creation(container, *arguments)
    with pytest.raises(RpcRefused) as refusal:
        rpc("eth_estimateGas", {"from": str(by), "data": data})
    assert decoded_error(_data_of(refusal.value)) == (error, plain(tuple(details)))
    assert world() == before
    REFUSALS.add((f"{container._name}.constructor", error))


def refused_view(call: Any, *arguments: Any, error: str, details: Sequence[Any] = ()) -> None:
    """Call a view function, and fail unless it reverts with exactly this error."""
    before = world()
    with pytest.raises(RpcRefused) as refusal:
        rpc("eth_call", {"to": call._address, "data": call.encode_input(*arguments)}, "latest")
    assert decoded_error(_data_of(refusal.value)) == (error, plain(tuple(details)))
    assert world() == before
    REFUSALS.add((f"{call._name.split('.')[0]}.{call.abi['name']}", error))


def _data_of(refused: RpcRefused) -> bytes:
    """Ganache wraps the revert data of an estimate, and not that of a call."""
    data = refused.data["result"] if isinstance(refused.data, dict) else refused.data
    return bytes.fromhex(data.removeprefix("0x"))


def world() -> dict[str, Any]:
    """Everybody's ether, and of each contract all of its storage as one hash."""
    state: dict[str, Any] = {str(account): balance_of(account) for account in accounts}
    for contract in deployed():
        proof = rpc("eth_getProof", contract.address, [], "latest")
        state[contract.address] = (int(proof["balance"], 16), proof["storageHash"], proof["nonce"])
    return state


@contextmanager
def balances_move(**by_account: Any) -> Iterator[None]:
    """`name=(account, change in wei)`: fail unless each balance moves by exactly that. Fees are the caller's to add."""
    before = {name: balance_of(account) for name, (account, _) in by_account.items()}
    yield
    moved = {name: balance_of(account) - before[name] for name, (account, _) in by_account.items()}
    assert moved == {name: change for name, (_, change) in by_account.items()}


def balance_of(account: Any) -> int:
    return int(rpc("eth_getBalance", str(account), "latest"), 16)


def all_events(contract: Any) -> list[Event]:
    logs = web3.eth.get_logs({"address": contract.address, "fromBlock": 0, "toBlock": "latest"})
    return [decoded_event(log) for log in logs if (bytes(log["topics"][0]), len(log["topics"]) - 1) in EVENTS]


def assert_books_balance(escrow: Any, surplus: int = 0) -> None:
    """M1: the escrow holds exactly what it owes (open calls, and everybody's earnings and refunds) plus `surplus`.

    Read twice, from the books and from the logs alone, which must agree.
    """
    opened: dict[bytes, int] = {}
    credited: dict[str, int] = {}
    for event in all_events(escrow):
        call_id = event.indexed.get("callId")
        if event.name == "CallOpened":
            opened[call_id] = event.data["call"][5]
        elif event.name == "CallLogged":
            charge = charge_of(event)
        elif event.name == "CallFulfilled":
            escrowed = opened.pop(call_id)
            assert charge + event.data["refund"] == escrowed
            earner = event.indexed["earner"]
            _add(credited, earner, charge)
            _add(credited, payer_of(escrow, call_id), event.data["refund"])
        elif event.name == "EarningsSplit":
            shares = {event.indexed["oracle"]: event.data["oracleAmount"]}
            _add(shares, event.indexed["collector"], event.data["fee"])
            for account, amount in shares.items():
                _add(credited, earner, -amount)
                _add(credited, account, amount)
        elif event.name in ("CallDeclined", "CallRefunded"):
            assert event.data["refund"] == opened.pop(call_id)
            _add(credited, event.indexed["payer"], event.data["refund"])
        elif event.name == "Withdrawn":
            _add(credited, event.indexed["account"], -event.data["amount"])
    for call_id, amount in opened.items():
        assert view(escrow.callState, call_id)[:2] == (OPEN, amount)
    for account, amount in credited.items():
        assert view(escrow.owed, account, NATIVE) == amount
    assert balance_of(escrow) == sum(opened.values()) + sum(credited.values()) + surplus


def charge_of(logged: Event) -> int:
    """The charge in the last word of a `CallLogged`."""
    return int(logged.data["outcome"]) % 2**120


def payer_of(escrow: Any, call_id: bytes) -> str:
    return next(
        event.indexed["payer"]
        for event in all_events(escrow)
        if event.name == "CallOpened" and event.indexed["callId"] == call_id
    )


def _add(amounts: dict[str, int], account: str, amount: int) -> None:
    amounts[account] = amounts.get(account, 0) + amount

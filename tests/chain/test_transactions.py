"""Three values: a transaction succeeded, failed, or its outcome is unknown, and unknown is never taken for failed (S4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from coincurve import PrivateKey
from eth_account import Account
from tallystick.chain.marketplace import Marketplace
from tallystick.chain.rpc import connect, disconnect
from tallystick.chain.transactions import PRIORITY_FEE, Transactions
from tallystick.chain.types import Mined, Pending, SignedTransaction
from tallystick.chain.wallet import Wallet
from tallystick.errors import (
    ChainUnreachable,
    ContractRefused,
    FeeTooHigh,
    InsufficientFunds,
    NodeError,
    TransactionUnknown,
)
from tallystick.protocol.calls import CallStatus
from tallystick.protocol.prices import NATIVE
from tallystick.protocol.revisions import RevisionTerms
from web3 import Web3

from .bench import AMOUNT, FIRST_TIMER, ORACLE, OUTCOME, OWNER, PAYER, PRICES, GanacheBench, terms
from .rpc_server import Answer, Body, Error, RpcServer, Silence

HASH = "0x" + "ab" * 32
BLOCK_HASH = "0x" + "cd" * 32
ADDRESS = "0x" + "11" * 20
SENT = SignedTransaction(ORACLE.address, 5, b"\x02\x01", bytes.fromhex("ab" * 32))
KNOWN = {
    "hash": HASH,
    "blockNumber": None,
    "from": ADDRESS,
    "to": ADDRESS,
    "value": "0x0",
    "input": "0x",
    "gas": "0x5208",
}


def receipt(*, status: str = "0x1", block: str = "0x10") -> dict[str, Any]:
    return {
        "transactionHash": HASH,
        "status": status,
        "blockNumber": block,
        "blockHash": BLOCK_HASH,
        "gasUsed": "0x5208",
        "effectiveGasPrice": "0x3b9aca00",
    }


@pytest.fixture
def web3(server: RpcServer) -> Iterator[Web3]:
    client = connect(server.url, 0.3)
    yield client
    disconnect(client)


@pytest.fixture
def transactions(server: RpcServer, web3: Web3) -> Transactions:
    return Transactions(web3, server.url, 1337)


# ---- broadcast --------------------------------------------------------------------------------------------------------


def test_broadcast_sends_the_bytes_as_they_are(server: RpcServer, transactions: Transactions) -> None:
    server.script["eth_sendRawTransaction"] = HASH
    transactions.broadcast(SENT)
    assert server.calls == [("eth_sendRawTransaction", ["0x0201"])]


REFUSALS = ("already known", "nonce too low", "transaction underpriced", "replacement transaction underpriced")


@pytest.mark.parametrize("message", REFUSALS)
def test_broadcast_of_what_the_node_has_counts_as_success(
    server: RpcServer, transactions: Transactions, message: str
) -> None:
    """A4: whatever words the node finds for it."""
    server.script |= {"eth_sendRawTransaction": Error(message), "eth_getTransactionByHash": KNOWN}
    transactions.broadcast(SENT)
    assert server.asked("eth_getTransactionByHash") == [[HASH]]


@pytest.mark.parametrize("message", REFUSALS)
def test_broadcast_of_what_the_node_refuses_and_has_not_is_unreachable(
    server: RpcServer, transactions: Transactions, message: str
) -> None:
    server.script |= {"eth_sendRawTransaction": Error(message), "eth_getTransactionByHash": None}
    with pytest.raises(NodeError, match=message):
        transactions.broadcast(SENT)


def test_broadcast_whose_answer_is_lost_counts_as_success_if_the_node_has_it(
    server: RpcServer, transactions: Transactions
) -> None:
    """S4: the answer timed out, the transaction did not."""
    server.script |= {"eth_sendRawTransaction": Silence(), "eth_getTransactionByHash": KNOWN}
    transactions.broadcast(SENT)


@pytest.mark.parametrize("later", [Silence(), None, Error("header not found")])
def test_broadcast_whose_answer_is_lost_is_unknown_otherwise(
    server: RpcServer, transactions: Transactions, later: Answer
) -> None:
    """S4: ChainUnreachable, which says nothing about the transaction."""
    server.script |= {"eth_sendRawTransaction": Silence(), "eth_getTransactionByHash": later}
    with pytest.raises(ChainUnreachable):
        transactions.broadcast(SENT)


def test_broadcast_without_money_says_so(server: RpcServer, transactions: Transactions) -> None:
    server.script["eth_sendRawTransaction"] = Error("insufficient funds for gas * price + value")
    with pytest.raises(InsufficientFunds):
        transactions.broadcast(SENT)


def test_broadcast_again_of_an_account_s_first_transaction_runs_it_once(ganache: GanacheBench) -> None:
    """S3, S4: Ganache takes a nonce of zero for none, and would run the same bytes once more after they were mined."""
    call = terms(ganache, ganache.publish(oracle=FIRST_TIMER), oracle=FIRST_TIMER.address)
    ganache.open(call)
    transaction = ganache.chain.prepare_fulfil(FIRST_TIMER, call, OUTCOME, 0)
    ganache.chain.broadcast(transaction)
    mined = ganache.wait_for(transaction.hash)
    ganache.chain.broadcast(transaction)
    assert ganache.chain.outcome(transaction.hash) == mined
    assert mined.succeeded
    assert ganache.chain.next_nonce(FIRST_TIMER.address) == 1


# ---- outcome ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [None, {**receipt(), "blockNumber": None}])
def test_outcome_without_a_block_is_pending(server: RpcServer, transactions: Transactions, answer: Answer) -> None:
    """S4: not in a block is unknown, not failed."""
    server.script["eth_getTransactionReceipt"] = answer
    assert transactions.outcome(SENT.hash) == Pending()


@pytest.mark.parametrize(("status", "succeeded"), [("0x1", True), ("0x0", False)])
def test_outcome_in_a_block_says_whether_it_succeeded(
    server: RpcServer, transactions: Transactions, status: str, succeeded: bool
) -> None:
    server.script |= {"eth_getTransactionReceipt": receipt(status=status), "eth_blockNumber": "0x12"}
    assert transactions.outcome(SENT.hash) == Mined(
        SENT.hash, succeeded, 16, bytes.fromhex("cd" * 32), 21_000, 21_000 * 10**9, 3
    )


def test_outcome_from_a_node_that_lags_has_no_depth_yet(server: RpcServer, transactions: Transactions) -> None:
    """B13: two nodes behind one address, of which one does not know the block yet."""
    server.script |= {"eth_getTransactionReceipt": receipt(), "eth_blockNumber": "0xf"}
    found = transactions.outcome(SENT.hash)
    assert isinstance(found, Mined)
    assert found.depth == 0


@pytest.mark.parametrize("answer", [Silence(), Error("boom"), {"status": "0x1", "blockNumber": "0x1"}, "text"])
def test_outcome_without_a_usable_answer_is_unreachable(
    server: RpcServer, transactions: Transactions, answer: Answer
) -> None:
    server.script |= {"eth_getTransactionReceipt": answer, "eth_blockNumber": "0x12"}
    with pytest.raises(ChainUnreachable):
        transactions.outcome(SENT.hash)


# ---- send and wait ----------------------------------------------------------------------------------------------------


class Time:
    """A clock that moves when it is slept on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_send_and_wait_returns_once_it_is_mined(server: RpcServer, transactions: Transactions) -> None:
    server.script |= {
        "eth_sendRawTransaction": HASH,
        "eth_getTransactionReceipt": server.in_turn(None, None, receipt()),
        "eth_blockNumber": "0x10",
    }
    time, told = Time(), count()
    mined = transactions.send_and_wait(SENT, on_pending=lambda: next(told), clock=time, sleep=time.sleep)
    assert (mined.succeeded, mined.depth) == (True, 1)
    assert next(told) == 2 == len(time.slept)
    assert len(server.asked("eth_sendRawTransaction")) == 1


def test_send_and_wait_beyond_its_time_is_unknown(server: RpcServer, transactions: Transactions) -> None:
    """S4: it may still be mined, so the error says to look before sending again."""
    server.script |= {"eth_sendRawTransaction": HASH, "eth_getTransactionReceipt": None}
    time = Time()
    with pytest.raises(TransactionUnknown, match="look it up") as unknown:
        transactions.send_and_wait(SENT, wait=10, clock=time, sleep=time.sleep)
    assert unknown.value.details == {"transaction": HASH}
    assert unknown.value.retryable
    assert 10 < time.now < 11
    assert len(server.asked("eth_sendRawTransaction")) == 1


def test_send_and_wait_sleeps_longer_and_longer_up_to_half_a_second(
    server: RpcServer, transactions: Transactions
) -> None:
    server.script |= {"eth_sendRawTransaction": HASH, "eth_getTransactionReceipt": None}
    time = Time()
    with pytest.raises(TransactionUnknown):
        transactions.send_and_wait(SENT, wait=10, clock=time, sleep=time.sleep)
    assert time.slept == sorted(time.slept)
    assert time.slept[-1] == 0.5


def test_send_and_wait_for_one_that_reverts_names_the_contract_error(ganache: GanacheBench) -> None:
    """S4, S7: mined and failed, with the reason."""
    call = terms(ganache, ganache.publish())
    ganache.open(call)
    transactions = ganache.market.transactions
    nonce = ganache.chain.next_nonce(ORACLE.address)
    second = transactions.prepare(ORACLE, ganache.market.fulfil_call(call, OUTCOME), nonce=nonce + 1)
    transactions.send_and_wait(transactions.prepare(ORACLE, ganache.market.decline_call(call), nonce=nonce))
    with pytest.raises(ContractRefused) as refused:
        transactions.send_and_wait(second)
    assert refused.value.name == "Escrow_CallNotInState"
    assert refused.value.arguments["actual"] == str(int(CallStatus.DECLINED))
    assert ganache.chain.next_nonce(ORACLE.address) == nonce + 2


@pytest.mark.parametrize("answer", [Silence(), Error("boom"), Body(b"", 502)], ids=["silence", "error", "gateway"])
def test_send_and_wait_whose_broadcast_has_no_answer_is_unknown(
    server: RpcServer, transactions: Transactions, answer: Answer
) -> None:
    """S4: whoever sent it must not take it for not sent."""
    server.script |= {"eth_sendRawTransaction": answer, "eth_getTransactionByHash": Error("boom")}
    time = Time()
    with pytest.raises(TransactionUnknown, match="Nobody knows") as unknown:
        transactions.send_and_wait(SENT, clock=time, sleep=time.sleep)
    assert unknown.value.details == {"transaction": HASH}
    assert time.slept == []


# ---- why reverted -----------------------------------------------------------------------------------------------------


def test_why_reverted_that_a_replay_does_not_show_names_the_transaction(
    server: RpcServer, transactions: Transactions
) -> None:
    server.script |= {"eth_getTransactionByHash": {**KNOWN, "blockNumber": "0x10"}, "eth_call": "0x"}
    why = transactions.why_reverted(SENT.hash)
    assert (why.name, why.arguments) == ("", {"transaction": HASH})


def test_why_reverted_replays_in_the_block_of_the_transaction(server: RpcServer, transactions: Transactions) -> None:
    """Its time decides, too: a deadline that passed before the block was not passed in the one before."""
    server.script |= {"eth_getTransactionByHash": {**KNOWN, "blockNumber": "0x10"}, "eth_call": "0x"}
    transactions.why_reverted(SENT.hash)
    ((call, block),) = server.asked("eth_call")
    assert block == "0x10"
    assert (call["from"].lower(), call["to"].lower(), call["data"]) == (ADDRESS, ADDRESS, "0x")


@pytest.mark.parametrize("answer", [None, KNOWN, Error("boom")])
def test_why_reverted_of_one_that_is_in_no_block_any_more_is_unreachable(
    server: RpcServer, transactions: Transactions, answer: Answer
) -> None:
    """S5: a reorganisation may have taken it away in between."""
    server.script["eth_getTransactionByHash"] = answer
    with pytest.raises(ChainUnreachable):
        transactions.why_reverted(SENT.hash)


# ---- prepare ----------------------------------------------------------------------------------------------------------


def limited(market: Marketplace, max_fee: int | None) -> Marketplace:
    return Marketplace(market.url, market.deployment, max_fee=max_fee)


def base_fee(ganache: GanacheBench) -> int:
    return int(ganache.rpc("eth_getBlockByNumber", "latest", False)["baseFeePerGas"], 16)


def test_prepare_at_the_fee_limit_signs(ganache: GanacheBench) -> None:
    call = terms(ganache, ganache.publish())
    ganache.open(call)
    market = limited(ganache.market, 2 * base_fee(ganache) + PRIORITY_FEE)
    market.prepare_fulfil(ORACLE, call, OUTCOME, market.next_nonce(ORACLE.address))
    market.close()


def test_prepare_above_the_fee_limit_signs_nothing(ganache: GanacheBench) -> None:
    """B8: held back, not lost."""
    call = terms(ganache, ganache.publish())
    ganache.open(call)
    fee = 2 * base_fee(ganache) + PRIORITY_FEE
    market = limited(ganache.market, fee - 1)
    with pytest.raises(FeeTooHigh) as refused:
        market.prepare_fulfil(ORACLE, call, OUTCOME, market.next_nonce(ORACLE.address))
    market.close()
    assert refused.value.details == {"actual": str(fee), "limit": str(fee - 1)}
    assert refused.value.retryable
    assert ganache.chain.call_state(call.call_id(ganache.chain.domain)).status is CallStatus.OPEN


def test_prepare_signs_for_the_deployment_s_chain_as_the_wallet(ganache: GanacheBench) -> None:
    call = terms(ganache, ganache.publish())
    function = ganache.market.open_call(call)
    signed = ganache.market.transactions.prepare(PAYER, function, value=AMOUNT, nonce=7)
    assert Account.recover_transaction(signed.raw) == PAYER.address == signed.sender
    assert signed.nonce == 7


def test_prepare_without_a_nonce_takes_the_next_pending_one(ganache: GanacheBench) -> None:
    listing = ganache.publish()
    transactions = ganache.market.transactions
    ganache.hold()
    first = transactions.prepare(PAYER, ganache.market.open_call(terms(ganache, listing, salt=1)), value=AMOUNT)
    assert first.nonce == ganache.chain.next_nonce(PAYER.address)


def test_prepare_leaves_gas_for_books_that_are_emptied_meanwhile(ganache: GanacheBench) -> None:
    """S3: filling an empty entry of the books costs more than adding to it, as the estimate did."""
    first, second = (terms(ganache, listing, salt=listing) for listing in (ganache.publish(), ganache.publish()))
    ganache.open(first)
    ganache.open(second)
    ganache.chain.broadcast(
        ganache.chain.prepare_fulfil(ORACLE, first, OUTCOME, ganache.chain.next_nonce(ORACLE.address))
    )
    signed = ganache.chain.prepare_fulfil(ORACLE, second, OUTCOME, ganache.chain.next_nonce(ORACLE.address))
    ganache.withdraw_owed(OWNER)
    ganache.withdraw_owed(PAYER)
    ganache.chain.broadcast(signed)
    assert ganache.wait_for(signed.hash).succeeded


REVERTING: dict[str, Callable[[GanacheBench, int], Any]] = {
    "Escrow_WrongValue": lambda bench, listing: bench.market.open_call(terms(bench, listing)),
    "Registry_NotOwner": lambda bench, listing: bench.market.revise_listing(
        listing, RevisionTerms(ORACLE.address, b"\1" * 32, PRICES)
    ),
    "Escrow_NothingToWithdraw": lambda bench, _listing: bench.market.withdraw_owed("0x" + "00" * 20, PAYER.address),
    "Escrow_ZeroReceiver": lambda bench, _listing: bench.market.withdraw_owed(NATIVE, "0x" + "00" * 20),
}


@pytest.mark.parametrize("name", REVERTING)
def test_prepare_of_what_would_revert_signs_nothing(ganache: GanacheBench, name: str) -> None:
    listing = ganache.publish()
    nonce = ganache.chain.next_nonce(PAYER.address)
    with pytest.raises(ContractRefused) as refused:
        ganache.market.transactions.prepare(PAYER, REVERTING[name](ganache, listing))
    assert refused.value.name == name
    assert ganache.chain.next_nonce(PAYER.address) == nonce


def test_broadcast_by_an_account_without_money_is_refused(ganache: GanacheBench) -> None:
    """B8: on Ganache as on the node of the script above."""

    poor = Wallet.from_key(PrivateKey(b"\7" * 32))
    call = replace(terms(ganache, ganache.publish()), payer=poor.address)
    transactions = ganache.market.transactions
    signed = transactions.prepare(poor, ganache.market.open_call(call), value=AMOUNT)
    with pytest.raises(InsufficientFunds):
        transactions.broadcast(signed)
    assert ganache.chain.next_nonce(poor.address) == 0

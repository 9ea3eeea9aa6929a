"""Whatever a node does, a call ends in time with an answer or with one of our errors (B1, B2, S4, S7)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from eth_hash.auto import keccak
from tallystick.chain.rpc import connect, disconnect, rpc_errors, without_secrets
from tallystick.errors import ChainUnreachable, ContractRefused, InsufficientFunds, NodeError
from web3 import Web3

from tests.support.ports import free_port

from .rpc_server import Answer, Body, Error, RpcServer, Silence

TIME_LIMIT = 0.3
QUESTION = "eth_blockNumber"


@pytest.fixture
def web3(server: RpcServer) -> Iterator[Web3]:
    client = connect(server.url, TIME_LIMIT)
    yield client
    disconnect(client)


def ask(server: RpcServer, web3: Web3, answer: Answer) -> int:
    server.script[QUESTION] = answer
    with rpc_errors(server.url):
        return int(web3.eth.block_number)


def test_rpc_errors_with_a_good_answer_is_silent(server: RpcServer, web3: Web3) -> None:
    assert ask(server, web3, "0x10") == 16


def test_rpc_errors_without_a_node_is_unreachable() -> None:
    """B1"""
    url = f"http://127.0.0.1:{free_port()}"
    web3 = connect(url, TIME_LIMIT)
    with pytest.raises(ChainUnreachable, match="TALLYSTICK_RPC_URL") as refused, rpc_errors(url):
        _ = web3.eth.block_number
    disconnect(web3)
    assert refused.value.retryable
    assert refused.value.status == 503
    assert refused.value.details == {"rpc_url": url}


def test_rpc_errors_with_a_node_that_hangs_is_unreachable(server: RpcServer, web3: Web3) -> None:
    """B2: the time limit ends the call; nothing else would."""
    with pytest.raises(ChainUnreachable, match="Timeout"):
        ask(server, web3, Silence())


NO_ANSWERS: dict[str, Answer] = {
    "HTTP 500": Body(b"down", 500),
    "HTTP 503 with JSON": Body(b"{}", 503),
    "HTTP 429": Body(b"slow down", 429),
    "HTTP 403": Body(b"no key", 403),
    "truncated JSON": Body(b'{"jsonrpc":"2.0","id":1,"res'),
    "a page": Body(b"<html></html>"),
    "nothing": Body(b""),
    "no UTF-8": Body(b"\xff\xfe"),
    "a list": Body(b"[]"),
    "a text": Body(b'"text"'),
    "a number": Body(b"5"),
    "null": Body(b"null"),
    "neither result nor error": Body(b'{"jsonrpc":"2.0","id":1}'),
    "an error that is a text": Body(b'{"jsonrpc":"2.0","id":1,"error":"boom"}'),
    "an error without a message": Body(b'{"jsonrpc":"2.0","id":1,"error":{"code":1}}'),
    "an error": Error("header not found"),
    "a result of null": None,
    "a result that is a text": "ten",
    "a result that is a list": [],
    "a result that is an object": {},
}


@pytest.mark.parametrize("case", NO_ANSWERS)
def test_rpc_errors_with_a_useless_answer_is_unreachable(server: RpcServer, web3: Web3, case: str) -> None:
    """S4: nothing is known, and nothing failed."""
    with pytest.raises(ChainUnreachable) as refused:
        ask(server, web3, NO_ANSWERS[case])
    assert refused.value.details == {"rpc_url": server.url}
    assert ask(server, web3, "0x10") == 16


@pytest.mark.parametrize("answer", [Error("boom"), Body(b'{"jsonrpc":"2.0","id":1,"error":{"code":1}}')])
def test_rpc_errors_with_an_error_of_the_node_s_own_says_so(server: RpcServer, web3: Web3, answer: Answer) -> None:
    """It was there and would not: that may be about this question only, where silence is about all."""
    with pytest.raises(NodeError, match="answered with an error"):
        ask(server, web3, answer)


@pytest.mark.parametrize("answer", [Silence(), Body(b"", 500), Body(b"<html>")])
def test_rpc_errors_without_an_answer_is_no_error_of_the_node_s(server: RpcServer, web3: Web3, answer: Answer) -> None:
    with pytest.raises(ChainUnreachable) as refused:
        ask(server, web3, answer)
    assert not isinstance(refused.value, NodeError)


def test_rpc_errors_shortens_what_a_node_says(server: RpcServer, web3: Web3) -> None:
    with pytest.raises(ChainUnreachable) as refused:
        ask(server, web3, Error("x\n" * 10_000))
    assert len(refused.value.message) < 400
    assert "\n" not in refused.value.message


@pytest.mark.parametrize(
    "message",
    ["insufficient funds for gas * price + value: balance 0", "Insufficient funds for gas * price + value"],
)
def test_rpc_errors_with_too_little_money_says_so(server: RpcServer, web3: Web3, message: str) -> None:
    with pytest.raises(InsufficientFunds, match="fund it"):
        ask(server, web3, Error(message))


# Escrow_NotOracle(0x11…11, 0x22…22), as the contract reverts with it.
NOT_ORACLE = keccak(b"Escrow_NotOracle(address,address)")[:4] + bytes(12) + b"\x11" * 20 + bytes(12) + b"\x22" * 20


REVERTED = "VM Exception while processing transaction: revert"
DATA = "0x" + NOT_ORACLE.hex()
HASH = "0x" + "99" * 32
SHAPES = {
    "geth": Error("execution reverted", DATA, 3),
    "Ganache, of a call": Error(REVERTED, DATA),
    "Ganache, of a transaction": Error(REVERTED, {"hash": HASH, "programCounter": 1, "result": DATA, "reason": None}),
    "Ganache, by hash": Error(REVERTED, {HASH: {"error": "revert", "return": DATA}}),
}


@pytest.mark.parametrize("node", SHAPES)
def test_rpc_errors_finds_revert_data_where_nodes_put_it(server: RpcServer, web3: Web3, node: str) -> None:
    """S7: a contract's typed error arrives as itself, with its arguments."""
    server.script["eth_call"] = SHAPES[node]
    with pytest.raises(ContractRefused) as refused, rpc_errors(server.url):
        web3.eth.call({"to": "0x" + "00" * 20})
    assert refused.value.name == "Escrow_NotOracle"
    assert refused.value.arguments == {"actual": "0x" + "11" * 20, "expected": "0x" + "22" * 20}
    assert refused.value.details["contract_error"] == "Escrow_NotOracle"


def test_rpc_errors_with_a_revert_that_says_nothing(server: RpcServer, web3: Web3) -> None:
    server.script["eth_call"] = Error("execution reverted", "0x", 3)
    with pytest.raises(ContractRefused, match="without saying why") as refused, rpc_errors(server.url):
        web3.eth.call({"to": "0x" + "00" * 20})
    assert (refused.value.name, refused.value.arguments) == ("", {})


def test_rpc_errors_never_shows_the_key_in_a_url() -> None:
    """S7, E9: providers put keys into path, query and user; errors go to clients and logs."""
    url = f"http://user:SECRET-1@127.0.0.1:{free_port()}/v3/SECRET-2?key=SECRET-3"
    web3 = connect(url, TIME_LIMIT)
    with pytest.raises(ChainUnreachable) as refused, rpc_errors(url):
        _ = web3.eth.block_number
    disconnect(web3)
    assert "SECRET" not in f"{refused.value.body()}"
    assert "http://127.0.0.1:" in refused.value.message


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
        ("https://mainnet.example/v3/key", "https://mainnet.example"),
        ("https://u:p@host:1/x?y#z", "https://host:1"),
        ("http://[::1]:8545/", "http://[::1]:8545"),
        ("http://host:notaport/x", "http://host:notaport"),
    ],
)
def test_without_secrets_keeps_scheme_host_and_port(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


def test_connect_asks_nothing_and_never_repeats_a_question(server: RpcServer, web3: Web3) -> None:
    """S4: what may be sent again is decided where it is known whether that is safe."""
    assert server.calls == []
    with pytest.raises(ChainUnreachable):
        ask(server, web3, Body(b"", 500))
    assert [method for method, _ in server.calls] == [QUESTION]

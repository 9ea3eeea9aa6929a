"""Tokens that lie, take a fee, return nothing, revert or call back: refused, or harmless to everybody else."""

from __future__ import annotations

from typing import Any

import pytest
from tallystick.protocol.calls import DirectCall
from tallystick.protocol.plans import Plan

from tests.evm.refusals import refused
from tests.evm.scene import PRICE, Call, Market

HONEST, NOTHING, FALSE, REVERTS, LIES, FEE, GIVES, MORE, CALLS_BACK, FALSE_BALANCE = range(10)
refuses = pytest.mark.refuses


@pytest.fixture
def call(market: Market) -> DirectCall:
    """A call priced in the hostile token, of which payer and another have plenty, and the escrow holds another's."""
    listing = market.priced_in(market.hostile.address, plans=(Plan(100, 10),))
    for person in (market.payer, market.other_payer):
        market.give(market.hostile, person.address, 10**9)
    market.deposit(
        market.channel(payer=market.other_payer.address, asset=market.hostile.address),
        50_000,
        market.other_payer.address,
    )
    return market.direct(listing=listing, asset=market.hostile.address)


def behave(market: Market, manner: int) -> None:
    market.hostile.send("behave", manner, by=market.stranger)


def open_call(market: Market, call: DirectCall) -> None:
    market.escrow.send("open", call.as_tuple(), by=market.payer.address)


def buy(market: Market, call: DirectCall) -> None:
    terms = market.position(listing_id=call.listing_id, asset=call.asset)
    market.escrow.send("buyCredits", terms.as_tuple(), by=market.payer.address)


@pytest.mark.parametrize("manner", [HONEST, NOTHING])
def test_open_with_a_token_that_delivers(market: Market, call: DirectCall, manner: int) -> None:
    behave(market, manner)
    open_call(market, call)
    market.escrow.send("fulfil", call.as_tuple(), market.outcome(), by=market.oracle)
    market.escrow.send("withdraw", call.asset, market.stranger, by=market.owner)
    assert market.hostile.view("balanceOf", market.stranger) == PRICE
    assert market.held(call.asset) == 50_000 + call.amount - PRICE


def test_open_with_a_token_that_gives_more(market: Market, call: DirectCall) -> None:
    """M1: what was asked for counts, not what a token says."""
    behave(market, GIVES)
    open_call(market, call)
    market.escrow.send("decline", call.as_tuple(), by=market.oracle)
    assert market.owed(market.payer.address, call.asset) == call.amount


@refuses("Escrow.open", "Escrow_TokenShort")
@refuses("Escrow.buyCredits", "Escrow_TokenShort")
@pytest.mark.parametrize(("manner", "share"), [(LIES, 0), (FEE, 9)], ids=["lies", "fee"])
def test_nothing_is_sold_for_less(market: Market, call: DirectCall, manner: int, share: int) -> None:
    behave(market, manner)
    with refused(market, "Escrow_TokenShort", call.amount * share // 10, call.amount):
        open_call(market, call)
    with refused(market, "Escrow_TokenShort", 1_000 * share // 10, 1_000):
        buy(market, call)


@refuses("Escrow.open", "SafeERC20FailedOperation")
def test_open_with_a_token_that_says_no(market: Market, call: DirectCall) -> None:
    behave(market, FALSE)
    with refused(market, "SafeERC20FailedOperation", call.asset):
        open_call(market, call)
    behave(market, REVERTS)
    with refused(market, "HostileToken_Refused"):
        open_call(market, call)


@refuses("Escrow.withdraw", "Escrow_TransferFailed")
@pytest.mark.parametrize("manner", [LIES, MORE], ids=["lies", "takes more"])
def test_withdraw_from_a_token_that_cheats(market: Market, call: DirectCall, manner: int) -> None:
    """M5: what is owed stays owed, and nobody else's is taken."""
    open_call(market, call)
    market.escrow.send("decline", call.as_tuple(), by=market.oracle)
    behave(market, manner)
    with refused(market, "Escrow_TransferFailed", market.payer.address, call.amount):
        market.escrow.send("withdraw", call.asset, market.payer.address, by=market.payer.address)


@refuses("Escrow.withdraw", "Escrow_TransferFailed")
def test_withdraw_to_the_escrow_itself(market: Market, call: DirectCall) -> None:
    open_call(market, call)
    market.escrow.send("decline", call.as_tuple(), by=market.oracle)
    with refused(market, "Escrow_TransferFailed", market.escrow.address, call.amount):
        market.escrow.send("withdraw", call.asset, market.escrow.address, by=market.payer.address)


@refuses("Escrow.deposit", "ReentrancyGuardReentrantCall")
@pytest.mark.parametrize("outer", ["deposit", "open", "buyCredits", "withdraw"])
@pytest.mark.parametrize("inner", ["deposit", "withdraw"])
def test_token_that_calls_back(market: Market, call: DirectCall, outer: str, inner: str) -> None:
    """No arrival is counted twice: the inner call is refused by the guard, and the books stay right."""
    token, asset = market.hostile, call.asset
    market.give(token, token.address)
    mine = market.channel(3, asset=asset, payer=token.address)
    if outer == "withdraw":
        open_call(market, call)
        market.escrow.send("decline", call.as_tuple(), by=market.oracle)
    data = {
        "deposit": market.escrow.data("deposit", mine.as_tuple(), 500),
        "withdraw": market.escrow.data("withdraw", asset, token.address),
    }[inner]
    token.send("callBack", market.escrow.address, data, by=market.stranger)
    held = market.held(asset)
    moved = {
        "deposit": lambda: market.deposit(market.channel(2, asset=asset), 1_000),
        "open": lambda: open_call(market, call),
        "buyCredits": lambda: buy(market, call),
        "withdraw": lambda: market.escrow.send("withdraw", asset, market.payer.address, by=market.payer.address),
    }[outer]
    moved()
    assert token.view("calledBack")
    assert market.escrow.view("channelState", mine.channel_id(market.domain))["deposited"] == 0
    amount = {"deposit": 1_000, "open": call.amount, "buyCredits": 1_000, "withdraw": -call.amount}[outer]
    assert market.held(asset) == held + amount


def test_token_that_calls_back_on_another_path(market: Market, call: DirectCall) -> None:
    """Not guarded, and harmless: a native opening moves no token, and is the caller's own."""
    native = market.direct(payer=market.hostile.address, amount=0)
    data = market.escrow.data("open", native.as_tuple())
    market.hostile.send("callBack", market.escrow.address, data, by=market.stranger)
    open_call(market, call)
    assert market.escrow.view("callState", native.call_id(market.domain))["status"] == 1
    assert market.escrow.view("callState", call.call_id(market.domain))["amount"] == call.amount


def test_one_tokens_lies_leave_other_assets_alone(market: Market, call: DirectCall) -> None:
    """M1, M5: a token that shows twice its balances spoils what is in it, and nothing else."""
    market.deposit(market.channel(), 700)
    behave(market, FALSE_BALANCE)
    market.deposit(market.channel(2, asset=call.asset), 100)
    assert market.held() == 700
    state: dict[str, Any] = market.escrow.view("channelState", market.channel().channel_id(market.domain))
    assert state["deposited"] == 700


def test_forced_ether_changes_nothing(market: Market) -> None:
    """M1: books, not balances."""
    call = market.direct()
    market.escrow.send("open", call.as_tuple(), by=market.payer.address, value=call.amount)
    market.machine.fund(market.escrow.address, 10**20)
    market.escrow.send("decline", call.as_tuple(), by=market.oracle)
    market.escrow.send("withdraw", call.asset, market.payer.address, by=market.payer.address)
    assert market.held() == 10**20 - call.amount


def test_token_from_deposit_to_withdrawal(market: Market) -> None:
    """The whole way in a real ERC-20: allowance, deposit, settlement, withdrawal."""
    listing = market.priced_in(market.token.address)
    market.give(market.token, market.payer.address)
    channel = market.channel(asset=market.token.address)
    market.deposit(channel)
    market.settle(channels=[market.channel_group(channel, [Call(0)], listing=listing)])
    market.escrow.send("withdraw", market.token.address, market.owner, by=market.owner)
    assert market.token.view("balanceOf", market.owner) == PRICE

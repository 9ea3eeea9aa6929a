"""Deposits, closing, and keys taken back."""

from __future__ import annotations

import pytest

from tests.evm.machine import address_of
from tests.evm.refusals import refused
from tests.evm.scene import PRICE, Call, Market

DAY = 86_400
refuses = pytest.mark.refuses


def state(market: Market, terms: object) -> dict[str, int]:
    return dict(market.escrow.view("channelState", terms.channel_id(market.domain)))  # type: ignore[attr-defined]


def test_deposit_opens_and_tops_up(market: Market) -> None:
    """M1: anyone may, for any payer."""
    terms = market.channel()
    first = market.deposit(terms, 600)
    assert [event.name for event in first.events] == ["ChannelOpened", "ChannelDeposited"]
    second = market.deposit(terms, 400, by=market.stranger)
    assert [event.name for event in second.events] == ["ChannelDeposited"]
    assert state(market, terms) == {"deposited": 1_000, "spent": 0, "closesAt": 0}
    assert market.held() == 1_000


def test_deposit_counts_what_arrives(market: Market) -> None:
    """M1: a token that keeps a tenth for itself."""
    market.give(market.hostile, market.payer.address, 10_000)
    market.hostile.send("behave", 5, by=market.stranger)
    terms = market.channel(asset=market.hostile.address)
    market.deposit(terms, 1_000)
    assert state(market, terms)["deposited"] == 900 == market.held(market.hostile.address)


def test_deposit_dust_by_strangers_changes_nothing(market: Market) -> None:
    """The payer still closes and takes all of it."""
    terms = market.channel()
    market.deposit(terms)
    for _ in range(50):
        market.deposit(terms, 1, by=market.stranger)
    market.escrow.send("requestClose", terms.as_tuple(), by=market.payer.address)
    market.machine.pass_time(DAY + 1)
    market.escrow.send("close", terms.as_tuple(), by=market.stranger)
    assert market.owed(market.payer.address) == 10**6 + 50


def test_close_gives_the_rest_once(market: Market) -> None:
    """M2, M5, M6: owed first, pulled by the payer; a closed channel stays closed."""
    terms = market.channel()
    market.deposit(terms)
    market.settle(channels=[market.channel_group(terms, [Call(0)])])
    market.escrow.send("requestClose", terms.as_tuple(), by=market.payer.address)
    assert state(market, terms)["closesAt"] == market.machine.time + DAY
    market.machine.pass_time(DAY + 1)
    (closed,) = market.escrow.send("close", terms.as_tuple(), by=market.stranger).named("ChannelClosed")
    assert closed["amount"] == 10**6 - PRICE == market.owed(market.payer.address)
    before = market.machine.balance(market.payer.address)
    market.escrow.send("withdraw", terms.asset, market.payer.address, by=market.payer.address)
    assert market.machine.balance(market.payer.address) == before + 10**6 - PRICE


def test_close_at_once_after_the_oracle_released(market: Market) -> None:
    terms = market.channel()
    market.deposit(terms)
    market.escrow.send("requestClose", terms.as_tuple(), by=market.payer.address)
    market.machine.pass_time(1)
    market.escrow.send("release", terms.as_tuple(), by=market.oracle)
    market.escrow.send("close", terms.as_tuple(), by=market.stranger)
    assert market.owed(market.payer.address) == 10**6


def test_close_while_paused(market: Market) -> None:
    """M7: pausing never keeps a payer's money."""
    terms = market.channel()
    market.deposit(terms)
    market.escrow.send("pause", by=market.administrator)
    market.escrow.send("requestClose", terms.as_tuple(), by=market.payer.address)
    market.machine.pass_time(DAY + 1)
    market.escrow.send("close", terms.as_tuple(), by=market.stranger)
    market.escrow.send("withdraw", terms.asset, market.payer.address, by=market.payer.address)
    assert market.held() == 0


# ---- refusals -----------------------------------------------------------------------------------------------------------


@refuses("Escrow.deposit", "EnforcedPause")
def test_deposit_while_paused(market: Market) -> None:
    market.escrow.send("pause", by=market.administrator)
    with refused(market, "EnforcedPause"):
        market.deposit(market.channel())


@refuses("Escrow.deposit", "Escrow_ChannelIncomplete")
@pytest.mark.parametrize("missing", ["payer", "oracle"])
def test_deposit_for_nobody(market: Market, missing: str) -> None:
    whom = {missing: "0x" + "00" * 20}
    terms = (whom.get("payer", market.payer.address), whom.get("oracle", market.oracle), "0x" + "00" * 20, 0)
    with refused(market, "Escrow_ChannelIncomplete"):
        market.escrow.send("deposit", terms, 5, by=market.payer.address, value=5)


@refuses("Escrow.deposit", "Escrow_WrongValue")
@pytest.mark.parametrize("value", [0, 4, 6])
def test_deposit_of_another_value(market: Market, value: int) -> None:
    with refused(market, "Escrow_WrongValue", value, 5):
        market.escrow.send("deposit", market.channel().as_tuple(), 5, by=market.payer.address, value=value)


@refuses("Escrow.deposit", "Escrow_WrongValue")
def test_deposit_of_a_token_with_value(market: Market) -> None:
    terms = market.channel(asset=market.token.address)
    with refused(market, "Escrow_WrongValue", 1, 0):
        market.escrow.send("deposit", terms.as_tuple(), 5, by=market.payer.address, value=1)


@refuses("Escrow.deposit", "Escrow_AmountOutOfRange")
def test_deposit_of_nothing(market: Market) -> None:
    with refused(market, "Escrow_AmountOutOfRange", 0, 2**112 - 1):
        market.deposit(market.channel(), 0)


@refuses("Escrow.deposit", "Escrow_AmountOutOfRange")
def test_deposit_above_what_the_books_hold(market: Market) -> None:
    market.machine.fund(market.payer.address, 2**113)
    market.deposit(market.channel(), 2**112 - 2)
    with refused(market, "Escrow_AmountOutOfRange", 2, 1):
        market.deposit(market.channel(), 2)


@refuses("Escrow.deposit", "Escrow_ChannelClosing")
@refuses("Escrow.requestClose", "Escrow_ChannelClosing")
def test_nothing_lengthens_the_window(market: Market) -> None:
    """M6: neither a deposit nor another request, and a closed channel takes no money."""
    terms = market.channel()
    market.deposit(terms)
    market.escrow.send("requestClose", terms.as_tuple(), by=market.payer.address)
    closes_at = state(market, terms)["closesAt"]
    for wait in (10, DAY):
        market.machine.pass_time(wait)
        with refused(market, "Escrow_ChannelClosing", terms.channel_id(market.domain), closes_at):
            market.deposit(terms, 1)
        with refused(market, "Escrow_ChannelClosing", terms.channel_id(market.domain), closes_at):
            market.escrow.send("requestClose", terms.as_tuple(), by=market.payer.address)


@refuses("Escrow.requestClose", "Escrow_NotPayer")
def test_request_close_by_another(market: Market) -> None:
    market.deposit(market.channel())
    with refused(market, "Escrow_NotPayer", market.oracle, market.payer.address):
        market.escrow.send("requestClose", market.channel().as_tuple(), by=market.oracle)


@refuses("Escrow.release", "Escrow_NotOracle")
def test_release_by_another(market: Market) -> None:
    market.deposit(market.channel())
    market.escrow.send("requestClose", market.channel().as_tuple(), by=market.payer.address)
    with refused(market, "Escrow_NotOracle", market.payer.address, market.oracle):
        market.escrow.send("release", market.channel().as_tuple(), by=market.payer.address)


@refuses("Escrow.release", "Escrow_ChannelNotClosable")
def test_release_of_an_open_channel(market: Market) -> None:
    """An oracle can't close a payer's channel."""
    terms = market.channel()
    market.deposit(terms)
    with refused(market, "Escrow_ChannelNotClosable", terms.channel_id(market.domain), market.machine.time, 0):
        market.escrow.send("release", terms.as_tuple(), by=market.oracle)


@refuses("Escrow.close", "Escrow_ChannelNotClosable")
def test_close_before_it_is_time(market: Market) -> None:
    """M6: not unasked, nor in the window's last second."""
    terms = market.channel()
    channel_id = terms.channel_id(market.domain)
    market.deposit(terms)
    with refused(market, "Escrow_ChannelNotClosable", channel_id, market.machine.time, 0):
        market.escrow.send("close", terms.as_tuple(), by=market.payer.address)
    market.escrow.send("requestClose", terms.as_tuple(), by=market.payer.address)
    market.machine.pass_time(DAY)
    with refused(market, "Escrow_ChannelNotClosable", channel_id, market.machine.time, market.machine.time):
        market.escrow.send("close", terms.as_tuple(), by=market.payer.address)


@refuses("Escrow.close", "Escrow_NothingToWithdraw")
def test_close_again(market: Market) -> None:
    terms = market.channel()
    market.deposit(terms)
    market.escrow.send("requestClose", terms.as_tuple(), by=market.payer.address)
    market.machine.pass_time(DAY + 1)
    market.escrow.send("close", terms.as_tuple(), by=market.payer.address)
    with refused(market, "Escrow_NothingToWithdraw", market.payer.address, terms.asset):
        market.escrow.send("close", terms.as_tuple(), by=market.payer.address)


@refuses("Escrow.revokeKey", "Escrow_NotPayer")
def test_revoke_key_by_another(market: Market) -> None:
    with refused(market, "Escrow_NotPayer", market.stranger, market.payer.address):
        market.escrow.send("revokeKey", market.channel().as_tuple(), bytes(32), by=market.stranger)


@refuses("Escrow.revokeKey", "Escrow_KeyAlreadyRevoked")
def test_revoke_key_again(market: Market) -> None:
    key = market.grant().key_hash
    market.escrow.send("revokeKey", market.channel().as_tuple(), key, by=market.payer.address)
    with refused(market, "Escrow_KeyAlreadyRevoked", market.channel().channel_id(market.domain), key):
        market.escrow.send("revokeKey", market.channel().as_tuple(), key, by=market.payer.address)


def test_revoked_key_also_with_a_new_grant(market: Market) -> None:
    """A key is what is revoked, not one signature for it."""
    terms = market.channel()
    market.deposit(terms)
    market.escrow.send("revokeKey", terms.as_tuple(), market.grant().key_hash, by=market.payer.address)
    mined = market.settle(keys=[market.key_group(terms, market.grant(cap=10**6), [Call(0)])])
    assert mined.named("CallLogged") == []
    other = market.settle(keys=[market.key_group(terms, market.grant(b"other"), [Call(0)])])
    assert len(other.named("CallLogged")) == 1


def test_key_of_another_oracles_channel(market: Market) -> None:
    terms = market.channel(oracle=address_of("other oracle"))
    market.deposit(terms)
    mined = market.settle(keys=[market.key_group(terms, market.grant(), [Call(0)])])
    assert [event["reason"] for event in mined.named("GroupSkipped")] == [1]

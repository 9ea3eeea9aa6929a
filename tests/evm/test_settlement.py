"""Batches: what is charged, what is skipped and why, and what a signature is good for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tallystick.protocol.accounts import ChannelTerms, settled_call_id
from tallystick.protocol.calls import Mode
from tallystick.protocol.encoding import Domain
from tallystick.protocol.outcomes import unpack_outcome
from tallystick.protocol.plans import Plan
from tallystick.protocol.prices import NATIVE, PriceSheet, Units
from tallystick.protocol.tiers import Tier

from tests.evm.machine import CHAIN_ID, Mined, address_of
from tests.evm.refusals import books, refused
from tests.evm.scene import PRICE, PRICES, ROOT, UNITS, Call, Market, revision_terms

REASONS = (
    *("None", "WrongOracle", "WrongAsset", "BadSignature", "AccountClosed", "KeyRevoked", "KeyExpired"),
    *("OutOfScope", "AlreadyCharged", "EmptyHash", "AbovePrice", "AboveAuthorisation", "AboveDeposit"),
)
"""In the order of the contract's enum."""
DAY = 86_400


def why(mined: Mined) -> list[str]:
    """The reasons of all that a batch skipped, in order."""
    return [REASONS[event["reason"]] for event in (*mined.named("GroupSkipped"), *mined.named("CallSkipped"))]


def charged(mined: Mined) -> int:
    return sum(unpack_outcome(event["outcome"]).charge for event in mined.named("CallLogged"))


@pytest.fixture
def channel(market: Market) -> ChannelTerms:
    terms = market.channel()
    market.deposit(terms)
    return terms


def state(market: Market, terms: ChannelTerms) -> dict[str, Any]:
    return dict(market.escrow.view("channelState", market.channel_id(terms)))


# ---- what is charged and logged -----------------------------------------------------------------------------------------


def test_settle_channel_logs_and_charges_each_call(market: Market, channel: ChannelTerms) -> None:
    """E1, E2, M2, M3."""
    mined = market.settle(channels=[market.channel_group(channel, [Call(0), Call(7, charge=900)])])
    account = market.channel_id(channel)
    logs = mined.named("CallLogged")
    assert [log["callId"] for log in logs] == [settled_call_id(account, 0), settled_call_id(account, 7)]
    assert {(log["listingId"], log["payer"]) for log in logs} == {(market.listing, market.payer.address)}
    outcome = unpack_outcome(logs[1]["outcome"])
    assert (outcome.revision, outcome.mode, outcome.units, outcome.charge) == (1, Mode.CHANNEL, UNITS, 900)
    assert (logs[0]["requestCommitment"], logs[0]["resultHash"]) == Call(0).as_tuple()[:2]
    assert state(market, channel)["spent"] == PRICE + 900 == market.owed(market.owner)
    assert market.escrow.view("receiptsRoot", 1) == ROOT
    assert mined.named("BatchSettled") == [{"batchId": 1, "oracle": market.oracle, "receiptsRoot": ROOT}]


def test_settle_key_charges_channel_and_key(market: Market, channel: ChannelTerms) -> None:
    """M2: the grant's signature covers it, up to its cap."""
    grant = market.grant(cap=2 * PRICE)
    mined = market.settle(keys=[market.key_group(channel, grant, [Call(0), Call(1), Call(2)])])
    assert charged(mined) == 2 * PRICE == state(market, channel)["spent"]
    assert why(mined) == ["AboveAuthorisation"]
    key = market.escrow.view("keyState", market.channel_id(channel), grant.key_hash)
    assert key == {"spent": 2 * PRICE, "revoked": False}


def test_settle_credits_charges_one_a_call(market: Market) -> None:
    listing = market.publish(revision_terms(market.oracle, plans=(Plan(100, 2),)))
    terms = market.position(listing_id=listing)
    market.escrow.send("buyCredits", terms.as_tuple(), by=market.payer.address, value=200)
    calls = [Call(0, 1), Call(1, 2), Call(2, 1), Call(3, 1)]
    mined = market.settle(credits=[market.credit_group(terms, calls)])
    assert charged(mined) == 2
    assert why(mined) == ["AbovePrice", "AboveDeposit"]
    assert market.owed(market.owner) == 200
    assert market.escrow.view("positionState", terms.position_id(market.domain))["used"] == 2


def test_settle_many_modes_and_channels_at_once(market: Market, channel: ChannelTerms) -> None:
    other = market.channel(1, payer=market.other_payer.address)
    market.deposit(other, by=market.stranger)
    mined = market.settle(
        channels=[
            market.channel_group(channel, [Call(0)]),
            market.channel_group(other, [Call(0)], signer=market.other_payer),
        ],
        keys=[market.key_group(channel, market.grant(), [Call(0)])],
    )
    assert why(mined) == []
    assert market.owed(market.owner) == 3 * PRICE
    assert state(market, channel)["spent"] == 2 * PRICE


def test_settle_at_the_type_limits(market: Market) -> None:
    """M8: the largest index, units and prices; the charge is exact."""
    prices = PriceSheet(NATIVE, 2**96 - 1, 2**80 - 1, 2**80 - 1, 2**80 - 1)
    units = Units(2**32 - 1, 2**32 - 1, 2**32 - 1)
    listing = market.publish(revision_terms(market.oracle, prices=prices))
    terms, price = market.channel(), prices.price_of(units)
    market.machine.fund(market.payer.address, 2**112)
    market.deposit(terms, 2**112 - 1)
    calls = [Call(2**40 - 1, price, units), Call(0, price + 1, units), Call(1, 2**120 - 1, units)]
    mined = market.settle(channels=[market.channel_group(terms, calls, 2**128 - 1, listing=listing)])
    assert charged(mined) == price
    assert why(mined) == ["AbovePrice", "AbovePrice"]


@pytest.mark.refuses("Escrow.settle", "Escrow_NotOracle")
def test_settle_by_a_stranger(market: Market, channel: ChannelTerms) -> None:
    group = market.channel_group(channel, [Call(0)])
    with refused(market, "Escrow_NotOracle", market.stranger, market.oracle):
        market.settle(channels=[group], by=market.stranger)


@pytest.mark.refuses("Escrow.settle", "Escrow_EmptyRoot")
def test_settle_without_a_root(market: Market, channel: ChannelTerms) -> None:
    with refused(market, "Escrow_EmptyRoot"):
        market.settle(channels=[market.channel_group(channel, [Call(0)])], root=bytes(32))


def test_settle_by_a_rotated_key(market: Market, channel: ChannelTerms) -> None:
    """The old key as long as its oracle said, the new one from then on."""
    old, new = address_of("old key"), address_of("new key")
    market.registry.send("rotateSigner", old, 0, by=market.oracle)
    market.registry.send("rotateSigner", new, 100, by=market.oracle)
    market.machine.pass_time(100)
    market.settle(channels=[market.channel_group(channel, [Call(0)])], by=old)
    market.settle(channels=[market.channel_group(channel, [Call(1)])], by=new)
    market.machine.pass_time(1)
    with refused(market, "Escrow_NotOracle", old, market.oracle):
        market.settle(channels=[market.channel_group(channel, [Call(2)])], by=old)


# ---- what is skipped ----------------------------------------------------------------------------------------------------


def spoiled(market: Market, channel: ChannelTerms, reason: str) -> dict[str, Any]:
    """A batch's groups of which the first can't be charged for `reason`."""
    payer, grant = market.payer.address, market.grant()
    if reason == "WrongOracle":
        foreign = market.publish(revision_terms(address_of("another oracle")))
        return {"channels": [market.channel_group(channel, [Call(9)], listing=foreign)]}
    if reason == "WrongAsset":
        return {"channels": [market.channel_group(channel, [Call(9)], listing=market.priced_in(market.token.address))]}
    if reason == "BadSignature":
        return {"channels": [market.channel_group(channel, [Call(9)], signer=market.other_payer)]}
    if reason == "AccountClosed":
        closed = market.channel(5)
        market.deposit(closed)
        market.escrow.send("requestClose", closed.as_tuple(), by=payer)
        market.machine.pass_time(DAY + 1)
        return {"channels": [market.channel_group(closed, [Call(9)])]}
    if reason == "KeyRevoked":
        market.escrow.send("revokeKey", channel.as_tuple(), grant.key_hash, by=payer)
        return {"keys": [market.key_group(channel, grant, [Call(9)])]}
    if reason == "KeyExpired":
        market.machine.pass_time(DAY + 1)
        return {"keys": [market.key_group(channel, grant, [Call(9)])]}
    scoped = replace(grant, listings=(market.listing + 1, market.listing + 2))
    return {"keys": [market.key_group(channel, scoped, [Call(9)])]}


@pytest.mark.parametrize(
    "reason", ["WrongOracle", "WrongAsset", "BadSignature", "AccountClosed", "KeyRevoked", "KeyExpired", "OutOfScope"]
)
def test_settle_skips_a_group_and_charges_the_rest(market: Market, channel: ChannelTerms, reason: str) -> None:
    """M3, M7: one bad entry does not sink the batch."""
    groups = spoiled(market, channel, reason)
    groups["channels"] = [*groups.get("channels", ()), market.channel_group(channel, [Call(0)])]
    mined = market.settle(**groups)
    assert why(mined) == [reason]
    assert charged(mined) == PRICE == state(market, channel)["spent"] == market.owed(market.owner)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (Call(1, PRICE + 1), "AbovePrice"),
        (Call(1, commitment=bytes(32)), "EmptyHash"),
        (Call(1, result=bytes(32)), "EmptyHash"),
        (Call(0), "AlreadyCharged"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_settle_skips_a_call_and_charges_the_rest(
    market: Market, channel: ChannelTerms, call: Call, reason: str
) -> None:
    """M3."""
    mined = market.settle(channels=[market.channel_group(channel, [Call(0), call, Call(2)])])
    assert why(mined) == [reason]
    assert charged(mined) == 2 * PRICE == state(market, channel)["spent"]


def test_settle_same_index_in_another_group_and_batch(market: Market, channel: ChannelTerms) -> None:
    """M3: a call is charged at most once; 256 calls share a word."""
    group = market.channel_group(channel, [Call(255), Call(256), Call(255)])
    mined = market.settle(channels=[group, group])
    assert why(mined) == ["AlreadyCharged"] * 4
    assert why(market.settle(channels=[group])) == ["AlreadyCharged"] * 3
    assert state(market, channel)["spent"] == 2 * PRICE
    assert market.escrow.view("chargedCalls", market.channel_id(channel), 0) == 1 << 255
    assert market.escrow.view("chargedCalls", market.channel_id(channel), 1) == 1


@pytest.mark.parametrize(("maximum", "reason"), [(2 * PRICE, "AboveAuthorisation"), (10**7, "AboveDeposit")])
def test_settle_stops_at_authorisation_and_deposit(market: Market, maximum: int, reason: str) -> None:
    """M2, M3: cumulative, so what earlier batches charged counts."""
    terms = market.channel()
    market.deposit(terms, 2 * PRICE + 1 if reason == "AboveDeposit" else 10**6)
    market.settle(channels=[market.channel_group(terms, [Call(0)], maximum)])
    mined = market.settle(channels=[market.channel_group(terms, [Call(1), Call(2), Call(3, 0)], maximum)])
    assert why(mined) == [reason]
    assert state(market, terms)["spent"] == 2 * PRICE


def test_settle_price_of_the_pinned_revision(market: Market, channel: ChannelTerms) -> None:
    """M9: a later, higher price does not touch a call under the earlier revision, nor the other way round."""
    dear = replace(PRICES, per_call=5_000)
    market.revise(market.listing, revision_terms(market.oracle, prices=dear))
    mined = market.settle(
        channels=[
            market.channel_group(channel, [Call(0, PRICE + 1), Call(1)]),
            market.channel_group(channel, [Call(2, PRICE + 4_000)], revision=2),
        ]
    )
    assert why(mined) == ["AbovePrice"]
    assert charged(mined) == 2 * PRICE + 4_000


def test_settle_tiers_count_the_payers_calls(market: Market, channel: ChannelTerms) -> None:
    listing = market.publish(revision_terms(market.oracle, tiers=(Tier(1, 1_000), Tier(2, 5_000))))
    calls = [Call(0), Call(1, PRICE * 9 // 10), Call(2, PRICE // 2 + 1), Call(3, PRICE // 2)]
    mined = market.settle(channels=[market.channel_group(channel, calls, listing=listing)])
    assert why(mined) == ["AbovePrice"]
    assert market.escrow.view("callsOf", market.payer.address, listing) == 3


def test_settle_divides_what_is_earned(market: Market, channel: ChannelTerms) -> None:
    """M1, M8: first the fee, of the rest the oracle's share, the owner has what is left; each rounded down."""
    market.escrow.send("setFee", 333, market.collector, by=market.administrator)
    listing = market.publish(revision_terms(market.oracle, oracle_share_bps=2_500))
    mined = market.settle(channels=[market.channel_group(channel, [Call(0)], listing=listing)])
    fee = PRICE * 333 // 10_000
    share = (PRICE - fee) * 2_500 // 10_000
    assert [market.owed(who) for who in (market.collector, market.oracle, market.owner)] == [
        fee,
        share,
        PRICE - fee - share,
    ]
    (split,) = mined.named("EarningsSplit")
    assert (split["fee"], split["oracleAmount"]) == (fee, share)


def test_settle_after_the_listing_was_sold(market: Market, channel: ChannelTerms) -> None:
    """M9: earlier earnings stay, later ones go to the new owner."""
    market.settle(channels=[market.channel_group(channel, [Call(0)])])
    buyer = address_of("buyer")
    market.registry.send("transferFrom", market.owner, buyer, market.listing, by=market.owner)
    market.settle(channels=[market.channel_group(channel, [Call(1)])])
    assert market.owed(market.owner) == market.owed(buyer) == PRICE


# ---- attacks ------------------------------------------------------------------------------------------------------------


def forged(market: Market, channel: ChannelTerms, how: str) -> bytes:
    """A signature over the first call's authorisation, spoiled."""
    good = market.channel_group(channel, [Call(0)])[4]
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    if how == "high s":
        s = order - int.from_bytes(good[32:64], "big")
        return bytes(good[:32] + s.to_bytes(32, "big") + bytes([55 - good[64]]))
    return {
        "v of 0 or 1": good[:64] + bytes([good[64] - 27]),
        "64 bytes": good[:64],
        "empty": b"",
        "66 bytes": good + b"\0",
        "zeros": bytes(65),
    }[how]


@pytest.mark.parametrize("how", ["high s", "v of 0 or 1", "64 bytes", "empty", "66 bytes", "zeros"])
def test_settle_with_a_malleated_signature(market: Market, channel: ChannelTerms, how: str) -> None:
    group = market.channel_group(channel, [Call(0)], signature=forged(market, channel, how))
    assert why(market.settle(channels=[group])) == ["BadSignature"]
    assert state(market, channel)["spent"] == 0


@pytest.mark.parametrize("domain", ["chain", "contract"])
def test_settle_with_a_signature_for_elsewhere(market: Market, channel: ChannelTerms, domain: str) -> None:
    right = market.domain
    market.domain = (
        Domain(CHAIN_ID + 1, right.escrow) if domain == "chain" else Domain(CHAIN_ID, market.registry.address)
    )
    group = market.channel_group(channel, [Call(0)])
    market.domain = right
    assert why(market.settle(channels=[group])) == ["BadSignature"]


def test_settle_authorisation_of_another_channel(market: Market, channel: ChannelTerms) -> None:
    """A closed channel's authorisation is worth nothing on its successor."""
    successor = market.channel(1)
    market.deposit(successor)
    signature = market.channel_group(channel, [Call(0)])[4]
    assert why(market.settle(channels=[market.channel_group(successor, [Call(0)], signature=signature)])) == [
        "BadSignature"
    ]


def test_settle_key_and_channel_calls_are_counted_apart(market: Market, channel: ChannelTerms) -> None:
    grant = market.grant()
    mined = market.settle(
        channels=[market.channel_group(channel, [Call(3)])], keys=[market.key_group(channel, grant, [Call(3)])]
    )
    assert why(mined) == []
    assert [log["callId"] for log in mined.named("CallLogged")] == [
        settled_call_id(market.channel_id(channel), 3),
        settled_call_id(market.key_account(channel, grant), 3),
    ]


@pytest.mark.parametrize("manner", range(7), ids=["honest", "refuses", "reverts", "burns", "bomb", "short", "other"])
def test_settle_wallet_that_is_a_contract(market: Market, channel: ChannelTerms, manner: int) -> None:
    """EIP-1271: an honest wallet pays; a hostile one neither pays nor spoils the batch, at a bounded cost."""
    wallet = market.machine.deploy("WalletMock", market.other_payer.address)
    wallet.send("behave", manner, by=market.stranger)
    terms = market.channel(payer=wallet.address)
    market.deposit(terms, by=market.stranger)
    mined = market.settle(
        channels=[
            market.channel_group(terms, [Call(0)], signer=market.other_payer),
            market.channel_group(channel, [Call(0)]),
        ]
    )
    assert why(mined) == ([] if manner == 0 else ["BadSignature"])
    assert state(market, channel)["spent"] == PRICE
    assert mined.gas_used < 1_000_000


def test_settle_races_a_close(market: Market, channel: ChannelTerms) -> None:
    """M6: the oracle settles until the last second of the window, and not one second longer."""
    market.escrow.send("requestClose", channel.as_tuple(), by=market.payer.address)
    market.machine.pass_time(DAY)
    assert why(market.settle(channels=[market.channel_group(channel, [Call(0)])])) == []
    market.machine.pass_time(1)
    before = market.owed(market.owner)
    assert why(market.settle(channels=[market.channel_group(channel, [Call(1)])])) == ["AccountClosed"]
    assert market.owed(market.owner) == before
    market.escrow.send("close", channel.as_tuple(), by=market.stranger)
    assert market.owed(market.payer.address) == 10**6 - PRICE


def test_settle_while_paused(market: Market, channel: ChannelTerms) -> None:
    """M7."""
    market.escrow.send("pause", by=market.administrator)
    before = books(market)["batches"]
    assert why(market.settle(channels=[market.channel_group(channel, [Call(0)])])) == []
    assert books(market)["batches"] == before + 1

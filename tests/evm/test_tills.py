"""Token authorisations (EIP-3009): a stock client signs, anybody relays, and only this call is opened."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from eth_hash.auto import keccak
from tallystick.protocol.calls import DirectCall
from tallystick.protocol.encoding import address_word

from tests.evm.machine import address_of
from tests.evm.refusals import refused
from tests.evm.scene import PRICE, Market, Person

refuses = pytest.mark.refuses
FUNDS = 10**12


@pytest.fixture
def call(market: Market) -> DirectCall:
    """A call in the test stablecoin; the payer has some, and has allowed nothing."""
    listing = market.priced_in(market.token.address)
    for person in (market.payer, market.other_payer):
        market.give(market.token, person.address, FUNDS, allow=False)
    return market.direct(listing=listing, asset=market.token.address)


def relay(market: Market, call: DirectCall, authorisation: tuple[Any, ...]) -> None:
    """What somebody who saw the authorisation can do."""
    till = market.escrow.view("tillOf", call.as_tuple())
    market.token.send("transferWithAuthorization", call.payer, till, call.amount, *authorisation, by=market.stranger)


def cancel(market: Market, signer: Person, nonce: bytes) -> None:
    struct = keccak(
        keccak(b"CancelAuthorization(address authorizer,bytes32 nonce)") + address_word(signer.address) + nonce
    )
    digest = keccak(b"\x19\x01" + market.token.view("DOMAIN_SEPARATOR") + struct)
    signature = signer.sign(digest)
    parts = (signature[64], signature[:32], signature[32:64])
    market.token.send("cancelAuthorization", signer.address, nonce, *parts, by=market.stranger)


def opened(market: Market, call: DirectCall, authorisation: tuple[Any, ...], by: str | None = None) -> None:
    market.escrow.send("openWithAuthorisation", call.as_tuple(), authorisation, by=by or market.oracle)


def status(market: Market, call: DirectCall) -> int:
    return int(market.escrow.view("callState", call.call_id(market.domain))["status"])


def tokens(market: Market, account: str) -> int:
    return int(market.token.view("balanceOf", account))


@pytest.mark.parametrize("by", ["oracle", "payer", "stranger"])
def test_open_with_authorisation_by_anyone(market: Market, call: DirectCall, by: str) -> None:
    """M1: the payer sends nothing, and the whole amount is escrowed; then the call ends as any other."""
    sender = {"oracle": market.oracle, "payer": market.payer.address, "stranger": market.stranger}[by]
    opened(market, call, market.token_authorisation(call), by=sender)
    assert status(market, call) == 1
    assert tokens(market, market.escrow.address) == call.amount
    market.escrow.send("fulfil", call.as_tuple(), market.outcome(), by=market.oracle)
    assert market.owed(market.owner, call.asset) == PRICE
    market.escrow.send("withdraw", call.asset, market.payer.address, by=market.payer.address)
    assert tokens(market, market.payer.address) == FUNDS - PRICE


def test_open_after_somebody_relayed(market: Market, call: DirectCall) -> None:
    authorisation = market.token_authorisation(call)
    relay(market, call, authorisation)
    opened(market, call, authorisation)
    assert status(market, call) == 1
    assert tokens(market, market.escrow.address) == call.amount


def test_open_with_more_in_the_till(market: Market, call: DirectCall) -> None:
    """What somebody else sent there is the payer's."""
    market.token.send("mint", market.escrow.view("tillOf", call.as_tuple()), 77, by=market.stranger)
    opened(market, call, market.token_authorisation(call))
    assert market.owed(market.payer.address, call.asset) == 77
    assert tokens(market, market.escrow.address) == call.amount + 77


def test_till_differs_with_every_term(market: Market, call: DirectCall) -> None:
    """So nobody opens a call of his own with an authorisation that he saw: it pays elsewhere."""
    others = [
        replace(call, payer=market.other_payer.address),
        *(replace(call, listing_id=1), replace(call, revision=2), replace(call, oracle=address_of("mine"))),
        *(replace(call, asset=market.hostile.address), replace(call, amount=1), replace(call, deadline=5)),
        replace(call, request_commitment=keccak(b"mine")),
    ]
    tills = {market.escrow.view("tillOf", other.as_tuple()) for other in (call, *others)}
    assert len(tills) == 1 + len(others)


@refuses("Escrow.openWithAuthorisation", "Escrow_AuthorisationInvalid")
def test_cancelled_authorisation_takes_nobodys_money(market: Market, call: DirectCall) -> None:
    """The other payer cancels his own, relays this payer's, and opens with his: his till is empty."""
    relay(market, call, market.token_authorisation(call))
    mine = replace(call, payer=market.other_payer.address)
    authorisation = market.token_authorisation(mine, signer=market.other_payer)
    cancel(market, market.other_payer, authorisation[2])
    with refused(market, "Escrow_TokenShort", 0, call.amount):
        opened(market, mine, authorisation)
    with refused(market, "Escrow_AuthorisationInvalid", market.other_payer.address, authorisation[2]):
        opened(market, mine, (*authorisation[:5], bytes(32)))
    opened(market, call, market.token_authorisation(call))
    assert status(market, call) == 1


@refuses("Escrow.openWithAuthorisation", "Escrow_AuthorisationInvalid")
def test_used_nonce_opens_nothing_in_the_payers_name(market: Market, call: DirectCall) -> None:
    """A stranger pays the till himself; the payer has not signed this call."""
    opened(market, call, used := market.token_authorisation(call))
    other = replace(call, request_commitment=keccak(b"other"))
    market.token.send("mint", market.escrow.view("tillOf", other.as_tuple()), other.amount, by=market.stranger)
    with refused(market, "Escrow_AuthorisationInvalid", market.payer.address, used[2]):
        opened(market, other, used)


@refuses("Escrow.openWithAuthorisation", "Escrow_CallNotInState")
def test_open_with_authorisation_again(market: Market, call: DirectCall) -> None:
    authorisation = market.token_authorisation(call)
    opened(market, call, authorisation)
    with refused(market, "Escrow_CallNotInState", call.call_id(market.domain), 1, 0):
        opened(market, call, authorisation)


def test_open_with_an_authorisation_that_the_token_refuses(market: Market, call: DirectCall) -> None:
    forged = market.token_authorisation(call, signer=market.other_payer)
    values = (market.other_payer.address, market.payer.address)
    with refused(market, "TestStablecoin_InvalidSignature", *values):
        opened(market, call, forged)
    late = market.token_authorisation(call, valid_before=market.machine.time)
    with refused(market, "TestStablecoin_NotValidAt", market.machine.time, 0, market.machine.time):
        opened(market, call, late)


@refuses("Escrow.openWithAuthorisation", "Escrow_TokenShort")
def test_open_after_the_payer_took_it_back(market: Market, call: DirectCall) -> None:
    authorisation = market.token_authorisation(call)
    relay(market, call, authorisation)
    market.escrow.send("recover", call.as_tuple(), by=market.payer.address)
    assert market.owed(market.payer.address, call.asset) == call.amount
    with refused(market, "Escrow_TokenShort", 0, call.amount):
        opened(market, call, authorisation)


@refuses("Escrow.openWithAuthorisation", "Escrow_NotAToken")
@refuses("Escrow.recover", "Escrow_NotAToken")
def test_native_asset_has_no_till(market: Market) -> None:
    call = market.direct()
    with refused(market, "Escrow_NotAToken", call.asset):
        opened(market, call, (0, 2**40, bytes(32), 27, bytes(32), bytes(32)))
    with refused(market, "Escrow_NotAToken", call.asset):
        market.escrow.send("recover", call.as_tuple(), by=market.payer.address)


@refuses("Escrow.openWithAuthorisation", "EnforcedPause")
def test_open_with_authorisation_while_paused(market: Market, call: DirectCall) -> None:
    """M7: what is in the till comes back all the same."""
    authorisation = market.token_authorisation(call)
    relay(market, call, authorisation)
    market.escrow.send("pause", by=market.administrator)
    with refused(market, "EnforcedPause"):
        opened(market, call, authorisation)
    market.escrow.send("recover", call.as_tuple(), by=market.payer.address)
    market.escrow.send("withdraw", call.asset, market.payer.address, by=market.payer.address)
    assert tokens(market, market.payer.address) == FUNDS


@refuses("Escrow.openWithAuthorisation", "Escrow_EmptyCommitment")
@refuses("Escrow.openWithAuthorisation", "Escrow_RevisionNotForSale")
@refuses("Escrow.openWithAuthorisation", "Escrow_WrongOracle")
@refuses("Escrow.openWithAuthorisation", "Escrow_WrongAsset")
@refuses("Escrow.openWithAuthorisation", "Escrow_DeadlineOutOfRange")
@refuses("Escrow.openWithAuthorisation", "Registry_UnknownListing")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"request_commitment": bytes(32)}, "Escrow_EmptyCommitment"),
        ({"revision": 2}, "Escrow_RevisionNotForSale"),
        ({"oracle": address_of("mine")}, "Escrow_WrongOracle"),
        ({"listing_id": 1}, "Escrow_WrongAsset"),
        ({"deadline": 5}, "Escrow_DeadlineOutOfRange"),
        ({"listing_id": 99}, "Registry_UnknownListing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_open_with_authorisation_on_other_terms(
    market: Market, call: DirectCall, changes: dict[str, Any], error: str
) -> None:
    other = replace(call, **changes)
    authorisation = market.token_authorisation(other)
    with refused(market, error):
        opened(market, other, authorisation)


@refuses("Escrow.openWithAuthorisation", "Escrow_ListingWithdrawn")
def test_open_with_authorisation_off_sale(market: Market, call: DirectCall) -> None:
    market.registry.send("withdrawListing", call.listing_id, by=market.owner)
    authorisation = market.token_authorisation(call)
    with refused(market, "Escrow_ListingWithdrawn", call.listing_id):
        opened(market, call, authorisation)


@refuses("Escrow.recover", "Escrow_NotPayer")
def test_recover_by_another_before_the_deadline(market: Market, call: DirectCall) -> None:
    """Or anybody could stop an opening; afterwards anybody may, without the oracle (M4)."""
    relay(market, call, market.token_authorisation(call))
    with refused(market, "Escrow_NotPayer", market.stranger, market.payer.address):
        market.escrow.send("recover", call.as_tuple(), by=market.stranger)
    market.machine.set_time(call.deadline + 1)
    market.escrow.send("recover", call.as_tuple(), by=market.stranger)
    assert market.owed(market.payer.address, call.asset) == call.amount


@refuses("Escrow.recover", "Escrow_NothingToWithdraw")
def test_recover_of_an_empty_till(market: Market, call: DirectCall) -> None:
    with refused(market, "Escrow_NothingToWithdraw", market.payer.address, call.asset):
        market.escrow.send("recover", call.as_tuple(), by=market.payer.address)

"""Bad input against a real oracle on a real chain: each a typed error that says what to do, and nothing is lost."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tallystick.client.client import Client
from tallystick.client.journal import PendingCall
from tallystick.errors import CallClosed, ContractRefused, ListingWithdrawn, UnknownListing, WrongRevision
from tallystick.protocol.calls import CallStatus, DirectCall
from tallystick.protocol.commitments import new_salt, request_commitment
from tallystick.protocol.payments import DirectPayment
from tallystick.protocol.prices import NATIVE
from tallystick.protocol.requests import InferenceRequest

from tests.support.errors import assert_error
from tests.support.world import PRICES, Oracle, World, settled

QUESTION = "Where is my parcel?"
TOKENS = 4 + 2
MAXIMUM = PRICES.per_call + TOKENS * PRICES.per_thousand_input_tokens // 1000


@pytest.fixture(scope="module")
def listing(world: World) -> int:
    return world.null_listing()


@pytest.fixture(scope="module")
def oracle(world: World, listing: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    with world.oracle(tmp_path_factory.mktemp("oracle")) as running:
        yield running


@pytest.fixture
def client(world: World, oracle: Oracle, tmp_path: Path) -> Iterator[Client]:
    with world.payer(oracle, tmp_path / "payer") as payer:
        yield payer


def body(listing: int, text: Any = QUESTION, **fields: Any) -> dict[str, Any]:
    return {"listing": str(listing), "revision": 1, "input": text, "parameters": {}, **fields}


def post(oracle: Oracle, content: Any, payment: str | None = None) -> httpx.Response:
    headers = {"Tallystick-Payment": payment} if payment else {}
    return httpx.post(f"{oracle.url}/v1/classify", json=content, headers=headers, timeout=30, trust_env=False)


def terms(world: World, client: Client, listing: int, text: str = QUESTION, **changes: Any) -> PendingCall:
    """A call's terms as a client makes them, with some of them changed."""
    request = InferenceRequest("classify", listing, 1, text, {})
    salt = new_salt()
    now = max(int(time.time()), world.market.head().timestamp)
    call = DirectCall(
        payer=client.wallet.address,
        listing_id=listing,
        revision=1,
        oracle=world.market.listing(listing).oracle,
        asset=NATIVE,
        amount=MAXIMUM,
        deadline=now + 300,
        request_commitment=request_commitment(salt, request.canonical()),
    )
    call = dataclasses.replace(call, **changes)
    return PendingCall(call.call_id(world.deployment.domain), call, salt, request)


def open_on_chain(world: World, client: Client, pending: PendingCall) -> PendingCall:
    transactions = world.market.transactions
    function = world.market.open_call(pending.call)
    transactions.send_and_wait(transactions.prepare(client.wallet, function, value=pending.call.amount))
    return pending


def header(pending: PendingCall) -> str:
    return DirectPayment(pending.call, pending.salt).to_header()


def test_unpaid_request_names_what_to_pay_and_runs_nothing(world: World, oracle: Oracle, listing: int) -> None:
    """S1, S7."""
    runs = oracle.runs()
    error = assert_error(post(oracle, body(listing)), 402, "payment_required")
    assert error["details"]["required"] == str(MAXIMUM)
    assert error["details"]["escrow"] == world.deployment.escrow.address
    assert error["details"]["chain"] == "eip155:1337"
    assert oracle.runs() == runs


def test_payment_that_is_not_on_chain_runs_nothing(world: World, oracle: Oracle, client: Client, listing: int) -> None:
    """S1."""
    runs = oracle.runs()
    response = post(oracle, body(listing), header(terms(world, client, listing)))
    error = assert_error(response, 402, "call_not_opened")
    assert error["retryable"] is True
    assert oracle.runs() == runs


def test_payment_for_another_question_is_refused_and_still_good_for_its_own(
    world: World, oracle: Oracle, client: Client, listing: int
) -> None:
    """S2."""
    pending = open_on_chain(world, client, terms(world, client, listing))
    runs = oracle.runs()
    assert_error(post(oracle, body(listing, "Another question"), header(pending)), 402, "commitment_mismatch")
    assert oracle.runs() == runs
    assert world.market.call_state(pending.call_id).status is CallStatus.OPEN
    assert post(oracle, body(listing), header(pending)).status_code == 200
    assert_error(post(oracle, body(listing, "Another question"), header(pending)), 402, "commitment_mismatch")
    assert oracle.runs() == runs + 1


def test_payment_with_other_parameters_or_salt_is_refused(
    world: World, oracle: Oracle, client: Client, listing: int
) -> None:
    """S2."""
    pending = open_on_chain(world, client, terms(world, client, listing))
    other_salt = DirectPayment(pending.call, new_salt()).to_header()
    assert_error(post(oracle, body(listing, parameters={"top_k": 1}), header(pending)), 402, "commitment_mismatch")
    assert_error(post(oracle, body(listing), other_salt), 402, "commitment_mismatch")
    assert world.market.call_state(pending.call_id).status is CallStatus.OPEN


def test_payment_whose_terms_were_altered_is_not_on_chain(
    world: World, oracle: Oracle, client: Client, listing: int
) -> None:
    """S2, M3: the id is the hash of the terms, so other terms are another call."""
    pending = open_on_chain(world, client, terms(world, client, listing))
    richer = dataclasses.replace(pending.call, amount=pending.call.amount * 2)
    assert_error(post(oracle, body(listing), DirectPayment(richer, pending.salt).to_header()), 402, "call_not_opened")


def test_escrow_below_the_worst_case_is_refused(world: World, oracle: Oracle, client: Client, listing: int) -> None:
    """M3, S7: the refusal names both amounts and where the money is."""
    pending = open_on_chain(world, client, terms(world, client, listing, amount=MAXIMUM - 1))
    runs = oracle.runs()
    error = assert_error(post(oracle, body(listing), header(pending)), 402, "escrow_too_small")
    assert error["details"]["required"] == str(MAXIMUM)
    assert error["details"]["available"] == str(MAXIMUM - 1)
    assert oracle.runs() == runs
    assert world.market.call_state(pending.call_id).status is CallStatus.OPEN


def test_deadline_too_close_is_refused(world: World, oracle: Oracle, client: Client, listing: int) -> None:
    now = max(int(time.time()), world.market.head().timestamp)
    pending = open_on_chain(world, client, terms(world, client, listing, deadline=now + 10))
    error = assert_error(post(oracle, body(listing), header(pending)), 402, "deadline_too_close")
    assert error["details"]["deadline"] == pending.call.deadline
    assert world.market.call_state(pending.call_id).status is CallStatus.OPEN


def test_unanswered_call_is_refunded_after_its_deadline_and_no_sooner(
    world: World, oracle: Oracle, client: Client, listing: int
) -> None:
    """M4, M5: without the oracle; what is refunded is owed until it is pulled."""
    pending = open_on_chain(world, client, terms(world, client, listing))
    owed = client.owed()
    with pytest.raises(ContractRefused) as early:
        client.refund(pending.call)
    assert early.value.name == "Escrow_DeadlineNotPassed"
    assert client.owed() == owed
    world.pass_time(pending.call.deadline - world.market.head().timestamp + 1)
    client.refund(pending.call)
    assert client.owed() == owed + pending.call.amount
    assert_error(post(oracle, body(listing), header(pending)), 402, "call_closed")
    with pytest.raises(CallClosed):
        client.refund(pending.call)
    amount, _ = client.withdraw()
    assert amount == owed + pending.call.amount
    assert client.owed() == 0


def test_same_payment_again_returns_the_stored_bytes_and_charges_nothing(
    world: World, oracle: Oracle, client: Client, listing: int
) -> None:
    """S2, A5."""
    pending = open_on_chain(world, client, terms(world, client, listing))
    first = post(oracle, body(listing), header(pending))
    settled(client, pending)
    owed, runs = client.owed(), oracle.runs()
    second = post(oracle, body(listing), header(pending))
    assert first.content == second.content
    assert (first.headers["tallystick-replayed"], second.headers["tallystick-replayed"]) == ("false", "true")
    assert (client.owed(), oracle.runs()) == (owed, runs)
    assert [event.name for event in world.events(pending.call_id)].count("CallLogged") == 1


def test_unknown_listing_is_named(world: World, oracle: Oracle, client: Client) -> None:
    assert_error(post(oracle, body(987_654)), 404, "unknown_listing")
    with pytest.raises(UnknownListing):
        client.quote(987_654, QUESTION)


def test_unknown_revision_is_named(world: World, oracle: Oracle, client: Client, listing: int) -> None:
    assert_error(post(oracle, body(listing, revision=77)), 409, "wrong_revision")
    with pytest.raises(WrongRevision):
        world.market.revision(listing, 77)


def test_withdrawn_listing_is_not_sold_but_open_calls_are_served(world: World, oracle: Oracle, client: Client) -> None:
    listing = world.null_listing()
    pending = open_on_chain(world, client, terms(world, client, listing))
    transactions = world.market.transactions
    from tallystick.chain.wallet import development_wallet

    owner = development_wallet("owner", 1337)
    transactions.send_and_wait(transactions.prepare(owner, world.market.withdraw_listing(listing)))
    assert_error(post(oracle, body(listing)), 410, "listing_withdrawn")
    with pytest.raises(ListingWithdrawn):
        client.quote(listing, QUESTION)
    with pytest.raises(ContractRefused) as refused:
        open_on_chain(world, client, terms(world, client, listing))
    assert refused.value.name == "Escrow_ListingWithdrawn"
    assert post(oracle, body(listing), header(pending)).status_code == 200


def test_call_of_an_earlier_revision_keeps_its_price(world: World, oracle: Oracle, client: Client) -> None:
    """M9: a price raised between opening and answer touches nothing; a new call needs the new revision."""
    listing = world.null_listing()
    pending = open_on_chain(world, client, terms(world, client, listing))
    dearer = dataclasses.replace(PRICES, per_call=PRICES.per_call * 10)
    world.publish(world.market.revision(listing, 1).manifest_hash, dearer, revise=listing)
    answer = client.fetch(pending)
    assert answer.entry.signed.receipt.charge == MAXIMUM
    with pytest.raises(ContractRefused) as refused:
        open_on_chain(world, client, terms(world, client, listing))
    assert refused.value.name == "Escrow_RevisionNotForSale"


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "not_json"),
        (b"hello", 400, "not_json"),
        (b"\xff\xfe", 400, "not_json"),
        (b'{"listing":"1","listing":"2","input":"x"}', 400, "not_json"),
        (b"[" * 100 + b"]" * 100, 400, "not_json"),
        (b'{"listing":"1","input":"' + b"x" * 300_000 + b'"}', 413, "body_too_large"),
        (b"[]", 422, "invalid_request"),
        (b'{"listing":"1"}', 422, "invalid_request"),
        (b'{"listing":"one","input":"x"}', 422, "invalid_request"),
        (b'{"listing":"LISTING","input":"x","price":0}', 422, "invalid_request"),
        (b'{"listing":"LISTING","input":""}', 422, "empty_text"),
        (b'{"listing":"LISTING","input":"  \\n "}', 422, "empty_text"),
        (b'{"listing":"LISTING","input":5}', 422, "invalid_request"),
        (b'{"listing":"LISTING","input":"x","parameters":{"top_k":0}}', 422, "invalid_request"),
        (b'{"listing":"LISTING","input":"x","parameters":{"temperature":1}}', 422, "invalid_request"),
    ],
)
def test_classify_with_a_bad_body_is_refused_by_name(
    oracle: Oracle, listing: int, content: bytes, status: int, code: str
) -> None:
    """E1, S7."""
    runs = oracle.runs()
    sent = content.replace(b"LISTING", str(listing).encode())
    response = httpx.post(f"{oracle.url}/v1/classify", content=sent, timeout=30, trust_env=False)
    assert_error(response, status, code)
    assert oracle.runs() == runs


def test_input_longer_than_the_model_reads_is_refused_not_cut(oracle: Oracle, listing: int) -> None:
    error = assert_error(post(oracle, body(listing, "word " * 300)), 422, "input_too_long")
    assert error["details"]["actual"] == 302


@pytest.mark.parametrize("value", ["x", "e30=", "!!!", "A" * 5000])
def test_unreadable_payment_header_is_refused(oracle: Oracle, listing: int, value: str) -> None:
    assert_error(post(oracle, body(listing), value), 400, "payment_malformed")

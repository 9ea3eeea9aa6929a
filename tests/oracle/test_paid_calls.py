"""Paid calls through the routes, with everything real but the chain and the model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from eth_hash.auto import keccak
from tallystick.errors import (
    CallNotOpened,
    CommitmentMismatch,
    EmptyText,
    InferenceFailed,
    InputTooLong,
    InvalidRequest,
    PaymentMalformed,
    PaymentRequired,
    UnknownCall,
    UnknownListing,
    WrongRevision,
)
from tallystick.protocol.canonical import canonical_bytes
from tallystick.protocol.receipts import SignedReceipt
from tallystick.store.records import Fulfil, Queued

from tests.oracle.serving import WAIT, Paid, Stand, serving, stand
from tests.support.refusals import assert_dressed, assert_refused
from tests.support.world import eventually

TEXT = "Where is my parcel?"
BREAKING = "this breaks the model"


def breaks(text: str) -> None:
    if text == BREAKING:
        raise RuntimeError(f"can't read {text}")


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """One for all the tests that leave it as it is."""
    with stand(tmp_path_factory.mktemp("oracle"), post_wait=0) as made:
        yield made


@pytest.fixture(scope="module")
def client(oracle: Stand) -> Iterator[httpx.Client]:
    with client_of(oracle) as made:
        yield made


@pytest.fixture
def fresh_oracle(tmp_path: Path) -> Iterator[Stand]:
    with stand(tmp_path, breaks, post_wait=0, max_in_flight=64) as made:
        yield made


@pytest.fixture
def fresh_client(fresh_oracle: Stand) -> Iterator[httpx.Client]:
    with client_of(fresh_oracle) as made:
        yield made


@contextmanager
def client_of(oracle: Stand) -> Iterator[httpx.Client]:
    with (
        serving(oracle.app(), oracle.settings) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=WAIT, trust_env=False) as made,
    ):
        yield made


def send(client: httpx.Client, paid: Paid) -> httpx.Response:
    return client.post("/v1/classify", content=paid.body(), headers=paid.headers())


def books(oracle: Stand) -> tuple[object, ...]:
    """Everything that a refusal must leave as it is."""
    return oracle.runner.runs, oracle.store.count_calls(), oracle.store.count_postings(), oracle.chain.head()


# ---- the whole way ----------------------------------------------------------------------------------------------------


def test_paid_request_is_answered_with_a_receipt_of_the_oracle(fresh_oracle: Stand, fresh_client: httpx.Client) -> None:
    """E3: the receipt is in the reply, and signed by the oracle that the call names."""
    paid = fresh_oracle.pay(TEXT)
    response = send(fresh_client, paid)
    assert_dressed(response)
    assert response.status_code == 200
    signed = SignedReceipt.from_dict(response.json())
    assert signed.signer(fresh_oracle.chain.domain) == fresh_oracle.oracle.address
    assert signed.receipt.call_id == paid.call.call_id(fresh_oracle.chain.domain)
    assert response.content == canonical_bytes(response.json())


def test_receipt_can_be_proved_by_the_digest_that_is_posted(fresh_oracle: Stand, fresh_client: httpx.Client) -> None:
    """E2: a direct call is a batch of one, so what is posted with it is its receipt's digest."""
    paid = fresh_oracle.pay(TEXT)
    signed = SignedReceipt.from_dict(send(fresh_client, paid).json())
    posting = fresh_oracle.store.find_posting(paid.call.call_id(fresh_oracle.chain.domain))
    assert posting is not None
    action = posting.queued.action if not isinstance(posting, Queued) else posting.action
    assert isinstance(action, Fulfil)
    assert action.outcome.receipt_digest == signed.receipt.digest(fresh_oracle.chain.domain)


def test_paid_request_sent_again_gets_the_same_bytes_and_costs_nothing(
    fresh_oracle: Stand, fresh_client: httpx.Client
) -> None:
    """S2."""
    paid = fresh_oracle.pay(TEXT)
    first = send(fresh_client, paid)
    eventually(lambda: fresh_oracle.store.count_postings() == {"finalised": 1})
    before = books(fresh_oracle)
    again = send(fresh_client, paid)
    assert again.content == first.content
    assert (first.headers["tallystick-replayed"], again.headers["tallystick-replayed"]) == ("false", "true")
    assert books(fresh_oracle) == before


def test_fifty_identical_requests_at_once_give_one_inference_and_one_charge(
    fresh_oracle: Stand, fresh_client: httpx.Client
) -> None:
    """S1."""
    paid = fresh_oracle.pay(TEXT)
    with ThreadPoolExecutor(50) as pool:
        responses = list(pool.map(lambda _: send(fresh_client, paid), range(50)))
    eventually(lambda: fresh_oracle.store.count_postings() == {"finalised": 1})
    assert {response.status_code for response in responses} == {200}
    assert len({response.content for response in responses}) == 1
    assert [response.headers["tallystick-replayed"] for response in responses].count("false") == 1
    assert fresh_oracle.runner.runs == 1
    assert len(fresh_oracle.chain.logged()) == 1


def test_model_that_fails_charges_nothing_and_gives_the_escrow_back(
    fresh_oracle: Stand, fresh_client: httpx.Client
) -> None:
    """M4: a failed call is declined on chain; asking again gets the same refusal and no second run."""
    paid = fresh_oracle.pay(BREAKING)
    error = assert_refused(send(fresh_client, paid), InferenceFailed)
    assert BREAKING not in error["message"]
    eventually(lambda: fresh_oracle.chain.owed(fresh_oracle.payer.address, paid.call.asset) == paid.call.amount)
    assert_refused(send(fresh_client, paid), InferenceFailed)
    assert fresh_oracle.runner.runs == 1
    assert fresh_oracle.chain.logged() == []


# ---- refusals, after which everything is as it was --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "kind", "param"),
    [
        *(
            ({"listing": value}, InvalidRequest, "listing")
            for value in (None, 1.5, True, "", "01", "-1", "1x", [], str(2**256))
        ),
        *(({"revision": value}, InvalidRequest, "revision") for value in ("x", -1, 1.5, True, 2**32, [])),
        *(({"input": value}, InvalidRequest, "input") for value in (None, 1, True, [], {}, ["a"], "a\0b")),
        *(({"input": value}, EmptyText, "input") for value in ("", " ", "\n\t\u3000")),
        ({"input": "word " * 300}, InputTooLong, "input"),
        ({"input": "x" * 100_000}, InputTooLong, "input"),
        *(({"parameters": value}, InvalidRequest, "parameters") for value in (None, 1, [], "x")),
        *(
            ({"parameters": {"top_k": value}}, InvalidRequest, "parameters.top_k")
            for value in (0, -1, 4, 1.0, "1", True, None)
        ),
        ({"parameters": {"temperature": 1}}, InvalidRequest, "parameters.temperature"),
        ({"prompt": "x"}, InvalidRequest, "prompt"),
        ({"x" * 1000: 1}, InvalidRequest, "x" * 50),
        ({"listing": "2"}, UnknownListing, None),
        ({"listing": "0"}, UnknownListing, None),
        ({"revision": 2}, WrongRevision, None),
    ],
    ids=lambda value: repr(value)[:40],
)
@pytest.mark.parametrize("with_payment", [False, True], ids=["unpaid", "paid"])
def test_request_that_is_not_valid_is_refused(
    oracle: Stand,
    client: httpx.Client,
    change: dict[str, Any],
    kind: type[InvalidRequest],
    param: str | None,
    with_payment: bool,
) -> None:
    paid = oracle.pay(TEXT)
    body = {**json.loads(paid.body()), **change}
    before = books(oracle)
    response = client.post("/v1/classify", json=body, headers=paid.headers() if with_payment else {})
    assert_refused(response, kind, param=param)
    assert books(oracle) == before


@pytest.mark.parametrize("missing", ["listing", "input"])
def test_request_without_a_field_is_refused(oracle: Stand, client: httpx.Client, missing: str) -> None:
    body = {"listing": "1", "input": TEXT}
    del body[missing]
    assert_refused(client.post("/v1/classify", json=body), InvalidRequest, param=missing)


@pytest.mark.parametrize("content", [b"null", b"[]", b'"text"', b"1", b"true"])
def test_request_that_is_no_object_is_refused(client: httpx.Client, content: bytes) -> None:
    assert_refused(client.post("/v1/classify", content=content), InvalidRequest)


def test_unpaid_request_is_told_what_to_pay(oracle: Stand, client: httpx.Client) -> None:
    before = books(oracle)
    response = client.post("/v1/classify", json={"listing": "1", "input": TEXT})
    assert_refused(
        response,
        PaymentRequired,
        asset="0x" + "0" * 40,
        chain="eip155:1337",
        escrow=oracle.chain.domain.escrow,
        oracle=oracle.oracle.address,
        listing="1",
        revision=1,
    )
    assert books(oracle) == before


@pytest.mark.parametrize(
    "header", ["", "e30", "e30=", "not base64!", "bnVsbA==", "W10=", "eyJtb2RlIjoiY2hhbm5lbCJ9", "a" * 5000]
)
def test_payment_that_can_not_be_read_is_refused(oracle: Stand, client: httpx.Client, header: str) -> None:
    before = books(oracle)
    response = client.post("/v1/classify", json={"listing": "1", "input": TEXT}, headers={"tallystick-payment": header})
    assert_refused(response, PaymentMalformed)
    assert books(oracle) == before


def test_payment_for_another_request_is_refused(oracle: Stand, client: httpx.Client) -> None:
    """S2: one payment covers one request."""
    paid = oracle.pay(TEXT)
    before = books(oracle)
    response = client.post("/v1/classify", json={"listing": "1", "input": "Another question"}, headers=paid.headers())
    assert_refused(response, CommitmentMismatch)
    assert books(oracle) == before


def test_payment_for_another_request_is_refused_after_the_call_was_answered(
    fresh_oracle: Stand, fresh_client: httpx.Client
) -> None:
    """S2, E4: whoever has seen a payment header can't get the stored answer with another request."""
    paid = fresh_oracle.pay(TEXT)
    first = send(fresh_client, paid)
    eventually(lambda: fresh_oracle.store.count_postings() == {"finalised": 1})
    before = books(fresh_oracle)
    response = fresh_client.post(
        "/v1/classify", json={"listing": "1", "input": "Another question"}, headers=paid.headers()
    )
    assert_refused(response, CommitmentMismatch)
    assert first.json()["result"]["label"] not in response.text
    assert books(fresh_oracle) == before


def test_payment_that_is_not_on_chain_is_refused(fresh_oracle: Stand, fresh_client: httpx.Client) -> None:
    """S1: no inference before the payment is seen."""
    paid = fresh_oracle.pay(TEXT)
    fresh_oracle.chain.reorganise(1)
    before = books(fresh_oracle)
    assert_refused(send(fresh_client, paid), CallNotOpened)
    assert books(fresh_oracle) == before


# ---- what can be asked ------------------------------------------------------------------------------------------------


def test_call_that_nobody_made_is_refused(client: httpx.Client) -> None:
    assert_refused(client.get("/v1/calls/0x" + "00" * 32), UnknownCall)


def test_call_shows_receipt_and_settlement_and_nothing_secret(fresh_oracle: Stand, fresh_client: httpx.Client) -> None:
    """E4."""
    paid = fresh_oracle.pay(TEXT)
    answer = send(fresh_client, paid).json()
    eventually(lambda: fresh_oracle.store.count_postings() == {"finalised": 1})
    shown = fresh_client.get(f"/v1/calls/{fresh_oracle.call_id(paid)}")
    assert shown.json()["state"] == "completed"
    assert shown.json()["receipt"] == answer["receipt"]
    assert shown.json()["settlement"]["state"] == "finalised"
    assert TEXT not in shown.text
    assert answer["result"]["label"] not in shown.text
    assert paid.payment.salt.hex() not in shown.text


def test_receipts_come_a_page_at_a_time_without_what_they_hide(fresh_oracle: Stand, fresh_client: httpx.Client) -> None:
    """E4."""
    texts = [f"question {number}" for number in range(3)]
    sent = [send(fresh_client, fresh_oracle.pay(text)).json()["receipt"] for text in texts]
    first = fresh_client.get("/v1/receipts?limit=2").json()
    rest = fresh_client.get(f"/v1/receipts?after={first['next_after']}").json()
    last = fresh_client.get(f"/v1/receipts?after={rest['next_after']}").json()
    assert [entry["receipt"] for entry in first["data"] + rest["data"]] == sent
    assert {entry["disclosure"] for entry in first["data"] + rest["data"]} == {None}
    assert (last["data"], last["next_after"]) == ([], rest["next_after"])


def test_models_names_listing_and_prices(oracle: Stand, client: httpx.Client) -> None:
    (model,) = client.get("/v1/models").json()["data"]
    assert (model["id"], model["revision"], model["withdrawn"]) == ("1", 1, False)
    assert model["prices"]["per_call"] == str(10**14)
    assert model["manifest_hash"] == "0x" + oracle.runner.manifest_hash.hex()


def test_manifest_hashes_to_what_is_on_chain(oracle: Stand, client: httpx.Client) -> None:
    """S6: anyone can check what a revision names."""
    client.get("/v1/models")
    response = client.get("/v1/manifests/0x" + oracle.runner.manifest_hash.hex())
    assert keccak(response.content) == oracle.chain.revision(1, 1).manifest_hash


def test_manifest_that_is_not_loaded_is_refused(client: httpx.Client) -> None:
    assert_refused(client.get("/v1/manifests/0x" + "00" * 32), UnknownListing)


def test_status_counts_calls_and_postings(fresh_oracle: Stand, fresh_client: httpx.Client) -> None:
    send(fresh_client, fresh_oracle.pay(TEXT))
    send(fresh_client, fresh_oracle.pay(BREAKING))
    eventually(lambda: fresh_oracle.store.count_postings() == {"finalised": 2})
    assert fresh_client.get("/v1/status").json() == {
        "calls": {"completed": 1, "abandoned": 1},
        "postings": {"finalised": 2},
    }

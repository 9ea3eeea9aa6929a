"""The oracle without HTTP: what is asked, paid, answered once and found again, and how it goes on after a crash (S1–S5, S7)."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tallystick.chain.types import Mined
from tallystick.errors import (
    CallClosed,
    CallInProgress,
    CallNotOpened,
    ChainUnreachable,
    CommitmentMismatch,
    DeadlineTooClose,
    DeploymentMismatch,
    EmptyText,
    EscrowTooSmall,
    InferenceFailed,
    InputTooLong,
    InvalidRequest,
    ListingWithdrawn,
    ModelMissing,
    PaymentMalformed,
    PaymentRequired,
    StoreUnavailable,
    TallystickError,
    UnknownCall,
    UnknownListing,
    WrongOracle,
    WrongRevision,
)
from tallystick.inference.null import null_manifest
from tallystick.metering.posting import Poster
from tallystick.metering.steps import Checkpoint, Step, When, no_checkpoint
from tallystick.oracle.service import Answer, OracleService, Waits
from tallystick.protocol.calls import CallStatus, DirectCall
from tallystick.protocol.commitments import manifest_hash, request_commitment
from tallystick.protocol.payments import DirectPayment
from tallystick.protocol.prices import NATIVE
from tallystick.protocol.requests import InferenceRequest
from tallystick.store.records import Abandoned, Completed, Decline, Finalised, Queued, Reservation

from tests.metering.kit import (
    CALL_SECONDS,
    MARGIN,
    ORACLE,
    OWNER,
    PAYER,
    PRICES,
    STRANGER,
    TEXT,
    Order,
    Shop,
    null_model,
)

BREAKS = "this breaks the model"
SECRET_TEXT = "my account number is MK-4711-QX"


class Killed(BaseException):
    """The process ended: nothing after this line ran."""


@dataclass
class Oracle:
    """A shop and the service over it; `open` makes the service anew, as a restart of the process does."""

    shop: Shop
    models: Path
    service: OracleService = field(init=False)
    poster: Poster = field(init=False)

    def __post_init__(self) -> None:
        self.open()

    def open(self, checkpoint: Checkpoint = no_checkpoint, **options: Any) -> None:
        self.service, self.poster = self.shop.service(self.models, checkpoint, **options)

    def restart(self, checkpoint: Checkpoint = no_checkpoint, **options: Any) -> None:
        self.shop.reopen()
        self.open(checkpoint, **options)

    def send(self, order: Order, **changes: Any) -> Answer:
        return self.service.classify({**order.body(), **changes}, order.header())

    def refused(self, kind: type[TallystickError], ask: Callable[[], object]) -> TallystickError:
        """It is refused with `kind`, and nothing was reserved, run or posted for it (S1, S7)."""
        before = (self.shop.store.count_calls(), self.shop.store.count_postings(), self.shop.runner.runs)
        with pytest.raises(kind) as caught:
            ask()
        assert type(caught.value) is kind
        assert (self.shop.store.count_calls(), self.shop.store.count_postings(), self.shop.runner.runs) == before
        return caught.value

    def stored(self, order: Order) -> object:
        return self.shop.store.find_call(order.call.call_id(self.shop.chain.domain))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    def breaks(text: str) -> None:
        if text == BREAKS:
            raise RuntimeError(f"can't read {text}")

    made = Shop(tmp_path, before_run=breaks)
    yield made
    made.close()


@pytest.fixture
def oracle(shop: Shop, tmp_path: Path) -> Oracle:
    """Ready to serve; its postings move when the test says so."""
    made = Oracle(shop, null_model(tmp_path / "models"))
    made.service.recover()
    return made


def body(shop: Shop, **changes: Any) -> dict[str, Any]:
    return {"listing": str(shop.listing), "input": TEXT, **changes}


# ---- ready ------------------------------------------------------------------------------------------------------------


def test_service_is_not_ready_before_it_recovered(shop: Shop, tmp_path: Path) -> None:
    """S3: what the last run left is ended first."""
    oracle = Oracle(shop, null_model(tmp_path / "models"))
    order = shop.opened()
    assert oracle.service.ready() == "starting"
    oracle.refused(ChainUnreachable, lambda: oracle.send(order))
    oracle.refused(ChainUnreachable, lambda: oracle.service.classify(body(shop), None))
    oracle.refused(ChainUnreachable, oracle.service.models)
    oracle.service.recover()
    assert oracle.service.ready() is None
    oracle.send(order)


def test_service_that_is_stopping_serves_nothing_more(oracle: Oracle) -> None:
    order = oracle.shop.opened()
    oracle.service.stop(0)
    assert oracle.service.ready() == "stopping"
    oracle.refused(ChainUnreachable, lambda: oracle.send(order))


def test_ready_tells_when_postings_are_held_up(oracle: Oracle) -> None:
    """E16"""
    oracle.send(oracle.shop.opened())
    oracle.shop.chain.go_down(1)
    oracle.poster.round()
    assert "can't be reached" in str(oracle.service.ready())
    oracle.poster.round()
    assert oracle.service.ready() is None


def test_ready_tells_when_the_chain_is_down_or_another(oracle: Oracle) -> None:
    """B1, S5"""
    oracle.shop.chain.go_down(1)
    assert "can't be reached" in str(oracle.service.ready())
    oracle.shop.chain.reset()
    assert "reset" in str(oracle.service.ready())


# ---- unpaid -----------------------------------------------------------------------------------------------------------


def test_classify_unpaid_says_what_to_pay(oracle: Oracle) -> None:
    """S7: required amount, asset, chain, escrow, oracle, listing, revision, and how much time the call needs."""
    shop = oracle.shop
    error = oracle.refused(PaymentRequired, lambda: oracle.service.classify(body(shop), None))
    assert error.details == {
        "required": str(shop.maximum(shop.request())),
        "asset": NATIVE,
        "chain": "eip155:1337",
        "escrow": shop.chain.domain.escrow,
        "oracle": ORACLE.address,
        "listing": str(shop.listing),
        "revision": 1,
        "least_seconds": MARGIN,
        "confirmations": 1,
    }
    assert (error.status, error.retryable) == (402, False)
    for fact in (error.details["required"], NATIVE, shop.chain.domain.escrow, "Tallystick-Payment"):
        assert str(fact) in error.message


def test_classify_unpaid_says_enough_to_pay_it(oracle: Oracle) -> None:
    """S7: a call that is opened with nothing but those details is answered."""
    shop = oracle.shop
    details = oracle.refused(PaymentRequired, lambda: oracle.service.classify(body(shop), None)).details
    request = InferenceRequest("classify", int(str(details["listing"])), int(str(details["revision"])), TEXT, {})
    salt = b"\7" * 32
    call = DirectCall(
        PAYER.address,
        request.listing_id,
        request.revision,
        str(details["oracle"]),
        str(details["asset"]),
        int(str(details["required"])),
        int(shop.clock()) + int(str(details["least_seconds"])),
        request_commitment(salt, request.canonical()),
    )
    shop.chain.open(call)
    assert oracle.send(Order(request, DirectPayment(call, salt))).body


def test_classify_unpaid_without_a_revision_is_for_the_one_on_sale(oracle: Oracle) -> None:
    shop = oracle.shop
    shop.chain.revise(OWNER.address, shop.listing, shop.runner.manifest_hash, replace(PRICES, per_call=5))
    error = oracle.refused(PaymentRequired, lambda: oracle.service.classify(body(shop), None))
    assert error.details["revision"] == 2
    assert error.details["required"] == str(shop.maximum(shop.request()) - PRICES.per_call + 5)


def test_classify_unpaid_for_a_superseded_revision_names_the_one_on_sale(oracle: Oracle) -> None:
    shop = oracle.shop
    shop.chain.revise(OWNER.address, shop.listing, shop.runner.manifest_hash, PRICES)
    error = oracle.refused(PaymentRequired, lambda: oracle.service.classify(body(shop, revision=1), None))
    assert error.details["revision"] == 1
    assert "Revision 2 is the one for sale now" in error.message


def test_classify_unpaid_asks_more_for_more_tokens(oracle: Oracle) -> None:
    shop = oracle.shop
    short = oracle.refused(PaymentRequired, lambda: oracle.service.classify(body(shop, input="one"), None))
    long = oracle.refused(PaymentRequired, lambda: oracle.service.classify(body(shop, input="one two"), None))
    assert int(str(long.details["required"])) - int(str(short.details["required"])) == 50


def other_listing(shop: Shop) -> int:
    return shop.chain.publish(OWNER.address, STRANGER.address, shop.runner.manifest_hash, PRICES)


def withdrawn_listing(shop: Shop) -> int:
    shop.chain.withdraw_listing(OWNER.address, shop.listing)
    return shop.listing


def listing_without_model(shop: Shop) -> int:
    return shop.chain.publish(OWNER.address, ORACLE.address, null_manifest(("no", "yes")).hash(), PRICES)


NOT_FOR_SALE: dict[str, tuple[Callable[[Shop], int], type[TallystickError]]] = {
    "unknown": (lambda _shop: 99, UnknownListing),
    "another oracle's": (other_listing, UnknownListing),
    "withdrawn": (withdrawn_listing, ListingWithdrawn),
    "without its model": (listing_without_model, ModelMissing),
}


@pytest.mark.parametrize("case", NOT_FOR_SALE)
def test_classify_unpaid_for_what_is_not_for_sale_is_refused(oracle: Oracle, case: str) -> None:
    """No quote for what could not be served: nobody pays for nothing."""
    listing, kind = NOT_FOR_SALE[case]
    asked = {**body(oracle.shop), "listing": str(listing(oracle.shop))}
    oracle.refused(kind, lambda: oracle.service.classify(asked, None))


def test_classify_unpaid_for_an_unknown_revision_is_refused(oracle: Oracle) -> None:
    oracle.refused(WrongRevision, lambda: oracle.service.classify(body(oracle.shop, revision=2), None))


def test_classify_unpaid_while_the_chain_is_down_is_refused(oracle: Oracle) -> None:
    """B1"""
    oracle.shop.chain.go_down()
    oracle.refused(ChainUnreachable, lambda: oracle.service.classify(body(oracle.shop), None))


# ---- bodies (S7) ------------------------------------------------------------------------------------------------------

BAD_BODIES: dict[str, tuple[Any, type[TallystickError], str | None]] = {
    "null": (None, InvalidRequest, None),
    "a list": ([], InvalidRequest, None),
    "a text": ("text", InvalidRequest, None),
    "a number": (5, InvalidRequest, None),
    "nothing in it": ({}, InvalidRequest, "input"),
    "no input": ({"listing": "1"}, InvalidRequest, "input"),
    "no listing": ({"input": TEXT}, InvalidRequest, "listing"),
    "listing null": ({"listing": None}, InvalidRequest, "listing"),
    "listing true": ({"listing": True}, InvalidRequest, "listing"),
    "listing a word": ({"listing": "first"}, InvalidRequest, "listing"),
    "listing negative": ({"listing": -1}, InvalidRequest, "listing"),
    "listing with a zero in front": ({"listing": "01"}, InvalidRequest, "listing"),
    "listing a fraction": ({"listing": 1.5}, InvalidRequest, "listing"),
    "listing too large": ({"listing": str(2**256)}, InvalidRequest, "listing"),
    "listing a list": ({"listing": ["1"]}, InvalidRequest, "listing"),
    "listing of other digits": ({"listing": "١"}, InvalidRequest, "listing"),
    "listing unknown": ({"listing": str(2**256 - 1)}, UnknownListing, None),
    "listing zero": ({"listing": "0"}, UnknownListing, None),
    "revision a word": ({"revision": "new"}, InvalidRequest, "revision"),
    "revision false": ({"revision": False}, InvalidRequest, "revision"),
    "revision negative": ({"revision": -1}, InvalidRequest, "revision"),
    "revision a fraction": ({"revision": 1.0}, InvalidRequest, "revision"),
    "revision too large": ({"revision": 2**32}, InvalidRequest, "revision"),
    "revision zero": ({"revision": 0}, WrongRevision, None),
    "parameters null": ({"parameters": None}, InvalidRequest, "parameters"),
    "parameters a list": ({"parameters": []}, InvalidRequest, "parameters"),
    "parameter unknown": ({"parameters": {"heat": 1}}, InvalidRequest, "parameters.heat"),
    "top_k too small": ({"parameters": {"top_k": 0}}, InvalidRequest, "parameters.top_k"),
    "top_k too large": ({"parameters": {"top_k": 4}}, InvalidRequest, "parameters.top_k"),
    "top_k true": ({"parameters": {"top_k": True}}, InvalidRequest, "parameters.top_k"),
    "top_k a text": ({"parameters": {"top_k": "1"}}, InvalidRequest, "parameters.top_k"),
    "max_tokens too large": ({"parameters": {"max_tokens": 10**6}}, InvalidRequest, "parameters.max_tokens"),
    "input null": ({"input": None}, InvalidRequest, "input"),
    "input a list": ({"input": [TEXT]}, InvalidRequest, "input"),
    "input a number": ({"input": 5}, InvalidRequest, "input"),
    "input empty": ({"input": ""}, EmptyText, "input"),
    "input blank": ({"input": " \t\n\u2003"}, EmptyText, "input"),
    "input with a NUL": ({"input": "a\0b"}, InvalidRequest, "input"),
    "input half a pair": ({"input": "\ud800"}, InvalidRequest, "input"),
    "input of too many tokens": ({"input": "word " * 255}, InputTooLong, "input"),
    "input of too many characters": ({"input": "x" * (256 * 64 + 1)}, InputTooLong, "input"),
    "input of more than max_tokens": ({"parameters": {"max_tokens": 5}}, InputTooLong, "input"),
    "input too large a number": ({"input": 2**60}, InvalidRequest, "input"),
    "unknown field": ({"stream": True}, InvalidRequest, "stream"),
    "unknown field of a very long name": ({"x" * 500: 1}, InvalidRequest, "x" * 50),
}
WHOLE = {"nothing in it", "no input", "no listing"}


@pytest.mark.parametrize("paid", [False, True], ids=["unpaid", "paid"])
@pytest.mark.parametrize("case", BAD_BODIES)
def test_classify_of_a_bad_body_names_what_is_wrong(oracle: Oracle, case: str, paid: bool) -> None:
    """S7, E1: a typed error that names the field; and a payment that came along is not touched."""
    value, kind, param = BAD_BODIES[case]
    shop = oracle.shop
    order = shop.opened()
    asked = {**order.body(), **value} if isinstance(value, dict) and case not in WHOLE else value
    error = oracle.refused(kind, lambda: oracle.service.classify(asked, order.header() if paid else None))
    if param is not None:
        assert error.details["param"] == param
        assert error.body()["error"]["param"] == param  # type: ignore[index]
    assert len(error.message) < 400
    assert shop.state(order).status is CallStatus.OPEN


GOOD_BODIES: dict[str, dict[str, Any]] = {
    "listing as a number": {"listing": 1},
    "revision as a text": {"revision": "1"},
    "revision null": {"revision": None},
    "no parameters": {"parameters": {}},
    "input of the most tokens": {"input": "word " * 254},
    "input with marks and joiners": {"input": "e\u0301 👩\u200d🚀 \u202e"},
}


@pytest.mark.parametrize("case", GOOD_BODIES)
def test_classify_of_a_good_body_is_quoted(oracle: Oracle, case: str) -> None:
    asked = {**body(oracle.shop), **GOOD_BODIES[case]}
    oracle.refused(PaymentRequired, lambda: oracle.service.classify(asked, None))


@pytest.mark.parametrize("header", ["", "!", "e30=", "bm8=", "x" * 5_000, "eyJtb2RlIjoiY2hhbm5lbCJ9"])
def test_classify_with_a_malformed_payment_is_refused(oracle: Oracle, header: str) -> None:
    error = oracle.refused(PaymentMalformed, lambda: oracle.service.classify(body(oracle.shop), header))
    assert error.status == 400


# ---- paid -------------------------------------------------------------------------------------------------------------


def test_classify_paid_is_answered_and_queued_to_be_posted(oracle: Oracle) -> None:
    order = oracle.shop.opened()
    answer = oracle.send(order)
    reply = json.loads(answer.body)
    assert not answer.replayed
    assert answer.call_id == order.call.call_id(oracle.shop.chain.domain)
    assert isinstance(answer.posting, Queued)
    assert reply["id"] == "0x" + answer.call_id.hex()
    assert reply["result"]["label"] in oracle.shop.runner.manifest.labels
    assert reply["usage"]["charge"] == reply["receipt"]["charge"]
    assert oracle.shop.runner.runs == 1
    assert isinstance(oracle.stored(order), Completed)


def test_classify_paid_is_charged_and_logged_once_it_is_posted(oracle: Oracle) -> None:
    """E1, S3: charged = served = logged."""
    order = oracle.shop.opened()
    receipt = json.loads(oracle.send(order).body)["receipt"]
    oracle.poster.round()
    (entry,) = oracle.shop.logs(order)
    assert str(entry.charge) == receipt["charge"]
    assert "0x" + entry.result_hash.hex() == receipt["result_hash"]
    assert oracle.shop.state(order).amount == entry.charge


def test_classify_paid_waits_for_its_posting_and_names_its_transaction(shop: Shop, tmp_path: Path) -> None:
    oracle = Oracle(shop, null_model(tmp_path / "models"))
    oracle.open(poster=Poster, waits=Waits(post=30, reply=30))
    oracle.service.recover()
    order = shop.opened()
    posting = oracle.send(order).posting
    oracle.service.stop(30)
    assert posting is not None
    assert not isinstance(posting, Queued)
    assert isinstance(shop.chain.outcome(posting.transaction.hash), Mined)  # type: ignore[union-attr]


def test_classify_paid_does_not_wait_for_ever_for_its_posting(oracle: Oracle) -> None:
    """B1: the answer is due, whether or not the node takes the posting now."""
    oracle.restart(waits=Waits(post=0.01, reply=1))
    oracle.service.recover()
    assert isinstance(oracle.send(oracle.shop.opened()).posting, Queued)


def test_classify_paid_without_a_revision_is_for_the_one_that_was_paid(oracle: Oracle) -> None:
    """M9: a revision that was added in between is not what the payment is for."""
    order = oracle.shop.opened()
    oracle.shop.chain.revise(OWNER.address, oracle.shop.listing, oracle.shop.runner.manifest_hash, PRICES)
    answer = oracle.service.classify(body(oracle.shop), order.header())
    assert json.loads(answer.body)["revision"] == 1


def test_classify_paid_on_a_listing_withdrawn_since_is_answered(oracle: Oracle) -> None:
    order = oracle.shop.opened()
    oracle.shop.chain.withdraw_listing(OWNER.address, oracle.shop.listing)
    assert oracle.send(order).body


NOT_PAID: dict[str, tuple[Callable[[Shop], Order], type[TallystickError]]] = {
    "not opened": (lambda shop: shop.order(), CallNotOpened),
    "too small": (lambda shop: shop.opened(amount=5), EscrowTooSmall),
    "for another oracle": (lambda shop: shop.order(oracle=STRANGER.address), WrongOracle),
}


@pytest.mark.parametrize("case", NOT_PAID)
def test_classify_with_a_payment_that_does_not_cover_it_is_refused(oracle: Oracle, case: str) -> None:
    """S1"""
    make, kind = NOT_PAID[case]
    order = make(oracle.shop)
    oracle.refused(kind, lambda: oracle.send(order))


def test_classify_after_its_opening_was_seen_is_answered(oracle: Oracle) -> None:
    """A refusal that says retry keeps its word."""
    order = oracle.shop.order()
    assert oracle.refused(CallNotOpened, lambda: oracle.send(order)).retryable
    oracle.shop.chain.open(order.call)
    assert oracle.send(order).body


@pytest.mark.parametrize("answered", range(5))
def test_classify_paid_while_the_chain_goes_down_runs_nothing_unverified(oracle: Oracle, answered: int) -> None:
    """S1, B1: at whichever question, and the same request is answered once the node is back."""
    order = oracle.shop.opened()
    oracle.shop.chain.go_down(after=answered)
    try:
        oracle.send(order)
    except ChainUnreachable:
        assert oracle.shop.runner.runs == 0
        assert oracle.shop.store.count_calls() == {}
    oracle.shop.chain.come_back()
    assert oracle.send(order).body
    assert oracle.shop.runner.runs == 1


def test_classify_on_a_chain_that_was_reset_is_refused(oracle: Oracle) -> None:
    """S5, B11"""
    order = oracle.shop.opened()
    oracle.shop.chain.reset()
    oracle.shop.chain.publish(PAYER.address, ORACLE.address, oracle.shop.runner.manifest_hash, PRICES)
    oracle.shop.chain.open(order.call)
    oracle.refused(DeploymentMismatch, lambda: oracle.send(order))


# ---- again ------------------------------------------------------------------------------------------------------------


def test_classify_again_returns_the_same_bytes_and_runs_nothing(oracle: Oracle) -> None:
    """S2"""
    order = oracle.shop.opened()
    first, second = oracle.send(order), oracle.send(order)
    assert second.body == first.body
    assert second.replayed
    assert oracle.shop.runner.runs == 1
    assert oracle.shop.store.count_postings() == {"queued": 1}


def test_classify_again_after_it_was_posted_names_its_settlement(oracle: Oracle) -> None:
    order = oracle.shop.opened()
    first = oracle.send(order)
    oracle.poster.round()
    second = oracle.send(order)
    assert second.body == first.body
    assert isinstance(second.posting, Finalised)


def test_classify_again_needs_no_chain(oracle: Oracle) -> None:
    """S3: a paid reply that was lost can be fetched while the node is down."""
    order = oracle.shop.opened()
    first = oracle.send(order)
    oracle.shop.chain.go_down()
    assert oracle.send(order).body == first.body


def test_classify_again_after_a_restart_returns_the_same_bytes(oracle: Oracle) -> None:
    """S3, A5"""
    order = oracle.shop.opened()
    first = oracle.send(order)
    oracle.restart()
    oracle.service.recover()
    second = oracle.send(order)
    assert (second.body, second.replayed) == (first.body, True)
    assert oracle.shop.runner.runs == 1


def test_classify_again_after_the_deadline_returns_the_same_bytes(oracle: Oracle) -> None:
    order = oracle.shop.opened()
    first = oracle.send(order)
    oracle.shop.pass_time(10 * CALL_SECONDS)
    assert oracle.send(order).body == first.body


def test_classify_with_the_fields_in_another_order_is_the_same_request(oracle: Oracle) -> None:
    """E5: what is compared is the canonical form."""
    order = oracle.shop.opened()
    first = oracle.send(order)
    shuffled = dict(reversed(order.body().items()))
    assert oracle.service.classify(shuffled, order.header()).body == first.body


OTHERS: dict[str, dict[str, Any]] = {
    "input": {"input": TEXT + "!"},
    "parameters": {"parameters": {"top_k": 2}},
    "parameters that only name the default": {"parameters": {"top_k": 3}},
}


@pytest.mark.parametrize("paid_before", [False, True], ids=["first", "after its answer"])
@pytest.mark.parametrize("case", OTHERS)
def test_classify_of_another_request_with_the_same_payment_is_refused(
    oracle: Oracle, case: str, paid_before: bool
) -> None:
    """S2"""
    order = oracle.shop.opened()
    if paid_before:
        oracle.send(order)
    oracle.refused(CommitmentMismatch, lambda: oracle.send(order, **OTHERS[case]))


def test_classify_with_another_salt_gets_no_stored_answer(oracle: Oracle) -> None:
    """E4: the terms are public on chain; the salt is what only the payer knows."""
    order = oracle.shop.opened()
    oracle.send(order)
    stolen = replace(order, payment=replace(order.payment, salt=bytes(32)))
    oracle.refused(CommitmentMismatch, lambda: oracle.send(stolen))


# ---- at once ----------------------------------------------------------------------------------------------------------


def test_classify_fifty_times_at_once_runs_once(oracle: Oracle) -> None:
    """S1, C2: one inference, one charge, one log; everybody gets the same bytes."""
    crowd = 50
    arrived = threading.Barrier(crowd)
    oracle.restart(sleep=time.sleep, waits=Waits(post=0, reply=60))
    oracle.service.recover()
    order = oracle.shop.opened()

    def send(_number: int) -> Answer:
        arrived.wait()
        return oracle.send(order)

    with ThreadPoolExecutor(crowd) as threads:
        answers = list(threads.map(send, range(crowd)))
    oracle.poster.round()
    assert len({answer.body for answer in answers}) == 1
    assert [answer.replayed for answer in answers].count(False) == 1
    assert oracle.shop.runner.runs == 1
    assert len(oracle.shop.logs(order)) == 1
    assert oracle.shop.chain.owed(OWNER.address, NATIVE) == oracle.shop.state(order).amount


def test_classify_of_different_calls_at_once_answers_each(oracle: Oracle) -> None:
    """E4: nobody gets another's answer."""
    oracle.restart(sleep=time.sleep)
    oracle.service.recover()
    orders = [oracle.shop.opened(f"order number {number}", number=number) for number in range(20)]
    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(oracle.send, orders))
    for order, answer in zip(orders, answers, strict=True):
        assert answer.call_id == order.call.call_id(oracle.shop.chain.domain)
        assert oracle.send(order).body == answer.body
    assert oracle.shop.runner.runs == 20


def test_classify_that_was_answered_and_posted_meanwhile_is_replayed(shop: Shop, tmp_path: Path) -> None:
    """S2: between looking into the store and at the chain, another worker ended the call: its answer is there."""
    oracle = Oracle(shop, null_model(tmp_path / "models"))
    order = shop.opened()
    other: list[Answer] = []

    def checkpoint(step: Step, when: When) -> None:
        if (step, when) == (Step.VERIFIED, When.BEFORE) and not other:
            other.append(Answer(b"", b"", False, None))
            other[0] = oracle.send(order)
            oracle.poster.round()

    oracle.open(checkpoint)
    oracle.service.recover()
    answer = oracle.send(order)
    assert shop.state(order).status is CallStatus.FULFILLED
    assert (answer.body, answer.replayed) == (other[0].body, True)
    assert shop.runner.runs == 1


def test_classify_of_a_call_that_ended_without_us_is_refused(oracle: Oracle) -> None:
    order = oracle.shop.opened()
    oracle.shop.chain.broadcast(oracle.shop.chain.prepare_decline(ORACLE, order.call, 0))
    oracle.refused(CallClosed, lambda: oracle.send(order))


def slow_then(shop: Shop, tmp_path: Path, during: Callable[[Oracle, Order], None]) -> tuple[Oracle, Order]:
    """An oracle in whose first run of the model `during` happens."""
    oracle = Oracle(shop, null_model(tmp_path / "models"))
    order = shop.opened()
    asked: list[int] = []

    def checkpoint(step: Step, when: When) -> None:
        if (step, when) == (Step.INFERRED, When.BEFORE) and not asked:
            asked.append(1)
            during(oracle, order)

    oracle.open(checkpoint)
    oracle.service.recover()
    return oracle, order


def test_classify_again_while_it_is_worked_on_is_told_so_in_the_end(shop: Shop, tmp_path: Path) -> None:
    """S1: the second waits for the first, and not for ever; it does not run it a second time."""
    told: list[TallystickError] = []

    def send_again(oracle: Oracle, order: Order) -> None:
        with pytest.raises(CallInProgress) as caught:
            oracle.send(order)
        told.append(caught.value)

    oracle, order = slow_then(shop, tmp_path, send_again)
    answer = oracle.send(order)
    assert told[0].details == {"call_id": "0x" + answer.call_id.hex()}
    assert (told[0].status, told[0].retryable) == (409, True)
    assert shop.runner.runs == 1


def test_classify_again_while_it_is_worked_on_refuses_another_request(shop: Shop, tmp_path: Path) -> None:
    """S2"""

    def send_another(oracle: Oracle, order: Order) -> None:
        with pytest.raises(CommitmentMismatch):
            oracle.send(order, input="something else")

    oracle, order = slow_then(shop, tmp_path, send_another)
    assert not oracle.send(order).replayed


def test_wait_until_idle_waits_for_who_is_at_work(shop: Shop, tmp_path: Path) -> None:
    """A9: a stopping oracle can tell whether a call is between its reservation and its record."""
    told: list[bool] = []
    oracle, order = slow_then(shop, tmp_path, lambda oracle, _: told.append(oracle.service.wait_until_idle(1)))
    assert oracle.service.wait_until_idle(1)
    oracle.send(order)
    assert told == [False]
    assert oracle.service.wait_until_idle(1)


# ---- failures of the model --------------------------------------------------------------------------------------------


def test_classify_whose_model_fails_is_refused_and_its_escrow_goes_back(oracle: Oracle) -> None:
    """M4"""
    order = oracle.shop.opened(BREAKS)
    with pytest.raises(InferenceFailed, match="Nothing was charged") as caught:
        oracle.send(order)
    assert BREAKS not in str(caught.value.body())
    assert caught.value.__cause__ is None
    oracle.poster.round()
    assert oracle.shop.state(order).status is CallStatus.DECLINED
    assert oracle.shop.chain.owed(PAYER.address, NATIVE) == order.call.amount
    assert oracle.shop.logs(order) == []


def test_classify_whose_model_failed_says_the_same_again(oracle: Oracle) -> None:
    """S2: the call has ended; a second try needs a second payment."""
    order = oracle.shop.opened(BREAKS)
    errors = []
    for _ in range(2):
        with pytest.raises(InferenceFailed) as caught:
            oracle.send(order)
        errors.append(caught.value.body())
        oracle.poster.round()
    assert errors[0] == errors[1]
    assert oracle.shop.runner.runs == 1


# ---- the store fails --------------------------------------------------------------------------------------------------


def execute(shop: Shop, statement: str) -> None:
    with closing(sqlite3.connect(shop.path, isolation_level=None)) as connection:
        connection.execute(statement)


def test_classify_that_can_t_be_reserved_runs_nothing(oracle: Oracle) -> None:
    """S1, A6"""
    order = oracle.shop.opened()
    execute(oracle.shop, "CREATE TRIGGER full BEFORE INSERT ON calls BEGIN SELECT RAISE(ABORT, 'full'); END")
    oracle.refused(StoreUnavailable, lambda: oracle.send(order))
    execute(oracle.shop, "DROP TRIGGER full")
    assert oracle.send(order).body


def test_classify_that_can_t_be_recorded_is_ended_when_its_payer_comes_back(oracle: Oracle) -> None:
    """S3, A6: no answer leaves without its record; with the store back, the same request gets one."""
    order = oracle.shop.opened()
    execute(oracle.shop, "CREATE TRIGGER full BEFORE UPDATE ON calls BEGIN SELECT RAISE(ABORT, 'full'); END")
    with pytest.raises(StoreUnavailable):
        oracle.send(order)
    assert isinstance(oracle.stored(order), Reservation)
    assert oracle.shop.store.count_postings() == {}
    execute(oracle.shop, "DROP TRIGGER full")
    answer = oracle.send(order)
    oracle.poster.round()
    assert oracle.send(order).body == answer.body
    assert len(oracle.shop.logs(order)) == 1
    assert oracle.shop.runner.runs == 2


def test_classify_of_a_stranded_call_by_many_at_once_runs_it_once_more(oracle: Oracle) -> None:
    """S1: going on with it is as exclusive as beginning it."""
    oracle.restart(sleep=time.sleep, waits=Waits(post=0, reply=60))
    oracle.service.recover()
    order = oracle.shop.opened()
    execute(oracle.shop, "CREATE TRIGGER full BEFORE UPDATE ON calls BEGIN SELECT RAISE(ABORT, 'full'); END")
    with pytest.raises(StoreUnavailable):
        oracle.send(order)
    execute(oracle.shop, "DROP TRIGGER full")
    arrived = threading.Barrier(10)

    def send(_number: int) -> bytes:
        arrived.wait()
        return oracle.send(order).body

    with ThreadPoolExecutor(10) as threads:
        assert len(set(threads.map(send, range(10)))) == 1
    assert oracle.shop.runner.runs == 2
    assert oracle.shop.store.count_postings() == {"queued": 1}


def test_classify_of_a_stranded_call_that_is_gone_from_the_chain_is_given_up(oracle: Oracle) -> None:
    """S5: it was verified, but that was before."""
    order = oracle.shop.opened()
    execute(oracle.shop, "CREATE TRIGGER full BEFORE UPDATE ON calls BEGIN SELECT RAISE(ABORT, 'full'); END")
    with pytest.raises(StoreUnavailable):
        oracle.send(order)
    execute(oracle.shop, "DROP TRIGGER full")
    oracle.shop.pass_time(CALL_SECONDS)
    with pytest.raises(DeadlineTooClose, match="deadline"):
        oracle.send(order)
    assert oracle.shop.runner.runs == 1


# ---- after a crash ----------------------------------------------------------------------------------------------------


class KillAt:
    """A checkpoint at which the process ends, once."""

    def __init__(self, step: Step, when: When) -> None:
        self.point: tuple[Step, When] | None = (step, when)

    def __call__(self, step: Step, when: When) -> None:
        if (step, when) == self.point:
            self.point = None
            raise Killed


def killed(oracle: Oracle, order: Order, step: Step, when: When) -> None:
    """The process ends at a point of the call's life."""
    oracle.restart(KillAt(step, when))
    oracle.service.recover()
    with pytest.raises(Killed):
        oracle.send(order)
    oracle.restart()


BEFORE_RESERVED = [
    *((Step.RECEIVED, when) for when in When),
    *((Step.VERIFIED, when) for when in When),
    (Step.RESERVED, When.BEFORE),
]
RESERVED = [
    (Step.RESERVED, When.AFTER),
    *((Step.INFERRED, when) for when in When),
    (Step.RECORDED, When.BEFORE),
]


def names(points: list[tuple[Step, When]]) -> list[str]:
    return [f"{step.value}-{when.value}" for step, when in points]


@pytest.mark.parametrize(("step", "when"), BEFORE_RESERVED, ids=names(BEFORE_RESERVED))
def test_recover_after_a_crash_before_the_reservation_has_nothing_to_end(
    oracle: Oracle, step: Step, when: When
) -> None:
    """S1, S3: nothing was promised, nothing was run; the same request is answered."""
    order = oracle.shop.opened()
    killed(oracle, order, step, when)
    oracle.service.recover()
    assert oracle.shop.store.count_calls() == {}
    assert oracle.shop.runner.runs == 0
    assert not oracle.send(order).replayed


@pytest.mark.parametrize(("step", "when"), RESERVED, ids=names(RESERVED))
def test_recover_after_a_crash_with_a_reservation_answers_it(oracle: Oracle, step: Step, when: When) -> None:
    """S3, A1, A2: answered before anything else is served, found by its payer, charged and logged once."""
    order = oracle.shop.opened()
    killed(oracle, order, step, when)
    assert isinstance(oracle.stored(order), Reservation)
    oracle.service.recover()
    assert isinstance(oracle.stored(order), Completed)
    answer = oracle.send(order)
    oracle.poster.round()
    assert answer.replayed
    assert [str(entry.charge) for entry in oracle.shop.logs(order)] == [json.loads(answer.body)["usage"]["charge"]]
    assert oracle.shop.runner.runs == (1 if (step, when) in RESERVED[:2] else 2)


def test_recover_after_a_crash_behind_the_record_only_posts(oracle: Oracle) -> None:
    """S3, A3: what was recorded is neither run nor signed again."""
    order = oracle.shop.opened()
    killed(oracle, order, Step.RECORDED, When.AFTER)
    stored = oracle.stored(order)
    oracle.service.recover()
    assert oracle.stored(order) == stored
    oracle.poster.round()
    assert oracle.shop.runner.runs == 1
    assert len(oracle.shop.logs(order)) == 1


def test_recover_of_several_reservations_ends_them_all(oracle: Oracle) -> None:
    orders = [oracle.shop.opened(f"order {number}", number=number) for number in range(3)]
    for order in orders:
        oracle.shop.reserved(order)
    oracle.restart()
    oracle.service.recover()
    assert oracle.shop.store.count_calls() == {"completed": 3}


def reserved_by_the_last_run(oracle: Oracle, text: str = TEXT) -> Order:
    order = oracle.shop.opened(text)
    oracle.shop.reserved(order)
    oracle.restart()
    return order


def assert_given_up(oracle: Oracle, order: Order, reason: str) -> None:
    """Not run, not charged, and its escrow queued to go back (M4)."""
    stored = oracle.stored(order)
    assert isinstance(stored, Abandoned)
    assert stored.failure["error"]["code"] == reason
    posting = oracle.shop.store.find_posting(order.call.call_id(oracle.shop.chain.domain))
    assert isinstance(posting, Queued)
    assert posting.action == Decline()
    assert oracle.shop.runner.runs == 0
    assert oracle.shop.logs(order) == []


def test_recover_after_the_deadline_gives_the_call_up(oracle: Oracle) -> None:
    """S3, A1: also where no block was mined since, so that the chain still shows the old time."""
    order = reserved_by_the_last_run(oracle)
    oracle.shop.pass_time(CALL_SECONDS + 1)
    oracle.service.recover()
    assert_given_up(oracle, order, "deadline_too_close")
    oracle.poster.round()
    assert oracle.shop.state(order).status is CallStatus.DECLINED
    with pytest.raises(DeadlineTooClose, match="deadline"):
        oracle.send(order)


def test_recover_of_a_call_that_was_refunded_gives_it_up(oracle: Oracle) -> None:
    """S5: nothing is served on funds that have gone back."""
    order = reserved_by_the_last_run(oracle)
    oracle.shop.pass_time(CALL_SECONDS + 1)
    oracle.shop.chain.refund(order.call, PAYER.address)
    oracle.service.recover()
    assert_given_up(oracle, order, "call_closed")


def test_recover_of_a_call_that_a_reorganisation_took_gives_it_up(oracle: Oracle) -> None:
    """S5"""
    order = reserved_by_the_last_run(oracle)
    oracle.shop.chain.reorganise(1)
    oracle.service.recover()
    assert_given_up(oracle, order, "call_not_opened")


def test_recover_of_a_call_whose_model_is_gone_gives_it_up(oracle: Oracle) -> None:
    order = reserved_by_the_last_run(oracle)
    (oracle.models / "null" / "manifest.json").unlink()
    oracle.service.recover()
    assert_given_up(oracle, order, "model_missing")


def test_recover_of_a_call_whose_model_fails_gives_it_up(oracle: Oracle) -> None:
    order = reserved_by_the_last_run(oracle, BREAKS)
    oracle.service.recover()
    stored = oracle.stored(order)
    assert isinstance(stored, Abandoned)
    assert stored.failure["error"]["code"] == "inference_failed"


@pytest.mark.parametrize("answered", range(4))
def test_recover_while_the_chain_is_down_waits_and_loses_nothing(oracle: Oracle, answered: int) -> None:
    """S3, B1: what can't be looked at is not given up."""
    order = reserved_by_the_last_run(oracle)
    oracle.shop.chain.go_down(after=answered)
    with pytest.raises(ChainUnreachable):
        oracle.service.recover()
    assert oracle.service.ready() == "starting"
    assert isinstance(oracle.stored(order), Reservation)
    oracle.shop.chain.come_back()
    oracle.service.recover()
    assert isinstance(oracle.stored(order), Completed)


def test_recover_on_a_chain_that_was_reset_refuses_to_start(oracle: Oracle) -> None:
    """S5, B11: the calls of another chain are neither run nor given up here."""
    order = reserved_by_the_last_run(oracle)
    oracle.shop.chain.reset()
    with pytest.raises(DeploymentMismatch):
        oracle.service.recover()
    assert isinstance(oracle.stored(order), Reservation)
    assert oracle.service.ready() == "starting"
    assert oracle.shop.runner.runs == 0


def test_recover_that_is_killed_as_well_is_repeated(oracle: Oracle) -> None:
    """S3"""
    order = reserved_by_the_last_run(oracle)
    for step, when in RESERVED[1:]:
        oracle.restart(KillAt(step, when))
        with pytest.raises(Killed):
            oracle.service.recover()
    oracle.restart()
    oracle.service.recover()
    oracle.poster.round()
    assert len(oracle.shop.logs(order)) == 1
    assert oracle.shop.store.count_calls() == {"completed": 1}


def test_recover_from_an_old_backup_charges_nothing_twice(oracle: Oracle) -> None:
    """A8: the store forgot an answer and its posting; what the chain says is what counts, its nonces too."""
    order = oracle.shop.opened(number=1)
    oracle.shop.reserved(order)
    oracle.shop.store.close()
    backup = oracle.shop.path.read_bytes()
    oracle.restart()
    oracle.service.recover()
    oracle.poster.round()
    assert len(oracle.shop.logs(order)) == 1

    oracle.shop.store.close()
    oracle.shop.path.write_bytes(backup)
    oracle.restart()
    oracle.service.recover()
    oracle.poster.round()
    stored = oracle.stored(order)
    assert isinstance(stored, Abandoned)
    assert stored.failure["error"]["code"] == "call_closed"
    assert len(oracle.shop.logs(order)) == 1
    assert oracle.shop.runner.runs == 1
    after = oracle.shop.opened(number=2)
    oracle.send(after)
    oracle.poster.round()
    assert len(oracle.shop.logs(after)) == 1


# ---- what can be asked ------------------------------------------------------------------------------------------------


def call_id(oracle: Oracle, order: Order) -> bytes:
    return order.call.call_id(oracle.shop.chain.domain)


def test_call_unknown_is_refused(oracle: Oracle) -> None:
    with pytest.raises(UnknownCall) as caught:
        oracle.service.call(b"\1" * 32)
    assert caught.value.details == {"call_id": "0x" + "01" * 32}


def test_call_tells_its_receipt_and_where_its_posting_is(oracle: Oracle) -> None:
    order = oracle.shop.opened()
    reply = json.loads(oracle.send(order).body)
    entry = oracle.service.call(call_id(oracle, order))
    assert (entry["state"], entry["settlement"]) == ("completed", {"state": "queued"})
    assert (entry["receipt"], entry["signature"]) == (reply["receipt"], reply["signature"])
    oracle.poster.round()
    settlement = oracle.service.call(call_id(oracle, order))["settlement"]
    assert settlement["state"] == "finalised"
    assert set(settlement) == {"state", "transaction", "block", "gas_used", "fee"}


def test_call_that_is_reserved_says_so(oracle: Oracle) -> None:
    order = oracle.shop.opened()
    oracle.shop.reserved(order)
    entry = oracle.service.call(call_id(oracle, order))
    assert (entry["state"], entry["settlement"]) == ("reserved", {"state": "none"})


def test_call_that_failed_says_why_and_what_becomes_of_the_escrow(oracle: Oracle) -> None:
    order = oracle.shop.opened(BREAKS)
    with pytest.raises(InferenceFailed):
        oracle.send(order)
    entry = oracle.service.call(call_id(oracle, order))
    assert entry["state"] == "abandoned"
    assert entry["failure"]["error"]["code"] == "inference_failed"
    assert entry["settlement"] == {"state": "queued"}


def test_call_that_was_not_posted_in_time_says_why(oracle: Oracle) -> None:
    order = oracle.shop.opened()
    oracle.send(order)
    oracle.shop.pass_time(CALL_SECONDS + 1)
    oracle.poster.round()
    settlement = oracle.service.call(call_id(oracle, order))["settlement"]
    assert settlement["state"] == "rejected"
    assert settlement["failure"]["error"]["details"]["contract_error"] == "Escrow_DeadlinePassed"


def test_what_can_be_asked_shows_neither_request_nor_result_nor_salt(oracle: Oracle) -> None:
    """E4: everybody may ask."""
    order = oracle.shop.opened(SECRET_TEXT)
    answer = oracle.send(order)
    reserved = oracle.shop.opened(SECRET_TEXT + " too", number=2)
    oracle.shop.reserved(reserved)
    service = oracle.service
    shown = json.dumps(
        [service.call(answer.call_id), service.receipts(0, 10), service.models(), dict(service.counts())]
    )
    shown += json.dumps(service.call(call_id(oracle, reserved)))
    assert "MK-4711-QX" not in shown
    assert order.payment.salt.hex() not in shown
    assert "score" not in shown


def test_receipts_come_page_by_page(oracle: Oracle) -> None:
    orders = [oracle.shop.opened(f"order {number}", number=number) for number in range(3)]
    sent = [json.loads(oracle.send(order).body)["receipt"] for order in orders]
    first = oracle.service.receipts(0, 2)
    rest = oracle.service.receipts(first["next_after"], 2)
    assert [entry["receipt"] for entry in first["data"] + rest["data"]] == sent
    assert {entry["disclosure"] for entry in first["data"]} == {None}
    end = oracle.service.receipts(rest["next_after"], 2)
    assert (end["data"], end["next_after"]) == ([], rest["next_after"])


def test_models_lists_what_this_oracle_sells(oracle: Oracle) -> None:
    other_listing(oracle.shop)
    (entry,) = oracle.service.models()
    assert (entry["id"], entry["revision"], entry["withdrawn"]) == (str(oracle.shop.listing), 1, False)
    assert (entry["owned_by"], entry["oracle"]) == (OWNER.address, ORACLE.address)
    assert entry["manifest_hash"] == "0x" + oracle.shop.runner.manifest_hash.hex()
    assert entry["prices"] == PRICES.to_dict()
    assert (entry["escrow"], entry["chain"]) == (oracle.shop.chain.domain.escrow, "eip155:1337")


def test_models_shows_what_was_withdrawn_as_such(oracle: Oracle) -> None:
    withdrawn_listing(oracle.shop)
    assert [entry["withdrawn"] for entry in oracle.service.models()] == [True]


def test_manifest_of_a_loaded_model_hashes_to_what_the_chain_names(oracle: Oracle) -> None:
    """S6"""
    oracle.service.models()
    content = oracle.service.manifest(oracle.shop.runner.manifest_hash)
    assert manifest_hash(json.loads(content)) == oracle.shop.chain.revision(oracle.shop.listing, 1).manifest_hash


def test_manifest_of_an_unknown_model_is_refused(oracle: Oracle) -> None:
    with pytest.raises(UnknownListing):
        oracle.service.manifest(bytes(32))


def test_counts_tell_how_many_are_where(oracle: Oracle) -> None:
    assert dict(oracle.service.counts()) == {"calls": {}, "postings": {}}
    oracle.send(oracle.shop.opened(number=1))
    oracle.poster.round()
    oracle.send(oracle.shop.opened(number=2))
    oracle.shop.reserved(oracle.shop.opened(number=3))
    assert dict(oracle.service.counts()) == {
        "calls": {"completed": 2, "reserved": 1},
        "postings": {"finalised": 1, "queued": 1},
    }


# ---- what is told (S7, E9) --------------------------------------------------------------------------------------------


def test_refusals_and_logs_never_show_the_text(oracle: Oracle, caplog: pytest.LogCaptureFixture) -> None:
    """S7: no prompt reaches a log, and a refusal shows no more than the client sent it."""
    caplog.set_level(0)
    order = oracle.shop.opened(SECRET_TEXT)
    oracle.send(order)
    oracle.poster.round()
    errors = []
    for changes in ({"input": SECRET_TEXT + "!"}, {"parameters": {"top_k": 9}}, {"input": SECRET_TEXT * 10_000}):
        with pytest.raises(TallystickError) as caught:
            oracle.send(order, **changes)
        errors.append(str(caught.value.body()))
    shown = "".join(errors) + caplog.text + "".join(str(vars(record)) for record in caplog.records)
    assert "MK-4711-QX" not in shown
    assert order.payment.salt.hex() not in shown
    assert ORACLE.key.secret.hex() not in shown


def test_checkpoints_of_a_call_are_passed_in_the_order_of_the_steps(shop: Shop, tmp_path: Path) -> None:
    passed: list[tuple[Step, When]] = []
    oracle = Oracle(shop, null_model(tmp_path / "models"))
    oracle.open(lambda step, when: passed.append((step, when)))
    oracle.service.recover()
    oracle.send(shop.opened())
    oracle.poster.round()
    # A reply is sent by the HTTP layer, which passes its own two.
    assert passed == [(step, when) for step in Step for when in When if step is not Step.REPLIED]

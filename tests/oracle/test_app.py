"""The routes over a service that says what the test tells it to: every refusal in the one error body."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from io import StringIO
from typing import Any

import httpx
import pytest
from tallystick.chain.types import Mined, SignedTransaction
from tallystick.errors import (
    BodyTooLarge,
    Busy,
    ChainUnreachable,
    ContractRefused,
    HostNotAllowed,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    NotJson,
    PaymentRequired,
    TallystickError,
    UnknownCall,
    UnknownRoute,
)
from tallystick.oracle.logs import JsonFormatter
from tallystick.oracle.service import Answer
from tallystick.protocol.calls import DirectCall
from tallystick.protocol.payments import PAYMENT_HEADER
from tallystick.store.records import Confirmed, Decline, Queued, Rejected, Signed

from tests.oracle.stubs import ANSWER, HASH, WORKING_ROUTES, StubService, app_of, ask, together
from tests.support.refusals import assert_dressed, assert_refused
from tests.support.tree import concrete_errors

BODY = b'{"listing":"1","input":"Where is my parcel?"}'
SECRET = "the prompt nobody may see"
CALL = DirectCall("0x" + "11" * 20, 1, 1, "0x" + "22" * 20, "0x" + "00" * 20, 5, 9, b"\1" * 32)
QUEUED = Queued(1, ANSWER.call_id, CALL, Decline())
SIGNED = Signed(QUEUED, SignedTransaction("0x" + "22" * 20, 0, b"raw", b"\7" * 32))
CONFIRMED = Confirmed(QUEUED, SIGNED.transaction, Mined(b"\7" * 32, True, 5, b"\5" * 32, 21_000, 42, 1))


def instance(kind: type[TallystickError]) -> TallystickError:
    message = "It can't be done. Nothing was charged."
    if kind is ContractRefused:
        return ContractRefused(message, name="Escrow_NotOracle", arguments={"actual": "0x1"})
    return kind(message, required="5", param="input")


# ---- refusals, on every route -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", concrete_errors(), ids=lambda kind: kind.__name__)
def test_classify_refused_by_the_service_answers_with_that_error(kind: type[TallystickError]) -> None:
    """S7: whatever class of the tree is raised, the client gets its code, status and retry advice."""
    error = instance(kind)
    response = ask(app_of(StubService(classify=error)), "POST", "/v1/classify", content=BODY)
    found = assert_refused(response, kind, param=error.details.get("param"))  # type: ignore[arg-type]
    assert found["message"] == error.message
    assert found["details"] == {name: value for name, value in error.details.items() if name != "param"}


@pytest.mark.parametrize(("method", "path", "name"), WORKING_ROUTES, ids=[path for _, path, _ in WORKING_ROUTES])
@pytest.mark.parametrize("error", [ChainUnreachable("No node."), UnknownCall("No such call.")], ids=["503", "404"])
def test_route_refused_by_the_service_answers_with_that_error(
    method: str, path: str, name: str, error: TallystickError
) -> None:
    response = ask(app_of(StubService(**{name: error})), method, path, content=BODY if method == "POST" else b"")
    assert_refused(response, type(error))


@pytest.mark.parametrize(("method", "path", "name"), WORKING_ROUTES, ids=[path for _, path, _ in WORKING_ROUTES])
def test_route_with_an_unexpected_exception_answers_generically(
    method: str, path: str, name: str, json_log: StringIO
) -> None:
    """S7: neither client nor log gets the exception's text; both get the id that joins them."""
    app = app_of(StubService(**{name: RuntimeError(SECRET)}))
    response = ask(app, method, path, content=BODY if method == "POST" else b"")
    error = assert_refused(response, InternalError)
    assert error["details"] == {"request_id": response.headers["x-request-id"]}
    assert response.headers["x-request-id"] in error["message"]
    assert SECRET not in response.text
    written = json_log.getvalue()
    assert SECRET not in written
    logged = json.loads(written)
    assert logged["request_id"] == response.headers["x-request-id"]
    assert logged["exception"] == "RuntimeError"


def test_readiness_of_a_service_that_is_not_ready_is_refused() -> None:
    response = ask(app_of(StubService(ready="starting")), "GET", "/readyz")
    assert "starting" in assert_refused(response, ChainUnreachable)["message"]


def test_readiness_of_a_service_that_is_ready() -> None:
    response = ask(app_of(StubService(ready=None)), "GET", "/readyz")
    assert (response.status_code, response.json()) == (200, {"status": "ready"})
    assert_dressed(response)


def test_health_does_not_ask_the_service() -> None:
    service = StubService()
    response = ask(app_of(service), "GET", "/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "alive"})
    assert service.asked == []


# ---- routes and methods -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/",
            "/v1",
            "/v1/classify/",
            "/v1/models/",
            "//v1/models",
            "/V1/models",
            "/docs",
            "/redoc",
            "/admin",
            "/metrics",
        ),
        *("/v1/calls", "/v1/calls/", f"/v1/calls/{HASH}/x", "/v1/calls/..%2f..%2fetc", "/v1/manifests/%2e%2e/x"),
        *("/.env", "/v1/models%00", "/%ff"),
    ],
)
def test_unknown_route_is_refused(path: str) -> None:
    service = StubService()
    assert_refused(ask(app_of(service), "GET", path), UnknownRoute)
    assert service.asked == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *((method, "/v1/classify") for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW")),
        *(("POST", path) for _, path, _ in WORKING_ROUTES[1:]),
        *(("POST", path) for path in ("/healthz", "/readyz", "/openapi.json")),
    ],
)
def test_wrong_method_is_refused_and_the_right_one_named(method: str, path: str) -> None:
    service = StubService()
    response = ask(app_of(service), method, path)
    assert_refused(response, MethodNotAllowed)
    assert ("POST" if path == "/v1/classify" else "GET") in response.headers["allow"].split(", ")
    assert service.asked == []


def test_openapi_document_names_every_route() -> None:
    response = ask(app_of(StubService()), "GET", "/openapi.json")
    assert response.status_code == 200
    assert {path.split("/{")[0] for path in response.json()["paths"]} == {
        *("/v1/classify", "/v1/models", "/v1/manifests", "/v1/calls", "/v1/receipts", "/v1/status"),
        *("/healthz", "/readyz"),
    }


# ---- hosts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8402", "127.0.0.1.evil.example", "localhost.evil.example", "localhost@evil"),
        *(
            "",
            " ",
            ":8402",
            "127.0.0.2",
            "[::2]:8402",
            "[::1",
            "[::1]evil.example",
            "127.0.0.1:evil",
            "127.0.0.1, evil.example",
            "0.0.0.0",  # noqa: S104
        ),
    ],
)
def test_host_that_is_not_the_oracles_is_refused(host: str) -> None:
    """Against DNS rebinding: a page that points its own name at loopback gets nothing."""
    service = StubService()
    assert_refused(ask(app_of(service), "POST", "/v1/classify", content=BODY, headers={"host": host}), HostNotAllowed)
    assert service.asked == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8402", "localhost", "LOCALHOST:1", "[::1]", "[::1]:8402"])
def test_host_on_loopback_is_served(host: str) -> None:
    assert ask(app_of(StubService()), "GET", "/healthz", headers={"host": host}).status_code == 200


def test_host_that_the_settings_name_is_served_and_loopback_then_is_not() -> None:
    app = app_of(StubService(), allowed_hosts=["oracle.example"])
    assert ask(app, "GET", "/healthz", headers={"host": "oracle.example:443"}).status_code == 200
    assert_refused(ask(app, "GET", "/healthz", headers={"host": "127.0.0.1"}), HostNotAllowed)


def test_no_hosts_allowed_refuses_everything() -> None:
    assert_refused(ask(app_of(StubService(), allowed_hosts=""), "GET", "/healthz"), HostNotAllowed)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:8402"])
def test_no_origin_is_granted_anything(origin: str) -> None:
    """No CORS header on anything: a page of another site can't read an answer."""
    headers = {"origin": origin, "access-control-request-method": "POST"}
    service = StubService(classify=ANSWER)
    for response in (
        ask(app_of(service), "OPTIONS", "/v1/classify", headers=headers),
        ask(app_of(service), "POST", "/v1/classify", content=BODY, headers=headers),
    ):
        assert not [name for name in response.headers if name.startswith("access-control-")]


# ---- bodies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        *(
            b"",
            b" ",
            b"hello",
            b"{",
            b'{"listing":"1"',
            b"{'listing': 1}",
            b'{"a":1}{"b":2}',
            b"[1,]",
            b"\xef\xbb\xbf{}",
        ),
        *(b'{"listing":"1","listing":"2","input":"x"}', b'{"input":{"a":1,"a":2}}', b"\xff\xfe{\0}\0"),
        *(b'{"input":"\xc3\x28"}', b'{"input":"\xed\xa0\x80"}', b'{"input":"\\ud800"}', b'{"input":"a\tb"}'),
        *(b'{"n":NaN}', b'{"n":Infinity}', b'{"n":-Infinity}', b'{"n":1e999}', b'{"n":9007199254740993}'),
        *(b'{"n":' + b"9" * 4000 + b"}", b'{"n":0.' + b"1" * 4000 + b"}", b'{"n":1e17}', b'{"n":01}', b'{"n":+1}'),
        *(b"[" * 100_000, b'{"a":' * 5000 + b"1" + b"}" * 5000, b"[" * 33 + b"]" * 33),
    ],
    ids=lambda content: repr(content[:24]),
)
def test_classify_with_a_body_that_is_no_plain_json_is_refused(content: bytes) -> None:
    service = StubService()
    assert_refused(ask(app_of(service), "POST", "/v1/classify", content=content), NotJson)
    assert service.asked == []


@pytest.mark.parametrize("content", [b"null", b"1", b'"text"', b"[]", b"{}", BODY, '{"input":"ü😀"}'.encode()])
def test_classify_hands_the_parsed_body_to_the_service(content: bytes) -> None:
    service = StubService(classify=ANSWER)
    ask(app_of(service), "POST", "/v1/classify", content=content)
    assert service.asked == [("classify", json.loads(content), None)]


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data", "application/xml", ""])
def test_classify_reads_json_whatever_the_content_type(kind: str) -> None:
    service = StubService(classify=ANSWER)
    response = ask(app_of(service), "POST", "/v1/classify", content=BODY, headers={"content-type": kind})
    assert response.status_code == 200


def test_classify_with_a_body_at_the_limit_is_read() -> None:
    service = StubService(classify=ANSWER)
    content = b'"' + b"x" * (1024 - 2) + b'"'
    assert ask(app_of(service, max_body=1024), "POST", "/v1/classify", content=content).status_code == 200


def test_classify_with_a_declared_body_beyond_the_limit_is_refused() -> None:
    service = StubService()
    content = b'"' + b"x" * (1024 - 1) + b'"'
    response = ask(app_of(service, max_body=1024), "POST", "/v1/classify", content=content)
    assert_refused(response, BodyTooLarge, limit=1024)
    assert service.asked == []


def test_classify_with_a_streamed_body_beyond_the_limit_is_refused_before_it_has_all_come() -> None:
    service = StubService()
    sent: list[int] = []

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(1000):
            sent.append(number)
            yield b"x" * 512

    response = together(app_of(service, max_body=1024), lambda client: client.post("/v1/classify", content=pieces()))
    assert_refused(response, BodyTooLarge, limit=1024)
    assert len(sent) < 10
    assert service.asked == []


def test_classify_with_a_body_that_belies_its_length_is_counted() -> None:
    service = StubService()
    response = ask(
        app_of(service, max_body=1024), "POST", "/v1/classify", content=b"x" * 2000, headers={"content-length": "5"}
    )
    assert_refused(response, BodyTooLarge)


@pytest.mark.parametrize("length", ["²", "1e9", "-1", "9" * 5000, "0x10", "ten"])
def test_classify_with_a_length_that_is_no_number_reads_what_comes(length: str) -> None:
    service = StubService(classify=ANSWER)
    headers = [(b"content-length", length.encode("latin-1"))]
    response = together(app_of(service), lambda client: client.post("/v1/classify", content=BODY, headers=headers))
    assert response.status_code in (200, BodyTooLarge.status)
    if response.status_code != 200:
        assert_refused(response, BodyTooLarge)


# ---- answers ----------------------------------------------------------------------------------------------------------


def test_classify_answers_with_the_exact_bytes_of_the_service() -> None:
    response = ask(app_of(StubService(classify=ANSWER)), "POST", "/v1/classify", content=BODY)
    assert response.content == ANSWER.body
    assert response.headers["content-type"] == "application/json"
    assert_dressed(response)


@pytest.mark.parametrize(
    ("posting", "state", "transaction"),
    [
        (None, "none", None),
        (QUEUED, "queued", None),
        (SIGNED, "signed", "0x" + "07" * 32),
        (CONFIRMED, "confirmed", "0x" + "07" * 32),
        (Rejected(QUEUED, {}), "rejected", None),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("replayed", [False, True])
def test_classify_tells_in_its_headers_how_far_the_posting_is(
    posting: Any, state: str, transaction: str | None, replayed: bool
) -> None:
    answer = Answer(ANSWER.call_id, b"{}", replayed, posting)
    response = ask(app_of(StubService(classify=answer)), "POST", "/v1/classify", content=BODY)
    assert response.headers["tallystick-call"] == HASH
    assert response.headers["tallystick-replayed"] == str(replayed).lower()
    assert response.headers["tallystick-settlement"] == state
    assert response.headers.get("tallystick-transaction") == transaction


def test_classify_hands_the_payment_header_to_the_service() -> None:
    service = StubService(classify=ANSWER)
    ask(app_of(service), "POST", "/v1/classify", content=BODY, headers={"tallystick-payment": "e30="})
    assert service.asked[0][2] == "e30="


def test_classify_unpaid_tells_what_to_pay() -> None:
    error = PaymentRequired("This request costs at most 5.", required="5", escrow="0x" + "11" * 20)
    response = ask(app_of(StubService(classify=error)), "POST", "/v1/classify", content=BODY)
    assert_refused(response, PaymentRequired, required="5", escrow="0x" + "11" * 20)


def test_models_answers_with_a_list_as_openai_does() -> None:
    response = ask(app_of(StubService(models=[{"id": "1"}])), "GET", "/v1/models")
    assert response.json() == {"object": "list", "data": [{"id": "1"}]}
    assert_dressed(response)


def test_manifest_answers_with_the_exact_bytes() -> None:
    service = StubService(manifest=b'{"b":1,"a":2}')
    response = ask(app_of(service), "GET", f"/v1/manifests/{HASH}")
    assert response.content == b'{"b":1,"a":2}'
    assert service.asked == [("manifest", b"\xab" * 32)]


@pytest.mark.parametrize("path", ["/v1/calls/", "/v1/manifests/"])
@pytest.mark.parametrize(
    "text", ["0x", "0x00", HASH[2:], HASH + "00", HASH[:-1], "0X" + HASH[2:], "0x" + "zz" * 32, "ü"]
)
def test_hash_that_is_none_is_refused_and_named(path: str, text: str) -> None:
    service = StubService()
    name = "call_id" if "calls" in path else "manifest_hash"
    assert_refused(ask(app_of(service), "GET", path + text), InvalidRequest, param=name)
    assert service.asked == []


@pytest.mark.parametrize(
    ("query", "param"),
    [
        *((f"limit={value}", "limit") for value in ("0", "1001", "-1", "x", "", "1e2", "9" * 400)),
        *((f"after={value}", "after") for value in ("-1", "x", "1.5", str(2**63))),
    ],
)
def test_receipts_with_a_page_that_is_none_is_refused_and_named(query: str, param: str) -> None:
    service = StubService()
    assert_refused(ask(app_of(service), "GET", f"/v1/receipts?{query}"), InvalidRequest, param=param)
    assert service.asked == []


def test_receipts_hands_the_page_to_the_service() -> None:
    service = StubService(receipts={"object": "list", "data": [], "next_after": 7})
    response = ask(app_of(service), "GET", "/v1/receipts?after=7&limit=5")
    assert response.json()["next_after"] == 7
    assert service.asked == [("receipts", 7, 5)]


# ---- too many ---------------------------------------------------------------------------------------------------------


def test_classify_is_busy_while_every_place_is_taken() -> None:
    """One more than there are places is refused at once; the places are free again afterwards."""
    begun, go_on = threading.Semaphore(0), threading.Event()

    def work(_body: Any, _payment: Any) -> Answer:
        begun.release()
        go_on.wait(30)
        return ANSWER

    service = StubService(classify=work)

    async def talk(client: httpx.AsyncClient) -> None:
        def send() -> Any:
            return client.post("/v1/classify", content=BODY)

        working = [asyncio.create_task(send()) for _ in range(2)]
        for _ in working:
            await asyncio.to_thread(begun.acquire, timeout=30)
        assert_refused(await send(), Busy)
        assert len(service.asked) == 2
        go_on.set()
        assert [(await task).status_code for task in working] == [200, 200]
        assert (await send()).status_code == 200

    together(app_of(service, max_in_flight=2), talk)


def test_questions_are_answered_while_every_place_for_calls_is_taken() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def work(_body: Any, _payment: Any) -> Answer:
        begun.set()
        go_on.wait(30)
        return ANSWER

    service = StubService(classify=work, counts={"calls": {}}, ready=None)

    async def talk(client: httpx.AsyncClient) -> None:
        paid = {PAYMENT_HEADER: "payment"}
        working = asyncio.create_task(client.post("/v1/classify", content=BODY, headers=paid))
        await asyncio.to_thread(begun.wait, 30)
        for path in ("/v1/status", "/healthz", "/readyz"):
            assert (await client.get(path)).status_code == 200
        go_on.set()
        assert (await working).status_code == 200

    together(app_of(service, max_in_flight=1), talk)


def test_unpaid_requests_do_not_take_the_places_of_paid_ones() -> None:
    """Asking for prices is free, and so nobody can keep payers out with it."""
    begun, go_on = threading.Event(), threading.Event()

    def work(_body: Any, payment: str | None) -> Answer:
        if payment is None:
            begun.set()
            go_on.wait(30)
        return ANSWER

    async def talk(client: httpx.AsyncClient) -> None:
        asking = asyncio.create_task(client.post("/v1/classify", content=BODY))
        await asyncio.to_thread(begun.wait, 30)
        assert_refused(await client.post("/v1/classify", content=BODY), Busy)
        paid = await client.post("/v1/classify", content=BODY, headers={PAYMENT_HEADER: "payment"})
        assert paid.status_code == 200
        go_on.set()
        assert (await asking).status_code == 200

    together(app_of(StubService(classify=work), max_in_flight=1), talk)


def test_large_body_does_not_hold_up_others() -> None:
    """A megabyte of numbers takes a second to check; meanwhile the event loop goes on."""
    content = b"[" + b",".join([b"1"] * 500_000) + b"]"
    app = app_of(StubService(classify=ANSWER), max_body=len(content))

    async def talk(client: httpx.AsyncClient) -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        started = last = loop.time()
        longest = 0.0
        working = asyncio.create_task(client.post("/v1/classify", content=content))
        while not working.done():
            await asyncio.wait([working], timeout=0.005)
            longest, last = max(longest, loop.time() - last), loop.time()
        assert (await working).status_code == 200
        return longest, last - started

    longest, all_of_it = together(app, talk)
    assert longest < all_of_it / 2


def test_request_ids_differ() -> None:
    app = app_of(StubService())
    assert len({ask(app, "GET", "/healthz").headers["x-request-id"] for _ in range(3)}) == 3


@pytest.fixture
def json_log() -> Iterator[StringIO]:
    """What the oracle's own formatter writes of the HTTP edge's log."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("tallystick.http")
    logger.addHandler(handler)
    yield stream
    logger.removeHandler(handler)

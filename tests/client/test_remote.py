"""HTTP to an oracle: what is repeated, what is not, and what becomes of answers that no oracle of ours gives."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tallystick.client.remote import ATTEMPTS, LONGEST_PAUSE, RemoteOracle, error_from
from tallystick.errors import (
    Busy,
    ContractRefused,
    InvalidRequest,
    OracleAnswerInvalid,
    OracleUnreachable,
    PaymentRequired,
    TallystickError,
)
from tallystick.oracle.edge import error_response

from tests.support.tree import concrete_errors

URL = "http://127.0.0.1:8402"


class Remote:
    """A RemoteOracle whose answers the test gives, one a request; the last one again and again."""

    def __init__(self, *answers: httpx.Response | Exception, attempts: int = ATTEMPTS) -> None:
        self.requests: list[httpx.Request] = []
        self.pauses: list[float] = []
        self._answers = list(answers)
        transport = httpx.MockTransport(self._answer)
        self.oracle = RemoteOracle(URL, attempts=attempts, transport=transport, sleep=self.pauses.append)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


def refused(error: TallystickError) -> httpx.Response:
    """What the oracle's own edge makes of an error."""
    response = error_response(error)
    return httpx.Response(response.status_code, headers=dict(response.headers), content=bytes(response.body))


def answer(content: bytes | str, status: int = 200) -> httpx.Response:
    return httpx.Response(status, content=content)


def instance(kind: type[TallystickError]) -> TallystickError:
    if kind is ContractRefused:
        return ContractRefused("It reverted.", name="Escrow_NotOracle", arguments={"actual": "0x1", "expected": "0x2"})
    return kind("It can't be done.", required="5", deadline=7, final=True, param="input")


OK = answer('{"id":"it"}')
LOST = (
    httpx.ConnectError("refused"),
    httpx.ConnectTimeout("slow"),
    httpx.ReadTimeout("slow"),
    httpx.ReadError("reset"),
    httpx.WriteError("reset"),
    httpx.RemoteProtocolError("cut off"),
    httpx.PoolTimeout("full"),
)

# ---- what is sent -----------------------------------------------------------------------------------------------------


def test_classify_sends_body_and_payment() -> None:
    remote = Remote(OK)
    reply, _ = remote.oracle.classify({"listing": "1", "input": "hello"}, "cGF5")
    assert reply == {"id": "it"}
    (request,) = remote.requests
    assert (request.method, request.url) == ("POST", f"{URL}/v1/classify")
    assert request.headers["tallystick-payment"] == "cGF5"
    assert request.content == b'{"listing":"1","input":"hello"}'


def test_classify_without_payment_sends_no_header() -> None:
    remote = Remote(OK)
    remote.oracle.classify({}, None)
    assert "tallystick-payment" not in remote.requests[0].headers


def test_classify_returns_the_headers() -> None:
    remote = Remote(httpx.Response(200, headers={"tallystick-replayed": "true"}, content=b"{}"))
    assert remote.oracle.classify({}, None)[1]["tallystick-replayed"] == "true"


def test_get_bytes_returns_the_exact_bytes() -> None:
    assert Remote(answer(b'{"b":1, "a":2}')).oracle.get_bytes("/v1/manifests/0x00") == b'{"b":1, "a":2}'


def test_requests_ignore_proxies_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert Remote(OK).oracle.get("/v1/status") == {"id": "it"}


# ---- what is sent again -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", LOST, ids=lambda failure: type(failure).__name__)
def test_request_whose_answer_is_lost_is_sent_again(failure: Exception) -> None:
    """S2 makes it safe: the same request again is answered, and charged, once."""
    remote = Remote(failure, failure, OK)
    assert remote.oracle.classify({"input": "hello"}, "cGF5")[0] == {"id": "it"}
    assert len(remote.requests) == 3
    assert len({(request.content, request.headers["tallystick-payment"]) for request in remote.requests}) == 1


@pytest.mark.parametrize("failure", LOST, ids=lambda failure: type(failure).__name__)
def test_request_that_is_never_answered_is_given_up(failure: Exception) -> None:
    remote = Remote(failure)
    with pytest.raises(OracleUnreachable, match="refund the call") as caught:
        remote.oracle.classify({}, None)
    assert caught.value.details["oracle_url"] == URL
    assert len(remote.requests) == ATTEMPTS


@pytest.mark.parametrize("kind", [kind for kind in concrete_errors() if kind.retryable], ids=lambda kind: kind.__name__)
def test_retryable_refusal_is_sent_again(kind: type[TallystickError]) -> None:
    remote = Remote(refused(instance(kind)), OK)
    assert remote.oracle.get("/v1/status") == {"id": "it"}
    assert len(remote.requests) == 2


@pytest.mark.parametrize(
    "kind", [kind for kind in concrete_errors() if not kind.retryable], ids=lambda kind: kind.__name__
)
def test_final_refusal_is_not_sent_again(kind: type[TallystickError]) -> None:
    remote = Remote(refused(instance(kind)), OK)
    with pytest.raises(kind):
        remote.oracle.classify({}, None)
    assert len(remote.requests) == 1
    assert remote.pauses == []


def test_retryable_refusal_that_stays_is_given_up_with_that_error() -> None:
    remote = Remote(refused(Busy("Full.")))
    with pytest.raises(Busy, match="Full"):
        remote.oracle.classify({}, None)
    assert len(remote.requests) == ATTEMPTS


@pytest.mark.parametrize("attempts", [1, 2, 7])
def test_attempts_are_as_many_as_was_said(attempts: int) -> None:
    remote = Remote(LOST[0], attempts=attempts)
    with pytest.raises(OracleUnreachable):
        remote.oracle.get("/readyz")
    assert len(remote.requests) == attempts


def test_pauses_grow_and_are_bounded() -> None:
    remote = Remote(LOST[0], attempts=12)
    with pytest.raises(OracleUnreachable):
        remote.oracle.get("/readyz")
    assert len(remote.pauses) == 11
    assert remote.pauses == sorted(remote.pauses)
    assert 0 < remote.pauses[0] < 1
    assert remote.pauses[-1] == LONGEST_PAUSE


# ---- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", concrete_errors(), ids=lambda kind: kind.__name__)
def test_error_from_a_refusal_is_the_same_error(kind: type[TallystickError]) -> None:
    sent = instance(kind)
    received = error_from(refused(sent))
    assert type(received) is kind
    assert received.message == sent.message
    assert dict(received.details) == dict(sent.details)
    assert received.body() == sent.body()


def test_error_from_a_contract_error_has_its_name_and_arguments() -> None:
    received = error_from(refused(instance(ContractRefused)))
    assert isinstance(received, ContractRefused)
    assert received.name == "Escrow_NotOracle"
    assert received.arguments == {"actual": "0x1", "expected": "0x2"}


def test_error_from_a_code_that_is_unknown_says_so() -> None:
    """An oracle of a later version: its message is shown, since it says what to do."""
    received = error_from(answer('{"error":{"code":"new_thing","message":"Do that.","details":{},"param":null}}', 418))
    assert isinstance(received, OracleAnswerInvalid)
    assert "new_thing" in received.message
    assert "Do that." in received.message


@pytest.mark.parametrize(
    "body",
    [
        *("null", "[]", "1", '"text"', "{}", '{"error":null}', '{"error":"text"}', '{"error":[]}', '{"detail":"x"}'),
        '{"error":{"message":"x"}}',
        '{"error":{"code":"busy","message":"x"}}',
        '{"error":{"code":"busy","message":"x","details":null}}',
        '{"error":{"code":"busy","message":"x","details":[1]}}',
        '{"error":{"code":"busy","message":"x","details":"text"}}',
    ],
)
def test_error_from_a_body_that_is_none_of_ours_says_so(body: str) -> None:
    received = error_from(answer(body, 503))
    assert isinstance(received, OracleAnswerInvalid)
    assert "503" in received.message


@pytest.mark.parametrize(
    "details",
    [
        *('{"message":"x"}', '{"self":1}', '{"kind":1}', '{"__class__":1}', '{"":1}', '{"a b":1}', '{"code":"x"}'),
        *('{"required":{"a":1}}', '{"required":[1]}', '{"required":1.5}', '{"param":["x"]}', '{"contract_error":{}}'),
    ],
)
@pytest.mark.parametrize("code", ["payment_required", "contract_refused", "busy"])
def test_error_from_details_that_ours_never_have_leaves_them_out(details: str, code: str) -> None:
    """A hostile oracle can't break its client with a detail that collides or has another kind."""
    received = error_from(answer(f'{{"error":{{"code":"{code}","message":"x","details":{details}}}}}', 402))
    assert received.code == code
    assert received.message == "x"
    assert all(isinstance(value, str | int) for value in received.details.values())


keys = st.sampled_from(["error", "code", "message", "details", "param", "required", "self", "busy", "contract_refused"])
bodies = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])) | keys,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=15,
)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(bodies)
def test_error_from_any_json_is_a_typed_error(body: Any) -> None:
    received = error_from(answer(json.dumps(body), 500))
    assert isinstance(received, TallystickError)


# ---- answers that no oracle of ours gives -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"<html>hello</html>", b"{", b"\xff\xfe", b'{"a":NaN}', b'{"a":1,"a":2}', b'"\\ud800"'),
        *(b"[" * 100_000, b'{"n":' + b"9" * 10_000 + b"}", b'{"n":1e999}'),
    ],
    ids=lambda content: repr(content[:20]),
)
@pytest.mark.parametrize("status", [200, 301, 402, 404, 429, 500, 502, 503])
def test_answer_that_is_no_json_is_refused(content: bytes, status: int) -> None:
    """A proxy's page, a router's login form: refused at once, since what it means for a payment is not known."""
    remote = Remote(answer(content, status))
    with pytest.raises(OracleAnswerInvalid, match=str(status)):
        remote.oracle.classify({}, None)
    assert len(remote.requests) == 1


def test_answer_whose_encoding_is_broken_is_refused() -> None:
    remote = Remote(OK)
    broken = httpx.MockTransport(
        lambda _: httpx.Response(200, headers={"content-encoding": "gzip"}, content=b"no gzip")
    )
    remote.oracle = RemoteOracle(URL, transport=broken, sleep=remote.pauses.append)
    with pytest.raises(OracleAnswerInvalid):
        remote.oracle.get("/readyz")


@pytest.mark.parametrize("content", [b"[]", b"null", b'"text"', b"{}", b'{"state":1}'])
def test_get_of_an_object_that_lacks_what_is_needed_is_refused(content: bytes) -> None:
    with pytest.raises(OracleAnswerInvalid, match="/readyz"):
        Remote(answer(content)).oracle.get("/readyz", "status")


def test_redirect_is_not_followed() -> None:
    """A payment header goes to the oracle that was named and nowhere else."""
    remote = Remote(httpx.Response(307, headers={"location": "http://evil.example/"}, content=b"{}"))
    with pytest.raises(OracleAnswerInvalid):
        remote.oracle.classify({}, "cGF5")
    assert [request.url.host for request in remote.requests] == ["127.0.0.1"]


def test_refusals_keep_what_to_pay() -> None:
    remote = Remote(refused(PaymentRequired("Pay.", required="5", oracle="0x1")))
    with pytest.raises(PaymentRequired) as caught:
        remote.oracle.classify({}, None)
    assert caught.value.details == {"required": "5", "oracle": "0x1"}


def test_refusals_keep_the_field_that_is_wrong() -> None:
    remote = Remote(refused(InvalidRequest("No.", param="parameters.top_k")))
    with pytest.raises(InvalidRequest) as caught:
        remote.oracle.classify({}, None)
    assert caught.value.details["param"] == "parameters.top_k"

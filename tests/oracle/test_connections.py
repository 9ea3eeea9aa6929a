"""The server on a real socket: slow, oversized, malformed and vanishing clients, and others who must not notice them."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tallystick.errors import BodyTooLarge, Busy, HeadersTooLarge, HostNotAllowed, MalformedHttp, RequestTimeout
from tallystick.oracle.connections import MAX_HEAD
from tallystick.settings import load_settings

from tests.oracle.serving import WAIT, connected, get, head, post, serving, stand
from tests.oracle.stubs import ANSWER, StubService, app_of
from tests.support.refusals import assert_refused, read_response
from tests.support.world import eventually

LIMIT = 0.3
"""Seconds that a client has here to send its request."""
SOON = 15.0
"""Seconds within which the server has to act on that; far above LIMIT, since a test machine may be busy."""
BODY = b'{"listing":"1","input":"hello"}'


@pytest.fixture(scope="module")
def stub() -> StubService:
    return StubService(classify=ANSWER, counts={}, ready=None)


@pytest.fixture
def service(stub: StubService) -> StubService:
    stub.asked.clear()
    return stub


@pytest.fixture(scope="module")
def slow_port(stub: StubService) -> Iterator[int]:
    """A server that gives its clients little time."""
    with serving(app_of(stub, body_timeout=LIMIT), load_settings({}, body_timeout=LIMIT, drain=1)) as listening:
        yield listening


@pytest.fixture(scope="module")
def patient(stub: StubService) -> Iterator[int]:
    """A server whose time limits no test reaches."""
    with serving(app_of(stub, max_body=1024), load_settings({}, body_timeout=60, drain=1)) as listening:
        yield listening


def is_closed(connection: socket.socket) -> bool:
    """Waits for the other side to close. Whatever it still sends is dropped."""
    connection.settimeout(WAIT)
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
    except TimeoutError:
        return False
    return True


def drip(connection: socket.socket, piece: bytes, seconds: float) -> None:
    """Send a piece again and again until there is something to read, for so many seconds at most."""
    until = time.monotonic() + seconds
    while not select.select([connection], [], [], 0.02)[0]:
        assert time.monotonic() < until
        connection.sendall(piece)


# ---- slow clients -----------------------------------------------------------------------------------------------------


def test_body_that_never_comes_is_refused_in_time(slow_port: int, service: StubService) -> None:
    with connected(slow_port) as connection:
        started = time.monotonic()
        connection.sendall(head("POST", "/v1/classify", content_length="100") + b'{"listing"')
        assert_refused(read_response(connection), RequestTimeout)
        assert LIMIT <= time.monotonic() - started < SOON
    assert service.asked == []


def test_body_that_comes_a_byte_at_a_time_is_refused_in_time(slow_port: int, service: StubService) -> None:
    """The limit is on the whole body: a client that never pauses for long doesn't get around it."""
    with connected(slow_port) as connection:
        connection.sendall(head("POST", "/v1/classify", content_length="100000"))
        drip(connection, b" ", SOON)
        assert_refused(read_response(connection), RequestTimeout)
    assert service.asked == []


def test_chunks_that_come_slowly_are_refused_in_time(slow_port: int, service: StubService) -> None:
    with connected(slow_port) as connection:
        connection.sendall(head("POST", "/v1/classify", transfer_encoding="chunked"))
        drip(connection, b"1\r\n \r\n", SOON)
        assert_refused(read_response(connection), RequestTimeout)
    assert service.asked == []


def test_head_that_never_ends_is_refused_in_time(slow_port: int) -> None:
    with connected(slow_port) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n")
        assert_refused(read_response(connection), RequestTimeout)
        assert is_closed(connection)


def test_head_that_comes_a_header_at_a_time_is_refused_in_time(slow_port: int) -> None:
    with connected(slow_port) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n")
        drip(connection, b"x-slow: 1\r\n", SOON)
        assert_refused(read_response(connection), RequestTimeout)


def test_empty_lines_without_end_are_refused_in_time(slow_port: int) -> None:
    with connected(slow_port) as connection:
        connection.sendall(b"\r\n")
        drip(connection, b"\r\n", SOON)
        assert_refused(read_response(connection), RequestTimeout)


def test_connection_that_says_nothing_is_closed(slow_port: int) -> None:
    with connected(slow_port) as connection:
        assert connection.recv(1) == b""


def test_second_head_on_a_connection_has_the_same_time(slow_port: int) -> None:
    with connected(slow_port) as connection:
        connection.sendall(head("GET", "/healthz"))
        assert read_response(connection).status_code == 200
        connection.sendall(b"GET /healthz HTT")
        assert_refused(read_response(connection), RequestTimeout)
        assert is_closed(connection)


def test_slow_clients_do_not_hold_up_others(patient: int) -> None:
    """Fifty clients that stop in the middle, in the head or in the body; the next one is served at once."""
    pieces = [b"POST /v1/classify HT", head("POST", "/v1/classify", content_length="100") + b"{", b"", b"\r\n"]
    slow = [socket.create_connection(("127.0.0.1", patient), timeout=WAIT) for _ in range(52)]
    try:
        for number, connection in enumerate(slow):
            connection.sendall(pieces[number % len(pieces)])
        assert get(patient, "/healthz").status_code == 200
        with connected(patient) as connection:
            connection.sendall(head("POST", "/v1/classify", content_length=str(len(BODY))) + BODY)
            assert read_response(connection).content == ANSWER.body
    finally:
        for connection in slow:
            connection.close()


# ---- large and malformed ----------------------------------------------------------------------------------------------


def test_one_header_without_end_is_refused(patient: int) -> None:
    with connected(patient) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nx: ")
        _send_until_refused(connection, b"x" * 16_384)
        assert_refused(read_response(connection), HeadersTooLarge, limit=MAX_HEAD)
        assert is_closed(connection)


def test_headers_without_end_are_refused(patient: int) -> None:
    with connected(patient) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n")
        _send_until_refused(connection, b"x-more: 1\r\n" * 1000)
        assert_refused(read_response(connection), HeadersTooLarge)


def test_path_without_end_is_refused(patient: int) -> None:
    with connected(patient) as connection:
        connection.sendall(b"GET /")
        _send_until_refused(connection, b"a" * 16_384)
        assert_refused(read_response(connection), HeadersTooLarge)


def test_large_head_below_the_limit_is_read(patient: int) -> None:
    with connected(patient) as connection:
        connection.sendall(head("GET", "/healthz", x="y" * (MAX_HEAD // 2)))
        assert read_response(connection).status_code == 200


def _send_until_refused(connection: socket.socket, piece: bytes) -> None:
    """A piece at a time, with a look for an answer in between, so that the limit is met and not overrun."""
    for _ in range(1000):
        connection.sendall(piece)
        if select.select([connection], [], [], 0.1)[0]:
            return
    raise AssertionError("nothing was refused")


def test_declared_body_beyond_the_limit_is_refused_before_it_comes(patient: int, service: StubService) -> None:
    with connected(patient) as connection:
        connection.sendall(head("POST", "/v1/classify", content_length=str(10**12)))
        assert_refused(read_response(connection), BodyTooLarge)
    assert service.asked == []


def test_body_that_is_refused_and_comes_without_end_does_not_keep_the_connection(stub: StubService) -> None:
    """A client that goes on sending what nobody reads has the same time as any other."""
    app = app_of(stub, max_body=1024)
    with serving(app, load_settings({}, body_timeout=LIMIT, drain=1)) as port, connected(port) as connection:
        connection.sendall(head("POST", "/v1/classify", content_length=str(10**12)))
        assert_refused(read_response(connection), BodyTooLarge)
        with contextlib.suppress(ConnectionError):
            drip(connection, b"x", SOON)
        assert is_closed(connection)


def test_chunked_body_beyond_the_limit_is_refused(patient: int, service: StubService) -> None:
    with connected(patient) as connection:
        connection.sendall(head("POST", "/v1/classify", transfer_encoding="chunked"))
        _send_until_refused(connection, b"200\r\n" + b" " * 512 + b"\r\n")
        assert_refused(read_response(connection), BodyTooLarge)
    assert service.asked == []


@pytest.mark.parametrize(
    "garbage",
    [
        *(b"hello\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"\0\0\0\0\r\n\r\n"),
        *(b"GET /healthz HTTP/9.9\r\n\r\n", b"GET healthz HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nno colon\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nx: a\0b\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
        head("POST", "/v1/classify", content_length="-5"),
        head("POST", "/v1/classify", content_length="5, 6") + b"hello",
        head("POST", "/v1/classify", content_length="9" * 40),
        b"POST /v1/classify HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        head("POST", "/v1/classify", content_length="4", transfer_encoding="chunked") + b"0\r\n\r\n",
    ],
    ids=lambda garbage: repr(garbage[:40]),
)
def test_what_is_no_http_is_refused_and_the_connection_closed(
    patient: int, service: StubService, garbage: bytes
) -> None:
    with connected(patient) as connection:
        connection.sendall(garbage)
        assert_refused(read_response(connection), MalformedHttp)
        assert is_closed(connection)
    assert service.asked == []
    assert get(patient, "/healthz").status_code == 200


def test_chunks_that_are_none_are_refused(patient: int, service: StubService) -> None:
    with connected(patient) as connection:
        connection.sendall(head("POST", "/v1/classify", transfer_encoding="chunked") + b"zz\r\n")
        assert_refused(read_response(connection), MalformedHttp)
    assert service.asked == []


def test_request_without_a_host_is_refused(patient: int) -> None:
    with connected(patient) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert_refused(read_response(connection), HostNotAllowed)


def test_websocket_upgrade_is_not_taken(patient: int) -> None:
    with connected(patient) as connection:
        connection.sendall(
            head("GET", "/healthz", connection="Upgrade", upgrade="websocket", sec_websocket_version="13")
        )
        assert read_response(connection).status_code == 200


def test_head_request_has_no_body(patient: int) -> None:
    with connected(patient) as connection:
        connection.sendall(head("HEAD", "/v1/models") + head("GET", "/healthz"))
        answered = connection.makefile("rb")
        assert b" 405 " in answered.readline()
        while answered.readline() != b"\r\n":
            pass
        assert b" 200 " in answered.readline()
        answered.close()


# ---- several requests on a connection ---------------------------------------------------------------------------------


def test_pipelined_requests_are_answered_in_order(patient: int) -> None:
    with connected(patient) as connection:
        connection.sendall(head("GET", "/healthz") + head("GET", "/v1/status") + head("GET", "/nothing"))
        answered = [b"", b"", b""]
        file = connection.makefile("rb")
        for number in range(3):
            answered[number] = file.readline()
            length = 0
            while (line := file.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            file.read(length)
        file.close()
    assert [line.split()[1] for line in answered] == [b"200", b"200", b"404"]


def test_garbage_behind_a_request_ends_the_connection_and_nothing_else(patient: int) -> None:
    with connected(patient) as connection:
        connection.sendall(head("GET", "/healthz") + b"\x00garbage\r\n\r\n")
        assert is_closed(connection)
    assert get(patient, "/healthz").status_code == 200


def test_connections_beyond_the_most_are_refused(service: StubService) -> None:
    with serving(app_of(service), load_settings({}, drain=1), max_connections=2) as port:
        with connected(port) as one, connected(port) as two:
            for connection in (one, two):
                connection.sendall(head("GET", "/healthz"))
                assert read_response(connection).status_code == 200
            with connected(port) as third:
                assert_refused(read_response(third), Busy)
                assert is_closed(third)
        eventually(lambda: get(port, "/healthz").status_code == 200, WAIT)


# ---- clients that leave -----------------------------------------------------------------------------------------------


def test_client_that_leaves_within_its_request_is_no_error(
    patient: int, service: StubService, caplog: pytest.LogCaptureFixture
) -> None:
    for piece in (b"POST /v1/cl", head("POST", "/v1/classify", content_length="100") + b"{"):
        with connected(patient) as connection:
            connection.sendall(piece)
    assert get(patient, "/healthz").status_code == 200
    assert service.asked == []
    assert [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []


def test_client_that_leaves_during_inference_is_charged_once_and_can_fetch_the_answer(tmp_path: Path) -> None:
    """A lost connection loses nothing (S3, S2): the call is recorded, posted, and sent again at no cost."""
    begun, go_on = threading.Event(), threading.Event()

    def hold(_text: str) -> None:
        begun.set()
        go_on.wait(WAIT)

    with stand(tmp_path, hold, post_wait=0) as oracle, serving(oracle.app(), oracle.settings) as port:
        paid = oracle.pay("Where is my parcel?")
        with connected(port) as connection:
            connection.sendall(post(paid))
            assert begun.wait(WAIT)
        go_on.set()
        eventually(lambda: _state(port, oracle.call_id(paid)) == "completed", WAIT)
        with connected(port) as connection:
            connection.sendall(post(paid))
            response = read_response(connection)
        eventually(lambda: len(oracle.chain.logged()) == 1)
    assert response.status_code == 200
    assert response.headers["tallystick-replayed"] == "true"
    assert oracle.runner.runs == 1
    assert oracle.chain.logged()[0].charge == int(response.json()["usage"]["charge"])


def _state(port: int, call_id: str) -> str | None:
    response = get(port, f"/v1/calls/{call_id}")
    return str(response.json()["state"]) if response.status_code == 200 else None

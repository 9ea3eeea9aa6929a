"""The pieces of the HTTP edge by themselves: the gate, the Host header, reading a body."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from tallystick.errors import BodyTooLarge, Busy, RequestTimeout
from tallystick.oracle.edge import Gate, host_name, read_body

# ---- Gate -------------------------------------------------------------------------------------------------------------


def test_gate_runs_work_and_returns_what_it_returns() -> None:
    assert asyncio.run(Gate(1).run(divmod, 7, 2)) == (3, 1)


def test_gate_passes_exceptions_on_and_frees_the_place() -> None:
    async def run() -> None:
        gate = Gate(1)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await gate.run(divmod, 1, 0)

    asyncio.run(run())


def test_gate_that_is_full_refuses_without_running() -> None:
    async def run() -> None:
        gate, begun, go_on = Gate(1), threading.Event(), threading.Event()
        ran: list[str] = []
        first = asyncio.create_task(gate.run(_wait, begun, go_on))
        await asyncio.to_thread(begun.wait, 30)
        with pytest.raises(Busy):
            await gate.run(ran.append, "second")
        go_on.set()
        await first
        assert ran == []
        await gate.run(ran.append, "third")
        assert ran == ["third"]

    asyncio.run(run())


def test_gate_lets_work_end_whose_client_left() -> None:
    """A disconnect loses nothing: the call goes on, and its place is taken until it has ended."""

    async def run() -> None:
        gate, begun, go_on, ended = Gate(1), threading.Event(), threading.Event(), threading.Event()
        task = asyncio.create_task(gate.run(_wait, begun, go_on, ended))
        await asyncio.to_thread(begun.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(Busy):
            await gate.run(ended.set)
        assert not ended.is_set()
        go_on.set()
        await asyncio.to_thread(ended.wait, 30)
        assert ended.is_set()

    asyncio.run(run())


def _wait(begun: threading.Event, go_on: threading.Event, ended: threading.Event | None = None) -> None:
    begun.set()
    go_on.wait(30)
    if ended is not None:
        ended.set()


# ---- host_name --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "name"),
    [
        *(("localhost", "localhost"), ("LocalHost:80", "localhost"), ("127.0.0.1:8402", "127.0.0.1")),
        *(("[::1]", "::1"), ("[::1]:8402", "::1"), ("[FE80::1]", "fe80::1"), ("localhost:", "localhost")),
        *(
            ("", ""),
            (":80", ""),
            ("::1", ""),
            ("a:b", ""),
            ("[::1", ""),
            ("[::1]x", ""),
            ("a:1:2", ""),
            ("a:123456", ""),
        ),
    ],
)
def test_host_name_is_read_strictly(header: str, name: str) -> None:
    assert host_name(header) == name


@settings(derandomize=True, deadline=None)
@given(st.text(), st.sampled_from(["", ":8402", ":"]))
def test_host_name_names_no_host_that_the_header_does_not(name: str, port: str) -> None:
    """Whatever the header, what comes out is all of what stands before the port, or nothing."""
    assert host_name(name + port) in ("", name.lower(), name.lower().strip("[]"))


# ---- read_body --------------------------------------------------------------------------------------------------------


def test_read_body_puts_the_pieces_together() -> None:
    assert _read([_piece(b"ab"), _piece(b"", more=True), _piece(b"cd", more=False)]) == b"abcd"


def test_read_body_at_its_limit_is_read() -> None:
    assert _read([_piece(b"x" * 10, more=False)], limit=10) == b"x" * 10


def test_read_body_beyond_its_limit_is_refused() -> None:
    with pytest.raises(BodyTooLarge):
        _read([_piece(b"x" * 10), _piece(b"x", more=False)], limit=10)


def test_read_body_that_stops_coming_is_refused() -> None:
    with pytest.raises(RequestTimeout):
        _read([_piece(b"x")], timeout=0.01)


def test_read_body_of_a_client_that_left_is_refused() -> None:
    """Not an unexpected exception: a client may leave at any time, and the log stays quiet about it."""
    with pytest.raises(RequestTimeout):
        _read([_piece(b"x"), {"type": "http.disconnect"}])


def _piece(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def _read(messages: Iterable[dict[str, Any]], *, limit: int = 100, timeout: float = 30) -> bytes:
    coming = iter(messages)

    async def receive() -> dict[str, Any]:
        try:
            return next(coming)
        except StopIteration:
            await asyncio.Event().wait()
            raise AssertionError from None

    return asyncio.run(read_body(Request({"type": "http", "headers": []}, receive), limit, timeout))

"""The one place that says what a refusal of the oracle looks like on the wire."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from http.client import HTTPResponse
from typing import Any

import httpx
from tallystick.errors import Detail, TallystickError
from tallystick.protocol.canonical import parse_json

REQUEST_ID = re.compile(r"[0-9a-f]{32}")
LEAKS = ("Traceback", "site-packages", ".py", 'File "')


def assert_refused(
    response: httpx.Response, kind: type[TallystickError], *, param: str | None = None, **details: Detail
) -> dict[str, Any]:
    """Status, headers and body are exactly those of an error of class `kind`, and its details hold at least these.

    Returns the error. Every test of a route that refuses goes through here.
    """
    assert_dressed(response)
    assert response.status_code == kind.status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-should-retry"] == ("true" if kind.retryable else "false")
    if kind.retryable:
        assert int(response.headers["retry-after"]) * 1000 == int(response.headers["retry-after-ms"]) > 0
    else:
        assert "retry-after" not in response.headers
        assert "retry-after-ms" not in response.headers
    body = parse_json(response.content)
    assert list(body) == ["error"]
    error: dict[str, Any] = body["error"]
    assert list(error) == ["message", "type", "param", "code", "retryable", "details"]
    assert (error["code"], error["type"], error["retryable"]) == (kind.code, kind.type, kind.retryable)
    assert error["param"] == param
    assert error["message"].strip()
    assert all(leak not in response.text for leak in LEAKS)
    assert all(isinstance(value, str | int | bool | None) for value in error["details"].values())
    assert details.items() <= error["details"].items()
    return error


def assert_dressed(response: httpx.Response) -> None:
    """The headers that every response has, refused or not."""
    assert REQUEST_ID.fullmatch(response.headers["x-request-id"])
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "server" not in response.headers
    assert "access-control-allow-origin" not in response.headers


def assert_unchanged(question: Callable[[], object], action: Callable[[], object]) -> None:
    """What `question` answers is the same before and after `action`."""
    before = question()
    action()
    assert question() == before


def read_response(connection: socket.socket) -> httpx.Response:
    """The next response on a raw connection."""
    reader = HTTPResponse(connection)
    try:
        reader.begin()
        return httpx.Response(reader.status, headers=reader.getheaders(), content=reader.read())
    finally:
        reader.close()

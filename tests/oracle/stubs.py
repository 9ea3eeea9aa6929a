"""A service that says what a test tells it to, and one request to an application without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import httpx
from fastapi import FastAPI
from tallystick.oracle.app import create_app
from tallystick.oracle.service import Answer, OracleService
from tallystick.settings import load_settings

HASH = "0x" + "ab" * 32
ORIGIN = "http://127.0.0.1:8402"
ANSWER = Answer(b"\xab" * 32, b'{"id":"it"}', replayed=False, posting=None)
WORKING_ROUTES = [
    ("POST", "/v1/classify", "classify"),
    ("GET", "/v1/models", "models"),
    ("GET", f"/v1/manifests/{HASH}", "manifest"),
    ("GET", f"/v1/calls/{HASH}", "call"),
    ("GET", "/v1/receipts", "receipts"),
    ("GET", "/v1/status", "counts"),
]
"""Method, path, and the method of the service that does the work."""


class StubService(OracleService):
    """Each method notes that it was called and answers, or raises, what the test gave for it."""

    def __init__(self, **answers: Any) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self._answers: Mapping[str, Any] = answers

    def _do(self, name: str, *arguments: Any) -> Any:
        self.asked.append((name, *arguments))
        answer = self._answers[name]
        if isinstance(answer, Exception):
            raise answer
        return answer(*arguments) if callable(answer) else answer

    def classify(self, body: Any, payment_header: str | None) -> Answer:
        return self._do("classify", body, payment_header)  # type: ignore[no-any-return]

    def models(self) -> list[dict[str, Any]]:
        return self._do("models")  # type: ignore[no-any-return]

    def manifest(self, manifest_hash: bytes) -> bytes:
        return self._do("manifest", manifest_hash)  # type: ignore[no-any-return]

    def call(self, call_id: bytes) -> dict[str, Any]:
        return self._do("call", call_id)  # type: ignore[no-any-return]

    def receipts(self, after: int, limit: int) -> dict[str, Any]:
        return self._do("receipts", after, limit)  # type: ignore[no-any-return]

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        return self._do("counts")  # type: ignore[no-any-return]

    def ready(self) -> str | None:
        return self._do("ready")  # type: ignore[no-any-return]


def app_of(service: StubService, **settings: Any) -> FastAPI:
    return create_app(service, load_settings({}, **settings))


def ask(
    app: FastAPI, method: str, path: str, *, content: bytes = b"", headers: Mapping[str, str] | None = None
) -> httpx.Response:
    """One request to the application, in an event loop of its own."""
    return together(app, lambda client: client.request(method, path, content=content, headers=dict(headers or {})))


def together(app: FastAPI, talk: Callable[[httpx.AsyncClient], Any]) -> Any:
    """What `talk` returns, run in an event loop of its own with a client of the application."""

    async def run() -> Any:
        # Exceptions are the application's to answer; one that escapes it is answered like a server would.
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
            return await talk(client)

    return asyncio.run(run())

"""What stands between the network and the service: limits, time-outs, the one error body."""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.base import RequestResponseEndpoint
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from tallystick.errors import (
    BodyTooLarge,
    Busy,
    HostNotAllowed,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    RequestTimeout,
    TallystickError,
    UnknownRoute,
)

log = logging.getLogger("tallystick.http")

RETRY_AFTER_SECONDS = 1
HOST = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^:\[\]]+))(?::[0-9]{0,5})?")
Result = TypeVar("Result")


async def read_body(request: Request, limit: int, timeout: float) -> bytes:
    """The whole body. Raises BodyTooLarge beyond `limit` bytes, RequestTimeout after `timeout` seconds."""
    if _declared_length(request) > limit:
        raise _too_large(limit)
    body = bytearray()
    try:
        async with asyncio.timeout(timeout):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise _too_large(limit)
    except TimeoutError:
        raise RequestTimeout(
            f"The request did not arrive within {timeout:g} s. Send it again; nothing was charged."
        ) from None
    except ClientDisconnect:
        raise RequestTimeout("The connection ended before the request had arrived; nothing was charged.") from None
    return bytes(body)


def _declared_length(request: Request) -> int:
    """As the client states it; what it sends is counted all the same."""
    try:
        return int(request.headers.get("content-length", "0"))
    except ValueError:
        return 0


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body is larger than {limit} bytes. Send less; nothing was charged.", limit=limit)


class Gate:
    """At most `places` requests are worked on at once; one more is refused at once rather than queued without bound."""

    def __init__(self, places: int) -> None:
        self._limiter = CapacityLimiter(places)
        self._places = places
        self._taken = 0

    async def run(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """Run blocking work in a thread. Raises Busy when no place is free. Work goes on if its client leaves."""
        if self._taken >= self._places:
            raise Busy(
                "The oracle is working on as many requests as it can. Try again in a moment; nothing was charged."
            )
        self._taken += 1
        running = asyncio.ensure_future(to_thread.run_sync(partial(work, *arguments), limiter=self._limiter))
        running.add_done_callback(self._leave)
        return await asyncio.shield(running)

    def _leave(self, _done: object) -> None:
        """The place is free when the work has ended, not when its client has left."""
        self._taken -= 1


def error_response(error: TallystickError) -> JSONResponse:
    headers = {"x-should-retry": "true" if error.retryable else "false"}
    if error.retryable:
        headers["retry-after"] = str(RETRY_AFTER_SECONDS)
        headers["retry-after-ms"] = str(RETRY_AFTER_SECONDS * 1000)
    return JSONResponse(error.body(), status_code=error.status, headers=headers)


AnyResponse = TypeVar("AnyResponse", bound=Response)


def finish(response: AnyResponse, request_id: str | None = None) -> AnyResponse:
    """The headers that every response has."""
    response.headers["x-request-id"] = request_id or uuid.uuid4().hex
    response.headers["cache-control"] = "no-store"
    response.headers["x-content-type-options"] = "nosniff"
    return response


def install(app: FastAPI, allowed_hosts: tuple[str, ...]) -> None:
    """Add host check, request ids, response headers and error handlers."""

    @app.middleware("http")
    async def edge(request: Request, call_next: RequestResponseEndpoint) -> Response:
        request_id = uuid.uuid4().hex
        if host_name(request.headers.get("host", "")) not in allowed_hosts:
            response: Response = error_response(
                HostNotAllowed("This Host name is not one of the oracle's. Use its configured address.")
            )
        else:
            try:
                response = await call_next(request)
            except Exception:
                log.exception("request failed unexpectedly", extra={"request_id": request_id})
                response = error_response(
                    InternalError(
                        f"Something went wrong at the oracle; its log has it under {request_id}. Send the same request "
                        "again: a paid call is never charged twice.",
                        request_id=request_id,
                    )
                )
        return finish(response, request_id)

    handlers: dict[type[Exception], Callable[[Any], TallystickError]] = {
        TallystickError: lambda error: error,
        HTTPException: _of_http_exception,
        RequestValidationError: _of_validation_error,
    }
    for kind, convert in handlers.items():
        app.add_exception_handler(kind, _handler(convert))


def host_name(header: str) -> str:
    """The name in a Host header, without its port and the brackets of an IPv6 address; empty where it is no such header."""
    found = HOST.fullmatch(header)
    return (found[1] or found[2]).lower() if found else ""


def _handler(convert: Callable[[Any], TallystickError]) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(_request: Request, error: Exception) -> Response:
        response = error_response(convert(error))
        # Such as Allow, which a 405 has to name.
        response.headers.update(getattr(error, "headers", None) or {})
        return response

    return handle


def _of_http_exception(error: HTTPException) -> TallystickError:
    if error.status_code == MethodNotAllowed.status:
        return MethodNotAllowed("This route does not take that method; docs/API.md lists the routes.")
    return UnknownRoute("There is no such route; docs/API.md lists those there are.")


def _of_validation_error(error: RequestValidationError) -> TallystickError:
    first = error.errors()[0]
    place = str(first["loc"][-1])
    return InvalidRequest(f"{place}: {first['msg']}.", param=place)

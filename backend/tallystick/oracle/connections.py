"""What a connection may do before its request reaches the application: the time and size of its head, and how many there are.

uvicorn bounds none of these: without this, a client that sends its headers a byte at a time, or without end, or opens
connections and says nothing, holds memory and file descriptors for as long as it likes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from tallystick.errors import Busy, HeadersTooLarge, MalformedHttp, RequestTimeout, TallystickError
from tallystick.oracle.edge import error_response, finish

MAX_HEAD: Final = 65_536
"""Largest head of a request, in bytes; checked after each piece that arrives."""

MAX_CONNECTIONS: Final = 512
"""Most connections at once; one more is told so and closed."""


class GuardedProtocol(HttpToolsProtocol):
    """One connection. Whatever it is refused for, it gets the error body that every route gives, and is closed."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        head_seconds: float,
        max_connections: int,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._head_seconds = head_seconds
        self._max_connections = max_connections
        self._timer: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._max_connections:
            self._refuse(Busy("The oracle has as many connections as it takes. Try again in a moment."))
        else:
            self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
            self._start_timer()
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD and not self.transport.is_closing():
            self._refuse(HeadersTooLarge(f"The headers are larger than {MAX_HEAD} bytes. Send less.", limit=MAX_HEAD))

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head, self._head_bytes = True, 0
        self._stop_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._in_head:
            # Refused before its body had come: the client gets some time to read why, before the line is cut.
            self._start_timer()

    def send_400_response(self, msg: str) -> None:
        self._refuse(MalformedHttp(f"{msg} Send HTTP/1.1 as docs/API.md shows; nothing was charged."))

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self._head_seconds, self._time_is_up)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_is_up(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            # The request before this one is being worked on.
            self._start_timer()
        elif self._in_head and self._head_bytes:
            self._refuse(
                RequestTimeout(
                    f"The request's head did not arrive within {self._head_seconds:g} s; nothing was charged."
                )
            )
        else:
            self.transport.close()

    def _refuse(self, error: TallystickError) -> None:
        response = finish(error_response(error))
        response.headers["connection"] = "close"
        head = [STATUS_LINE[response.status_code]]
        head += [name + b": " + value + b"\r\n" for name, value in response.raw_headers]
        self.transport.write(b"".join([*head, b"\r\n", bytes(response.body)]))
        self.transport.close()


def guarded_protocol(head_seconds: float, max_connections: int = MAX_CONNECTIONS) -> type[asyncio.Protocol]:
    """What uvicorn makes its connections with."""
    make: Callable[..., asyncio.Protocol] = partial(
        GuardedProtocol, head_seconds=head_seconds, max_connections=max_connections
    )
    return cast("type[asyncio.Protocol]", make)

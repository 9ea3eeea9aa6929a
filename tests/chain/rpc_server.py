"""A JSON-RPC node on loopback that answers by script: for what a real node can't be made to say."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class Error:
    """A JSON-RPC error; `data` where the node gives some."""

    message: str
    data: Any = None
    code: int = -32000


@dataclass(frozen=True)
class Body:
    """An HTTP answer as it is, whatever it is."""

    content: bytes
    status: int = 200


class Silence:
    """No answer at all: the connection stays open and nothing comes."""


Answer = Any
Script = Answer | Callable[..., Answer]


class RpcServer(AbstractContextManager["RpcServer"]):
    """`script` maps a method to its answer, or to a function of the call's parameters. `calls` lists what was asked."""

    def __init__(self) -> None:
        self.script: dict[str, Script] = {}
        self.calls: list[tuple[str, list[Any]]] = []
        self._end = threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                question = json.loads(self.rfile.read(int(self.headers["content-length"])))
                owner.calls.append((question["method"], question["params"]))
                answer = owner._answer(question["method"], question["params"])
                if isinstance(answer, Silence):
                    owner._end.wait()
                    self.close_connection = True
                    return
                body = answer if isinstance(answer, Body) else Body(_json_rpc(question["id"], answer))
                self.send_response(body.status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body.content)))
                self.end_headers()
                self.wfile.write(body.content)

            def log_message(self, *_arguments: object) -> None:
                """Quiet."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def asked(self, method: str) -> list[list[Any]]:
        """The parameters of every call of one method, in order."""
        return [parameters for name, parameters in self.calls if name == method]

    def in_turn(self, *answers: Answer) -> Callable[..., Answer]:
        """One answer a call; the last one for all calls after."""
        waiting: Iterator[Answer] = iter(answers[:-1])
        return lambda *_parameters: next(waiting, answers[-1])

    def __enter__(self) -> RpcServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _answer(self, method: str, parameters: list[Any]) -> Answer:
        answer = self.script.get(method, Error(f"the script has no {method}", code=-32601))
        return answer(*parameters) if callable(answer) else answer


def _json_rpc(identifier: Any, answer: Answer) -> bytes:
    reply: dict[str, Any] = {"jsonrpc": "2.0", "id": identifier}
    if isinstance(answer, Error):
        error: Mapping[str, Any] = {"code": answer.code, "message": answer.message}
        reply["error"] = {**error, "data": answer.data} if answer.data is not None else error
    else:
        reply["result"] = answer
    return json.dumps(reply).encode()

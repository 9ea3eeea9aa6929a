"""A node that lies: it passes requests on to an honest one and alters what comes back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

import httpx

Lie = Callable[[str, list[Any], Any], Any]
"""Of a method, its parameters and the honest result, what is returned instead. May raise Refusal."""


class Refusal(Exception):
    """The node answers with an error of this message."""


class Relay:
    """Asks the honest node once for each question: the chain behind it must not move while lies are told."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, trust_env=False)
        self._answers: dict[str, dict[str, Any]] = {}
        self._lock = Lock()

    def ask(self, method: str, parameters: list[Any]) -> dict[str, Any]:
        """The honest node's answer, `result` or `error`."""
        question = json.dumps([method, parameters])
        with self._lock:
            if question not in self._answers:
                body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
                answer = self._client.post("/", json=body).json()
                self._answers[question] = {key: answer[key] for key in ("result", "error") if key in answer}
            return deepcopy(self._answers[question])

    def close(self) -> None:
        self._client.close()


@contextmanager
def lying(relay: Relay, lie: Lie) -> Iterator[str]:
    """The URL of a node that lies in this way."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and body in one packet, at once: else each answer waits 40 ms for the acknowledgement of its headers.
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = relay.ask(body["method"], body["params"])
            if "result" in answer:
                try:
                    answer["result"] = lie(body["method"], body["params"], answer["result"])
                except Refusal as refusal:
                    answer = {"error": {"code": -32005, "message": str(refusal)}}
            content = json.dumps({"jsonrpc": "2.0", "id": body["id"], **answer}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: Any) -> None:
            """Silent."""

    class Server(ThreadingHTTPServer):
        # Idle connections of the auditor must not keep the server from ending.
        daemon_threads = True
        block_on_close = False

    server = Server(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

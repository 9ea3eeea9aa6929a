"""JSON that nests too deep: py_ecc, far below web3, raises the recursion limit so far that it would end the process."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from tallystick.chain.rpc import connect, disconnect, rpc_errors
from tallystick.errors import ChainUnreachable

MODULES = [
    "tallystick.chain.marketplace",
    "tallystick.client.client",
    "tallystick.audit.auditor",
    "tallystick.oracle.server",
]


class DeepNode(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = b'{"jsonrpc":"2.0","id":0,"result":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def deep_node() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), DeepNode) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("module", MODULES)
def test_import_leaves_the_recursion_limit(module: str) -> None:
    program = f"import sys; before = sys.getrecursionlimit(); import {module}; print(before, sys.getrecursionlimit())"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    before, after = ended.stdout.split()
    assert before == after


def test_deep_answer_of_a_node_is_refused(deep_node: str) -> None:
    """A hostile node gets a typed refusal; with the raised limit this would be a segmentation fault."""
    assert sys.getrecursionlimit() < 10_000
    web3 = connect(deep_node, 10.0)
    with pytest.raises(ChainUnreachable), rpc_errors(deep_node):
        _ = web3.eth.block_number
    disconnect(web3)

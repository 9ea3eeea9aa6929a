"""Ports for the servers that tests start."""

from __future__ import annotations

import os
import socket

FIRST, PORTS = 20_000, 2_000
"""Below the range from which Linux takes the ports of outgoing connections; devnet's own choice lies above these."""
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_next = os.getpid() % PORTS


def free_port() -> int:
    """A port on loopback that nothing listens at, and that no other worker of this test run is given."""
    global _next
    for _ in range(PORTS):
        _next = (_next + 1) % PORTS
        port = FIRST + (WORKER % 5) * PORTS + _next
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise RuntimeError("every port of this worker is taken")

"""The same random play as test_invariants.py, a short one, on a real node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tallystick.devnet import marketplace as devnet

from tests.evm.ganache import Ganache
from tests.evm.test_invariants import play
from tests.support.ports import free_port

STEPS = 150


@pytest.fixture
def ganache(tmp_path: Path) -> Iterator[Ganache]:
    port = free_port()
    process = devnet.start_chain(devnet.Checkout.find(), port, tmp_path / "chain.log")
    try:
        chain = Ganache(f"http://127.0.0.1:{port}")
        yield chain
        chain.close()
    finally:
        process.stop()


@pytest.mark.ganache
@pytest.mark.timeout(300)
def test_random_play_agrees_with_the_model_on_a_real_node_too(ganache: Ganache) -> None:
    """M1, M2, M3, M5, M6, M7, M8, M9."""
    stage = play(7, STEPS, ganache)
    assert sum(done for (_, done) in stage.coverage) >= 20

"""A real chain for a module: Ganache on a free port, with the contracts deployed by Brownie."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tallystick.chain.deployment import Deployment
from tallystick.devnet.marketplace import Checkout, deploy, start_chain

from tests.support.ports import free_port

from .market import Market


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    folder = tmp_path_factory.mktemp("chain")
    checkout, port = Checkout.find(), free_port()
    url, file = f"http://127.0.0.1:{port}", folder / "deployment.json"
    chain = start_chain(checkout, port, folder / "chain.log")
    try:
        deploy(checkout, url, file)
        market = Market(url, Deployment.load(file))
        try:
            yield market
        finally:
            market.close()
    finally:
        chain.stop()

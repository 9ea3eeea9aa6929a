"""One Ganache with the deployed contracts for the whole run; each test that uses it leaves it as it found it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tallystick.chain.deployment import Deployment
from tallystick.chain.marketplace import Marketplace
from tallystick.devnet import marketplace as devnet

from tests.support.ports import free_port

from .bench import ORACLE, OWNER, PAYER, STRANGER, Bench, GanacheBench, NullBench
from .rpc_server import RpcServer


@pytest.fixture(scope="session")
def deployment_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("chain") / "deployment.json"


@pytest.fixture(scope="session")
def deployed(deployment_file: Path) -> Iterator[Marketplace]:
    """A marketplace on a chain of its own. Tests don't use it as it is, but through `market`."""
    checkout = devnet.Checkout.find()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = devnet.start_chain(checkout, port, deployment_file.with_name("chain.log"))
    try:
        devnet.deploy(checkout, url, deployment_file)
        market = Marketplace(url, Deployment.load(deployment_file))
        bench = GanacheBench(market)
        # Ganache takes a nonce of zero for none (see test_transactions.py); everything else starts beyond that.
        for wallet in (OWNER, ORACLE, PAYER, STRANGER):
            bench.use_nonce(wallet)
        yield market
        market.close()
    finally:
        process.stop()


@pytest.fixture
def market(deployed: Marketplace) -> Iterator[Marketplace]:
    """The marketplace, whose chain is rewound after the test."""
    bench = GanacheBench(deployed)
    snapshot = bench.rpc("evm_snapshot")
    yield deployed
    bench.release()
    assert bench.rpc("evm_revert", snapshot)


@pytest.fixture
def ganache(market: Marketplace) -> GanacheBench:
    return GanacheBench(market)


@pytest.fixture(params=["null", "ganache"])
def bench(request: pytest.FixtureRequest) -> Bench:
    """The same test on both sides of the seam."""
    if request.param == "null":
        return NullBench()
    return GanacheBench(request.getfixturevalue("market"))


@pytest.fixture
def server() -> Iterator[RpcServer]:
    """A node that says what the test tells it to."""
    with RpcServer() as running:
        yield running

"""The deployment file, and the proof that the chain behind the URL is its chain (S5)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tallystick.chain.deployment import Deployment
from tallystick.chain.marketplace import Marketplace
from tallystick.devnet import marketplace as devnet
from tallystick.errors import ContractMissing, DeploymentMismatch, DeploymentMissing, WrongChain

from tests.support.ports import free_port

from .bench import STRANGER, GanacheBench


@pytest.fixture
def content(deployed: Marketplace, deployment_file: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(deployment_file.read_text())
    return loaded


def written(folder: Path, content: object) -> Path:
    path = folder / "deployment.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


# ---- load -------------------------------------------------------------------------------------------------------------


def test_load_of_what_deploy_wrote(deployed: Marketplace, deployment_file: Path) -> None:
    deployment = Deployment.load(deployment_file)
    assert deployment == deployed.deployment
    assert deployment.chain_id == 1337
    assert deployment.domain.escrow == deployment.escrow.address
    assert deployment.first_block == min(deployment.escrow.block, deployment.registry.block) > 0


def test_load_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    with pytest.raises(DeploymentMissing, match="TALLYSTICK_DEPLOYMENT_FILE") as refused:
        Deployment.load(path)
    assert refused.value.details == {"path": str(path)}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '"text"', "\x00", "{}", '{"v": 1}', '{"v": 1, "contracts": []}']
)
def test_load_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DeploymentMismatch, match="can't be used"):
        Deployment.load(written(tmp_path, text))


def test_load_of_bytes_that_are_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "deployment.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DeploymentMismatch, match="can't be used"):
        Deployment.load(tmp_path / "deployment.json")


def test_load_of_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeploymentMismatch, match="can't be used"):
        Deployment.load(tmp_path)


def test_load_of_another_version_is_refused(tmp_path: Path, content: dict[str, Any]) -> None:
    with pytest.raises(DeploymentMismatch, match="unknown version 2"):
        Deployment.load(written(tmp_path, {**content, "v": 2}))


@pytest.mark.parametrize("name", ["escrow", "registry"])
def test_load_with_another_abi_is_refused(tmp_path: Path, content: dict[str, Any], name: str) -> None:
    """F6: software and contracts of different versions don't talk past each other."""
    content["contracts"][name]["abi_hash"] = "0x" + "11" * 32
    with pytest.raises(DeploymentMismatch, match=f"The {name} in .* another version") as refused:
        Deployment.load(written(tmp_path, content))
    assert refused.value.details["actual"] == "0x" + "11" * 32


BROKEN_FIELDS: dict[str, tuple[str, Any]] = {
    "address too short": ("address", "0x5b18"),
    "address with a wrong checksum": ("address", "0x5b1869D9A4C187F2EAa108f3062412ecf0526B24"),
    "block as text that is no number": ("block", "two"),
    "negative block": ("block", -1),
    "hash too short": ("block_hash", "0x11"),
    "hash that is no hex": ("code_hash", "zz" * 32),
    "hash that is null": ("abi_hash", None),
}


@pytest.mark.parametrize("case", BROKEN_FIELDS)
def test_load_with_a_broken_field_is_refused(tmp_path: Path, content: dict[str, Any], case: str) -> None:
    key, value = BROKEN_FIELDS[case]
    content["contracts"]["escrow"][key] = value
    with pytest.raises(DeploymentMismatch, match="can't be used"):
        Deployment.load(written(tmp_path, content))


@pytest.mark.parametrize("key", ["address", "block", "block_hash", "transaction", "code_hash", "abi_hash"])
def test_load_with_a_missing_field_is_refused(tmp_path: Path, content: dict[str, Any], key: str) -> None:
    del content["contracts"]["registry"][key]
    with pytest.raises(DeploymentMismatch, match=key):
        Deployment.load(written(tmp_path, content))


# ---- verify -----------------------------------------------------------------------------------------------------------


@contextmanager
def of(market: Marketplace, change: Callable[[Deployment], Deployment]) -> Iterator[Marketplace]:
    """The same node, seen with another deployment."""
    other = Marketplace(market.url, change(market.deployment))
    yield other
    other.close()


def with_escrow(**changes: Any) -> Callable[[Deployment], Deployment]:
    return lambda deployment: replace(deployment, escrow=replace(deployment.escrow, **changes))


def test_verify_of_the_deployed_contracts_is_silent(market: Marketplace) -> None:
    market.verify()


def test_verify_on_another_chain_id_is_refused(market: Marketplace) -> None:
    with of(market, lambda deployment: replace(deployment, chain_id=1)) as other, pytest.raises(WrongChain) as refused:
        other.verify()
    assert refused.value.details == {"actual": 1337, "expected": 1}


def test_verify_with_another_genesis_is_refused(market: Marketplace) -> None:
    """S5, B11"""
    with (
        of(market, lambda deployment: replace(deployment, genesis_hash=bytes(32))) as other,
        pytest.raises(DeploymentMismatch) as refused,
    ):
        other.verify()
    assert refused.value.details["block"] == 0


@pytest.mark.parametrize("question", [Marketplace.verify, Marketplace.verify_history])
def test_verify_with_another_block_hash_is_refused(
    market: Marketplace, question: Callable[[Marketplace], None]
) -> None:
    """S5: a chain that was rewritten between genesis and now is another chain."""
    with of(market, with_escrow(block_hash=bytes(32))) as other, pytest.raises(DeploymentMismatch) as refused:
        question(other)
    assert refused.value.details["block"] == market.deployment.escrow.block


def test_verify_history_on_a_chain_that_is_too_short_is_refused(market: Marketplace) -> None:
    """S5: after a reset the block of the deployment is not there at all."""
    with of(market, with_escrow(block=10**9)) as other, pytest.raises(DeploymentMismatch) as refused:
        other.verify_history()
    assert refused.value.details["actual"] is None


def test_verify_without_code_at_the_address_is_refused(market: Marketplace) -> None:
    with of(market, with_escrow(address=STRANGER.address)) as other, pytest.raises(ContractMissing) as refused:
        other.verify()
    assert refused.value.details == {"address": STRANGER.address}


def test_verify_with_other_code_at_the_address_is_refused(market: Marketplace) -> None:
    with (
        of(market, with_escrow(address=market.deployment.registry.address)) as other,
        pytest.raises(DeploymentMismatch, match="Don't send anything there") as refused,
    ):
        other.verify()
    assert refused.value.details["address"] == market.deployment.registry.address


def test_verify_history_on_a_chain_that_was_reset_is_refused(market: Marketplace, tmp_path: Path) -> None:
    """S5, B11: a second chain with the same id and the same keys behind the URL, as after a restart of the node."""
    port = free_port()
    process = devnet.start_chain(devnet.Checkout.find(), port, tmp_path / "chain.log")
    try:
        moved = Marketplace(f"http://127.0.0.1:{port}", market.deployment)
        GanacheBench(moved).mine(market.deployment.escrow.block)
        with pytest.raises(DeploymentMismatch) as refused:
            moved.verify_history()
        moved.close()
    finally:
        process.stop()
    # Ganache's genesis is always the same: it is the block of the deployment that tells.
    assert refused.value.details["block"] == market.deployment.escrow.block
    assert refused.value.details["actual"] is not None


def test_call_state_before_the_deployment_is_all_zero(ganache: GanacheBench) -> None:
    """No contract stood there yet, so nothing can have been opened, and the node isn't asked what it can't answer."""
    state = ganache.market.call_state(bytes(32), ganache.market.head().number + 1)
    assert (state.amount, state.deadline) == (0, 0)

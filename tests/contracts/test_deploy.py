"""scripts/deploy.py on the running chain, as a user runs it, and the ABIs that the Python package carries."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import contractkit as kit
import pytest
from brownie import Escrow, EscrowLens, accounts, web3

# An account of the chain's mnemonic, which is public: known to everybody, never to hold anything elsewhere.
KEY = "0x6cbed15c793ce57650b9877cf6fa156fbef513c4e6134f022a85b1ffdd59b2a1"
POOR_KEY = "0x" + "11" * 32
ABI_FOLDER = kit.ROOT / "backend" / "tallystick" / "chain" / "abi"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deployments" / "chain.json"


@pytest.fixture
def deploy(file: Path, tmp_path: Path) -> Run:
    """Run the script with this environment on top."""

    def run(**settings: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TALLYSTICK_")}
        environment |= {
            "TALLYSTICK_RPC_URL": web3.provider.endpoint_uri,
            "TALLYSTICK_BROWNIE_HOME": str(tmp_path / "home"),
            "TALLYSTICK_DEPLOYMENT_FILE": str(file),
        }
        command = [str(kit.ROOT / "scripts" / "brownie.sh"), "run", "deploy", "--network", "tallystick"]
        return subprocess.run(command, env=environment | settings, capture_output=True, text=True, timeout=120)

    return run


def assert_deployed(deployment: dict[str, Any], sender: str, administrator: str) -> None:
    """Everything in a deployment file is what the chain says."""
    assert deployment.keys() == {"v", "chain_id", "genesis_hash", "contracts"}
    assert (deployment["v"], deployment["chain_id"]) == (1, 1337)
    assert deployment["genesis_hash"] == "0x" + bytes(web3.eth.get_block(0)["hash"]).hex()
    names = {
        "escrow": "Escrow",
        "registry": "ListingRegistry",
        "lens": "EscrowLens",
        "credit_plans": "CreditPlans",
    }
    assert deployment["contracts"].keys() == names.keys()
    for key, name in names.items():
        contract = deployment["contracts"][key]
        receipt = web3.eth.get_transaction_receipt(contract["transaction"])
        abi = json.dumps(kit.abi_of(name), sort_keys=True, separators=(",", ":"))
        assert contract == {
            "address": receipt["contractAddress"],
            "block": receipt["blockNumber"],
            "block_hash": "0x" + bytes(receipt["blockHash"]).hex(),
            "transaction": "0x" + bytes(receipt["transactionHash"]).hex(),
            "code_hash": "0x" + kit.keccak(bytes(web3.eth.get_code(receipt["contractAddress"]))).hex(),
            "abi_hash": "0x" + kit.keccak(abi.encode()).hex(),
        }
        assert receipt["from"] == sender
    addresses = {key: contract["address"] for key, contract in deployment["contracts"].items()}
    escrow = Escrow.at(addresses["escrow"])
    assert kit.view(escrow.registry) == addresses["registry"]
    assert kit.view(escrow.owner) == administrator
    assert bytes.fromhex(addresses["credit_plans"][2:]) in bytes(web3.eth.get_code(addresses["escrow"]))
    assert kit.view(EscrowLens.at(addresses["lens"]).escrow) == addresses["escrow"]


def test_deploy_from_the_first_account(deploy: Run, file: Path) -> None:
    done = deploy()
    assert done.returncode == 0, done.stderr
    assert_deployed(json.loads(file.read_text()), accounts[0].address, accounts[0].address)
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr == ""
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_deploy_with_a_key_and_an_administrator(deploy: Run, file: Path) -> None:
    done = deploy(TALLYSTICK_DEPLOYER_KEY=KEY, TALLYSTICK_ADMINISTRATOR=accounts[7].address.lower())
    assert done.returncode == 0, done.stderr
    assert_deployed(json.loads(file.read_text()), accounts[1].address, accounts[7].address)
    assert KEY[2:] not in done.stdout + done.stderr


def test_deploy_again_names_what_it_replaces(deploy: Run, file: Path) -> None:
    first = deploy()
    assert "replaced" not in first.stdout
    replaced = json.loads(file.read_text())["contracts"]["escrow"]["address"]
    second = deploy()
    assert second.returncode == 0, second.stderr
    assert f"replaced the deployment with escrow {replaced}" in second.stdout
    assert json.loads(file.read_text())["contracts"]["escrow"]["address"] != replaced


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"TALLYSTICK_DEPLOYER_KEY": KEY[:-2]}, "is not a private key"),
        ({"TALLYSTICK_DEPLOYER_KEY": POOR_KEY}, "has 0 wei"),
        ({"TALLYSTICK_ADMINISTRATOR": "0x00"}, "is not an address"),
        ({"TALLYSTICK_ADMINISTRATOR": kit.NATIVE}, "is not an address"),
        ({"TALLYSTICK_RPC_URL": f"http://127.0.0.1:1/{KEY[2:-2]}"}, "no chain answers at 127.0.0.1:1;"),
        ({"TALLYSTICK_DEPLOYMENT_FILE": "/dev/null/chain.json"}, "/dev/null"),
    ],
    ids=["no key", "no money", "no address", "nobody", "no chain", "no folder"],
)
def test_deploy_that_fails(deploy: Run, file: Path, settings: dict[str, str], reason: str) -> None:
    """S7: one line that says why; nothing is sent, and the file that was there stays."""
    file.parent.mkdir()
    file.write_text("what was there before")
    before = kit.world()
    done = deploy(**settings)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("deploy: ")
    assert reason in line
    assert "Traceback" not in done.stdout
    assert KEY[2:-2] not in done.stdout + done.stderr
    assert file.read_text() == "what was there before"
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert kit.world() == before


@pytest.mark.parametrize("name", ["Escrow", "EscrowLens", "ListingRegistry"])
def test_exported_abi_is_the_compiled_one(name: str) -> None:
    """The Python package never imports Brownie; run scripts/export_abi.py where this fails."""
    exported = (ABI_FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert exported == json.dumps(kit.abi_of(name), indent=2, sort_keys=True) + "\n"

"""Where the contracts are, and the proof that the chain behind the RPC URL is the one that they were deployed on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_hash.auto import keccak
from web3 import Web3
from web3.exceptions import BlockNotFound
from web3.types import BlockIdentifier

from tallystick.chain.abi import ABI_HASHES
from tallystick.errors import ContractMissing, DeploymentMismatch, DeploymentMissing, NotJson, WrongChain
from tallystick.protocol.canonical import parse_json
from tallystick.protocol.encoding import Domain
from tallystick.protocol.hexes import checksum_address, from_decimal, from_hex, from_object, to_hex

DEPLOYMENT_VERSION = 1
CONTRACTS = ("escrow", "registry", "lens", "credit_plans")
"""Names in a deployment file."""


@dataclass(frozen=True)
class DeployedContract:
    """One contract as deployed; hashes are 32 bytes, `block` is the one it was created in.

    `abi_hash` is compared where this software knows the ABI: not for a library, which nobody calls.
    """

    address: str
    block: int
    block_hash: bytes
    transaction: bytes
    code_hash: bytes
    abi_hash: bytes

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> DeployedContract:
        return cls(
            checksum_address(value["address"]),
            from_decimal(value["block"], 64),
            *(from_hex(value[key], 32) for key in ("block_hash", "transaction", "code_hash", "abi_hash")),
        )


@dataclass(frozen=True)
class Deployment:
    """A deployment file's content: written by scripts/deploy.py, read by everything else."""

    chain_id: int
    genesis_hash: bytes
    escrow: DeployedContract
    registry: DeployedContract
    lens: DeployedContract
    credit_plans: DeployedContract
    """The library that the escrow is linked with."""

    @property
    def domain(self) -> Domain:
        return Domain(self.chain_id, self.escrow.address)

    @property
    def first_block(self) -> int:
        """The earliest block that can hold an event of ours."""
        return min(self.escrow.block, self.registry.block)

    def contracts(self) -> dict[str, DeployedContract]:
        """By their names in the file."""
        return {name: getattr(self, name) for name in CONTRACTS}

    def emitting(self) -> dict[str, DeployedContract]:
        """Those that have events."""
        return {"escrow": self.escrow, "registry": self.registry}

    @classmethod
    def load(cls, path: Path) -> Deployment:
        """Raises DeploymentMissing where there is no such file, DeploymentMismatch where it is not ours or not current."""
        try:
            value = from_object(parse_json(path.read_bytes()))
            if value["v"] != DEPLOYMENT_VERSION:
                raise ValueError(f"unknown version {value['v']!r}")
            contracts = {name: DeployedContract.from_dict(value["contracts"][name]) for name in CONTRACTS}
            deployment = cls(
                from_decimal(value["chain_id"], 64),
                from_hex(value["genesis_hash"], 32),
                **contracts,
            )
        except FileNotFoundError:
            raise DeploymentMissing(
                f"There is no deployment file at {path}. Deploy with `tallystick up`, or name the file of the "
                "marketplace you mean with TALLYSTICK_DEPLOYMENT_FILE.",
                path=str(path),
            ) from None
        except (NotJson, ValueError, KeyError, TypeError, OSError) as error:
            raise DeploymentMismatch(
                f"The deployment file {path} can't be used: {error!r}. Deploy again, or fetch the file anew.",
                path=str(path),
            ) from error
        for name, known in ABI_HASHES.items():
            actual = contracts[name].abi_hash
            if actual != known:
                raise DeploymentMismatch(
                    f"The {name} in {path} was deployed from another version of the contracts than this software "
                    "knows. Use the software of that version, or deploy again.",
                    actual=to_hex(actual),
                    expected=to_hex(known),
                )
        return deployment


def verify_deployment(web3: Web3, deployment: Deployment) -> None:
    """Check the chain against the deployment: id, genesis, the contracts' blocks and code.

    Raises WrongChain, ContractMissing or DeploymentMismatch. A chain that was reset behind the same address has another
    genesis or creation block, even where the new contracts landed at the old addresses.
    """
    actual = web3.eth.chain_id
    if actual != deployment.chain_id:
        raise WrongChain(
            f"The node serves chain {actual}, but the contracts were deployed on chain {deployment.chain_id}. "
            "Point TALLYSTICK_RPC_URL at the right chain.",
            actual=actual,
            expected=deployment.chain_id,
        )
    _verify_block(web3, 0, deployment.genesis_hash)
    verify_history(web3, deployment)
    for name, contract in deployment.contracts().items():
        code = bytes(web3.eth.get_code(Web3.to_checksum_address(contract.address)))
        if not code:
            raise ContractMissing(
                f"There is no contract at {contract.address}, where the {name} should be. The chain was reset or is "
                "another one; deploy again.",
                address=contract.address,
            )
        if keccak(code) != contract.code_hash:
            raise DeploymentMismatch(
                f"The code at {contract.address} is not the {name} that was deployed. Don't send anything there; "
                "check the deployment file.",
                address=contract.address,
                actual=to_hex(keccak(code)),
                expected=to_hex(contract.code_hash),
            )


def verify_history(web3: Web3, deployment: Deployment) -> None:
    """The cheap part, for every admission: the escrow's creation block, and so every block before it, is still the same."""
    _verify_block(web3, deployment.escrow.block, deployment.escrow.block_hash)


def _verify_block(web3: Web3, number: int, expected: bytes) -> None:
    actual = _block_hash(web3, number)
    if actual != expected:
        raise DeploymentMismatch(
            f"Block {number} is not the one that the deployment file names: the chain was reset or rewritten behind the "
            "same address. Nothing is served on it; deploy again.",
            block=number,
            actual=to_hex(actual) if actual else None,
            expected=to_hex(expected),
        )


def _block_hash(web3: Web3, number: BlockIdentifier) -> bytes | None:
    try:
        return bytes(web3.eth.get_block(number)["hash"])
    except BlockNotFound:
        return None

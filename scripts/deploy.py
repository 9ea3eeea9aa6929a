"""Deploy the catalogue, the escrow and its lens to a running chain, and write the deployment file that everything else reads.

    TALLYSTICK_RPC_URL=http://127.0.0.1:8545 scripts/brownie.sh run deploy --network tallystick

TALLYSTICK_DEPLOYER_KEY        private key that pays; without it the chain's own unlocked account 0 does
TALLYSTICK_ADMINISTRATOR       who may pause the escrow; without it whoever deploys
TALLYSTICK_DEPLOYMENT_FILE     where to write; without it deployments/<chain id>.json
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import brownie
from web3 import Web3
from web3.exceptions import ContractLogicError, TimeExhausted, Web3Exception
from web3.middleware import ExtraDataToPOAMiddleware

ROOT = Path(__file__).resolve().parent.parent
COMPILED = ROOT / "build" / "brownie" / "contracts"
RECEIPT_TIMEOUT = 300
"""Seconds to wait until a transaction is mined."""

FALLBACK_TIP = 10**9
"""Wei per gas for the miner where the chain names none."""

# Not Brownie's own `web3`: that one keeps contract code on disk per chain id, and so would show what stood at an address
# on another chain with this id.
web3: Any = Web3(brownie.web3.provider)
web3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)


class DeployError(Exception):
    """The message says what happened and what to do."""


def main() -> None:
    try:
        _deploy()
    except DeployError as error:
        _fail(str(error))
    except OSError as error:
        # Of a connection only its kind: the text has the URL, and a URL can hold an access key.
        _fail(f"{error.strerror}: {error.filename}" if error.filename else f"{_no_chain()} ({type(error).__name__})")
    except (Web3Exception, ValueError) as error:
        _fail(f"{type(error).__name__}: {error}")


def _deploy() -> None:
    if not web3.is_connected():
        raise DeployError(_no_chain())
    path = _deployment_file()
    _require_writable(path.parent)
    sender, send = _deployer()
    administrator = _administrator(sender)

    registry = _create("ListingRegistry", [], sender, send)
    credit_plans = _create("CreditPlans", [], sender, send)
    libraries = {"CreditPlans": credit_plans["address"]}
    escrow = _create("Escrow", [registry["address"], administrator], sender, send, libraries)
    lens = _create("EscrowLens", [escrow["address"]], sender, send)
    deployment: dict[str, Any] = {
        "v": 1,
        "chain_id": web3.eth.chain_id,
        "genesis_hash": _hex(web3.eth.get_block(0)["hash"]),
        "contracts": {"escrow": escrow, "registry": registry, "lens": lens, "credit_plans": credit_plans},
    }
    replaced = _escrow_of_this_chain(path, deployment["genesis_hash"])
    _write_atomically(path, json.dumps(deployment, indent=2, sort_keys=True) + "\n")

    print(f"Registry       {registry['address']}  block {registry['block']}")
    print(f"Escrow         {escrow['address']}  block {escrow['block']}")
    print(f"Lens           {lens['address']}  block {lens['block']}")
    print(f"Administrator  {administrator}")
    print(f"Written to     {path}")
    if replaced:
        print(f"This replaced the deployment with escrow {replaced}; what that one owes stays withdrawable there.")


def _no_chain() -> str:
    host = urlsplit(web3.provider.endpoint_uri).netloc.rpartition("@")[2]
    return f"no chain answers at {host}; start one, or set TALLYSTICK_RPC_URL."


def _deployment_file() -> Path:
    named = os.environ.get("TALLYSTICK_DEPLOYMENT_FILE")
    return Path(named) if named else ROOT / "deployments" / f"{web3.eth.chain_id}.json"


def _require_writable(folder: Path) -> None:
    """Before anything is sent: contracts that no file names would be lost."""
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise DeployError(f"{folder} is not writable; set TALLYSTICK_DEPLOYMENT_FILE to a place that is.")


def _deployer() -> tuple[str, Callable[[dict[str, Any]], bytes]]:
    """Who pays, and how a transaction of theirs is sent."""
    key = os.environ.get("TALLYSTICK_DEPLOYER_KEY")
    if not key:
        accounts = web3.eth.accounts
        if not accounts:
            raise DeployError(
                "this chain has no unlocked account; set TALLYSTICK_DEPLOYER_KEY to a funded private key."
            )
        return accounts[0], web3.eth.send_transaction
    try:
        account = web3.eth.account.from_key(key)
    except Exception:  # its kinds vary and its text can hold the key
        raise DeployError("TALLYSTICK_DEPLOYER_KEY is not a private key: 32 bytes as hex are needed.") from None

    def send(transaction: dict[str, Any]) -> bytes:
        return bytes(web3.eth.send_raw_transaction(account.sign_transaction(transaction).raw_transaction))

    return account.address, send


def _administrator(deployer: str) -> str:
    named = os.environ.get("TALLYSTICK_ADMINISTRATOR") or deployer
    if not web3.is_address(named) or not int(named, 16):
        raise DeployError("TALLYSTICK_ADMINISTRATOR is not an address: 20 bytes as 0x-prefixed hex, not all zero.")
    return str(web3.to_checksum_address(named))


def _create(
    name: str,
    arguments: list[str],
    sender: str,
    send: Callable[[dict[str, Any]], bytes],
    libraries: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Create a contract from addresses, wait until it is mined, and describe it. `libraries` are linked, by name.

    Not `account.deploy`: a thread of Brownie's then fails to note the contract in Brownie's own database, with a
    traceback on the terminal, and it waits for ever for a transaction that is never mined.
    """
    try:
        transaction = _with_gas({"from": sender, "data": _creation_code(name, libraries or {}) + _words(arguments)})
    except ContractLogicError as error:
        raise DeployError(f"{name} refuses to be created: {error.message}. Nothing was sent.") from None
    balance = web3.eth.get_balance(sender)
    most = transaction["gas"] * transaction.get("maxFeePerGas", transaction.get("gasPrice", 0))
    if balance < most:
        raise DeployError(f"{sender} has {balance} wei, {name} may cost {most} wei; send it the difference.")
    transaction_hash = _hex(send(transaction))
    try:
        receipt = web3.eth.wait_for_transaction_receipt(transaction_hash, timeout=RECEIPT_TIMEOUT)
    except TimeExhausted:
        raise DeployError(
            f"{name} was sent as {transaction_hash} but is not mined after {RECEIPT_TIMEOUT} s. It may still be: "
            "look the transaction up before deploying again."
        ) from None
    code = web3.eth.get_code(receipt["contractAddress"])
    if receipt["status"] != 1 or not code:
        raise DeployError(
            f"creating {name} failed in transaction {transaction_hash}; it cost gas, nothing else changed."
        )
    return {
        "address": receipt["contractAddress"],
        "block": receipt["blockNumber"],
        "block_hash": _hex(receipt["blockHash"]),
        "transaction": transaction_hash,
        "code_hash": _hex(web3.keccak(code)),
        "abi_hash": _abi_hash(name),
    }


def _creation_code(name: str, libraries: Mapping[str, str]) -> str:
    code = str(_compiled(name)["bytecode"])
    for library, address in libraries.items():
        code = code.replace(f"__{library}".ljust(40, "_"), address[2:].lower())
    if "_" in code:
        raise DeployError(f"{name} needs a library that is not deployed; this script does not fit the contracts.")
    return "0x" + code


def _words(addresses: list[str]) -> str:
    """The constructor's arguments as the ABI encodes them: all of them are addresses."""
    return "".join(address[2:].lower().rjust(64, "0") for address in addresses)


def _compiled(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((COMPILED / f"{name}.json").read_text(encoding="utf-8"))
    return found


def _with_gas(transaction: dict[str, Any]) -> dict[str, Any]:
    """Nonce, gas limit and fees. The base fee may double before the transaction is mined."""
    transaction["chainId"] = web3.eth.chain_id
    transaction["nonce"] = web3.eth.get_transaction_count(transaction["from"], "pending")
    transaction["gas"] = web3.eth.estimate_gas(transaction) * 11 // 10
    base_fee = web3.eth.get_block("latest").get("baseFeePerGas")
    if base_fee is None:
        transaction["gasPrice"] = web3.eth.gas_price
        return transaction
    tip = _tip()
    transaction["maxPriorityFeePerGas"] = tip
    transaction["maxFeePerGas"] = 2 * base_fee + tip
    return transaction


def _tip() -> int:
    try:
        return int(web3.eth.max_priority_fee)
    except Web3Exception:  # not every chain answers it
        return FALLBACK_TIP


def _abi_hash(name: str) -> str:
    """keccak256 of the RFC 8785 form of the compiled ABI.

    An ABI holds ASCII strings, booleans, arrays and objects only; for these, sorted keys without white space are that
    form, and Brownie's environment needs no further package.
    """
    abi = _compiled(name)["abi"]
    return _hex(web3.keccak(json.dumps(abi, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()))


def _escrow_of_this_chain(path: Path, genesis_hash: str) -> str | None:
    """The escrow that the deployment file names so far, unless it is of another chain or can't be read."""
    try:
        deployment = json.loads(path.read_text(encoding="utf-8"))
        return str(deployment["contracts"]["escrow"]["address"]) if deployment["genesis_hash"] == genesis_hash else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_atomically(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _hex(value: bytes | str) -> str:
    return value if isinstance(value, str) else "0x" + bytes(value).hex()


def _fail(message: str) -> NoReturn:
    """One line on standard error, and exit code 1."""
    print(f"deploy: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(1)

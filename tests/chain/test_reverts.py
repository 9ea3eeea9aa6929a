"""Typed contract errors: each has advice, and each comes out of revert data as the ABI writes it (S7)."""

from __future__ import annotations

from typing import Any

import pytest
from eth_hash.auto import keccak
from tallystick.chain.abi import ABIS, CODEC, canonical_type
from tallystick.chain.reverts import ADVICE, decode_revert, refusal_of
from web3.exceptions import ContractCustomError, ContractLogicError, ContractPanicError, Web3RPCError, Web3ValueError

ERRORS: dict[str, dict[str, Any]] = {
    entry["name"]: entry for abi in ABIS.values() for entry in abi if entry["type"] == "error"
}
OURS = sorted(name for name in ERRORS if name.startswith(("Escrow_", "Registry_")))
SAMPLES: dict[str, tuple[Any, str | bool]] = {
    "address": ("0x" + "ab" * 20, "0x" + "ab" * 20),
    "bytes32": (b"\x07" * 32, "0x" + "07" * 32),
    "bool": (True, True),
    "string": ("text", "text"),
}


def sample(kind: str) -> tuple[Any, str | bool]:
    """A value of an ABI type, and how it is told."""
    return SAMPLES.get(kind, (7, "7"))


def revert_data(entry: dict[str, Any], values: list[Any]) -> bytes:
    types = [canonical_type(parameter) for parameter in entry["inputs"]]
    return keccak(f"{entry['name']}({','.join(types)})".encode())[:4] + CODEC.encode(types, values)


def test_advice_covers_every_error_of_ours() -> None:
    assert OURS
    assert [name for name in OURS if not ADVICE.get(name)] == []


def test_advice_names_no_error_that_the_contracts_do_not_have() -> None:
    assert sorted(set(ADVICE) - set(ERRORS)) == []


def test_advice_covers_openzeppelin_errors_of_the_functions_that_users_call() -> None:
    assert {"EnforcedPause", "ExpectedPause", "OwnableUnauthorizedAccount", "ReentrancyGuardReentrantCall"} <= set(
        ADVICE
    )


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_decode_revert_of_each_error_names_its_arguments(name: str) -> None:
    entry = ERRORS[name]
    samples = [sample(canonical_type(parameter)) for parameter in entry["inputs"]]
    refusal = decode_revert(revert_data(entry, [value for value, _ in samples]))
    assert refusal is not None
    assert refusal.name == name
    expected = {parameter["name"]: told for parameter, (_, told) in zip(entry["inputs"], samples, strict=True)}
    assert refusal.arguments == expected
    assert refusal.details == {"contract_error": name, **expected}
    assert refusal.message.startswith(f"{name}(")
    assert refusal.message.endswith(ADVICE.get(name, "."))


@pytest.mark.parametrize("prefix", ["0x", ""])
def test_decode_revert_reads_hex_as_well_as_bytes(prefix: str) -> None:
    data = revert_data(ERRORS["Escrow_EmptyResult"], [])
    refusal = decode_revert(prefix + data.hex())
    assert refusal is not None
    assert refusal.name == "Escrow_EmptyResult"


@pytest.mark.parametrize("data", [None, "", b"", "0x", "0x12", "no hex", b"\x08\xc3\x79\xa0" + bytes(64), {}, [], 1.5])
def test_decode_revert_of_anything_else_is_none(data: Any) -> None:
    assert decode_revert(data) is None


def test_decode_revert_of_truncated_arguments_is_none() -> None:
    data = revert_data(ERRORS["Escrow_WrongValue"], [1, 2])
    assert decode_revert(data[:-1]) is None


def test_refusal_of_custom_error_decodes_it() -> None:
    data = revert_data(ERRORS["Escrow_WrongValue"], [1, 2])
    refusal = refusal_of(ContractCustomError("0x" + data.hex(), data="0x" + data.hex()))
    assert refusal is not None
    assert (refusal.name, refusal.arguments) == ("Escrow_WrongValue", {"actual": "1", "expected": "2"})


@pytest.mark.parametrize(
    "error",
    [
        ContractCustomError("0xdeadbeef", data="0xdeadbeef"),
        ContractLogicError("execution reverted: some words", data="0x08c379a0"),
        ContractLogicError("execution reverted", data=None),
        ContractPanicError("Panic error 0x11", data="0x4e487b71"),
    ],
)
def test_refusal_of_another_revert_is_untyped(error: ContractLogicError) -> None:
    refusal = refusal_of(error)
    assert refusal is not None
    assert (refusal.name, refusal.arguments) == ("", {})
    assert "without saying why" in refusal.message


@pytest.mark.parametrize(
    "error",
    [
        Web3ValueError("not a revert"),
        Web3RPCError("header not found", rpc_response=None),
        Web3RPCError("nonce too low", rpc_response={"error": {"message": "nonce too low"}}),  # type: ignore[typeddict-item]
        Web3RPCError("known", rpc_response={"error": {"message": "m", "data": "0x" + "99" * 32}}),  # type: ignore[typeddict-item]
        Web3RPCError("odd", rpc_response={"error": "text"}),  # type: ignore[typeddict-item]
    ],
)
def test_refusal_of_what_is_no_revert_is_none(error: Exception) -> None:
    assert refusal_of(error) is None  # type: ignore[arg-type]

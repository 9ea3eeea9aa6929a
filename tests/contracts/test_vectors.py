"""The golden vectors in Solidity (rule E5). Python and JavaScript check the same file."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import contractkit as kit
import pytest
from brownie import VectorsHarness, accounts, web3

VECTORS: dict[str, Any] = json.loads((kit.ROOT / "tests" / "vectors" / "protocol.json").read_text(encoding="utf-8"))
MODES = ["direct", "channel", "key", "credits"]


def each(section: str) -> Callable[[Any], Any]:
    vectors = VECTORS[section]
    assert len(vectors) > 1
    return pytest.mark.parametrize("vector", vectors, ids=[vector["name"] for vector in vectors])


def sheet_of(vector: dict[str, Any]) -> kit.PriceSheet:
    prices = vector["prices"]
    rates = ("per_call", "per_thousand_input_tokens", "per_thousand_output_tokens", "per_compute_second")
    return kit.PriceSheet(prices["asset"], *(int(prices[rate]) for rate in rates))


def units_of(units: dict[str, int]) -> kit.Units:
    return kit.Units(units["input_tokens"], units["output_tokens"], units["compute_ms"])


def call_of(call: dict[str, Any]) -> kit.DirectCall:
    return kit.DirectCall(
        call["payer"],
        int(call["listing"]),
        call["revision"],
        call["oracle"],
        call["asset"],
        int(call["amount"]),
        call["deadline"],
        call["request_commitment"],
    )


def domain_of(vector: dict[str, Any]) -> tuple[int, str]:
    return vector["domain"]["chain_id"], vector["domain"]["escrow"]


@pytest.fixture(scope="module")
def harness() -> Any:
    return kit.create(VectorsHarness, by=accounts[0])


@pytest.fixture
def escrow_at(escrow: Any) -> Callable[[str], Any]:
    """The escrow's code at an address of a vector: its domain follows the address that it runs at."""

    def place(address: str) -> Any:
        kit.rpc("evm_setAccountCode", address, "0x" + bytes(web3.eth.get_code(escrow.address)).hex())
        return lambda call: (
            "0x"
            + kit.decoded(
                escrow.callIdOf.abi["outputs"],
                bytes.fromhex(
                    kit.rpc("eth_call", {"to": address, "data": escrow.callIdOf.encode_input(call)}, "latest")[2:]
                ),
            )[0].hex()
        )

    return place


@each("canonical_json")
def test_canonical_json(harness: Any, vector: dict[str, Any]) -> None:
    """E5: the chain hashes the same bytes to the same value."""
    assert "0x" + kit.view(harness.hashOf, vector["canonical"].encode()).hex() == vector["keccak256"]


@each("manifest_hashes")
def test_manifest_hashes(harness: Any, vector: dict[str, Any]) -> None:
    """E5"""
    assert "0x" + kit.view(harness.hashOf, vector["canonical"].encode()).hex() == vector["hash"]


@pytest.mark.parametrize(
    ("section", "tag", "key"),
    [
        ("request_commitments", "tallystick/request/1", "commitment"),
        ("parameters_hashes", "tallystick/parameters/1", "hash"),
        ("result_hashes", "tallystick/result/1", "hash"),
    ],
)
def test_commitments(harness: Any, section: str, tag: str, key: str) -> None:
    """E5"""
    assert len(VECTORS[section]) > 1
    for vector in VECTORS[section]:
        commitment = kit.view(harness.commitmentOf, tag, vector["salt"], vector["canonical"].encode())
        assert "0x" + commitment.hex() == vector[key], vector["name"]


@each("prices")
def test_prices(harness: Any, vector: dict[str, Any]) -> None:
    """E5, M8"""
    assert kit.view(harness.priceOf, sheet_of(vector), units_of(vector["units"])) == int(vector["price"])


@each("prices")
def test_prices_of_the_lens(lens: Any, registry: Any, owner: Any, oracle: Any, vector: dict[str, Any]) -> None:
    """E5, M8: what a stored revision gives is what the library gives."""
    kit.accepted(registry.publish, kit.RevisionTerms(oracle.address, prices=sheet_of(vector)), by=owner)
    assert kit.view(lens.priceOf, 1, 1, units_of(vector["units"]), 0) == int(vector["price"])


@each("call_ids")
def test_call_ids(harness: Any, vector: dict[str, Any]) -> None:
    """E5"""
    struct_hash = kit.view(harness.structHashOf, call_of(vector["call"]))
    assert "0x" + struct_hash.hex() == vector["struct_hash"]
    assert "0x" + kit.view(harness.digestOf, *domain_of(vector), struct_hash).hex() == vector["call_id"]


@each("call_ids")
def test_call_ids_of_the_escrow(escrow_at: Callable[[str], Any], vector: dict[str, Any]) -> None:
    """E5, S2: the deployed contract gives the vector's id exactly where its chain is the vector's."""
    chain_id, address = domain_of(vector)
    assert (escrow_at(address)(call_of(vector["call"])) == vector["call_id"]) == (chain_id == web3.eth.chain_id)


@each("receipts")
def test_receipts(harness: Any, vector: dict[str, Any]) -> None:
    """E5: the digest, and the signer as the chain recovers it."""
    receipt = vector["receipt"]
    terms = (
        receipt["call_id"],
        MODES.index(receipt["mode"]),
        receipt["payer"],
        receipt["oracle"],
        int(receipt["listing"]),
        receipt["revision"],
        receipt["manifest_hash"],
        receipt["request_commitment"],
        receipt["parameters_hash"],
        receipt["result_hash"],
        *units_of(receipt["units"]),
        receipt["asset"],
        int(receipt["charge"]),
        int(receipt["cumulative_spend"]),
        receipt["issued_at"],
    )
    digest = kit.view(harness.receiptDigestOf, *domain_of(vector), terms)
    assert "0x" + digest.hex() == vector["digest"]
    signature = bytes.fromhex(vector["signature"][2:])
    assert kit.view(harness.signerOf, digest, signature[64], signature[:32], signature[32:64]) == vector["signer"]

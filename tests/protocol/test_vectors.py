"""The golden vectors in Python (rule E5). JavaScript and Solidity check the same file."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from coincurve import PrivateKey
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_hash.auto import keccak
from tallystick.protocol.calls import DirectCall
from tallystick.protocol.canonical import canonical_bytes, parse_json
from tallystick.protocol.commitments import manifest_hash, parameters_hash, request_commitment, result_hash
from tallystick.protocol.encoding import Domain
from tallystick.protocol.hexes import from_hex, to_hex
from tallystick.protocol.prices import PriceSheet, Units
from tallystick.protocol.receipts import Receipt, SignedReceipt
from tallystick.protocol.requests import InferenceRequest
from tallystick.protocol.results import on_grid
from tallystick.protocol.signatures import address_of

from .test_calls import typed_data as typed_call
from .test_receipts import typed_data as typed_receipt

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "tests" / "vectors" / "protocol.json"
VECTORS: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))


def each(section: str) -> Callable[[Any], Any]:
    vectors = VECTORS[section]
    assert len(vectors) > 1
    return pytest.mark.parametrize("vector", vectors, ids=[vector["name"] for vector in vectors])


def domain_of(vector: dict[str, Any]) -> Domain:
    return Domain(vector["domain"]["chain_id"], vector["domain"]["escrow"])


def test_vectors_are_what_the_script_writes() -> None:
    """E5: a change of any hash shows up as a change of the committed file."""
    spec = importlib.util.spec_from_file_location("make_vectors", ROOT / "scripts" / "make_vectors.py")
    assert spec
    assert spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.build() == VECTORS


@each("canonical_json")
def test_canonical_json(vector: dict[str, Any]) -> None:
    """E5"""
    canonical = canonical_bytes(parse_json(vector["text"].encode()))
    assert canonical.decode() == vector["canonical"]
    assert to_hex(keccak(canonical)) == vector["keccak256"]


@each("request_commitments")
def test_request_commitments(vector: dict[str, Any]) -> None:
    """E5"""
    canonical = InferenceRequest.from_dict(vector["request"]).canonical()
    assert canonical.decode() == vector["canonical"]
    assert to_hex(request_commitment(from_hex(vector["salt"]), canonical)) == vector["commitment"]


@each("parameters_hashes")
def test_parameters_hashes(vector: dict[str, Any]) -> None:
    """E5"""
    canonical = canonical_bytes(vector["parameters"])
    assert canonical.decode() == vector["canonical"]
    assert to_hex(parameters_hash(from_hex(vector["salt"]), canonical)) == vector["hash"]


@each("result_hashes")
def test_result_hashes(vector: dict[str, Any]) -> None:
    """E5"""
    canonical = canonical_bytes(on_grid(vector["result"]))
    assert canonical.decode() == vector["canonical"]
    assert to_hex(result_hash(from_hex(vector["salt"]), canonical)) == vector["hash"]


@each("manifest_hashes")
def test_manifest_hashes(vector: dict[str, Any]) -> None:
    """E5"""
    assert canonical_bytes(vector["manifest"]).decode() == vector["canonical"]
    assert to_hex(manifest_hash(vector["manifest"])) == vector["hash"]


@each("prices")
def test_prices(vector: dict[str, Any]) -> None:
    """E5, M8"""
    price = PriceSheet.from_dict(vector["prices"]).price_of(Units.from_dict(vector["units"]))
    assert str(price) == vector["price"]


@each("call_ids")
def test_call_ids(vector: dict[str, Any]) -> None:
    """E5: by our code and by eth-account's general encoder."""
    call, domain = DirectCall.from_dict(vector["call"]), domain_of(vector)
    generic = encode_typed_data(full_message=typed_call(call, domain))
    assert to_hex(call.struct_hash()) == to_hex(generic.body) == vector["struct_hash"]
    assert to_hex(call.call_id(domain)) == vector["call_id"]
    assert to_hex(keccak(b"\x19\x01" + generic.header + generic.body)) == vector["call_id"]


@each("receipts")
def test_receipts(vector: dict[str, Any]) -> None:
    """E5: by our code and by eth-account's general encoder and signer."""
    receipt, domain = Receipt.from_dict(vector["receipt"]), domain_of(vector)
    key = PrivateKey.from_hex(vector["private_key"][2:])
    assert to_hex(receipt.digest(domain)) == vector["digest"]
    assert to_hex(receipt.signed(domain, key).signature) == vector["signature"]
    assert SignedReceipt(receipt, from_hex(vector["signature"])).signer(domain) == vector["signer"] == address_of(key)
    generic = Account.sign_typed_data(vector["private_key"], full_message=typed_receipt(receipt, domain))
    assert (to_hex(generic.message_hash), to_hex(generic.signature)) == (vector["digest"], vector["signature"])

"""Receipts (rule E3)."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from coincurve import PrivateKey
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given
from tallystick.protocol.calls import Mode
from tallystick.protocol.canonical import canonical_bytes
from tallystick.protocol.encoding import Domain
from tallystick.protocol.prices import Units
from tallystick.protocol.receipts import Receipt, SignedReceipt
from tallystick.protocol.signatures import address_of

from .strategies import assert_read_strictly, domains, keys, receipts
from .test_calls import TYPES as CALL_TYPES

KEY = PrivateKey(b"\7" * 32)
ESCROW = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
PAYER = "0xFFcf8FDEE72ac11b5c542428B35EEF5769C409f0"
DOMAIN = Domain(1337, ESCROW)
RECEIPT = Receipt(
    call_id=b"\1" * 32,
    mode=Mode.DIRECT,
    payer=PAYER,
    oracle=address_of(KEY),
    listing_id=1,
    revision=2,
    manifest_hash=b"\2" * 32,
    request_commitment=b"\3" * 32,
    parameters_hash=b"\4" * 32,
    result_hash=b"\5" * 32,
    units=Units(6, 7, 8),
    asset="0x0000000000000000000000000000000000000000",
    charge=9,
    cumulative_spend=10,
    issued_at=1_800_000_000,
)
OTHERS: dict[str, Any] = {
    "call_id": bytes(32),
    "mode": Mode.KEY,
    "payer": ESCROW,
    "oracle": ESCROW,
    "listing_id": 2,
    "revision": 1,
    "manifest_hash": bytes(32),
    "request_commitment": bytes(32),
    "parameters_hash": bytes(32),
    "result_hash": bytes(32),
    "units": Units(7, 6, 8),
    "asset": ESCROW,
    "charge": 10,
    "cumulative_spend": 9,
    "issued_at": 1_800_000_001,
}
TYPES = {
    "EIP712Domain": CALL_TYPES["EIP712Domain"],
    "Receipt": [
        ("callId", "bytes32"),
        ("mode", "uint8"),
        ("payer", "address"),
        ("oracle", "address"),
        ("listingId", "uint256"),
        ("revision", "uint32"),
        ("manifestHash", "bytes32"),
        ("requestCommitment", "bytes32"),
        ("parametersHash", "bytes32"),
        ("resultHash", "bytes32"),
        ("inputTokens", "uint32"),
        ("outputTokens", "uint32"),
        ("computeMs", "uint32"),
        ("asset", "address"),
        ("charge", "uint128"),
        ("cumulativeSpend", "uint128"),
        ("issuedAt", "uint64"),
    ],
}


def typed_data(receipt: Receipt, domain: Domain) -> dict[str, Any]:
    values: list[Any] = []
    for field in fields(receipt):
        value = getattr(receipt, field.name)
        values += [value.input_tokens, value.output_tokens, value.compute_ms] if field.name == "units" else [value]
    return {
        "types": {
            struct: [{"name": name, "type": kind} for name, kind in members] for struct, members in TYPES.items()
        },
        "domain": {
            "name": "Tallystick",
            "version": "1",
            "chainId": domain.chain_id,
            "verifyingContract": domain.escrow,
        },
        "primaryType": "Receipt",
        "message": dict(zip([name for name, _ in TYPES["Receipt"]], values, strict=True)),
    }


@given(receipts, domains, keys)
def test_signed_as_generic_encoding(receipt: Receipt, domain: Domain, key: PrivateKey) -> None:
    """E5: eth-account's general encoder and signer give the same bytes."""
    signed = Account.sign_typed_data(key.secret, full_message=typed_data(receipt, domain))
    assert receipt.digest(domain) == signed.message_hash
    assert receipt.signed(domain, key).signature == bytes(signed.signature)
    assert encode_typed_data(full_message=typed_data(receipt, domain)).header == domain.separator


@pytest.mark.parametrize("field", [field.name for field in fields(Receipt)])
def test_digest_binds_each_field(field: str) -> None:
    """E3"""
    assert replace(RECEIPT, **{field: OTHERS[field]}).digest(DOMAIN) != RECEIPT.digest(DOMAIN)


@pytest.mark.parametrize("field", [field.name for field in fields(Receipt)])
def test_signer_of_an_altered_receipt(field: str) -> None:
    """E3: neither half can be altered alone."""
    altered = SignedReceipt(replace(RECEIPT, **{field: OTHERS[field]}), RECEIPT.signed(DOMAIN, KEY).signature)
    try:
        signer = altered.signer(DOMAIN)
    except ValueError:
        return
    assert signer != RECEIPT.oracle


def test_signer_of_a_receipt() -> None:
    """E3"""
    assert RECEIPT.signed(DOMAIN, KEY).signer(DOMAIN) == RECEIPT.oracle


@pytest.mark.parametrize("domain", [Domain(1, ESCROW), Domain(1337, PAYER)])
def test_signer_in_another_domain(domain: Domain) -> None:
    """E3: a receipt is of one chain and one escrow."""
    assert RECEIPT.signed(DOMAIN, KEY).signer(domain) != RECEIPT.oracle


@given(receipts, domains, keys)
def test_signed_receipt_round_trip(receipt: Receipt, domain: Domain, key: PrivateKey) -> None:
    signed = receipt.signed(domain, key)
    again = SignedReceipt.from_dict(json.loads(canonical_bytes(signed.to_dict())))
    assert again == signed
    assert again.signer(domain) == address_of(key)


def test_receipt_to_dict_writes_amounts_as_strings() -> None:
    """M8"""
    written = RECEIPT.to_dict()
    assert (written["charge"], written["cumulative_spend"]) == ("9", "10")


@pytest.mark.parametrize(("mode", "name"), [*zip(Mode, ["direct", "channel", "key", "credits"], strict=True)])
def test_receipt_to_dict_names_the_mode(mode: Mode, name: str) -> None:
    written = replace(RECEIPT, mode=mode).to_dict()
    assert written["mode"] == name
    assert Receipt.from_dict(written).mode is mode


@pytest.mark.parametrize("mode", ["DIRECT", "Direct", "", 0, "0", None, ["direct"]])
def test_receipt_from_dict_with_another_mode(mode: Any) -> None:
    with pytest.raises(KeyError):
        Receipt.from_dict({**RECEIPT.to_dict(), "mode": mode})


def test_receipt_from_dict_is_strict() -> None:
    assert_read_strictly(Receipt.from_dict, RECEIPT.to_dict())


def test_receipt_from_dict_of_another_version() -> None:
    with pytest.raises(ValueError, match="unknown receipt version 2"):
        Receipt.from_dict({**RECEIPT.to_dict(), "v": 2})


def test_receipt_from_dict_beyond_exact_integers() -> None:
    """E5: its time is a JSON integer, so it stays where all parsers read the same."""
    last = {**RECEIPT.to_dict(), "issued_at": 2**53 - 1}
    assert canonical_bytes(Receipt.from_dict(last).to_dict())
    with pytest.raises(ValueError, match="out of range"):
        Receipt.from_dict({**last, "issued_at": 2**53})


def test_signed_receipt_from_dict_is_strict() -> None:
    assert_read_strictly(SignedReceipt.from_dict, RECEIPT.signed(DOMAIN, KEY).to_dict())


@pytest.mark.parametrize("size", [0, 64, 66])
def test_signed_receipt_from_dict_with_another_signature(size: int) -> None:
    with pytest.raises(ValueError, match="expected 65 bytes"):
        SignedReceipt.from_dict({"receipt": RECEIPT.to_dict(), "signature": "0x" + "00" * size})

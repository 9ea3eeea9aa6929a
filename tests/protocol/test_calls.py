"""The terms of a direct call, and its id. The contract computes the same ids in tests/contracts/test_vectors.py."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from eth_hash.auto import keccak
from hypothesis import given
from tallystick.protocol.calls import CallStatus, DirectCall, Mode, Outcome
from tallystick.protocol.encoding import Domain
from tallystick.protocol.prices import Units

from .strategies import addresses, assert_read_strictly, calls, domains

ESCROW = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
DOMAIN = Domain(1337, ESCROW)
CALL = DirectCall(
    "0xFFcf8FDEE72ac11b5c542428B35EEF5769C409f0",
    1,
    2,
    "0x90F8bf6A479f320ead074411a4B0e7944Ea8c9C1",
    "0x0000000000000000000000000000000000000000",
    10**15,
    1_800_000_000,
    b"\1" * 32,
)
OTHERS: dict[str, Any] = {
    "payer": ESCROW,
    "listing_id": 2,
    "revision": 1,
    "oracle": ESCROW,
    "asset": ESCROW,
    "amount": 10**15 - 1,
    "deadline": 1_800_000_001,
    "request_commitment": b"\2" * 32,
}
TYPES = {
    "EIP712Domain": [
        ("name", "string"),
        ("version", "string"),
        ("chainId", "uint256"),
        ("verifyingContract", "address"),
    ],
    "DirectCall": [
        ("payer", "address"),
        ("listingId", "uint256"),
        ("revision", "uint32"),
        ("oracle", "address"),
        ("asset", "address"),
        ("amount", "uint128"),
        ("deadline", "uint40"),
        ("requestCommitment", "bytes32"),
    ],
}


def typed_data(call: DirectCall, domain: Domain) -> dict[str, Any]:
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
        "primaryType": "DirectCall",
        "message": dict(zip([name for name, _ in TYPES["DirectCall"]], call.as_tuple(), strict=True)),
    }


@given(calls, domains)
def test_call_id_as_generic_encoding(call: DirectCall, domain: Domain) -> None:
    """E5: our concatenation is EIP-712, as eth-account's general encoder reads the standard."""
    signable = encode_typed_data(full_message=typed_data(call, domain))
    assert call.struct_hash() == signable.body
    assert call.call_id(domain) == keccak(b"\x19\x01" + signable.header + signable.body)


@pytest.mark.parametrize("field", [field.name for field in fields(DirectCall)])
def test_call_id_binds_each_term(field: str) -> None:
    """S2, M2: no term can change under an id."""
    assert replace(CALL, **{field: OTHERS[field]}).call_id(DOMAIN) != CALL.call_id(DOMAIN)


@given(domains, domains)
def test_call_id_is_of_one_chain_and_contract(one: Domain, two: Domain) -> None:
    """S2: no replay on another chain or contract."""
    assert (CALL.call_id(one) == CALL.call_id(two)) == (one == two)


@pytest.mark.parametrize(
    "wrong",
    [
        {"revision": 2**32},
        {"amount": 2**128},
        {"deadline": 2**40},
        {"listing_id": 2**256},
        {"amount": -1},
        {"payer": "0x00"},
        {"request_commitment": b""},
    ],
    ids=repr,
)
def test_struct_hash_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"is not a uint|expected \d+ bytes"):
        replace(CALL, **wrong).struct_hash()


@given(calls)
def test_call_round_trip(call: DirectCall) -> None:
    assert DirectCall.from_dict(json.loads(json.dumps(call.to_dict()))) == call


def test_call_to_dict_writes_amounts_as_strings() -> None:
    """M8"""
    assert CALL.to_dict()["amount"] == "1000000000000000"


def test_call_from_dict_is_strict() -> None:
    assert_read_strictly(DirectCall.from_dict, CALL.to_dict())


@given(addresses)
def test_call_from_dict_writes_one_form_of_an_address(address: str) -> None:
    call = replace(CALL, payer=address)
    assert DirectCall.from_dict({**call.to_dict(), "payer": address.lower()}) == call


def test_modes_in_the_order_of_the_contract() -> None:
    assert [mode.name.title() for mode in sorted(Mode)] == ["Direct", "Channel", "Key", "Credits"]


def test_statuses_in_the_order_of_the_contract() -> None:
    names = [status.name.title() for status in sorted(CallStatus)]
    assert names == ["None", "Open", "Fulfilled", "Declined", "Refunded"]


def test_outcome_as_tuple_in_the_order_of_the_contract() -> None:
    assert Outcome(b"\1" * 32, b"\2" * 32, Units(1, 2, 3), 4).as_tuple() == (b"\1" * 32, b"\2" * 32, (1, 2, 3), 4)

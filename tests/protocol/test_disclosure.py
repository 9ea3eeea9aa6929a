"""Laying one call open (rule E4)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from coincurve import PrivateKey
from hypothesis import given
from tallystick.protocol.canonical import canonical_bytes
from tallystick.protocol.commitments import parameters_hash, request_commitment, result_hash
from tallystick.protocol.disclosure import ArchiveEntry, Disclosure
from tallystick.protocol.receipts import Receipt
from tallystick.protocol.requests import InferenceRequest

from .strategies import assert_read_strictly, json_values, parameters, requests, words
from .test_receipts import DOMAIN, RECEIPT

DISCLOSURE = Disclosure(
    b"\x11" * 32, InferenceRequest("classify", 1, 2, "input", {"top_k": 1}), {"top_k": 1, "seed": 0}, {"label": "good"}
)


def receipt_of(disclosure: Disclosure) -> Receipt:
    return replace(
        RECEIPT,
        request_commitment=request_commitment(disclosure.salt, disclosure.request.canonical()),
        parameters_hash=parameters_hash(disclosure.salt, canonical_bytes(disclosure.parameters)),
        result_hash=result_hash(disclosure.salt, canonical_bytes(disclosure.result)),
    )


@given(words, requests, parameters, json_values)
def test_mismatches_of_a_true_disclosure(
    salt: bytes, request: InferenceRequest, effective: dict[str, Any], result: Any
) -> None:
    """E4: salt and bytes open all three hashes, after a trip through JSON too."""
    disclosure = Disclosure(salt, request, effective, result)
    again = Disclosure.from_dict(json.loads(canonical_bytes(disclosure.to_dict())))
    assert again == disclosure
    assert again.mismatches(receipt_of(disclosure)) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"request": replace(DISCLOSURE.request, input="other")}, ["request_commitment"]),
        ({"parameters": {"top_k": 1, "seed": 1}}, ["parameters_hash"]),
        ({"parameters": {}}, ["parameters_hash"]),
        ({"result": {"label": "bad"}}, ["result_hash"]),
        ({"result": None}, ["result_hash"]),
        ({"salt": b"\x12" * 32}, ["request_commitment", "parameters_hash", "result_hash"]),
    ],
    ids=repr,
)
def test_mismatches_of_a_false_disclosure(change: dict[str, Any], named: list[str]) -> None:
    """E4: nobody can open a call as another."""
    assert replace(DISCLOSURE, **change).mismatches(receipt_of(DISCLOSURE)) == named


def test_disclosure_to_dict_reveals_one_call() -> None:
    """E4"""
    assert DISCLOSURE.to_dict() == {
        "salt": "0x" + "11" * 32,
        "request": DISCLOSURE.request.to_dict(),
        "parameters": {"top_k": 1, "seed": 0},
        "result": {"label": "good"},
    }


def test_disclosure_from_dict_is_strict() -> None:
    assert_read_strictly(Disclosure.from_dict, DISCLOSURE.to_dict(), unread=("result",))


@pytest.mark.parametrize("disclosure", [DISCLOSURE, None])
def test_archive_entry_round_trip(disclosure: Disclosure | None) -> None:
    entry = ArchiveEntry(RECEIPT.signed(DOMAIN, PrivateKey(b"\7" * 32)), disclosure)
    assert ArchiveEntry.from_dict(json.loads(json.dumps(entry.to_dict()))) == entry


def test_archive_entry_without_the_key() -> None:
    entry = ArchiveEntry(RECEIPT.signed(DOMAIN, PrivateKey(b"\7" * 32)), None)
    written = entry.to_dict()
    del written["disclosure"]
    assert ArchiveEntry.from_dict(written) == entry


@pytest.mark.parametrize("wrong", [[], "text", 0, {"salt": "0x"}, False])
def test_archive_entry_with_a_damaged_disclosure(wrong: Any) -> None:
    written = ArchiveEntry(RECEIPT.signed(DOMAIN, PrivateKey(b"\7" * 32)), None).to_dict()
    with pytest.raises((ValueError, KeyError)):
        ArchiveEntry.from_dict({**written, "disclosure": wrong})


@pytest.mark.parametrize("wrong", [None, [], "text", 1])
def test_archive_entry_that_is_no_object(wrong: Any) -> None:
    with pytest.raises(ValueError, match="expected an object"):
        ArchiveEntry.from_dict(wrong)

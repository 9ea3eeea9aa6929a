"""The payer's check of a reply: whatever in it does not hold is found, and named."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tallystick.client.verify import checked_entry
from tallystick.errors import ReceiptInvalid
from tallystick.protocol.calls import Mode
from tallystick.protocol.hexes import from_hex, to_hex
from tallystick.protocol.prices import Units
from tallystick.protocol.receipts import Receipt

from tests.client.evidence import (
    DOMAIN,
    OTHER_KEY,
    PARAMETERS,
    PRICES,
    RESULT,
    REVISION,
    Evidence,
    make_evidence,
    make_pending,
)

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
HONEST = make_evidence()
OTHER_ADDRESS = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
TAMPERED: dict[str, Any] = {
    "call_id": b"\1" * 32,
    "mode": Mode.CHANNEL,
    "payer": OTHER_ADDRESS,
    "oracle": OTHER_ADDRESS,
    "listing_id": 7,
    "revision": 1,
    "manifest_hash": b"\2" * 32,
    "request_commitment": b"\3" * 32,
    "parameters_hash": b"\4" * 32,
    "result_hash": b"\5" * 32,
    "units": Units(1, 0, 12),
    "asset": OTHER_ADDRESS,
    "charge": 101,
    "cumulative_spend": 1,
    "issued_at": 1,
}
OWN_WORD = {"units", "charge", "issued_at"}
"""What the oracle may state as it likes, within the price: a lower charge is no harm, and the time is its clock's."""


def check(evidence: Evidence, **changes: Any) -> Any:
    return checked_entry({**evidence.reply(), **changes}, evidence.pending, REVISION, DOMAIN)


def test_checked_entry_of_an_honest_reply_is_what_the_archive_keeps() -> None:
    assert check(HONEST) == HONEST.entry()


def test_tampering_covers_every_field() -> None:
    assert list(TAMPERED) == [item.name for item in fields(Receipt)]


# ---- every field ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TAMPERED)
def test_checked_entry_with_a_field_changed_after_signing_is_refused(name: str) -> None:
    """E3: the signature binds every field."""
    changed = replace(HONEST.receipt, **{name: TAMPERED[name]})
    with pytest.raises(ReceiptInvalid, match="it was signed by"):
        check(HONEST, receipt=changed.to_dict())


@pytest.mark.parametrize("name", [name for name in TAMPERED if name not in OWN_WORD])
def test_checked_entry_with_a_field_that_the_oracle_signed_wrongly_names_it(name: str) -> None:
    """E3: a valid signature over something else is not enough; and it is evidence."""
    with pytest.raises(ReceiptInvalid, match=rf"its {name} is") as caught:
        check(HONEST.with_receipt(**{name: TAMPERED[name]}))
    assert caught.value.details["call_id"] == to_hex(HONEST.pending.call_id)


def test_checked_entry_names_everything_that_does_not_hold() -> None:
    with pytest.raises(ReceiptInvalid) as caught:
        check(HONEST.with_receipt(listing_id=7, result_hash=b"\5" * 32))
    assert "its listing_id is 7, not 1" in caught.value.message
    assert "its result_hash is not that of what was sent and returned" in caught.value.message


# ---- the signature ----------------------------------------------------------------------------------------------------


def test_checked_entry_signed_by_another_key_is_refused() -> None:
    with pytest.raises(ReceiptInvalid, match="it was signed by"):
        check(replace(HONEST, key=OTHER_KEY))


def test_checked_entry_with_the_signature_of_another_receipt_is_refused() -> None:
    other = HONEST.with_receipt(issued_at=1).reply()["signature"]
    with pytest.raises(ReceiptInvalid, match="it was signed by"):
        check(HONEST, signature=other)


def test_checked_entry_with_a_malleable_signature_is_refused() -> None:
    """High s: the same key and digest, other bytes."""
    signature = from_hex(HONEST.reply()["signature"], 65)
    high = CURVE_ORDER - int.from_bytes(signature[32:64], "big")
    twin = signature[:32] + high.to_bytes(32, "big") + bytes([27 + 28 - signature[64]])
    with pytest.raises(ReceiptInvalid, match="high s"):
        check(HONEST, signature=to_hex(twin))


@pytest.mark.parametrize(
    "signature",
    [None, 1, "", "0x", "0x00", "0x" + "00" * 65, "0x" + "ff" * 65, "0x" + "11" * 64 + "1d", "0x" + "11" * 66, []],
    ids=lambda value: repr(value)[:20],
)
def test_checked_entry_with_what_is_no_signature_is_refused(signature: object) -> None:
    with pytest.raises(ReceiptInvalid, match="no readable receipt"):
        check(HONEST, signature=signature)


def test_checked_entry_for_another_chain_is_refused() -> None:
    """The domain is part of what is signed: a receipt from a test chain is none here."""
    with pytest.raises(ReceiptInvalid, match="it was signed by"):
        checked_entry(HONEST.reply(), HONEST.pending, REVISION, replace(DOMAIN, chain_id=1))


# ---- the charge -------------------------------------------------------------------------------------------------------


def test_checked_entry_that_charges_the_price_of_its_units_is_accepted() -> None:
    units = Units(0, 0, 0)
    charged = PRICES.price_of(units)
    reply = HONEST.with_receipt(units=units, charge=charged, cumulative_spend=charged).reply()
    assert checked_entry(reply, HONEST.pending, REVISION, DOMAIN)


@pytest.mark.parametrize("units", [Units(10_000, 0, 0), Units(6, 1, 0), Units(6, 0, 60_001)])
def test_checked_entry_with_more_units_than_the_request_can_use_is_refused(units: Units) -> None:
    """The units are the oracle's word; a text has no more tokens than bytes, and a classifier writes none."""
    with pytest.raises(ReceiptInvalid, match="more than this request can use"):
        check(HONEST.with_receipt(units=units, charge=100, cumulative_spend=100))


def test_checked_entry_run_with_other_parameters_than_asked_for_is_refused() -> None:
    """S2: what was asked for is what is paid for."""
    request = dataclasses.replace(HONEST.pending.request, parameters={"top_k": 99})
    pending = dataclasses.replace(HONEST.pending, request=request)
    with pytest.raises(ReceiptInvalid, match="top_k"):
        checked_entry(HONEST.reply(), pending, REVISION, DOMAIN)


@pytest.mark.parametrize(
    ("units", "charge"),
    [(HONEST.receipt.units, PRICES.price_of(HONEST.receipt.units) + 1), (Units(91, 0, 0), 1001), (Units(0, 0, 0), 101)],
    ids=["above the price", "above the escrow", "above the price of nothing"],
)
def test_checked_entry_that_charges_too_much_is_refused(units: Units, charge: int) -> None:
    """M3: never more than the escrow, never more than the price of the units."""
    with pytest.raises(ReceiptInvalid, match=f"it charges {charge}, more than the {min(charge - 1, 1000)}"):
        check(HONEST.with_receipt(units=units, charge=charge, cumulative_spend=charge))


def test_checked_entry_that_charges_less_is_accepted() -> None:
    assert check(HONEST.with_receipt(charge=0, cumulative_spend=0))


# ---- what was returned ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"result": {**RESULT, "label": "praise"}}, "result_hash"),
        ({"result": {"label": "x", "scores": [{"label": "x", "score": 1.0}]}}, "result_hash"),
        ({"parameters": {**PARAMETERS, "top_k": 1}}, "parameters_hash"),
        ({"parameters": {}}, "parameters_hash"),
    ],
)
def test_checked_entry_with_something_else_returned_names_its_hash(changes: dict[str, Any], name: str) -> None:
    with pytest.raises(ReceiptInvalid, match=f"its {name} is not that"):
        check(HONEST, **changes)


def test_checked_entry_for_another_request_of_ours_is_refused() -> None:
    """S2: an honest receipt, but of another call."""
    with pytest.raises(ReceiptInvalid, match="its call_id is"):
        checked_entry(HONEST.reply(), make_pending("Another question"), REVISION, DOMAIN)


# ---- what is no reply -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        *({"parameters": value} for value in (None, 5, "text", [], [["a", 1]], True)),
        *({"result": value} for value in (float("nan"), float("inf"), 2**60, "\ud800", {"a": {1: 2}})),
        *({"receipt": value} for value in (None, 1, [], {}, "text", {"v": 1})),
        {"receipt": {**HONEST.receipt.to_dict(), "charge": "1e400"}},
        {"receipt": {**HONEST.receipt.to_dict(), "units": None}},
    ],
    ids=lambda value: repr(value)[:40],
)
def test_checked_entry_of_what_can_not_be_read_is_refused(changes: dict[str, Any]) -> None:
    """A hostile oracle gets a typed refusal, so that its reply is kept as evidence."""
    with pytest.raises(ReceiptInvalid):
        check(HONEST, **changes)


@pytest.mark.parametrize("reply", [None, 1, "text", [], {}, [{}]], ids=repr)
def test_checked_entry_of_what_is_no_object_is_refused(reply: Any) -> None:
    with pytest.raises(ReceiptInvalid, match="no readable receipt"):
        checked_entry(reply, HONEST.pending, REVISION, DOMAIN)


@pytest.mark.parametrize("missing", ["receipt", "signature", "parameters", "result"])
def test_checked_entry_without_a_part_is_refused(missing: str) -> None:
    reply = HONEST.reply()
    del reply[missing]
    with pytest.raises(ReceiptInvalid, match=missing):
        checked_entry(reply, HONEST.pending, REVISION, DOMAIN)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.sampled_from([*HONEST.reply(), *HONEST.receipt.to_dict()]), values)
def test_checked_entry_accepts_nothing_but_what_was_signed(name: str, value: Any) -> None:
    """Any JSON value in any place: refused, or the value that was there."""
    reply = json.loads(json.dumps(HONEST.reply()))
    place = reply if name in reply else reply["receipt"]
    place[name] = value
    try:
        entry = checked_entry(reply, HONEST.pending, REVISION, DOMAIN)
    except ReceiptInvalid:
        return
    assert entry == HONEST.entry()

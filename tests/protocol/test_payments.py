"""The header that carries a payment (rules S2, S7)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tallystick.errors import PaymentMalformed
from tallystick.protocol.calls import DirectCall
from tallystick.protocol.payments import MAX_HEADER, DirectPayment, parse_payment

from .strategies import calls, json_values, words
from .test_calls import CALL

SALT = b"\x11" * 32
WRITTEN = {"mode": "direct", "call": CALL.to_dict(), "salt": "0x" + SALT.hex()}


def header_of(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@given(calls, words)
def test_payment_round_trip(call: DirectCall, salt: bytes) -> None:
    payment = DirectPayment(call, salt)
    assert parse_payment(payment.to_header()) == payment
    assert len(payment.to_header()) < MAX_HEADER


def test_to_header_is_base64url_of_canonical_json() -> None:
    """E5"""
    data = base64.urlsafe_b64decode(DirectPayment(CALL, SALT).to_header())
    assert json.loads(data) == WRITTEN
    assert data == json.dumps(WRITTEN, sort_keys=True, separators=(",", ":")).encode()


def test_parse_payment_of_the_longest_header() -> None:
    size = MAX_HEADER // 4 * 3
    padded = json.dumps(WRITTEN).encode().ljust(size)
    assert parse_payment(base64.urlsafe_b64encode(padded).decode()) == DirectPayment(CALL, SALT)
    with pytest.raises(PaymentMalformed, match=f"longer than {MAX_HEADER}"):
        parse_payment(base64.urlsafe_b64encode(padded + b"   ").decode())


@given(st.one_of(st.text(), st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode())))
def test_parse_payment_raises_only_payment_malformed(header: str) -> None:
    """S7"""
    with pytest.raises(PaymentMalformed):
        parse_payment(header)


@given(json_values)
def test_parse_payment_of_other_json(value: Any) -> None:
    """S7"""
    with pytest.raises(PaymentMalformed, match="Nothing was charged"):
        parse_payment(header_of(value))


@pytest.mark.parametrize("key", ["mode", "call", "salt"])
@pytest.mark.parametrize("wrong", [None, 1, "", [], {}, "channel"], ids=repr)
def test_parse_payment_with_a_wrong_part(key: str, wrong: Any) -> None:
    for value in ({**WRITTEN, key: wrong}, {name: part for name, part in WRITTEN.items() if name != key}):
        with pytest.raises(PaymentMalformed, match="mode, call and salt"):
            parse_payment(header_of(value))


@pytest.mark.parametrize("header", ["", "%", "e30", "e30=\n", "{}", "é", "\ud800", header_of(WRITTEN)[:-1]], ids=ascii)
def test_parse_payment_of_no_base64(header: str) -> None:
    with pytest.raises(PaymentMalformed):
        parse_payment(header)


def test_parse_payment_keeps_the_salt_to_itself() -> None:
    """S7: whoever reads the log can't fetch the answer with it."""
    with pytest.raises(PaymentMalformed) as refusal:
        parse_payment(header_of({**WRITTEN, "salt": WRITTEN["salt"] + "00", "mode": "direct"}))
    assert SALT.hex() not in json.dumps(refusal.value.body())

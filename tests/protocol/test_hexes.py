"""Hex and decimal strings on the wire."""

from __future__ import annotations

from typing import Any

import pytest
from eth_utils import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st
from tallystick.protocol.hexes import (
    ZERO_ADDRESS,
    checksum_address,
    from_decimal,
    from_hex,
    from_object,
    to_hex,
)

# EIP-55's own examples.
CHECKSUMMED = [
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
]


@given(st.binary())
def test_from_hex_round_trip(value: bytes) -> None:
    assert from_hex(to_hex(value)) == value
    assert from_hex(to_hex(value).upper().replace("0X", "0x"), len(value)) == value


@pytest.mark.parametrize(
    "text", ["", "00", "0X00", "0x0", "0x 0", "0x00 ", " 0x00", "0x00\n", "0xgg", "0x٠٠", None, 0, b"0x00"]
)
def test_from_hex_of_something_else(text: Any) -> None:
    with pytest.raises(ValueError, match="0x-prefixed"):
        from_hex(text)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_from_hex_of_another_length(size: int) -> None:
    with pytest.raises(ValueError, match=f"expected 32 bytes, got {size}"):
        from_hex(to_hex(bytes(size)), 32)


@given(st.integers(0, 2**256 - 1))
def test_from_decimal_round_trip(value: int) -> None:
    """M8"""
    assert from_decimal(str(value), 256) == from_decimal(value, 256) == value


@pytest.mark.parametrize("bits", [32, 40, 53, 80, 96, 128, 256])
def test_from_decimal_at_its_limit(bits: int) -> None:
    assert from_decimal(str(2**bits - 1), bits) == 2**bits - 1
    for beyond in (2**bits, -1):
        with pytest.raises(ValueError, match="out of range"):
            from_decimal(beyond, bits)


@pytest.mark.parametrize(
    "value",
    ["", " 1", "1 ", "1\n", "01", "00", "-1", "-0", "+1", "1.0", "1e3", "1_000", "0x1", "١", "9" * 79, "9" * 100_000],
    ids=lambda text: repr(text[:10]),
)
def test_from_decimal_of_another_form(value: str) -> None:
    """M8: one form, so that two readers can't differ."""
    with pytest.raises(ValueError, match="plain decimal digits"):
        from_decimal(value, 256)


@pytest.mark.parametrize("value", [True, False, None, 1.0, b"1", [1], {}])
def test_from_decimal_of_another_type(value: Any) -> None:
    """M8: no float and no boolean passes for an amount."""
    with pytest.raises(ValueError, match="unsigned integer"):
        from_decimal(value, 256)


@pytest.mark.parametrize("address", CHECKSUMMED)
def test_checksum_address_of_eip_55_examples(address: str) -> None:
    assert checksum_address(address.lower()) == checksum_address("0x" + address[2:].upper()) == address
    assert checksum_address(address) == address


@given(st.binary(min_size=20, max_size=20))
def test_checksum_address_as_another_implementation(raw: bytes) -> None:
    assert checksum_address(to_hex(raw)) == to_checksum_address(raw)


@given(st.sampled_from(CHECKSUMMED[4:]), st.integers(2, 41))
def test_checksum_address_with_one_case_wrong(address: str, at: int) -> None:
    flipped = address[:at] + address[at].swapcase() + address[at + 1 :]
    if flipped == address:
        assert checksum_address(flipped) == address
    else:
        with pytest.raises(ValueError, match="checksum"):
            checksum_address(flipped)


@pytest.mark.parametrize(
    "address", ["", "0x", "0x00", ZERO_ADDRESS[:-1], ZERO_ADDRESS + "0", ZERO_ADDRESS[2:], None, 0]
)
def test_checksum_address_of_something_else(address: Any) -> None:
    with pytest.raises(ValueError, match=r"hex string|expected 20 bytes"):
        checksum_address(address)


def test_from_object_of_an_object() -> None:
    assert from_object({"a": 1}) == {"a": 1}


@pytest.mark.parametrize("value", [None, [], "text", 1, True, [("a", 1)]])
def test_from_object_of_something_else(value: Any) -> None:
    with pytest.raises(ValueError, match="expected an object"):
        from_object(value)

"""Units, price sheets and charges. The same prices are computed by Pricing.sol in tests/contracts/test_vectors.py."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from tallystick.protocol.prices import NATIVE, PriceSheet, Units

from .strategies import assert_read_strictly, sheets, units

UINT32, UINT80, UINT96, UINT128 = 2**32 - 1, 2**80 - 1, 2**96 - 1, 2**128 - 1
TOKEN = "0xdAC17F958D2ee523a2206206994597C13D831ec7"


@given(sheets, units)
def test_price_of_never_exceeds_the_exact_price(sheet: PriceSheet, consumed: Units) -> None:
    """M8: below the exact price by less than one atomic unit, so rounding favours the payer."""
    exact = sheet.per_call + Fraction(
        consumed.input_tokens * sheet.per_thousand_input_tokens
        + consumed.output_tokens * sheet.per_thousand_output_tokens
        + consumed.compute_ms * sheet.per_compute_second,
        1000,
    )
    price = sheet.price_of(consumed)
    assert isinstance(price, int)
    assert exact - 1 < price <= exact


@given(sheets, units)
def test_price_of_fits_the_contract(sheet: PriceSheet, consumed: Units) -> None:
    """M8: Pricing.sol computes without overflow checks on this ground."""
    assert 0 <= sheet.price_of(consumed) <= UINT128


def test_price_of_at_all_limits() -> None:
    """M8"""
    sheet = PriceSheet(NATIVE, UINT96, UINT80, UINT80, UINT80)
    price = sheet.price_of(Units(UINT32, UINT32, UINT32))
    assert price == UINT96 + 3 * UINT80 * UINT32 // 1000
    assert price < UINT128


@given(sheets, units, units)
def test_price_of_more_units_is_not_less(sheet: PriceSheet, one: Units, two: Units) -> None:
    more = Units(
        max(one.input_tokens, two.input_tokens),
        max(one.output_tokens, two.output_tokens),
        max(one.compute_ms, two.compute_ms),
    )
    assert sheet.price_of(more) >= sheet.price_of(one)


def test_price_of_rounds_once() -> None:
    """M8: three times a third of a unit is one unit; rounded one by one it would be none."""
    sheet = PriceSheet(NATIVE, 0, 1, 1, 1)
    assert sheet.price_of(Units(333, 333, 334)) == 1
    assert sheet.price_of(Units(333, 333, 333)) == 0


def test_price_of_each_rate_with_its_own_units() -> None:
    sheet = PriceSheet(NATIVE, 1, 2_000, 3_000, 5_000)
    assert sheet.price_of(Units(10, 0, 0)) == 1 + 20
    assert sheet.price_of(Units(0, 10, 0)) == 1 + 30
    assert sheet.price_of(Units(0, 0, 10)) == 1 + 50


@pytest.mark.parametrize("at", range(3))
@pytest.mark.parametrize("value", [-1, UINT32 + 1])
def test_units_out_of_range(at: int, value: int) -> None:
    values = [1, 1, 1]
    values[at] = value
    with pytest.raises(ValueError, match="units out of range"):
        Units(*values)


@pytest.mark.parametrize(
    ("at", "limit"), [(0, UINT96), (1, UINT80), (2, UINT80), (3, UINT80)], ids=["call", "input", "output", "compute"]
)
def test_price_sheet_out_of_range(at: int, limit: int) -> None:
    values = [limit] * 4 if limit == UINT80 else [limit, 0, 0, 0]
    PriceSheet(NATIVE, *values)
    for wrong in (-1, limit + 1):
        values[at] = wrong
        with pytest.raises(ValueError, match="out of range"):
            PriceSheet(NATIVE, *values)


@pytest.mark.parametrize("wrong", [1.0, True, None])
def test_price_sheet_with_another_type(wrong: Any) -> None:
    """M8: integers end to end."""
    with pytest.raises(ValueError, match="unsigned integer"):
        PriceSheet(NATIVE, wrong, 0, 0, 0)


def test_price_sheet_writes_one_form_of_the_asset() -> None:
    assert PriceSheet(TOKEN.lower(), 0, 0, 0, 0) == PriceSheet(TOKEN, 0, 0, 0, 0)


@given(units)
def test_units_round_trip(consumed: Units) -> None:
    assert Units.from_dict(consumed.to_dict()) == consumed


@given(sheets)
def test_price_sheet_round_trip(sheet: PriceSheet) -> None:
    """M8: strings on the wire."""
    assert PriceSheet.from_dict(sheet.to_dict()) == sheet
    assert all(isinstance(value, str) for value in sheet.to_dict().values())


def test_units_from_dict_is_strict() -> None:
    assert_read_strictly(Units.from_dict, Units(1, 2, 3).to_dict())


def test_price_sheet_from_dict_is_strict() -> None:
    sheet = PriceSheet(TOKEN, 1, 2, 3, 4)
    assert_read_strictly(PriceSheet.from_dict, sheet.to_dict())


def test_price_sheet_as_tuple_in_the_order_of_the_contract() -> None:
    assert PriceSheet(TOKEN, 1, 2, 3, 4).as_tuple() == (TOKEN, 1, 2, 3, 4)

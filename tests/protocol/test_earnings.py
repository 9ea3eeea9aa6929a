"""How an earning is divided."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tallystick.protocol.earnings import MAX_FEE_BPS, Division, divide
from tallystick.protocol.tiers import ALL_BPS


@pytest.mark.parametrize(
    ("amount", "fee_bps", "share_bps", "expected"),
    [
        (1_000, 0, 0, Division(0, 0, 1_000)),
        (1_000, 500, 0, Division(50, 0, 950)),
        (1_000, 500, 2_000, Division(50, 190, 760)),
        (1_425, 333, 2_500, Division(47, 344, 1_034)),
        (19, 500, ALL_BPS, Division(0, 19, 0)),
        (0, 500, 2_000, Division(0, 0, 0)),
    ],
)
def test_divide(amount: int, fee_bps: int, share_bps: int, expected: Division) -> None:
    """M8: the fee first, the share of the rest, each rounded down."""
    assert divide(amount, fee_bps, share_bps) == expected


@given(st.integers(0, 2**128 - 1), st.integers(0, MAX_FEE_BPS), st.integers(0, ALL_BPS))
def test_divide_loses_nothing(amount: int, fee_bps: int, share_bps: int) -> None:
    """M1: the parts are all of it, and none is below zero."""
    parts = divide(amount, fee_bps, share_bps)
    assert parts.fee + parts.oracle_amount + parts.owner_amount == amount
    assert min(parts.fee, parts.oracle_amount, parts.owner_amount) >= 0

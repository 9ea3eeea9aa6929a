"""Volume tiers: the highest one that is reached, rounded in favour of the payer."""

from __future__ import annotations

from fractions import Fraction
from itertools import starmap

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tallystick.protocol.tiers import ALL_BPS, Tier, discounted

from .strategies import unsigned

TIERS = (Tier(1, 500), Tier(10, 2_000), Tier(100, ALL_BPS))
ladders = st.builds(
    lambda calls, discounts: tuple(starmap(Tier, zip(sorted(calls), sorted(discounts), strict=False))),
    st.sets(st.integers(1, 2**40 - 1), max_size=4),
    st.sets(st.integers(1, ALL_BPS), max_size=4),
)


@pytest.mark.parametrize(
    ("calls_before", "price"), [(0, 1_000), (1, 950), (9, 950), (10, 800), (99, 800), (100, 0), (2**60, 0)]
)
def test_discounted_by_the_highest_tier_reached(calls_before: int, price: int) -> None:
    assert discounted(1_000, TIERS, calls_before) == price


def test_discounted_without_tiers_is_the_price() -> None:
    assert discounted(1_000, (), 2**60) == 1_000


@given(unsigned(128), ladders, unsigned(60))
def test_discounted_is_below_the_exact_price_by_less_than_one(price: int, tiers: tuple[Tier, ...], calls: int) -> None:
    """M8: rounding favours the payer."""
    discount = max((tier.discount_bps for tier in tiers if tier.from_calls <= calls), default=0)
    exact = price * Fraction(ALL_BPS - discount, ALL_BPS)
    assert exact - 1 < discounted(price, tiers, calls) <= exact


@given(unsigned(128), ladders, unsigned(41), unsigned(41))
def test_discounted_never_rises_with_calls(price: int, tiers: tuple[Tier, ...], one: int, two: int) -> None:
    assert discounted(price, tiers, max(one, two)) <= discounted(price, tiers, min(one, two))


def test_tier_as_tuple_in_the_order_of_the_contract() -> None:
    assert Tier(7, 250).as_tuple() == (7, 250)

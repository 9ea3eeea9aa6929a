"""Amounts as people write and read them: exact, or refused (M8)."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tallystick.cli.context import DECIMALS, parse_amount, show_amount
from tallystick.errors import InvalidSetting

ETHER = 10**18
amounts = st.one_of(st.integers(0, 10**45), st.integers(0, 10**27).map(lambda units: units * 10**9), st.integers(0, 3))


@pytest.mark.parametrize(
    ("text", "wei"),
    [
        *(("0", 0), ("1500", 1500), ("1500wei", 1500), ("2gwei", 2 * 10**9), ("0.001ether", 10**15), ("1ether", ETHER)),
        *(
            ("1 ether", ETHER),
            (" 1ETHER ", ETHER),
            ("0.5gwei", 5 * 10**8),
            ("007", 7),
            ("1.0", 1),
            ("1.50gwei", 15 * 10**8),
        ),
        ("0.000000000000000001ether", 1),
        ("123456789012345678901234567890.123456789012345678ether", 123456789012345678901234567890123456789012345678),
    ],
)
def test_parse_amount_reads_what_people_write(text: str, wei: int) -> None:
    assert parse_amount(text) == wei


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "wei",
            "ether",
            "one",
            "1 2",
            "1,5",
            "1.5.5",
            ".5",
            "5.",
            "-1",
            "+1",
            "--1",
            "1e3",
            "1E3",
            "0x10",
            "1_000",
        ),
        *("nan", "inf", "infinity", "snan", "1ethers", "1eth", "1weiwei", "1ether2", "١", "１", "1\0", "1;2", "½"),
        *("1e999999999", "9" * 5000, "0." + "1" * 5000),
    ],
)
def test_parse_amount_of_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidSetting, match=r"0\.001ether"):
        parse_amount(text)


@pytest.mark.parametrize(
    "text", ["0.5", "1.1wei", "0.0000000001gwei", "0.0000000000000000001ether", "1." + "0" * 30 + "1ether"]
)
def test_parse_amount_of_parts_of_a_wei_is_refused(text: str) -> None:
    """M8: no amount is rounded, however small the part."""
    with pytest.raises(InvalidSetting, match="no whole number of wei"):
        parse_amount(text)


@pytest.mark.parametrize(
    ("wei", "text"),
    [
        *((0, "0 wei"), (1, "1 wei"), (999_999_999, "999999999 wei"), (10**9, "0.000000001 ether"), (ETHER, "1 ether")),
        *((10 * ETHER, "10 ether"), (100 * ETHER, "100 ether"), (ETHER + 1, "1.000000000000000001 ether")),
        (105 * 10**17, "10.5 ether"),
        (12345678901123456789012345678, "12345678901.123456789012345678 ether"),
    ],
)
def test_show_amount_is_exact(wei: int, text: str) -> None:
    assert show_amount(wei) == text


@settings(derandomize=True, deadline=None, max_examples=500)
@given(amounts)
def test_parse_amount_reads_what_show_amount_writes(wei: int) -> None:
    """M8: shown and typed in again, it is the same amount."""
    assert parse_amount(show_amount(wei)) == wei


@settings(derandomize=True, deadline=None, max_examples=500)
@given(amounts, st.sampled_from(sorted(DECIMALS)))
def test_parse_amount_agrees_with_exact_decimals(wei: int, unit: str) -> None:
    """M8: an independent computation, with as many digits as it takes."""
    with localcontext() as context:
        context.prec = 100
        text = f"{Decimal(wei).scaleb(-DECIMALS[unit]):f}{unit}"
        assert parse_amount(text) == wei


@settings(derandomize=True, deadline=None, max_examples=500)
@given(st.text(st.sampled_from("0123456789.-+eE_ weigwthr"), max_size=30))
def test_parse_amount_raises_nothing_but_its_own_error(text: str) -> None:
    try:
        amount = parse_amount(text)
    except InvalidSetting:
        return
    assert amount >= 0

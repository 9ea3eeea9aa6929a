"""Results on a grid, and re-runs within a tolerance (rule E5)."""

from __future__ import annotations

import copy
import math
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tallystick.protocol.canonical import canonical_bytes, has_one_reading
from tallystick.protocol.results import GRID_DECIMALS, TOLERANCE, differences, on_grid

from .strategies import json_values

floats = st.floats(allow_nan=False, allow_infinity=False).filter(has_one_reading)
LABELS = {
    "labels": [{"label": "good", "score": 0.9}, {"label": "bad", "score": 0.1}],
    "model": "m",
    "n": 2,
    "cut": False,
}


@given(st.one_of(st.floats(-10, 10), floats))
def test_on_grid_is_the_nearest_grid_point(value: float) -> None:
    """E5: decided on the exact value, ties to the even digit."""
    exact = Decimal(value).quantize(Decimal(1).scaleb(-GRID_DECIMALS), ROUND_HALF_EVEN) if abs(value) < 1e16 else value
    assert on_grid(value) == float(exact)


@given(json_values)
def test_on_grid_twice_is_once(value: Any) -> None:
    """E5"""
    assert on_grid(on_grid(value)) == on_grid(value)
    canonical_bytes(on_grid(value))


@pytest.mark.parametrize("value", [-0.0, 0.0, 0.00004, -0.00004])
def test_on_grid_has_one_zero(value: float) -> None:
    assert math.copysign(1, on_grid(value)) == 1
    assert on_grid(value) == 0


def test_on_grid_keeps_everything_else() -> None:
    value = {"text": "0.123456", "n": 7, "ok": True, "none": None, "nested": [[], {}, ["a"]]}
    assert on_grid(value) == value
    assert on_grid(True) is True


def test_on_grid_of_nested_floats() -> None:
    assert on_grid({"a": [0.123456, {"b": (0.99999,)}]}) == {"a": [0.1235, {"b": [1.0]}]}


def test_on_grid_leaves_its_argument() -> None:
    value = {"a": [0.123456]}
    on_grid(value)
    assert value == {"a": [0.123456]}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_on_grid_of_no_number(value: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        on_grid({"scores": [0.5, value]})


@pytest.mark.parametrize("value", [2.0**53, -1e16, 9.9e20])
def test_on_grid_beyond_exact_integers(value: float) -> None:
    """E5: it would be hashed, and then not read back."""
    with pytest.raises(ValueError, match=r"beyond 2\^53"):
        on_grid({"logits": [value]})


@given(json_values)
def test_differences_of_equal_results(value: Any) -> None:
    assert differences(value, copy.deepcopy(value)) == []


@given(st.floats(-1e6, 1e6), st.floats(-0.00099, 0.00099))
def test_differences_within_the_tolerance(value: float, noise: float) -> None:
    """E5"""
    assert differences({"x": [value]}, {"x": [value + noise]}) == []


@given(st.floats(-1e6, 1e6), st.sampled_from([-1, 1]), st.floats(0.00101, 10))
def test_differences_beyond_the_tolerance(value: float, sign: int, noise: float) -> None:
    """E5"""
    (line,) = differences({"x": [value]}, {"x": [value + sign * noise]})
    assert line.startswith("result.x[0]: disclosed ")
    assert str(TOLERANCE) in line


def test_differences_of_batched_and_single_run() -> None:
    """E5: rounding to the grid moves a number by less than the tolerance."""
    single, batched = 0.73125000001, 0.73124999999
    assert on_grid(single) != on_grid(batched)
    assert differences(on_grid(single), batched) == []


def test_differences_of_labels_in_another_order() -> None:
    """E5: entries whose scores are within the tolerance of each other may swap."""
    one = [{"label": "a", "score": 0.5002}, {"label": "b", "score": 0.4998}]
    two = [{"label": "b", "score": 0.5001}, {"label": "a", "score": 0.4999}]
    assert differences(one, two) == []


def test_differences_of_other_lists_in_another_order() -> None:
    assert len(differences(["a", "b"], ["b", "a"])) == 2


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda result: result["labels"][0].update(score=0.95), "result.labels[1].score"),
        (lambda result: result["labels"][0].update(label="best"), "result.labels[1].label"),
        (lambda result: result["labels"].pop(), "result.labels"),
        (lambda result: result["labels"][0].pop("score"), "result.labels[1]"),
        (lambda result: result.update(model="M"), "result.model"),
        (lambda result: result.update(n="2"), "result.n"),
        (lambda result: result.update(n=None), "result.n"),
        (lambda result: result.update(cut=True), "result.cut"),
        (lambda result: result.update(cut=0), "result.cut"),
        (lambda result: result.update(extra=1), "result"),
        (lambda result: result.update(labels={}), "result.labels"),
    ],
)
def test_differences_name_the_place(change: Any, place: str) -> None:
    rerun = copy.deepcopy(LABELS)
    change(rerun)
    lines = differences(LABELS, rerun)
    assert lines
    assert lines[0].split(":")[0] == place
    assert differences(rerun, LABELS)


@pytest.mark.parametrize("rerun", [math.nan, math.inf, -math.inf])
def test_differences_with_no_number(rerun: float) -> None:
    assert differences(0.5, rerun) != []

"""The canonical form of a request (rule S2)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from tallystick.protocol.canonical import canonical_bytes
from tallystick.protocol.requests import InferenceRequest

from .strategies import assert_read_strictly, requests

REQUEST = InferenceRequest("classify", 1, 2, ["a", {"b": 0.5}], {"top_k": 3})


def test_canonical_of_a_request() -> None:
    """E5"""
    assert REQUEST.canonical() == (
        b'{"input":["a",{"b":0.5}],"listing":"1","method":"classify","parameters":{"top_k":3},"revision":2,"v":1}'
    )


@pytest.mark.parametrize(
    "change",
    [
        {"method": "embed"},
        {"listing_id": 2},
        {"revision": 1},
        {"input": ["a", {"b": 0.25}]},
        {"input": []},
        {"parameters": {"top_k": 4}},
        {"parameters": {"top_k": "3"}},
        {"parameters": {}},
        {"parameters": {"top_k": 3, "seed": None}},
    ],
    ids=repr,
)
def test_canonical_of_another_request(change: dict[str, Any]) -> None:
    """S2: method, listing, revision, input and parameters each tell one request from another."""
    assert replace(REQUEST, **change).canonical() != REQUEST.canonical()


def test_canonical_ignores_the_order_of_parameters() -> None:
    """S2: the same request again is the same bytes."""
    one = replace(REQUEST, parameters={"a": 1, "b": 2})
    assert one.canonical() == replace(REQUEST, parameters={"b": 2, "a": 1}).canonical()


@pytest.mark.parametrize("value", [float("nan"), 2**53, "\ud800"])
def test_canonical_without_a_form(value: Any) -> None:
    for request in (replace(REQUEST, input=value), replace(REQUEST, parameters={"x": value})):
        with pytest.raises(ValueError):  # noqa: PT011 (the library's errors differ by kind, all of them ValueErrors)
            request.canonical()


@given(requests)
def test_request_round_trip(request: InferenceRequest) -> None:
    """S2: what is stored or sent reads back as the same request, byte for byte."""
    again = InferenceRequest.from_dict(json.loads(canonical_bytes(request.to_dict())))
    assert again == request
    assert again.canonical() == request.canonical()


def test_from_dict_is_strict() -> None:
    assert_read_strictly(InferenceRequest.from_dict, REQUEST.to_dict(), unread=("input", "method", "parameters"))


@pytest.mark.parametrize("method", [None, 1, True, ["classify"]])
def test_from_dict_without_a_method(method: Any) -> None:
    with pytest.raises(ValueError, match="a request has a method"):
        InferenceRequest.from_dict({**REQUEST.to_dict(), "method": method})


@pytest.mark.parametrize("parameters", [None, [], "top_k", 1])
def test_from_dict_without_parameters(parameters: Any) -> None:
    with pytest.raises(ValueError, match="an object of parameters"):
        InferenceRequest.from_dict({**REQUEST.to_dict(), "parameters": parameters})


def test_from_dict_of_another_version() -> None:
    with pytest.raises(ValueError, match="unknown request version 2"):
        InferenceRequest.from_dict({**REQUEST.to_dict(), "v": 2})

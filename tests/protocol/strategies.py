"""What hypothesis draws the protocol's values from, over all of their ranges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from coincurve import PrivateKey
from hypothesis import strategies as st
from tallystick.protocol.calls import DirectCall, Mode
from tallystick.protocol.canonical import has_one_reading
from tallystick.protocol.encoding import Domain
from tallystick.protocol.hexes import checksum_address, to_hex
from tallystick.protocol.prices import PriceSheet, Units
from tallystick.protocol.receipts import Receipt
from tallystick.protocol.requests import InferenceRequest

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def unsigned(bits: int) -> st.SearchStrategy[int]:
    """Often at or next to the limits."""
    top = (1 << bits) - 1
    return st.one_of(st.sampled_from([0, 1, top - 1, top]), st.integers(0, top))


words = st.binary(min_size=32, max_size=32)
addresses = st.binary(min_size=20, max_size=20).map(lambda raw: checksum_address(to_hex(raw)))
keys = st.integers(1, CURVE_ORDER - 1).map(PrivateKey.from_int)
# Surrogates are no characters: a text that has one has no UTF-8 form.
texts = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.one_of(
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.floats(allow_nan=False, allow_infinity=False).filter(has_one_reading),
)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(texts, inner, max_size=5)),
    max_leaves=20,
)
parameters = st.dictionaries(texts, json_values, max_size=4)
domains = st.builds(Domain, unsigned(256), addresses)
units = st.builds(Units, unsigned(32), unsigned(32), unsigned(32))
sheets = st.builds(PriceSheet, addresses, unsigned(96), unsigned(80), unsigned(80), unsigned(80))
requests = st.builds(InferenceRequest, texts, unsigned(256), unsigned(32), json_values, parameters)
calls = st.builds(
    DirectCall,
    addresses,
    unsigned(256),
    unsigned(32),
    addresses,
    addresses,
    unsigned(128),
    unsigned(40),
    words,
)
receipts = st.builds(
    Receipt,
    words,
    st.sampled_from(Mode),
    addresses,
    addresses,
    unsigned(256),
    unsigned(32),
    words,
    words,
    words,
    words,
    units,
    addresses,
    unsigned(128),
    unsigned(128),
    unsigned(53),
)


def assert_read_strictly(read: Any, written: Mapping[str, Any], unread: tuple[str, ...] = ()) -> None:
    """Each key of a wire form is needed, and none may hold a value of a kind that it never has.

    `unread`: keys that any JSON value may stand under. Fails where `read` accepts, or raises another error.
    """
    read(written)
    for key in written:
        with pytest.raises(KeyError):
            read({name: value for name, value in written.items() if name != key})
        if key in unread:
            continue
        for wrong in (None, True, -1, 0.5, "", "no such value", "0x", [], [1], object()):
            with pytest.raises((ValueError, KeyError)):
                read({**written, key: wrong})
    for wrong in (None, True, 1, 0.5, "text", [], [written], b""):
        with pytest.raises(ValueError, match="expected an object"):
            read(wrong)

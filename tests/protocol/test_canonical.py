"""Canonical JSON and the strict parser (rule E5)."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tallystick.errors import NotJson
from tallystick.protocol.canonical import MAX_DEPTH, MAX_NUMBER_LITERAL, canonical_bytes, parse_json

from .strategies import json_values

LARGEST = 2**53 - 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b": 1, "a": [1, 2]}, '{"a":[1,2],"b":1}'),
        ({"\ufb33": 1, "\U0001f600": 2}, '{"\U0001f600":2,"\ufb33":1}'),  # by UTF-16 unit, not by code point
        ([1.0, -0.0, 1e21, 1e-7, 0.1, 100.0], "[1,0,1e+21,1e-7,0.1,100]"),
        ('\x00\x1f\x7f\b\t\n\f\r"\\/é\u2028', '"\\u0000\\u001f\x7f\\b\\t\\n\\f\\r\\"\\\\/é\u2028"'),
        ([None, True, False, LARGEST, -LARGEST], "[null,true,false,9007199254740991,-9007199254740991]"),
        ([[], {}, "", {"": {}}], '[[],{},"",{"":{}}]'),
        ((1, 2), "[1,2]"),
    ],
)
def test_canonical_bytes_has_one_form(value: Any, expected: str) -> None:
    """E5"""
    assert canonical_bytes(value) == expected.encode()


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, 2**53, -(2**53), "\ud800", {"\udfff": 1}, {1: 2}, {None: 1}, b"bytes", {1, 2}],
    ids=repr,
)
def test_canonical_bytes_without_a_form(value: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (the library's errors differ by kind, all of them ValueErrors)
        canonical_bytes({"nested": [value]})


@given(json_values)
def test_canonical_bytes_round_trip(value: Any) -> None:
    """E5: nothing is lost, and the form of the form is itself."""
    data = canonical_bytes(value)
    assert json.loads(data) == value
    assert canonical_bytes(json.loads(data)) == data


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.none(), min_size=2))
def test_canonical_bytes_ignores_insertion_order(value: dict[str, None]) -> None:
    assert canonical_bytes(dict(reversed(value.items()))) == canonical_bytes(value)


@given(json_values)
def test_parse_json_round_trip(value: Any) -> None:
    """E5: what is accepted can be committed to and comes back."""
    assert canonical_bytes(parse_json(canonical_bytes([value]))) == canonical_bytes([value])


@given(st.one_of(st.binary(), st.text(alphabet='{}[]",:0123456789eE+-. \\u{n}ulltrefasd\u00e9').map(str.encode)))
def test_parse_json_raises_only_not_json(data: bytes) -> None:
    """S7: whatever comes from outside is a value with a canonical form or one typed refusal."""
    try:
        value = parse_json(data)
    except NotJson:
        return
    canonical_bytes(value)


@given(json_values, st.data())
def test_parse_json_raises_only_not_json_when_damaged(value: Any, data: st.DataObject) -> None:
    """S7"""
    document = bytearray(json.dumps(value).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        document[data.draw(st.integers(0, len(document) - 1))] = data.draw(st.integers(0, 255))
    try:
        parsed = parse_json(bytes(document))
    except NotJson:
        return
    canonical_bytes(parsed)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b" ",
        b"{",
        b"{}{}",
        b"[1,]",
        b'{"a":1,}',
        b"{'a':1}",
        b"{a:1}",
        b"01",
        b"+1",
        b".5",
        b"1.",
        b"0x10",
        b"tru",
        b"// comment\n1",
        b'"\t"',
        b'"\\x41"',
        b'"unterminated',
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"1e400",
        b"[-1e400]",
        b"9007199254740992",
        b"-9007199254740992",
        b'"\\ud800"',
        b'{"\\udc00":1}',
        b'"\\udc00\\ud800"',
        b'"\xff"',
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b"\x00",
    ],
    ids=repr,
)
def test_parse_json_refuses(document: bytes) -> None:
    with pytest.raises(NotJson):
        parse_json(document)


@pytest.mark.parametrize("name", ["NaN", "Infinity", "-Infinity"])
def test_parse_json_of_no_number(name: str) -> None:
    with pytest.raises(NotJson, match=f"{name} is not JSON"):
        parse_json(f'{{"x":[{name}]}}'.encode())


@pytest.mark.parametrize("document", [b'{"a":1,"a":1}', b'{"a":1,"\\u0061":2}', b'[{"x":{"b":1,"c":2,"b":3}}]'])
def test_parse_json_with_the_same_key_twice(document: bytes) -> None:
    """Parsers disagree about which of the two counts."""
    with pytest.raises(NotJson, match="same key twice"):
        parse_json(document)


def test_parse_json_at_the_deepest_nesting() -> None:
    assert parse_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH) is not None


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_parse_json_one_level_too_deep(opening: bytes) -> None:
    with pytest.raises(NotJson, match=f"deeper than {MAX_DEPTH}"):
        parse_json(opening * (MAX_DEPTH + 1))


def test_parse_json_counts_open_levels_only() -> None:
    document = b"[" + b",".join([b"[[]]"] * 100) + b"]"
    assert len(parse_json(document)) == 100


def test_parse_json_ignores_brackets_in_strings() -> None:
    text = '\\"[{' * 100
    assert parse_json(f'["{text}"]'.encode()) == ['"[{' * 100]


def test_parse_json_of_a_million_brackets() -> None:
    with pytest.raises(NotJson, match="deeper than"):
        parse_json(b"[" * 1_000_000)


@pytest.mark.parametrize("form", ["{}", "-{}", "0.{}", "1e{}", "[{}]"])
def test_parse_json_with_a_million_digits(form: str) -> None:
    with pytest.raises(NotJson, match="too many digits"):
        parse_json(form.format("1" * 1_000_000).encode())


def test_parse_json_with_the_longest_number() -> None:
    assert parse_json(b"0." + b"1" * (MAX_NUMBER_LITERAL - 2)) == pytest.approx(1 / 9)
    with pytest.raises(NotJson, match="too many digits"):
        parse_json(b"0." + b"1" * (MAX_NUMBER_LITERAL - 1))


@pytest.mark.parametrize(
    "document", [b"1e16", b"[-1e20]", b"9007199254740992.0", b"9007199254740993e0", b"10000000000000000"]
)
def test_parse_json_beyond_exact_integers(document: bytes) -> None:
    """E5: RFC 8785 would write it as an integer that JavaScript and Python read differently."""
    with pytest.raises(NotJson, match=r"2\^53|safe integer"):
        parse_json(document)


@pytest.mark.parametrize("document", [b"1e21", b"-1e300", b"9007199254740991.0"])
def test_parse_json_of_large_floats(document: bytes) -> None:
    """E5"""
    value = parse_json(document)
    assert parse_json(canonical_bytes(value)) == value


@pytest.mark.parametrize("number", [LARGEST, -LARGEST])
def test_parse_json_with_the_largest_integer(number: int) -> None:
    assert parse_json(str(number).encode()) == number


@pytest.mark.parametrize(
    "document", ['{{"prompt": "{}" oops}}', '["{}", NaN]', '{{"{}":1,"{}":2}}', '["{}", "\\ud800"]']
)
def test_parse_json_does_not_repeat_the_content(document: str) -> None:
    """S7: no prompt reaches a client or a log by way of an error."""
    secret = "a very private prompt"
    with pytest.raises(NotJson) as refusal:
        parse_json(document.format(secret, secret).encode())
    assert "private" not in json.dumps(refusal.value.body())

"""Canonical JSON (RFC 8785) and a strict parser for what comes from outside.

Both sides of every hash go through here: what Tallystick writes is canonical, and what it reads is refused where two
parsers could disagree about it (duplicate keys, numbers outside the range of a double, lone surrogates).
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

import rfc8785

from tallystick.errors import NotJson

MAX_DEPTH = 32
"""Deepest nesting of arrays and objects that is read."""

MAX_NUMBER_LITERAL = 40
"""Longest number literal, in characters, that is read."""


def has_one_reading(number: float) -> bool:
    """False for finite floats that RFC 8785 writes as an integer beyond 2^53: parsers differ in reading it back."""
    return not 2.0**53 <= abs(number) < 1e21


def canonical_bytes(value: Any) -> bytes:
    """The RFC 8785 form of a JSON value, UTF-8.

    Raises ValueError where it has none: NaN, infinities, integers beyond 2^53, lone surrogates, non-string keys.
    """
    try:
        return rfc8785.dumps(value)
    except UnicodeEncodeError as error:
        raise ValueError(f"not encodable as UTF-8: {error.reason}") from None


def parse_json(data: bytes) -> Any:
    """Parse a JSON document from outside. Raises NotJson, naming what is wrong, on anything ambiguous or too deep."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotJson(f"The body is not UTF-8 (byte {error.start}); send JSON encoded as UTF-8.") from None
    _check_depth(text)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object_without_duplicates,
            parse_constant=_refuse_constant,
            parse_int=_bounded_int,
            parse_float=_bounded_float,
        )
        # A value without a canonical form (a lone surrogate, an integer beyond 2^53) could not be committed to.
        canonical_bytes(value)
    except (ValueError, RecursionError) as error:
        raise NotJson(f"The body is not acceptable JSON: {_reason(error)}. Send one JSON value, RFC 8259.") from None
    return value


def _check_depth(text: str) -> None:
    depth = 0
    in_string = escaped = False
    for character in text:
        if in_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise NotJson(f"The body nests deeper than {MAX_DEPTH} levels; flatten it.")
        elif character in "]}":
            depth -= 1


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError("an object has the same key twice")
        result[key] = value
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _bounded_int(literal: str) -> int:
    if len(literal) > MAX_NUMBER_LITERAL:
        raise ValueError("a number has too many digits")
    return int(literal)


def _bounded_float(literal: str) -> float:
    if len(literal) > MAX_NUMBER_LITERAL:
        raise ValueError("a number has too many digits")
    number = float(literal)
    if not has_one_reading(number):
        raise ValueError("a number is beyond 2^53, where integers are not exact; send it as a string")
    return number


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos}"
    return str(error) or type(error).__name__

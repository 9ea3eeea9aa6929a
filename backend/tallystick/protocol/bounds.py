"""What an honest run of a request can consume at most, by the request alone: the payer's check of the oracle's word."""

from __future__ import annotations

from typing import Any, Final

from tallystick.protocol.canonical import canonical_bytes
from tallystick.protocol.prices import Units

SPECIAL_TOKENS: Final = 16
"""More than any tokenizer adds around a text."""

COMPUTE_MS: Final = 60_000
"""More than any oracle lets a call run."""


def most_units(input: Any) -> Units:  # noqa: A002
    """An upper bound for classifying `input`: no tokenizer makes more tokens of a text than it has bytes of UTF-8.

    Nothing is written by a classifier; compute time is bounded by the longest that an oracle lets a call run.
    """
    content = input.encode() if isinstance(input, str) else canonical_bytes(input)
    return Units(len(content) + SPECIAL_TOKENS, 0, COMPUTE_MS)


def exceeded(units: Units, bound: Units) -> list[str]:
    """Which units are above their bound; empty if none is."""
    names = ("input_tokens", "output_tokens", "compute_ms")
    return [name for name in names if getattr(units, name) > getattr(bound, name)]

"""Training rows: JSON lines {"text", "label"}. A bad row is named by file and line and refused; nothing is skipped."""

from __future__ import annotations

import random
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tallystick.errors import DataInvalid, NotJson
from tallystick.protocol.canonical import parse_json

LONGEST_TEXT: Final = 4000
"""Longest text of a row, in characters."""

_MOST_NAMED = 10


@dataclass(frozen=True)
class Row:
    """One text with its label, and where it stands: file name and line, counted from 1."""

    text: str
    label: str
    file: str
    line: int

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


def read_rows(path: Path) -> tuple[Row, ...]:
    """All rows of a file. Raises DataInvalid with every bad line's place and fault, the first ten of them."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise DataInvalid(f"The data file {path} can't be read ({error.strerror}).", file=str(path)) from None
    rows: list[Row] = []
    faults: list[str] = []
    places: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        row = _row(line, path.name, number)
        if isinstance(row, str):
            faults.append(f"{path.name}:{number}: {row}")
            continue
        folded = " ".join(row.text.casefold().split())
        if folded in places:
            faults.append(f"{row.place}: the same text as {places[folded]}")
            continue
        places[folded] = row.place
        rows.append(row)
    if not lines:
        faults.append(f"{path.name}: the file is empty")
    if faults:
        more = f" and {len(faults) - _MOST_NAMED} more" if len(faults) > _MOST_NAMED else ""
        raise DataInvalid(
            f"Correct or remove these rows: {'; '.join(faults[:_MOST_NAMED])}{more}.",
            file=str(path),
            bad_rows=len(faults),
        )
    return tuple(rows)


def labels_of(train: Sequence[Row], heldout: Sequence[Row], least: int = 2) -> tuple[str, ...]:
    """The labels in alphabetical order. Raises DataInvalid where one is rare in training or absent from either side."""
    labels = sorted({row.label for row in (*train, *heldout)})
    for label in labels:
        count = sum(row.label == label for row in train)
        if count < least:
            raise DataInvalid(f"Label {label!r} has {count} training rows; it needs at least {least}.", label=label)
        if not any(row.label == label for row in heldout):
            raise DataInvalid(f"Label {label!r} has no held-out row; add some, or it can't be measured.", label=label)
    if len(labels) < 2:
        raise DataInvalid("The rows have fewer than two labels; there is nothing to tell apart.")
    return tuple(labels)


def split_validation(rows: Sequence[Row], share: float, seed: int) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """(training, validation): the share of every label, at least one row each, drawn under the seed."""
    by_label: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_label[row.label].append(row)
    generator = random.Random(seed)  # noqa: S311 - a reproducible draw, not a secret
    chosen: set[Row] = set()
    for label in sorted(by_label):
        count = max(1, round(len(by_label[label]) * share))
        chosen.update(generator.sample(by_label[label], count))
    return tuple(row for row in rows if row not in chosen), tuple(row for row in rows if row in chosen)


def _row(line: bytes, file: str, number: int) -> Row | str:
    """The row, or what is wrong with the line."""
    try:
        value = parse_json(line)
    except NotJson:
        return "not a JSON object"
    if not isinstance(value, dict) or value.keys() != {"text", "label"}:
        return 'not an object with exactly "text" and "label"'
    text, label = value["text"], value["label"]
    if not isinstance(text, str) or not text.strip() or text != text.strip():
        return "text is empty, or has white space around it"
    if len(text) > LONGEST_TEXT:
        return f"text has {len(text)} characters, more than {LONGEST_TEXT}"
    if any(unicodedata.category(character) == "Cc" for character in text):
        return "text holds a control character"
    if not isinstance(label, str) or not label.isidentifier() or not label.isascii():
        return "label is not a plain name such as order_status"
    return Row(text, label, file, number)

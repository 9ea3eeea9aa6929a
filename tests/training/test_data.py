"""Rows, splits and near-duplicates."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tallystick.errors import DataInvalid
from tallystick.training.data import LONGEST_TEXT, Row, labels_of, read_rows, split_validation
from tallystick.training.duplicates import without_near_duplicates


def rows(*texts: str, label: str = "a", file: str = "train.jsonl") -> list[Row]:
    return [Row(text, label, file, number) for number, text in enumerate(texts, start=1)]


def line(text: object = "hello", label: object = "a") -> bytes:
    return json.dumps({"text": text, "label": label}).encode()


def test_read_rows_keeps_order_and_place(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(line("one") + b"\n" + line("two", "b") + b"\n")
    assert read_rows(path) == (Row("one", "a", "train.jsonl", 1), Row("two", "b", "train.jsonl", 2))


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (b"", "not a JSON object"),
        (b"{", "not a JSON object"),
        (b'{"text":"x","text":"y","label":"a"}', "not a JSON object"),
        (b'["x","a"]', "exactly"),
        (b'{"text":"x"}', "exactly"),
        (b'{"text":"x","label":"a","weight":1}', "exactly"),
        (line(""), "empty"),
        (line("  x"), "white space"),
        (line(5), "empty"),
        (line("x" * (LONGEST_TEXT + 1)), str(LONGEST_TEXT)),
        (line("bell \x07"), "control character"),
        (line("x", "two words"), "label"),
        (line("x", 5), "label"),
        (line("  First ROW".strip()), "the same text as train.jsonl:1"),
    ],
)
def test_read_rows_names_a_bad_row_by_file_and_line(tmp_path: Path, bad: bytes, fault: str) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(line("first row") + b"\n" + bad + b"\n" + line("last") + b"\n")
    with pytest.raises(DataInvalid) as refusal:
        read_rows(path)
    assert "train.jsonl:2: " in refusal.value.message
    assert fault in refusal.value.message
    assert refusal.value.details["bad_rows"] == 1


def test_read_rows_names_ten_of_many_and_counts_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(b"{\n" * 25)
    with pytest.raises(DataInvalid, match="and 15 more") as refusal:
        read_rows(path)
    assert refusal.value.message.count("train.jsonl:") == 10


def test_read_rows_refuses_an_empty_or_absent_file(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(DataInvalid, match="empty"):
        read_rows(tmp_path / "empty.jsonl")
    with pytest.raises(DataInvalid, match="can't be read"):
        read_rows(tmp_path / "absent.jsonl")


def test_labels_of_refuses_a_label_that_can_be_neither_learnt_nor_measured() -> None:
    train = [*rows("one", "two"), *rows("three", label="b")]
    with pytest.raises(DataInvalid, match="'b' has 1 training rows"):
        labels_of(train, [*rows("four"), *rows("five", label="b")])
    with pytest.raises(DataInvalid, match="'b' has no held-out row"):
        labels_of([*train, *rows("six", label="b")], rows("four"))
    with pytest.raises(DataInvalid, match="fewer than two labels"):
        labels_of(rows("one", "two"), rows("four"))


def test_split_validation_takes_the_share_of_every_label_and_loses_nothing() -> None:
    everything = [*rows(*map(str, range(40))), *rows(*map(str, range(40, 50)), label="b")]
    training, validation = split_validation(everything, 0.2, seed=1)
    assert sorted(row.text for row in (*training, *validation)) == sorted(row.text for row in everything)
    assert [sum(row.label == label for row in validation) for label in "ab"] == [8, 2]


def test_split_validation_depends_on_the_seed_alone() -> None:
    everything = rows(*map(str, range(100)))
    assert split_validation(everything, 0.2, seed=1) == split_validation(everything, 0.2, seed=1)
    assert split_validation(everything, 0.2, seed=1) != split_validation(everything, 0.2, seed=2)


def test_near_duplicates_leave_training_and_are_named() -> None:
    heldout = rows("Where is my order? It should have come on Monday.", file="heldout.jsonl")
    copied = rows(
        "where is my order, it should have come on monday!!",
        "Where's my refund for the order from Monday?",
        "Nice lamp.",
    )
    kept, removed = without_near_duplicates(copied, heldout, 0.7)
    assert [row.text for row in kept] == [row.text for row in copied[1:]]
    assert [(one.row, one.heldout) for one in removed] == [(copied[0], heldout[0])]
    assert removed[0].similarity >= 0.7


def test_exact_copies_are_near_duplicates_at_any_threshold() -> None:
    heldout = rows("hello there", "something else")
    kept, removed = without_near_duplicates(rows("hello there", "nothing alike, really"), heldout, 0.99)
    assert ([row.text for row in kept], len(removed)) == (["nothing alike, really"], 1)

"""Figures against scikit-learn's, and against cases that can be counted by hand."""

from __future__ import annotations

import random

import pytest
from sklearn.metrics import accuracy_score, precision_recall_fscore_support
from tallystick.training.baseline import baseline_predictions
from tallystick.training.data import Row
from tallystick.training.evaluate import evaluate


def test_evaluate_agrees_with_scikit_learn() -> None:
    draw = random.Random(4)  # noqa: S311
    labels = ("a", "b", "c", "d")
    truth = [draw.choice(labels) for _ in range(200)]
    predicted = [label if draw.random() < 0.7 else draw.choice(labels[:3]) for label in truth]
    result = evaluate(truth, predicted, labels)
    expected = precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0.0)
    assert result.accuracy == pytest.approx(accuracy_score(truth, predicted))
    assert result.macro_f1 == pytest.approx(expected[2].mean())
    for index, score in enumerate(result.labels):
        assert (score.precision, score.recall, score.f1) == pytest.approx([column[index] for column in expected[:3]])
        assert score.support == expected[3][index]


def test_evaluate_counts_confusions_most_frequent_first() -> None:
    result = evaluate(["a", "a", "b", "b"], ["b", "b", "a", "b"], ["a", "b"])
    assert result.confusions == (("a", "b", 2), ("b", "a", 1))
    assert result.accuracy == 0.25


def test_evaluate_refuses_nothing_and_unequal_lengths() -> None:
    with pytest.raises(ValueError, match="no rows"):
        evaluate([], [], ["a"])
    with pytest.raises(ValueError, match="shorter"):
        evaluate(["a", "b"], ["a"], ["a", "b"])


def test_baseline_learns_what_words_tell() -> None:
    def some(prefix: str, start: int, count: int) -> list[Row]:
        return [Row(f"{prefix} number {number}", prefix, "f", number) for number in range(start, start + count)]

    train = some("refund", 0, 8) + some("parcel", 0, 8)
    heldout = some("refund", 20, 3) + some("parcel", 20, 3)
    predicted = baseline_predictions(train, some("refund", 10, 2) + some("parcel", 10, 2), heldout)
    assert predicted == [row.label for row in heldout]

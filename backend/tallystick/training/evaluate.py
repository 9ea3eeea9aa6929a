"""How good predictions are: accuracy, macro-F1, and per label precision, recall, F1 and support."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class LabelScore:
    """Shares between 0 and 1; `support` is the number of rows that have the label."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Evaluation:
    """Figures over one set of rows. `confusions` are (true label, predicted label, times), most frequent first."""

    rows: int
    accuracy: float
    macro_f1: float
    labels: tuple[LabelScore, ...]
    confusions: tuple[tuple[str, str, int], ...]


def evaluate(truth: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> Evaluation:
    """Compare predictions with the truth, label by label. Raises ValueError on no rows or unequal lengths."""
    if not truth:
        raise ValueError("there are no rows to evaluate")
    pairs = list(zip(truth, predicted, strict=True))
    scores = tuple(_score(label, pairs) for label in labels)
    confusions = Counter(pair for pair in pairs if pair[0] != pair[1])
    return Evaluation(
        rows=len(pairs),
        accuracy=sum(one == other for one, other in pairs) / len(pairs),
        macro_f1=sum(score.f1 for score in scores) / len(scores),
        labels=scores,
        confusions=tuple(
            (true, guess, times)
            for (true, guess), times in sorted(confusions.items(), key=lambda item: (-item[1], item[0]))
        ),
    )


def _score(label: str, pairs: Sequence[tuple[str, str]]) -> LabelScore:
    right = sum(true == label == guess for true, guess in pairs)
    support = sum(true == label for true, _ in pairs)
    claimed = sum(guess == label for _, guess in pairs)
    precision = right / claimed if claimed else 0.0
    recall = right / support if support else 0.0
    f1 = 2 * right / (support + claimed) if support + claimed else 0.0
    return LabelScore(label, precision, recall, f1, support)

"""Near-duplicates between training and held-out rows. They would let a model score by memory, so they leave training.

Similarity is the cosine of TF-IDF vectors over character n-grams of 3 to 5 within words, lower-cased: it survives other
punctuation, typos and swapped words, and two texts about the same thing in other words stay far below 0.7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sklearn.feature_extraction.text import TfidfVectorizer

from tallystick.training.data import Row


@dataclass(frozen=True)
class NearDuplicate:
    """A training row, the held-out row it is closest to, and their cosine (0 to 1)."""

    row: Row
    heldout: Row
    similarity: float


def without_near_duplicates(
    train: Sequence[Row], heldout: Sequence[Row], threshold: float
) -> tuple[tuple[Row, ...], tuple[NearDuplicate, ...]]:
    """The training rows below the threshold against every held-out row, and those that were removed."""
    vectoriser = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True)
    texts = [row.text for row in train]
    vectoriser.fit([*texts, *(row.text for row in heldout)])
    similarity = vectoriser.transform(texts) @ vectoriser.transform([row.text for row in heldout]).T
    closest = similarity.toarray().argmax(axis=1)
    kept: list[Row] = []
    removed: list[NearDuplicate] = []
    for index, row in enumerate(train):
        value = float(similarity[index, closest[index]])
        if value >= threshold:
            removed.append(NearDuplicate(row, heldout[int(closest[index])], value))
        else:
            kept.append(row)
    return tuple(kept), tuple(removed)

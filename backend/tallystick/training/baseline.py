"""The baseline that a fine-tuned model has to beat: TF-IDF of words and characters with logistic regression."""

from __future__ import annotations

from collections.abc import Sequence

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union

from tallystick.training.data import Row

_STRENGTHS = (1.0, 3.0, 10.0, 30.0)


def baseline_predictions(train: Sequence[Row], validation: Sequence[Row], heldout: Sequence[Row]) -> list[str]:
    """Labels for the held-out rows. The inverse regularisation is chosen on validation, then all rows are fitted."""
    texts = [row.text for row in train]
    labels = [row.label for row in train]

    def accuracy(strength: float) -> float:
        model = _pipeline(strength).fit(texts, labels)
        return float(model.score([row.text for row in validation], [row.label for row in validation]))

    best = max(_STRENGTHS, key=accuracy)
    rows = (*train, *validation)
    model = _pipeline(best).fit([row.text for row in rows], [row.label for row in rows])
    return [str(label) for label in model.predict([row.text for row in heldout])]


def _pipeline(strength: float):  # type: ignore[no-untyped-def]
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    return make_pipeline(make_union(words, characters), LogisticRegression(C=strength, max_iter=1000))

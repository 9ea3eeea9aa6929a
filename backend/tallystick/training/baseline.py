"""The baseline that a fine-tuned model has to beat: TF-IDF of words and characters with logistic regression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_union

from tallystick.training.data import Row

STRENGTHS: Final = (3.0, 10.0, 30.0)
"""Inverse strengths of the regularisation that are tried."""


def baseline_predictions(train: Sequence[Row], validation: Sequence[Row], heldout: Sequence[Row]) -> list[str]:
    """Labels for the held-out rows. Validation chooses the regularisation; then all other rows are fitted."""
    features = make_union(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2),
    )
    known = features.fit_transform([row.text for row in train])
    chosen_by = features.transform([row.text for row in validation])
    labels, truth = [row.label for row in train], [row.label for row in validation]
    best = max(STRENGTHS, key=lambda strength: _model(strength).fit(known, labels).score(chosen_by, truth))
    everything = features.fit_transform([row.text for row in (*train, *validation)])
    model = _model(best).fit(everything, [*labels, *truth])
    return [str(label) for label in model.predict(features.transform([row.text for row in heldout]))]


def _model(strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=300, tol=1e-3)

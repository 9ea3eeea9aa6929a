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
    """Labels for the held-out rows, from a model fitted on the training rows whose regularisation validation chose."""
    features = make_union(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2),
    )
    known = features.fit_transform([row.text for row in train])
    models = [
        LogisticRegression(C=strength, max_iter=300, tol=1e-3).fit(known, [row.label for row in train])
        for strength in STRENGTHS
    ]
    chosen_by = features.transform([row.text for row in validation])
    truth = [row.label for row in validation]
    best = max(models, key=lambda model: model.score(chosen_by, truth))
    return [str(label) for label in best.predict(features.transform([row.text for row in heldout]))]

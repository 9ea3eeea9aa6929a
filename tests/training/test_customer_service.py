"""The customer-service model itself: its data, its figures, and what batching does to its scores (E5)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tallystick.inference.classifier import TextClassifier, load_classifier
from tallystick.inference.folder import read_verified
from tallystick.inference.manifest import read_manifest
from tallystick.protocol.results import GRID_DECIMALS, TOLERANCE
from tallystick.training.data import Row, labels_of, read_rows
from tallystick.training.duplicates import without_near_duplicates
from tallystick.training.recipe import read_recipe
from tallystick.training.train import is_current, train

RECIPE = Path(__file__).parents[2] / "models" / "customer-service" / "recipe.toml"
LEAST_TRAIN, LEAST_HELDOUT = 40, 10


@pytest.fixture(scope="module")
def heldout() -> tuple[Row, ...]:
    recipe = read_recipe(RECIPE)
    return read_rows(recipe.folder / recipe.data.heldout)


@pytest.fixture(scope="module")
def model_folder() -> Path:
    """The trained model; trained now if it is not what the recipe makes."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    folder = RECIPE.parent / "artifacts" / "model"
    if not is_current(RECIPE, folder):
        train(RECIPE, folder)
    return folder


@pytest.fixture(scope="module")
def classifier(model_folder: Path) -> TextClassifier:
    return load_classifier(read_verified(model_folder, None))


def test_data_is_valid_balanced_and_free_of_near_duplicates(heldout: tuple[Row, ...]) -> None:
    recipe = read_recipe(RECIPE)
    rows = read_rows(recipe.folder / recipe.data.train)
    labels = labels_of(rows, heldout, least=LEAST_TRAIN)
    assert len(labels) == 14
    assert min(sum(row.label == label for row in heldout) for label in labels) >= LEAST_HELDOUT
    assert without_near_duplicates(rows, heldout, recipe.data.near_duplicate) == (rows, ())


@pytest.mark.timeout(900)
def test_model_reaches_its_figures_through_the_runner(classifier: TextClassifier, heldout: tuple[Row, ...]) -> None:
    parameters = classifier.effective_parameters({})
    right = sum(classifier.run(row.text, parameters).result["label"] == row.label for row in heldout)
    metrics = classifier.manifest.metrics
    assert f"{right / len(heldout):.4f}" == metrics.accuracy
    assert right / len(heldout) >= 0.90
    assert float(metrics.accuracy) > float(metrics.baseline_accuracy)


@pytest.mark.timeout(900)
def test_e5_batching_moves_scores_far_less_than_the_tolerance(
    classifier: TextClassifier, heldout: tuple[Row, ...]
) -> None:
    parameters = classifier.effective_parameters({"top_k": len(classifier.manifest.labels)})

    def scores(result: object) -> dict[str, float]:
        assert isinstance(result, dict)
        return {entry["label"]: entry["score"] for entry in result["scores"]}

    most = 0.0
    for start in range(0, len(heldout), 32):
        texts = [row.text for row in heldout[start : start + 32]]
        together = classifier.run_batch([(text, parameters) for text in texts])
        for text, batched in zip(texts, together, strict=True):
            alone, other = scores(classifier.run(text, parameters).result), scores(batched.result)
            most = max(most, *(abs(alone[label] - other[label]) for label in alone))
    assert most <= 10.0**-GRID_DECIMALS * 1.01 < TOLERANCE  # at most one step of the grid


@pytest.mark.timeout(900)
def test_manifest_tells_where_the_model_comes_from(model_folder: Path) -> None:
    manifest = read_manifest(model_folder)
    assert (manifest.base.licence, manifest.licence) == ("Apache-2.0", "MIT")
    assert manifest.provenance.data_sha256.keys() == {"train", "heldout"}
    assert "torch" in manifest.provenance.software

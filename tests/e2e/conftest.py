"""One chain for all end-to-end tests; each test makes its own listings, oracles and payers on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.world import ROOT, World, running_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_world(tmp_path_factory.mktemp("world")) as running:
        yield running


@pytest.fixture(scope="session")
def real_model() -> Path:
    """The folder of the customer-service model, trained by its recipe if it is not there."""
    from filelock import FileLock
    from tallystick.training.train import is_current, train

    recipe = ROOT / "models" / "customer-service" / "recipe.toml"
    target = recipe.parent / "artifacts" / "model"
    with FileLock(ROOT / "build" / "real-model.lock"):  # tests run in more than one process
        if not is_current(recipe, target):
            train(recipe, target)
    return target


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "e2e" in Path(item.path).parts:
            item.add_marker(pytest.mark.e2e)
    # The long files first, so that two processes end at about the same time.
    items.sort(key=lambda item: not {"e2e", "ganache"} & {marker.name for marker in item.iter_markers()})

"""A model folder that passes every check, and ways to spoil it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tallystick.inference.manifest import Manifest, write_manifest

from tests.inference.tiny import tiny_manifest, write_tiny_model


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    write_tiny_model(folder)
    write_manifest(folder, tiny_manifest(folder))
    return folder


@pytest.fixture
def seal(model_folder: Path) -> Callable[[], Manifest]:
    """Write a manifest that fits whatever the folder holds now, as an attacker who made the model would."""

    def write() -> Manifest:
        manifest = tiny_manifest(model_folder)
        write_manifest(model_folder, manifest)
        return manifest

    return write


@pytest.fixture
def edit_config(model_folder: Path, seal: Callable[[], Manifest]) -> Callable[..., None]:
    """Change keys of config.json (None removes one) and seal the folder again."""

    def edit(**changes: object) -> None:
        path = model_folder / "config.json"
        config = {**json.loads(path.read_text()), **changes}
        path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))
        seal()

    return edit

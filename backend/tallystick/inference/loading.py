"""From a verified folder to a runner, by its manifest's task. torch is imported only here, when a model needs it."""

from __future__ import annotations

from pathlib import Path

from tallystick.inference.folder import read_verified
from tallystick.inference.runner import Runner


def load_runner(folder: Path, manifest_hash: bytes | None, *, torch_threads: int | None = None) -> Runner:
    """Read, verify and load. Raises every ModelError that `read_verified` and `load_classifier` raise."""
    verified = read_verified(folder, manifest_hash)
    from tallystick.inference.classifier import load_classifier

    return load_classifier(verified, torch_threads=torch_threads)

"""One hash over all that decides the weights, so that a trained folder can be known to be current without training."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from tallystick.errors import DataInvalid
from tallystick.protocol.canonical import canonical_bytes
from tallystick.training.recipe import Recipe


def data_hashes(recipe: Recipe) -> dict[str, str]:
    """SHA-256 of the data files, by their part. Raises DataInvalid where one can't be read."""
    return {
        part: _sha256_of(recipe.folder / name)
        for part, name in (("train", recipe.data.train), ("heldout", recipe.data.heldout))
    }


def fingerprint(recipe: Recipe, data: Mapping[str, str], base_sha256: str, seed: int) -> str:
    """SHA-256 in hex over recipe, data, base weights, seed and the training code itself."""
    content = {
        "recipe": recipe.sha256,
        "data": dict(data),
        "base": base_sha256,
        "seed": seed,
        "code": {path.name: _sha256_of(path) for path in sorted(Path(__file__).parent.glob("*.py"))},
    }
    return hashlib.sha256(canonical_bytes(content)).hexdigest()


def _sha256_of(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataInvalid(f"The data file {path} can't be read ({error.strerror}).", file=str(path)) from None

"""The recipe of a model: a TOML file that says everything that was chosen, checked field by field.

Every field of a section is a line of its dataclass, with the range it may have. A key that no field knows is refused.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from tallystick.errors import RecipeInvalid

RECIPE_LIMIT = 1 << 20
"""Largest recipe that is read, in bytes."""

Section = TypeVar("Section")


def _number(least: float, most: float) -> Any:
    return dataclasses.field(metadata={"least": least, "most": most})


def _text(pattern: str) -> Any:
    return dataclasses.field(metadata={"pattern": re.compile(pattern)})


@dataclass(frozen=True)
class ModelSection:
    """What the manifest says about the model."""

    name: str = _text(r"[a-z0-9][a-z0-9-]{0,63}")
    title: str = _text(r"[^\x00-\x1f]{1,120}")
    description: str = _text(r"[^\x00-\x1f]{1,2000}")
    licence: str = _text(r"[A-Za-z0-9.+-]{1,100}")
    top_k: int = _number(1, 1000)  # labels in a result, unless a request says otherwise
    max_tokens: int = _number(8, 8192)  # longest input, special tokens included


@dataclass(frozen=True)
class BaseSection:
    """The encoder that is fine-tuned. `source` is `package:NAME`, a folder, or a hub id."""

    source: str = _text(r"[^\x00-\x1f]{1,300}")
    name: str = _text(r"[^\x00-\x1f]{1,200}")
    licence: str = _text(r"[A-Za-z0-9.+-]{1,100}")
    sha256: str = _text(r"[0-9a-f]{64}")  # of its weights; another file is refused


@dataclass(frozen=True)
class DataSection:
    """The rows. Paths are relative to the recipe."""

    train: str = _text(r"[^\x00-\x1f]{1,300}")
    heldout: str = _text(r"[^\x00-\x1f]{1,300}")
    validation_share: float = _number(0.02, 0.5)  # of the training rows, for every choice that is made
    near_duplicate: float = _number(0.3, 1.0)  # cosine from which a training row is too close to a held-out one


@dataclass(frozen=True)
class TrainingSection:
    """The fine-tuning. Rates are AdamW's peak rates; shares are of all steps."""

    seed: int = _number(0, (1 << 32) - 1)
    epochs: int = _number(1, 100)
    patience: int = _number(1, 100)  # epochs without a better validation loss before it stops
    batch_size: int = _number(1, 1024)
    learning_rate: float = _number(1e-7, 0.1)
    head_learning_rate: float = _number(1e-7, 0.1)
    weight_decay: float = _number(0.0, 1.0)
    warmup_share: float = _number(0.0, 0.9)
    label_smoothing: float = _number(0.0, 0.5)
    dropout: float = _number(0.0, 0.9)
    gradient_clip: float = _number(1e-3, 1000.0)
    frozen_layers: int = _number(0, 100)  # of the encoder, from below; the embeddings are always frozen


@dataclass(frozen=True)
class Recipe:
    """A checked recipe, with the folder that its paths are relative to and the SHA-256 of the file."""

    model: ModelSection
    base: BaseSection
    data: DataSection
    training: TrainingSection
    folder: Path
    sha256: str


def read_recipe(path: Path) -> Recipe:
    """Raises RecipeInvalid, naming the file and the key."""
    try:
        with path.open("rb") as file:
            data = file.read(RECIPE_LIMIT + 1)
        tables = tomllib.loads(data[:RECIPE_LIMIT].decode("utf-8"))
    except OSError as error:
        raise RecipeInvalid(
            f"The recipe {path} can't be read ({error.strerror}); give the path of a recipe.toml."
        ) from None
    except ValueError as error:
        raise RecipeInvalid(f"The recipe {path} is not TOML: {error}.") from None
    sections = {
        "model": ModelSection,
        "base": BaseSection,
        "data": DataSection,
        "training": TrainingSection,
    }
    for name in tables:
        if name not in sections:
            raise RecipeInvalid(f"{path}: unknown section {name!r}; known: {', '.join(sections)}.", key=name)
    return Recipe(
        **{name: _section(path, name, kind, tables.get(name)) for name, kind in sections.items()},
        folder=path.parent,
        sha256=hashlib.sha256(data).hexdigest(),
    )


def _section(path: Path, name: str, kind: type[Section], table: object) -> Section:
    if not isinstance(table, Mapping):
        raise RecipeInvalid(f"{path}: the section [{name}] is missing; add it.", key=name)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    types = get_type_hints(kind)
    for key in table:
        if key not in fields:
            raise RecipeInvalid(f"{path}: unknown key {name}.{key}; known: {', '.join(fields)}.", key=f"{name}.{key}")
    values = {}
    for key, field in fields.items():
        if key not in table:
            raise RecipeInvalid(f"{path}: {name}.{key} is missing; add it.", key=f"{name}.{key}")
        expected = _mismatch(table[key], types[key], field.metadata)
        if expected:
            raise RecipeInvalid(f"{path}: {name}.{key} should be {expected}, not {table[key]!r}.", key=f"{name}.{key}")
        values[key] = types[key](table[key])
    return kind(**values)


def _mismatch(value: Any, kind: type, limits: Mapping[str, Any]) -> str | None:
    """What the value should be, where it isn't."""
    if kind is str:
        pattern = limits["pattern"]
        return None if isinstance(value, str) and pattern.fullmatch(value) else f"text like {pattern.pattern}"
    accepted = (int, float) if kind is float else (int,)
    fits = type(value) in accepted and limits["least"] <= value <= limits["most"]
    return None if fits else f"a {'whole ' if kind is int else ''}number from {limits['least']} to {limits['most']}"

"""The base model: an encoder from a Python package, a folder or a hub, taken as bytes and checked like any model file."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tallystick.errors import ModelFileAltered, ModelMalformed, ModelMissing
from tallystick.inference.configs import check_json, check_tokenizer
from tallystick.inference.contents import refuse_dangerous
from tallystick.inference.manifest import BaseModel
from tallystick.inference.tensors import read_header
from tallystick.training.recipe import BaseSection

PACKAGE: Final = "package:"
FILES: Final = ("config.json", "tokenizer.json", "model.safetensors")


@dataclass(frozen=True)
class Base:
    """What the manifest says about the base, its configuration, and the bytes of its weights and tokenizer."""

    model: BaseModel
    config: Mapping[str, Any]
    weights: bytes
    tokenizer: bytes


def load_base(section: BaseSection, override: str | None) -> Base:
    """The recipe's base, or another one: `package:NAME`, a folder, a hub id.

    Raises ModelMissing, ModelFileAltered where the recipe's hash is not met, ModelFileForbidden or ModelMalformed.
    """
    source = override or section.source
    files = {name: path.read_bytes() for name, path in _paths(source).items()}
    for name, data in files.items():
        refuse_dangerous(name, data)
    config = check_json("config.json", files["config.json"])
    if config.get("model_type") != "bert":
        raise ModelMalformed(f"The base {source} is not a BERT encoder; choose one whose model_type is bert.")
    check_tokenizer("tokenizer.json", files["tokenizer.json"])
    read_header("model.safetensors", files["model.safetensors"])
    sha256 = hashlib.sha256(files["model.safetensors"]).hexdigest()
    if override is None and sha256 != section.sha256:
        raise ModelFileAltered(
            f"The weights of {source} have another SHA-256 than the recipe names; install the version in the lock file, or "
            "correct base.sha256.",
            actual=sha256,
            expected=section.sha256,
        )
    if override is None:
        model = BaseModel(section.name, section.source, section.licence, sha256)
    else:
        shown = Path(source).name if Path(source).is_dir() else source  # a path of this machine is nobody's business
        model = BaseModel(shown, shown, "see the source", sha256)
    return Base(model, config, files["model.safetensors"], files["tokenizer.json"])


def _paths(source: str) -> dict[str, Path]:
    if source.startswith(PACKAGE):
        return _in_folder(_package_folder(source.removeprefix(PACKAGE)), source)
    if Path(source).is_dir():
        return _in_folder(Path(source), source)
    return {name: _from_hub(source, name) for name in FILES}


def _package_folder(name: str) -> Path:
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise ModelMissing(f"The package {name}, which carries the base model, is not installed; run `make setup`.")
    return Path(spec.submodule_search_locations[0]) / "model"


def _in_folder(folder: Path, source: str) -> dict[str, Path]:
    for name in FILES:
        if not (folder / name).is_file():
            raise ModelMissing(f"The base {source} has no {name}; choose a folder with {', '.join(FILES)}.")
    return {name: folder / name for name in FILES}


def _from_hub(source: str, name: str) -> Path:
    from transformers.utils.hub import cached_file

    try:
        return Path(str(cached_file(source, name)))
    except (OSError, ValueError) as error:
        raise ModelMissing(
            f"The base {source} is no folder, and {name} can't be fetched from a hub ({type(error).__name__}). Check the "
            "name and the connection, unset HF_HUB_OFFLINE, or give a local folder.",
            base=source,
        ) from None

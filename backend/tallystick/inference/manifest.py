"""The manifest: canonical JSON that names every file of a model with its size and SHA-256 (rule S6).

Its hash is what a revision holds on chain, so every field is checked strictly: one manifest has one reading.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tallystick.errors import ManifestInvalid, ModelMissing, NotJson
from tallystick.inference.fields import Fields
from tallystick.protocol.canonical import canonical_bytes, parse_json
from tallystick.protocol.commitments import manifest_hash

MANIFEST_VERSION: Final = 1
MANIFEST_NAME: Final = "manifest.json"
MANIFEST_LIMIT: Final = 1 << 20
"""Largest manifest that is read, in bytes."""

TASKS: Final = ("text-classification",)
DTYPES: Final = ("float32",)
FILE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""A file lies directly in the model folder and has a plain ASCII name: no separator, no leading dot, no Unicode."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_SHARE = re.compile(r"0\.[0-9]{1,6}|1\.0{1,6}")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class ManifestFile:
    """One file: its name in the folder, its size in bytes, its SHA-256 in lower-case hex."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class BaseModel:
    """The model that was fine-tuned: name, where it came from, its licence, SHA-256 of its weights."""

    name: str
    source: str
    licence: str
    sha256: str


@dataclass(frozen=True)
class DecodingDefaults:
    """What a request gets that names no parameter. `max_tokens` is also the most that a request may ask for."""

    top_k: int
    max_tokens: int


@dataclass(frozen=True)
class Provenance:
    """What the weights were made from: SHA-256 of the recipe and of each data file, seed, versions of the software.

    `fingerprint` is one SHA-256 over everything that decides the weights, the training code included.
    """

    recipe_sha256: str
    data_sha256: Mapping[str, str]
    seed: int
    software: Mapping[str, str]
    fingerprint: str


@dataclass(frozen=True)
class Metrics:
    """Shares between 0 and 1 on the held-out set, as decimal strings; the baseline is the TF-IDF model's accuracy."""

    accuracy: str
    macro_f1: str
    baseline_accuracy: str


@dataclass(frozen=True)
class Manifest:
    """A model for sale. `hash()` is the `manifestHash` of a revision."""

    name: str
    title: str
    description: str
    task: str
    labels: tuple[str, ...]
    base: BaseModel
    files: tuple[ManifestFile, ...]
    dtype: str
    decoding_defaults: DecodingDefaults
    provenance: Provenance
    metrics: Metrics
    licence: str

    def hash(self) -> bytes:
        """keccak256 of the canonical bytes, 32 bytes."""
        return manifest_hash(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        return {
            "v": MANIFEST_VERSION,
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "task": self.task,
            "labels": list(self.labels),
            "base": vars(self.base).copy(),
            "files": [vars(file).copy() for file in self.files],
            "dtype": self.dtype,
            "decoding_defaults": vars(self.decoding_defaults).copy(),
            "provenance": {
                **vars(self.provenance),
                "data_sha256": dict(self.provenance.data_sha256),
                "software": dict(self.provenance.software),
            },
            "metrics": vars(self.metrics).copy(),
            "licence": self.licence,
        }

    @classmethod
    def from_dict(cls, value: Any) -> Manifest:
        """Raises ManifestInvalid, naming the field, where it is not exactly what `to_dict` writes."""
        top = Fields(value, "manifest")
        top.integer("v", MANIFEST_VERSION, MANIFEST_VERSION)
        base = top.object("base")
        defaults = top.object("decoding_defaults")
        provenance = top.object("provenance")
        metrics = top.object("metrics")
        manifest = cls(
            name=top.matching("name", _SLUG),
            title=top.text("title", 120),
            description=top.text("description", 2000),
            task=top.one_of("task", TASKS),
            labels=top.unique_texts("labels", least=2, most=1000, longest=100),
            base=BaseModel(
                base.text("name", 200),
                base.text("source", 500),
                base.text("licence", 100),
                base.matching("sha256", _SHA256),
            ),
            files=_files(top),
            dtype=top.one_of("dtype", DTYPES),
            decoding_defaults=DecodingDefaults(
                defaults.integer("top_k", 1, 1000), defaults.integer("max_tokens", 1, 1 << 20)
            ),
            provenance=Provenance(
                recipe_sha256=provenance.matching("recipe_sha256", _SHA256),
                data_sha256=provenance.mapping("data_sha256", _KEY, _SHA256),
                seed=provenance.integer("seed", 0, (1 << 32) - 1),
                software=provenance.mapping("software", _KEY, re.compile(r"[ -~]{1,100}")),
                fingerprint=provenance.matching("fingerprint", _SHA256),
            ),
            metrics=Metrics(*(metrics.matching(key, _SHARE) for key in ("accuracy", "macro_f1", "baseline_accuracy"))),
            licence=top.text("licence", 100),
        )
        for fields in (base, defaults, provenance, metrics, top):
            fields.done()
        if manifest.decoding_defaults.top_k > len(manifest.labels):
            raise ManifestInvalid("manifest.decoding_defaults.top_k: larger than the number of labels; lower it.")
        return manifest


def _files(top: Fields) -> tuple[ManifestFile, ...]:
    files = []
    for fields in top.objects("files", most=100):
        name = fields.matching("path", FILE_NAME)
        files.append(ManifestFile(name, fields.integer("size", 0, 1 << 40), fields.matching("sha256", _SHA256)))
        fields.done()
    names = [file.path.lower() for file in files]
    if len(set(names)) != len(names) or MANIFEST_NAME in names:
        raise ManifestInvalid("manifest.files: a name occurs twice, or is the manifest's own; name each file once.")
    return tuple(files)


def parse_manifest(data: bytes) -> Manifest:
    """The manifest in the bytes of a manifest.json. Raises ManifestInvalid."""
    try:
        value = parse_json(data)
    except NotJson as error:
        raise ManifestInvalid(f"{MANIFEST_NAME} can't be read. {error.message}") from None
    return Manifest.from_dict(value)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a model folder, without looking at the files it names. Raises ModelMissing, ManifestInvalid."""
    try:
        with (folder / MANIFEST_NAME).open("rb") as file:
            data = file.read(MANIFEST_LIMIT + 1)
    except OSError:
        raise ModelMissing(
            f"There is no {MANIFEST_NAME} in {folder}; train the model first, or point to a trained model's folder.",
            folder=str(folder),
        ) from None
    if len(data) > MANIFEST_LIMIT:
        raise ManifestInvalid(f"{MANIFEST_NAME} is larger than {MANIFEST_LIMIT} bytes; it can't be a manifest.")
    return parse_manifest(data)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write manifest.json as the canonical bytes, so that keccak256 of the file is the hash. Raises ManifestInvalid."""
    Manifest.from_dict(manifest.to_dict())
    (folder / MANIFEST_NAME).write_bytes(canonical_bytes(manifest.to_dict()))

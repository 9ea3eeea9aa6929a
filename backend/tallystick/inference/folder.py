"""A model folder, read once and verified against its manifest (rule S6).

Every file is read into memory a single time; what is hashed, checked and later loaded are the same bytes, so that
swapping a file between the check and the load changes nothing.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from tallystick.errors import (
    ManifestMismatch,
    ModelError,
    ModelFileAltered,
    ModelFileForbidden,
    ModelMalformed,
    ModelMissing,
)
from tallystick.inference.configs import check_config, check_json, check_text, check_tokenizer
from tallystick.inference.contents import refuse_dangerous
from tallystick.inference.manifest import MANIFEST_LIMIT, MANIFEST_NAME, Manifest, ManifestFile, parse_manifest
from tallystick.inference.tensors import read_header
from tallystick.protocol.hexes import to_hex

TOTAL_LIMIT: Final = 4 << 30
"""Most bytes that a model's files may have together, unless the caller says otherwise."""

_CHECKS: Final[Mapping[str, Callable[[str, bytes], Any]]] = {
    "README.md": check_text,
    "config.json": check_config,
    "model.safetensors": read_header,
    "special_tokens_map.json": check_json,
    "tokenizer.json": check_tokenizer,
    "tokenizer_config.json": check_json,
    "vocab.txt": check_text,
}
_NEEDED: Final = ("config.json", "model.safetensors", "tokenizer.json")


@dataclass(frozen=True)
class VerifiedModel:
    """A manifest and the very bytes that were checked against it, by file name."""

    manifest: Manifest
    files: Mapping[str, bytes]


def read_verified(folder: Path, expected_hash: bytes | None, *, total_limit: int = TOTAL_LIMIT) -> VerifiedModel:
    """Read a model folder and check everything that can be checked without loading the model.

    `expected_hash` is the 32-byte manifest hash that the revision has on chain; None where nothing is published yet.
    Raises ModelMissing, ManifestInvalid, ManifestMismatch, ModelFileAltered, ModelFileForbidden or ModelMalformed.
    """
    with _opened(folder) as root:
        manifest = parse_manifest(_read_manifest(root, folder))
        if expected_hash is not None and manifest.hash() != expected_hash:
            raise ManifestMismatch(
                f"The manifest in {folder} hashes to {to_hex(manifest.hash())}; the revision on chain names "
                f"{to_hex(expected_hash)}. Restore the model of that revision, or publish this one as a new revision.",
                actual=to_hex(manifest.hash()),
                expected=to_hex(expected_hash),
            )
        _check_names(manifest, total_limit)
        _check_listing(root, manifest)
        files = {file.path: _read_file(root, file) for file in manifest.files}
    for name, data in files.items():
        refuse_dangerous(name, data)
    for name, data in files.items():
        _CHECKS[name](name, data)
    return VerifiedModel(manifest, MappingProxyType(files))


def describe_files(folder: Path) -> tuple[ManifestFile, ...]:
    """Size and SHA-256 of the files in a folder that is about to get its manifest, in the order of their names."""
    files = []
    for path in sorted(folder.iterdir()):
        if path.name != MANIFEST_NAME:
            data = path.read_bytes()
            files.append(ManifestFile(path.name, len(data), hashlib.sha256(data).hexdigest()))
    return tuple(files)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    try:
        root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, ValueError):
        raise ModelMissing(f"There is no model folder {folder}; train the model first.", folder=str(folder)) from None
    try:
        yield root
    finally:
        os.close(root)


def _read_manifest(root: int, folder: Path) -> bytes:
    missing = ModelMissing(f"There is no {MANIFEST_NAME} in {folder}; train the model first.", folder=str(folder))
    return _read(root, MANIFEST_NAME, MANIFEST_LIMIT, missing)


def _read_file(root: int, file: ManifestFile) -> bytes:
    advice = "Restore the folder from where it was trained, or train the model again."
    missing = ModelFileAltered(f"{file.path} is named in the manifest but can't be read. {advice}", file=file.path)
    data = _read(root, file.path, file.size, missing)
    if len(data) != file.size or hashlib.sha256(data).hexdigest() != file.sha256:
        raise ModelFileAltered(f"{file.path} is not the file that the manifest describes. {advice}", file=file.path)
    return data


def _read(root: int, name: str, limit: int, missing: ModelError) -> bytes:
    """At most `limit` + 1 bytes of a regular file directly in the folder; links and devices are not followed."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=root)
    except FileNotFoundError:
        raise missing from None
    except OSError:
        raise _not_regular(name) from None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _not_regular(name)
        return file.read(limit + 1)


def _check_names(manifest: Manifest, total_limit: int) -> None:
    names = {file.path for file in manifest.files}
    for name in sorted(names - _CHECKS.keys()):
        raise ModelFileForbidden(
            f"The manifest names {name}; a model folder holds only {', '.join(sorted(_CHECKS))}. "
            "Convert weights of another kind to safetensors and leave other files out.",
            file=name,
        )
    for name in _NEEDED:
        if name not in names:
            raise ModelMalformed(f"The manifest names no {name}; export the model again.", file=name)
    total = sum(file.size for file in manifest.files)
    if total > total_limit:
        raise ModelMalformed(
            f"The model's files have {total} bytes and the limit is {total_limit}; raise the limit or use a smaller model.",
            actual=total,
            limit=total_limit,
        )


def _check_listing(root: int, manifest: Manifest) -> None:
    known = {file.path for file in manifest.files} | {MANIFEST_NAME}
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.name not in known:
                raise ModelFileForbidden(
                    f"The folder holds {entry.name!r}, which the manifest does not name; remove it.",
                    file=ascii(entry.name),
                )
            if not entry.is_file(follow_symlinks=False):
                raise _not_regular(entry.name)


def _not_regular(name: str) -> ModelFileForbidden:
    return ModelFileForbidden(
        f"{name} is a link, a folder, a device or unreadable; put the plain file itself there.", file=name
    )

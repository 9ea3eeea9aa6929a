"""Manifests: one reading, one hash, every oddity refused by name (rule S6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from eth_hash.auto import keccak
from tallystick.errors import ManifestInvalid, ModelMissing
from tallystick.inference.manifest import MANIFEST_LIMIT, Manifest, read_manifest, write_manifest
from tallystick.inference.null import null_manifest
from tallystick.protocol.canonical import canonical_bytes


def changed(path: str, value: Any) -> dict[str, Any]:
    """The null manifest as a dict with one field, given by its dotted path, replaced (or removed, by Ellipsis)."""
    result = null_manifest().to_dict()
    target: Any = result
    *steps, last = path.split(".")
    for step in steps:
        target = target[int(step) if step.isdigit() else step]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return result


def test_from_dict_reads_what_to_dict_writes() -> None:
    assert Manifest.from_dict(null_manifest().to_dict()) == null_manifest()


def test_hash_is_keccak_of_the_file_that_is_written(tmp_path: Path) -> None:
    write_manifest(tmp_path, null_manifest())
    assert keccak((tmp_path / "manifest.json").read_bytes()) == null_manifest().hash()
    assert read_manifest(tmp_path) == null_manifest()


def test_hash_does_not_depend_on_how_the_file_is_laid_out(tmp_path: Path) -> None:
    import json

    (tmp_path / "manifest.json").write_text(json.dumps(null_manifest().to_dict(), indent=4))
    assert read_manifest(tmp_path).hash() == null_manifest().hash()


@pytest.mark.parametrize(
    "field", ["name", "title", "labels", "files", "dtype", "licence", "provenance.seed", "base.sha256"]
)
def test_hash_changes_with_every_field(field: str) -> None:
    other = {
        "name": "other",
        "title": "Other",
        "labels": ["complaint", "praise", "other"],
        "files": [{"path": "model.safetensors", "size": 1, "sha256": "00" * 32}],
        "dtype": "float16",
        "licence": "Apache-2.0",
        "provenance.seed": 1,
        "base.sha256": "11" * 32,
    }
    assert keccak(canonical_bytes(changed(field, other[field]))) != null_manifest().hash()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("v", 2),
        ("v", True),
        ("v", ...),
        ("name", "Bad Name"),
        ("name", "a" * 65),
        ("title", ""),
        ("title", "two\nlines"),
        ("title", "right-to-left \u202e override"),
        ("description", 5),
        ("task", "text-generation"),
        ("labels", ["only"]),
        ("labels", ["twice", "twice"]),
        ("labels", ["zero width \u200b", "b"]),
        ("labels", "ab"),
        ("base", []),
        ("base.sha256", "AB" * 32),
        ("base.sha256", ...),
        ("base.unknown", 1),
        ("files", []),
        ("files.0.path", "../model.safetensors"),
        ("files.0.path", "/etc/passwd"),
        ("files.0.path", "sub/model.safetensors"),
        ("files.0.path", "sub\\model.safetensors"),
        ("files.0.path", "..%2fmodel.safetensors"),
        ("files.0.path", "model\x00.safetensors"),
        ("files.0.path", ".hidden"),
        ("files.0.path", "mödel.safetensors"),
        ("files.0.path", "model.safetensors\n"),
        ("files.0.path", "a" * 101),
        ("files.0.path", "manifest.json"),
        ("files.0.path", "Manifest.JSON"),
        ("files.0.size", -1),
        ("files.0.size", 1.5),
        ("files.0.size", "1"),
        ("files.0.mode", "0755"),
        ("dtype", "bfloat16"),
        ("decoding_defaults.top_k", 4),
        ("decoding_defaults.top_k", 0),
        ("decoding_defaults.max_tokens", True),
        ("provenance.seed", -1),
        ("provenance.data_sha256", {"train": "short"}),
        ("provenance.software", {"torch": "\u202e"}),
        ("metrics.accuracy", 0.9),
        ("metrics.accuracy", "1.5"),
        ("metrics.accuracy", ".9"),
        ("licence", ...),
        ("extra", 1),
    ],
)
def test_from_dict_refuses_and_names_the_field(path: str, value: Any) -> None:
    field = path.split(".")[-1]
    with pytest.raises(ManifestInvalid) as refusal:
        Manifest.from_dict(changed(path, value))
    expected = "files" if str(value).lower() == "manifest.json" else field
    assert expected in refusal.value.message


def test_from_dict_refuses_names_that_differ_only_in_case() -> None:
    value = null_manifest().to_dict()
    value["files"] = [{**value["files"][0], "path": name} for name in ("vocab.txt", "VOCAB.txt")]
    with pytest.raises(ManifestInvalid, match="twice"):
        Manifest.from_dict(value)


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"v":1,"v":1}', b"\xff", b"null"])
def test_read_manifest_refuses_what_is_not_one(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(data)
    with pytest.raises(ManifestInvalid):
        read_manifest(tmp_path)


def test_read_manifest_reads_no_more_than_its_limit(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(b" " * (MANIFEST_LIMIT + 1))
    with pytest.raises(ManifestInvalid, match="larger"):
        read_manifest(tmp_path)


def test_read_manifest_without_a_folder_says_to_train(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="train"):
        read_manifest(tmp_path / "absent")


def test_write_manifest_refuses_an_invalid_one_and_writes_nothing(tmp_path: Path) -> None:
    import dataclasses

    with pytest.raises(ManifestInvalid):
        write_manifest(tmp_path, dataclasses.replace(null_manifest(), title="two\nlines"))
    assert not list(tmp_path.iterdir())

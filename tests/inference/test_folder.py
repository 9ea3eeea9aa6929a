"""Model folders: only what the manifest names, only kinds without code, only the bytes that were hashed (S6, E12, E13)."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import socket
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from tallystick.errors import (
    ManifestInvalid,
    ManifestMismatch,
    ModelError,
    ModelFileAltered,
    ModelFileForbidden,
    ModelMalformed,
    ModelMissing,
)
from tallystick.inference.folder import read_verified
from tallystick.inference.manifest import Manifest, read_manifest

Seal = Callable[[], Manifest]


class Payload:
    """Leaves a trace when it is unpickled."""

    trace: Path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.trace),)


@pytest.fixture
def payload(tmp_path: Path) -> Iterator[Payload]:
    Payload.trace = tmp_path / "code-was-run"
    yield Payload()
    assert not Payload.trace.exists()


@contextmanager
def refused(kind: type[ModelError], *words: str) -> Iterator[None]:
    with pytest.raises(kind) as refusal:
        yield
    assert type(refusal.value) is kind
    for word in words:
        assert word in refusal.value.message


def test_read_verified_gives_the_bytes_that_were_hashed(model_folder: Path) -> None:
    manifest = read_manifest(model_folder)
    verified = read_verified(model_folder, manifest.hash())
    assert verified.manifest == manifest
    assert {name: hashlib.sha256(data).hexdigest() for name, data in verified.files.items()} == {
        file.path: file.sha256 for file in manifest.files
    }


def test_s6_another_manifest_hash_is_refused_with_both_hashes(model_folder: Path) -> None:
    with pytest.raises(ManifestMismatch) as refusal:
        read_verified(model_folder, bytes(32))
    assert refusal.value.details["actual"] == "0x" + read_manifest(model_folder).hash().hex()
    assert refusal.value.details["expected"] == "0x" + "00" * 32


def test_d4_one_altered_byte_is_refused(model_folder: Path) -> None:
    path = model_folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with refused(ModelFileAltered, "model.safetensors"):
        read_verified(model_folder, None)


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\0", lambda data: data[:0]])
def test_another_size_is_refused(model_folder: Path, change: Callable[[bytes], bytes]) -> None:
    path = model_folder / "tokenizer.json"
    path.write_bytes(change(path.read_bytes()))
    with refused(ModelFileAltered, "tokenizer.json"):
        read_verified(model_folder, None)


def test_missing_file_is_refused(model_folder: Path) -> None:
    (model_folder / "model.safetensors").unlink()
    with refused(ModelFileAltered, "model.safetensors"):
        read_verified(model_folder, None)


def test_missing_folder_and_missing_manifest_say_to_train(model_folder: Path) -> None:
    with refused(ModelMissing, "train"):
        read_verified(model_folder / "absent", None)
    (model_folder / "manifest.json").unlink()
    with refused(ModelMissing, "train"):
        read_verified(model_folder, None)


def test_folder_name_with_nul_is_missing_not_a_crash(tmp_path: Path) -> None:
    with refused(ModelMissing):
        read_verified(tmp_path / "a\0b", None)


@pytest.mark.parametrize(
    "name", ["modeling_tiny.py", "pytorch_model.bin", ".hidden", "tokenizer.json.bak", "café.txt", "a\nb"]
)
def test_e12_file_that_the_manifest_does_not_name_is_refused(model_folder: Path, name: str) -> None:
    (model_folder / name).write_text("print('hello')")
    with refused(ModelFileForbidden, "manifest does not name"):
        read_verified(model_folder, None)


def test_file_name_that_is_not_unicode_is_refused(model_folder: Path) -> None:
    with open(os.fsencode(model_folder) + b"/\xff.txt", "wb"):  # noqa: PTH123 - pathlib has no bytes paths
        pass
    with refused(ModelFileForbidden) as _:
        read_verified(model_folder, None)


def test_subfolder_is_refused(model_folder: Path) -> None:
    (model_folder / "onnx").mkdir()
    with refused(ModelFileForbidden, "onnx"):
        read_verified(model_folder, None)


@pytest.mark.parametrize("name", ["model.safetensors", "manifest.json", "config.json"])
def test_e12_symlink_is_refused_even_to_the_same_bytes(model_folder: Path, tmp_path: Path, name: str) -> None:
    (model_folder / name).rename(tmp_path / name)
    (model_folder / name).symlink_to(tmp_path / name)
    with refused(ModelFileForbidden, name, "link"):
        read_verified(model_folder, None)


def test_named_pipe_in_place_of_a_file_is_refused_without_waiting(model_folder: Path) -> None:
    (model_folder / "config.json").unlink()
    os.mkfifo(model_folder / "config.json")
    with refused(ModelFileForbidden, "config.json"):
        read_verified(model_folder, None)


def test_named_pipe_in_place_of_the_manifest_is_refused_without_waiting(model_folder: Path) -> None:
    (model_folder / "manifest.json").unlink()
    os.mkfifo(model_folder / "manifest.json")
    with refused(ModelFileForbidden, "manifest.json"):
        read_verified(model_folder, None)


def test_socket_in_place_of_a_file_is_refused(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(model_folder)  # the path of a socket is short
    (model_folder / "config.json").unlink()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("config.json")
        with refused(ModelFileForbidden, "config.json"):
            read_verified(model_folder, None)


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/hostname", "a/b", "model.safetensors\0"])
def test_e12_path_tricks_in_the_manifest_are_refused(model_folder: Path, name: str) -> None:
    import json

    path = model_folder / "manifest.json"
    value = json.loads(path.read_text())
    value["files"][0]["path"] = name
    path.write_text(json.dumps(value))
    with refused(ManifestInvalid, "path"):
        read_verified(model_folder, None)


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "modeling.py", "model.pt2", "flax_model.msgpack", "chat_template.jinja"]
)
def test_e13_file_kinds_outside_the_list_are_refused_even_when_named(model_folder: Path, seal: Seal, name: str) -> None:
    (model_folder / name).write_text("harmless")
    seal()
    with refused(ModelFileForbidden, name, "safetensors"):
        read_verified(model_folder, None)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_manifest_without_a_needed_file_is_refused(model_folder: Path, seal: Seal, name: str) -> None:
    (model_folder / name).unlink()
    seal()
    with refused(ModelMalformed, name):
        read_verified(model_folder, None)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ["model.safetensors", "vocab.txt", "README.md", "config.json", "tokenizer.json"])
def test_e13_pickle_under_an_allowed_name_is_refused(
    model_folder: Path, seal: Seal, payload: Payload, name: str, protocol: int
) -> None:
    (model_folder / name).write_bytes(pickle.dumps(payload, protocol=protocol))
    seal()
    with refused(ModelFileForbidden, name, "pickle", "run code", "safetensors"):
        read_verified(model_folder, None)


@pytest.mark.parametrize("zipped", [True, False])
def test_e13_torch_checkpoint_named_safetensors_is_refused(model_folder: Path, seal: Seal, zipped: bool) -> None:
    buffer = io.BytesIO()
    torch.save({"weight": torch.ones(3)}, buffer, _use_new_zipfile_serialization=zipped)
    (model_folder / "model.safetensors").write_bytes(buffer.getvalue())
    seal()
    with refused(ModelFileForbidden, "zip" if zipped else "pickle", "run code"):
        read_verified(model_folder, None)


def test_e13_zip_hidden_behind_valid_safetensors_is_refused(model_folder: Path, seal: Seal) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("__main__.py", "print('hello')")
        archive.comment = b"a comment"
    path = model_folder / "model.safetensors"
    path.write_bytes(path.read_bytes() + buffer.getvalue())
    seal()
    with refused(ModelFileForbidden, "zip"):
        read_verified(model_folder, None)


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\x7fELF\x02\x01\x01", "ELF"),
        (b"MZ\x90\x00\x03\x00", "PE"),
        (b"\xcf\xfa\xed\xfe\x07", "Mach-O"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"#!/bin/sh\n", "script"),
        (b"GGUF\x03\x00", "GGUF"),
        (b"\0" * 257 + b"ustar\x0000", "tar"),
    ],
)
@pytest.mark.parametrize("name", ["model.safetensors", "README.md"])
def test_e13_programs_and_archives_are_known_by_content(
    model_folder: Path, seal: Seal, start: bytes, kind: str, name: str
) -> None:
    (model_folder / name).write_bytes(start + bytes(300))
    seal()
    with refused(ModelFileForbidden, name, kind):
        read_verified(model_folder, None)


def test_total_size_over_the_limit_is_refused_before_reading(model_folder: Path) -> None:
    total = sum(file.size for file in read_manifest(model_folder).files)
    assert read_verified(model_folder, None, total_limit=total).files
    (model_folder / "model.safetensors").unlink()  # not read any more
    with pytest.raises(ModelMalformed) as refusal:
        read_verified(model_folder, None, total_limit=total - 1)
    assert (refusal.value.details["actual"], refusal.value.details["limit"]) == (total, total - 1)


@pytest.mark.parametrize(
    ("name", "data"), [("vocab.txt", b"\xff\xfe"), ("vocab.txt", b"a\0b"), ("README.md", b"\x80abc")]
)
def test_text_that_is_not_utf8_is_refused(model_folder: Path, seal: Seal, name: str, data: bytes) -> None:
    (model_folder / name).write_bytes(data)
    seal()
    with refused(ModelMalformed, name):
        read_verified(model_folder, None)


def test_ordinary_companions_are_accepted(model_folder: Path, seal: Seal) -> None:
    (model_folder / "README.md").write_text("---\nlicense: mit\n---\n# A model\n")
    (model_folder / "vocab.txt").write_text("cat\ndog\nRed\n")  # opcodes GLOBAL and REDUCE, without what they need
    (model_folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "model_max_length": 32}')
    (model_folder / "special_tokens_map.json").write_text('{"unk_token": "[UNK]"}')
    seal()
    assert len(read_verified(model_folder, None).files) == 7

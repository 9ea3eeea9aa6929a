"""Archive files: what is written is read; anything else is refused with the number of its line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from tallystick.audit.archives import read_archive
from tallystick.errors import ArchiveInvalid
from tallystick.protocol.canonical import canonical_bytes
from tallystick.protocol.disclosure import ArchiveEntry

from .scene import honest_scene


def entries() -> list[ArchiveEntry]:
    first, second, *_ = honest_scene().entries.values()
    return [first, ArchiveEntry(second.signed, None)]


def line(entry: ArchiveEntry) -> bytes:
    return canonical_bytes(entry.to_dict()) + b"\n"


def test_read_archive_gives_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "receipts.jsonl"
    path.write_bytes(b"".join(line(entry) for entry in entries()))
    archive = read_archive(path)
    assert [item.entry for item in archive.lines] == entries()
    assert [item.source for item in archive.lines] == [f"{path}:1", f"{path}:2"]
    assert archive.cut_off is None


def test_read_archive_tolerates_repeated_and_empty_lines(tmp_path: Path) -> None:
    path = tmp_path / "receipts.jsonl"
    first = entries()[0]
    path.write_bytes(line(first) + b"\n" + line(first).rstrip())
    assert [(item.entry, item.source) for item in read_archive(path).lines] == [
        (first, f"{path}:1"),
        (first, f"{path}:3"),
    ]


def test_read_archive_of_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "receipts.jsonl"
    path.write_bytes(b"")
    assert read_archive(path).lines == ()


def test_read_archive_passes_over_a_last_line_that_a_crash_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "receipts.jsonl"
    path.write_bytes(line(entries()[0]) + line(entries()[1])[:200])
    archive = read_archive(path)
    assert [item.entry for item in archive.lines] == entries()[:1]
    assert archive.cut_off == f"{path}:2"


def _without(key: str) -> bytes:
    value = entries()[0].to_dict()
    del value["receipt"][key]
    return json.dumps(value).encode()


def _with(**receipt: object) -> bytes:
    value = entries()[0].to_dict()
    return json.dumps({**value, "receipt": {**value["receipt"], **receipt}}).encode()


BROKEN: Mapping[str, bytes] = {
    "cut off": line(entries()[0])[:200],
    "not UTF-8": b'{"receipt":"\xff"}',
    "the same key twice": b'{"receipt":1,"receipt":2}',
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "an empty object": b"{}",
    "a receipt of null": b'{"receipt":null,"signature":"0x"}',
    "a field missing": _without("charge"),
    "a short hash": _with(call_id="0x00"),
    "an unknown mode": _with(mode="barter"),
    "another version": _with(v=2),
    "an amount in floating point": _with(charge=1.5),
    "a negative amount": _with(charge="-1"),
    "a wrong checksum": _with(payer="0x52908400098527886E0F7030069857D2E4169Ee7"),
    "units that are no object": _with(units=[1, 2, 3]),
    "a short signature": json.dumps({**entries()[0].to_dict(), "signature": "0x00"}).encode(),
    "a disclosure that is no object": json.dumps({**entries()[0].to_dict(), "disclosure": 7}).encode(),
    "a disclosure without its salt": json.dumps({**entries()[0].to_dict(), "disclosure": {}}).encode(),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_read_archive_names_the_line_that_is_none(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "receipts.jsonl"
    path.write_bytes(line(entries()[0]) + BROKEN[broken] + b"\n" + line(entries()[1]))
    with pytest.raises(ArchiveInvalid, match="Line 2 of") as refusal:
        read_archive(path)
    assert refusal.value.details == {"path": str(path), "line": 2}


def test_read_archive_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ArchiveInvalid, match="No such file"):
        read_archive(tmp_path / "none.jsonl")


def test_read_archive_of_a_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(ArchiveInvalid, match="directory"):
        read_archive(tmp_path)

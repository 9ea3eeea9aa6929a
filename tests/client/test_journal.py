"""The journal: what a payer needs to get on after a crash, on disk before the money moves."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from tallystick.client.journal import Journal
from tallystick.errors import ArchiveInvalid

from tests.client.evidence import make_pending


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "payer" / "pending"


@pytest.fixture
def journal(folder: Path) -> Journal:
    return Journal(folder)


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_find_gives_what_was_written(journal: Journal) -> None:
    pending = make_pending("ümläut 😀")
    journal.write(pending)
    assert journal.find(pending.call_id) == pending


def test_find_of_a_call_that_is_not_there_is_none(journal: Journal, folder: Path) -> None:
    assert journal.find(bytes(32)) is None
    assert not folder.exists()


def test_all_of_no_folder_is_nothing(journal: Journal) -> None:
    assert list(journal.all()) == []


def test_all_gives_every_call(journal: Journal) -> None:
    written = [make_pending(f"question {number}") for number in range(3)]
    for pending in written:
        journal.write(pending)
    assert sorted(pending.call_id for pending in journal.all()) == sorted(pending.call_id for pending in written)


def test_remove_takes_one_call_out(journal: Journal) -> None:
    one, two = make_pending("one"), make_pending("two")
    journal.write(one)
    journal.write(two)
    journal.remove(one.call_id)
    assert list(journal.all()) == [two]


def test_remove_of_a_call_that_is_not_there_does_nothing(journal: Journal) -> None:
    journal.write(make_pending())
    journal.remove(bytes(32))
    assert list(journal.all()) == [make_pending()]


def test_mark_answered_takes_a_call_from_the_pending_ones_and_keeps_its_terms(journal: Journal) -> None:
    """M4: an oracle that answers and never posts leaves an escrow behind, and the terms are what refunds it."""
    one, two = make_pending("one"), make_pending("two")
    journal.write(one)
    journal.write(two)
    journal.mark_answered(one.call_id)
    assert list(journal.all()) == [two]
    assert list(journal.answered()) == [one]
    assert journal.find(one.call_id) == one


def test_mark_answered_twice_or_of_nothing_changes_nothing(journal: Journal) -> None:
    pending = make_pending()
    journal.write(pending)
    for _ in range(2):
        journal.mark_answered(pending.call_id)
        journal.mark_answered(bytes(32))
    assert list(journal.answered()) == [pending]
    assert list(journal.all()) == []


def test_remove_takes_an_answered_call_out(journal: Journal, folder: Path) -> None:
    pending = make_pending()
    journal.write(pending)
    journal.mark_answered(pending.call_id)
    journal.remove(pending.call_id)
    assert names(folder) == set()


@pytest.mark.usefixtures("open_umask")
def test_write_makes_files_for_their_owner_only(journal: Journal, folder: Path) -> None:
    """S7: the salt opens the request's commitment."""
    pending = make_pending()
    journal.write(pending)
    journal.keep_evidence(pending.call_id, {"signature": "0x"})
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_write_leaves_no_other_file(journal: Journal, folder: Path) -> None:
    pending = make_pending()
    journal.write(pending)
    assert names(folder) == {f"{pending.call_id.hex()}.json"}


def test_write_that_is_cut_short_leaves_what_was_there(journal: Journal, folder: Path) -> None:
    """Whole or not at all: a crash leaves a file under another name, and that is no call."""
    pending = make_pending()
    journal.write(pending)
    path = folder / f"{pending.call_id.hex()}.json"
    path.with_suffix(".new").write_bytes(path.read_bytes()[:40])
    assert list(journal.all()) == [pending]
    journal.write(pending)
    assert list(journal.all()) == [pending]


def test_write_that_fails_leaves_what_was_there(journal: Journal, folder: Path) -> None:
    pending = make_pending()
    journal.write(pending)
    (folder / f"{pending.call_id.hex()}.new").mkdir()
    with pytest.raises(OSError, match="directory"):
        journal.write(pending)
    assert list(journal.all()) == [pending]


def test_keep_evidence_stands_beside_the_call_and_is_no_call(journal: Journal, folder: Path) -> None:
    pending = make_pending()
    journal.write(pending)
    journal.keep_evidence(pending.call_id, {"signature": "0x", "odd": "\ud800"})
    assert list(journal.all()) == [pending]
    assert json.loads((folder / f"{pending.call_id.hex()}.evidence").read_text())["signature"] == "0x"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"call_id":"0x","call":{},"salt":"0x","request":{}}',
        b"[" * 100_000,
    ],
    ids=lambda content: repr(content[:20]),
)
def test_file_that_can_not_be_read_is_named(journal: Journal, folder: Path, content: bytes) -> None:
    pending = make_pending()
    journal.write(pending)
    path = folder / f"{pending.call_id.hex()}.json"
    path.write_bytes(content)
    for question in (lambda: journal.find(pending.call_id), lambda: list(journal.all())):
        with pytest.raises(ArchiveInvalid, match=path.name) as caught:
            question()
        assert caught.value.details["path"] == str(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("field", ["call_id", "call", "salt", "request"])
def test_file_that_lacks_a_field_is_named(journal: Journal, folder: Path, field: str) -> None:
    pending = make_pending()
    journal.write(pending)
    path = folder / f"{pending.call_id.hex()}.json"
    content = json.loads(path.read_text())
    del content[field]
    path.write_text(json.dumps(content))
    with pytest.raises(ArchiveInvalid, match=field):
        journal.find(pending.call_id)

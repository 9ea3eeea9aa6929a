"""The payer's archive: what was appended is there, whatever happened while it was written."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from filelock import FileLock
from tallystick.client.archive import CHUNK, Archive
from tallystick.errors import ArchiveInvalid
from tallystick.protocol.disclosure import ArchiveEntry

from tests.client.evidence import line_of, make_evidence, make_pending


def entry(text: str = "Where is my parcel?") -> ArchiveEntry:
    return make_evidence(make_pending(text)).entry()


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "payer" / "receipts.jsonl")


@pytest.fixture
def strict_umask() -> Iterator[None]:
    """As open as a umask can be, so that the mode is the archive's own doing."""
    before = os.umask(0)
    yield
    os.umask(before)


def write(archive: Archive, content: bytes) -> None:
    archive.path.parent.mkdir(parents=True, exist_ok=True)
    archive.path.write_bytes(content)


def test_entries_of_no_file_are_none(archive: Archive) -> None:
    assert list(archive.entries()) == []
    assert not archive.path.exists()


def test_append_keeps_entries_in_order(archive: Archive) -> None:
    entries = [entry(f"question {number}") for number in range(3)]
    for each in entries:
        archive.append(each)
    assert list(archive.entries()) == entries


def test_append_writes_one_line_an_entry(archive: Archive) -> None:
    archive.append(entry("two\nlines \u2028 and 😀"))
    assert archive.path.read_bytes().count(b"\n") == 1
    assert list(archive.entries()) == [entry("two\nlines \u2028 and 😀")]


@pytest.mark.usefixtures("strict_umask")
def test_append_makes_a_file_for_its_owner_only(archive: Archive) -> None:
    """S7: the archive holds requests and results."""
    archive.append(entry())
    assert stat.S_IMODE(archive.path.stat().st_mode) == 0o600


def test_append_leaves_what_is_there(archive: Archive) -> None:
    write(archive, line_of(entry("old")) + b"\n")
    archive.append(entry("new"))
    assert list(archive.entries()) == [entry("old"), entry("new")]


def test_append_from_several_threads_loses_nothing(archive: Archive) -> None:
    entries = [entry(f"question {number}") for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(archive.append, entries))
    found = [each.disclosure.request.input for each in archive.entries() if each.disclosure]
    assert sorted(found) == sorted(f"question {number}" for number in range(40))


def test_append_waits_for_another_process_that_appends(archive: Archive) -> None:
    """Else one could cut off, as torn, a line that the other is writing."""
    archive.append(entry("old"))
    with ThreadPoolExecutor(1) as pool:
        with FileLock(archive.path.with_name("receipts.jsonl.lock")):
            appending = pool.submit(archive.append, entry("new"))
            assert wait([appending], timeout=0.3).done == set()
            assert list(archive.entries()) == [entry("old")]
        appending.result(timeout=30)
    assert list(archive.entries()) == [entry("old"), entry("new")]


# ---- a line that a crash cut short ------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 2, 100, -100, -2, -1])
def test_entries_pass_over_a_torn_last_line(archive: Archive, length: int) -> None:
    """S3: its call is still in the journal and is fetched again; it must not hide the others."""
    write(archive, line_of(entry("whole")) + b"\n" + line_of(entry("torn"))[:length])
    assert list(archive.entries()) == [entry("whole")]


@pytest.mark.parametrize("length", [1, 100, -1])
def test_append_after_a_torn_last_line_takes_its_place(archive: Archive, length: int) -> None:
    write(archive, line_of(entry("whole")) + b"\n" + line_of(entry("torn"))[:length])
    archive.append(entry("new"))
    assert archive.path.read_bytes() == b"".join(line_of(each) + b"\n" for each in (entry("whole"), entry("new")))


def test_append_to_nothing_but_a_torn_line_takes_its_place(archive: Archive) -> None:
    write(archive, line_of(entry("torn"))[:50])
    archive.append(entry("new"))
    assert list(archive.entries()) == [entry("new")]


def test_append_after_a_long_torn_line_takes_its_place(archive: Archive) -> None:
    long = "x" * (3 * CHUNK)
    write(archive, line_of(entry("whole")) + b"\n" + line_of(entry(long))[:-1])
    archive.append(entry("new"))
    assert list(archive.entries()) == [entry("whole"), entry("new")]


def test_append_after_a_whole_line_without_its_newline_keeps_it(archive: Archive) -> None:
    """An editor may have taken the last newline away; the receipt is whole."""
    write(archive, line_of(entry("old")) + b"\n" + line_of(entry("no newline")))
    assert list(archive.entries()) == [entry("old"), entry("no newline")]
    archive.append(entry("new"))
    assert list(archive.entries()) == [entry("old"), entry("no newline"), entry("new")]


# ---- a file that is not ours ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        *(b"hello", b"{}", b"[]", b"null", b"1", b'{"receipt":1,"signature":"0x"}', b"\xff\xfe\xfd", b"[" * 100_000),
        *(
            line_of(entry())[:-1],
            line_of(entry()).replace(b'"v":1', b'"v":2'),
            line_of(entry()).replace(b'"0x', b'"0y'),
        ),
    ],
    ids=lambda line: repr(line[:20]),
)
def test_entries_with_an_invalid_line_name_it(archive: Archive, line: bytes) -> None:
    write(archive, line_of(entry()) + b"\n\n" + line + b"\n" + line_of(entry()) + b"\n")
    with pytest.raises(ArchiveInvalid, match="line 3") as caught:
        list(archive.entries())
    assert caught.value.details["line"] == 3
    assert caught.value.details["path"] == str(archive.path)


def test_entries_before_an_invalid_line_are_given_first(archive: Archive) -> None:
    write(archive, line_of(entry()) + b"\nhello\n")
    entries = archive.entries()
    assert next(entries) == entry()
    with pytest.raises(ArchiveInvalid):
        next(entries)


def test_find_gives_the_entry_of_a_call(archive: Archive) -> None:
    for text in ("one", "two", "three"):
        archive.append(entry(text))
    assert archive.find(make_pending("two").call_id) == entry("two")


def test_find_of_a_call_that_is_not_there_is_none(archive: Archive) -> None:
    archive.append(entry())
    assert archive.find(bytes(32)) is None


def test_find_is_not_held_up_by_a_broken_line(archive: Archive) -> None:
    write(archive, b"broken\n" + line_of(entry("one")) + b"\n")
    assert archive.find(make_pending("one").call_id) == entry("one")


def test_find_with_a_broken_line_that_names_the_call_names_it(archive: Archive) -> None:
    write(archive, line_of(entry("one")) + b"\n" + line_of(entry("two"))[:-1] + b"\n")
    with pytest.raises(ArchiveInvalid, match="line 2"):
        archive.find(make_pending("two").call_id)

"""The payer's archive: one JSON line a call, receipt and disclosure together (docs/SPEC.md has the format).

A last line that a crash cut short is passed over, and overwritten by the next: its call is still in the journal, and
fetching it again writes it whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from filelock import FileLock

from tallystick.errors import ArchiveInvalid, NotJson
from tallystick.protocol.canonical import parse_json
from tallystick.protocol.disclosure import ArchiveEntry

CHUNK: Final = 1 << 16
UNREADABLE: Final = (NotJson, ValueError, KeyError, TypeError)


class Archive:
    """Append-only. Readable by its owner only, since the disclosures hold requests and results."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, entry: ArchiveEntry) -> None:
        """On disk when it returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(entry.to_dict(), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        # Cutting a torn line off must not hit one that another process is writing.
        with FileLock(self.path.with_name(f"{self.path.name}.lock")):
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "r+b") as file:
                rest = _after_last_newline(file)
                if rest and _is_entry(rest):
                    line = b"\n" + line
                elif rest:
                    file.truncate(file.seek(0, os.SEEK_END) - len(rest))
                file.write(line)
                file.flush()
                os.fsync(file.fileno())

    def entries(self) -> Iterator[ArchiveEntry]:
        """Oldest first. Raises ArchiveInvalid, naming the line."""
        return self._lines_with(b"")

    def find(self, call_id: bytes) -> ArchiveEntry | None:
        """Looks at no line but those that name the call."""
        lines = self._lines_with(call_id.hex().encode())
        return next((entry for entry in lines if entry.signed.receipt.call_id == call_id), None)

    def _lines_with(self, text: bytes) -> Iterator[ArchiveEntry]:
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip() or text not in line:
                    continue
                try:
                    entry = ArchiveEntry.from_dict(parse_json(line))
                except UNREADABLE as error:
                    if not line.endswith(b"\n"):
                        return
                    raise ArchiveInvalid(
                        f"{self.path}, line {number}: not a receipt ({error}). Restore the file, or move the line out of it.",
                        path=str(self.path),
                        line=number,
                    ) from None
                yield entry


def _after_last_newline(file: BinaryIO) -> bytes:
    rest, position = b"", file.seek(0, os.SEEK_END)
    while position > 0 and b"\n" not in rest:
        start = max(0, position - CHUNK)
        file.seek(start)
        rest = file.read(position - start) + rest
        position = start
    return rest.rpartition(b"\n")[2]


def _is_entry(line: bytes) -> bool:
    try:
        ArchiveEntry.from_dict(parse_json(line))
    except UNREADABLE:
        return False
    return True

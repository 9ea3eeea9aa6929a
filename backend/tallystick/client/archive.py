"""The payer's archive: one JSON line a call, receipt and disclosure together (docs/SPEC.md has the format)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from tallystick.errors import ArchiveInvalid
from tallystick.protocol.disclosure import ArchiveEntry


class Archive:
    """Append-only. Readable by its owner only, since the disclosures hold requests and results."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, entry: ArchiveEntry) -> None:
        """On disk when it returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(entry.to_dict(), ensure_ascii=False, separators=(",", ":")) + "\n"
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            # A line that a crash cut short would swallow this one.
            if file.seek(0, os.SEEK_END) > 0:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    line = "\n" + line
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())

    def entries(self) -> Iterator[ArchiveEntry]:
        """Oldest first. Raises ArchiveInvalid, naming the line."""
        if not self.path.exists():
            return
        with self.path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    yield ArchiveEntry.from_dict(json.loads(line))
                except (ValueError, KeyError, TypeError) as error:
                    raise ArchiveInvalid(f"{self.path}, line {number}: not a receipt ({error}).", line=number) from None

    def find(self, call_id: bytes) -> ArchiveEntry | None:
        return next((entry for entry in self.entries() if entry.signed.receipt.call_id == call_id), None)

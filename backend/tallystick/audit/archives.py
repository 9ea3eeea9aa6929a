"""Receipt archives: JSON lines, each a signed receipt, with its call laid open where the holder chose to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tallystick.errors import ArchiveInvalid, NotJson
from tallystick.protocol.canonical import parse_json
from tallystick.protocol.disclosure import ArchiveEntry


@dataclass(frozen=True)
class ArchiveLine:
    """`source` names the file and line, for whoever has to look."""

    source: str
    entry: ArchiveEntry


@dataclass(frozen=True)
class Archive:
    """What one holder kept: a payer's own calls, or all that an oracle served.

    `cut_off` names a last line that was not written to its end, as a crash leaves it; it is no evidence of anything.
    """

    lines: tuple[ArchiveLine, ...]
    cut_off: str | None = None


def read_archive(path: Path) -> Archive:
    """Read an archive file. Raises ArchiveInvalid, naming the line, on a whole line that is not an archive entry."""
    lines: list[ArchiveLine] = []
    cut_off = None
    try:
        with path.open("rb") as file:
            for number, text in enumerate(file, start=1):
                source = f"{path}:{number}"
                try:
                    lines += [ArchiveLine(source, _entry(path, number, text))] if text.strip() else []
                except ArchiveInvalid:
                    if text.endswith(b"\n"):
                        raise
                    cut_off = source
    except OSError as error:
        raise ArchiveInvalid(f"The archive {path} can't be read: {error.strerror}.", path=str(path)) from None
    return Archive(tuple(lines), cut_off)


def _entry(path: Path, number: int, text: bytes) -> ArchiveEntry:
    try:
        return ArchiveEntry.from_dict(parse_json(text))
    except NotJson as error:
        reason = error.message
    except KeyError as error:
        reason = f"it has no {error}, or something unknown there."
    except (ValueError, TypeError) as error:
        reason = f"{error}."
    raise ArchiveInvalid(
        f"Line {number} of {path} is not an archived receipt: {reason}",
        path=str(path),
        line=number,
    )

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
    """What one holder kept: a payer's own calls, or all that an oracle served."""

    lines: tuple[ArchiveLine, ...]


def read_archive(path: Path) -> Archive:
    """Read an archive file. Raises ArchiveInvalid, naming the line, on anything that is not an archive entry."""
    lines: list[ArchiveLine] = []
    try:
        with path.open("rb") as file:
            for number, text in enumerate(file, start=1):
                if text.strip():
                    lines.append(ArchiveLine(f"{path}:{number}", _entry(path, number, text)))
    except OSError as error:
        raise ArchiveInvalid(f"The archive {path} can't be read: {error.strerror}.", path=str(path)) from None
    return Archive(tuple(lines))


def _entry(path: Path, number: int, text: bytes) -> ArchiveEntry:
    try:
        return ArchiveEntry.from_dict(parse_json(text))
    except NotJson as error:
        reason = error.message
    except KeyError as error:
        reason = f"it lacks {error}, or has an unknown value there"
    except (ValueError, TypeError, AttributeError) as error:
        reason = str(error)
    raise ArchiveInvalid(
        f"Line {number} of {path} is not an archived receipt: {reason} If the line was cut off, remove it.",
        path=str(path),
        line=number,
    )

"""What the payer must not lose between opening a call and holding its receipt: written before the money moves."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tallystick.errors import ArchiveInvalid, NotJson
from tallystick.protocol.calls import DirectCall
from tallystick.protocol.canonical import parse_json
from tallystick.protocol.hexes import from_hex, from_object, to_hex
from tallystick.protocol.requests import InferenceRequest

ANSWERED = ".answered"


@dataclass(frozen=True)
class PendingCall:
    """A call that is about to be opened, or is open: enough to fetch its answer or to get its escrow back."""

    call_id: bytes
    call: DirectCall
    salt: bytes
    request: InferenceRequest


class Journal:
    """One small file a call, readable by its owner only. It stays until the chain has ended the call."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, pending: PendingCall) -> None:
        """On disk when it returns: the salt in it is the only key to the answer."""
        content = {
            "call_id": to_hex(pending.call_id),
            "call": pending.call.to_dict(),
            "salt": to_hex(pending.salt),
            "request": pending.request.to_dict(),
        }
        _write(self._path(pending.call_id), content)

    def keep_evidence(self, call_id: bytes, reply: Any) -> None:
        """Keep a reply that does not prove what it claims, beside its call."""
        _write(self._path(call_id).with_suffix(".evidence"), reply)

    def find(self, call_id: bytes) -> PendingCall | None:
        path = self._path(call_id)
        for place in (path, path.with_suffix(ANSWERED)):
            if place.exists():
                return _read(place)
        return None

    def mark_answered(self, call_id: bytes) -> None:
        """The answer is in the archive; the terms stay until the chain has ended the call, for its escrow's sake."""
        path = self._path(call_id)
        if path.exists():
            path.replace(path.with_suffix(ANSWERED))

    def answered(self) -> Iterator[PendingCall]:
        """Calls that were answered, and may still hold an escrow."""
        for path in sorted(self._folder.glob(f"*{ANSWERED}")):
            yield _read(path)

    def all(self) -> Iterator[PendingCall]:
        for path in sorted(self._folder.glob("*.json")):
            yield _read(path)

    def remove(self, call_id: bytes) -> None:
        """Once the chain has ended the call and paid or owed everything."""
        for place in (self._path(call_id), self._path(call_id).with_suffix(ANSWERED)):
            place.unlink(missing_ok=True)

    def _path(self, call_id: bytes) -> Path:
        return self._folder / f"{call_id.hex()}.json"


def _write(path: Path, content: Any) -> None:
    """Whole or not at all, on disk when it returns, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    """A new name is on disk only once its folder is."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _read(path: Path) -> PendingCall:
    try:
        content = from_object(parse_json(path.read_bytes()))
        return PendingCall(
            from_hex(content["call_id"], 32),
            DirectCall.from_dict(content["call"]),
            from_hex(content["salt"], 32),
            InferenceRequest.from_dict(content["request"]),
        )
    except (NotJson, ValueError, KeyError, TypeError) as error:
        raise ArchiveInvalid(
            f"The pending call in {path} can't be read ({error}); move it away to go on.", path=str(path)
        ) from None

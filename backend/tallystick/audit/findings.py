"""What an audit finds: a kind with a stable code and a severity, and the evidence of one case. The kinds are in `kinds`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any

from tallystick.chain.events import ChainEvent
from tallystick.protocol.hexes import to_hex


class Severity(StrEnum):
    """An error fails the audit: a promise was broken. A warning weakens what was shown. A note is for the reader."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Kind(Enum):
    """One kind of finding, written `NAME = (severity, what it means and for whom)`. Each area of rules is a subclass.

    The code is the name in lower case. It is stable: scripts and other auditors rely on it.
    """

    def __init__(self, severity: Severity, meaning: str) -> None:
        self.severity = severity
        self.meaning = meaning

    @property
    def code(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Evidence:
    """Where to look. `source` is a place in a receipt archive, `path:line`; everything else is on chain."""

    block: int | None = None
    log_index: int | None = None
    transaction: bytes | None = None
    call_id: bytes | None = None
    source: str | None = None

    @classmethod
    def of(cls, event: ChainEvent, call_id: bytes | None = None) -> Evidence:
        """A log; the call is the log's own unless `call_id` names another."""
        subject = call_id if call_id is not None else event.arguments.get("callId")
        return cls(event.position.block, event.position.log_index, event.transaction, subject)

    def to_dict(self) -> dict[str, Any]:
        return {
            "block": self.block,
            "log_index": self.log_index,
            "transaction": _hex(self.transaction),
            "call_id": _hex(self.call_id),
            "source": self.source,
        }


@dataclass(frozen=True)
class Finding:
    """One case. `message` is a sentence that says what was found and what was expected."""

    kind: Kind
    message: str
    evidence: Evidence

    def to_dict(self) -> dict[str, Any]:
        return {
            "code": self.kind.code,
            "severity": self.kind.severity.value,
            "message": self.message,
            "meaning": self.kind.meaning,
            "evidence": self.evidence.to_dict(),
        }


class Findings:
    """What one audit has found so far, in the order in which it was found."""

    def __init__(self) -> None:
        self._found: list[Finding] = []

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._found)

    def add(self, kind: Kind, message: str, evidence: Evidence | ChainEvent | None = None) -> None:
        """`evidence` may be the log itself."""
        if isinstance(evidence, ChainEvent):
            evidence = Evidence.of(evidence)
        self._found.append(Finding(kind, message, evidence or Evidence()))


def _hex(value: bytes | None) -> str | None:
    return to_hex(value) if value is not None else None

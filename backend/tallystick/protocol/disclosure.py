"""One call laid open: the salt and the bytes behind its hashes. Reveals this call and nothing else (rule E4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tallystick.protocol.canonical import canonical_bytes
from tallystick.protocol.commitments import parameters_hash, request_commitment, result_hash
from tallystick.protocol.hexes import from_hex, from_object, to_hex
from tallystick.protocol.receipts import Receipt, SignedReceipt
from tallystick.protocol.requests import InferenceRequest


@dataclass(frozen=True)
class Disclosure:
    """What payer and oracle both hold about a call. `parameters` are the effective ones that the oracle decoded with."""

    salt: bytes
    request: InferenceRequest
    parameters: Mapping[str, Any]
    result: Any

    def mismatches(self, receipt: Receipt) -> list[str]:
        """Which of the receipt's hashes this does not open; empty if it opens all three."""
        opened = {
            "request_commitment": request_commitment(self.salt, self.request.canonical()),
            "parameters_hash": parameters_hash(self.salt, canonical_bytes(dict(self.parameters))),
            "result_hash": result_hash(self.salt, canonical_bytes(self.result)),
        }
        return [name for name, value in opened.items() if value != getattr(receipt, name)]

    def to_dict(self) -> dict[str, Any]:
        return {
            "salt": to_hex(self.salt),
            "request": self.request.to_dict(),
            "parameters": dict(self.parameters),
            "result": self.result,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Disclosure:
        """Raises ValueError or KeyError where it is not what `to_dict` writes."""
        value = from_object(value)
        if not isinstance(value["parameters"], dict):
            raise ValueError("the parameters are not an object")
        return cls(
            from_hex(value["salt"], 32),
            InferenceRequest.from_dict(value["request"]),
            value["parameters"],
            value["result"],
        )


@dataclass(frozen=True)
class ArchiveEntry:
    """One line of a receipt archive: a signed receipt, with the disclosure where its holder chose to keep it there."""

    signed: SignedReceipt
    disclosure: Disclosure | None

    def to_dict(self) -> dict[str, Any]:
        opened = self.disclosure.to_dict() if self.disclosure else None
        return {**self.signed.to_dict(), "disclosure": opened}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> ArchiveEntry:
        """Raises ValueError or KeyError where it is not what `to_dict` writes."""
        value = from_object(value)
        opened = value.get("disclosure")
        return cls(SignedReceipt.from_dict(value), Disclosure.from_dict(opened) if opened is not None else None)

"""The canonical form of a request: exactly what a payment covers (rule S2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tallystick.protocol.canonical import canonical_bytes
from tallystick.protocol.hexes import from_decimal, from_object

REQUEST_VERSION = 1


@dataclass(frozen=True)
class InferenceRequest:
    """Method, listing, revision, parameters, input. `method` is the route's verb, such as `classify`."""

    method: str
    listing_id: int
    revision: int
    input: Any
    parameters: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return {
            "v": REQUEST_VERSION,
            "method": self.method,
            "listing": str(self.listing_id),
            "revision": self.revision,
            "input": self.input,
            "parameters": dict(self.parameters),
        }

    def canonical(self) -> bytes:
        """Raises ValueError where the input or a parameter has no canonical form."""
        return canonical_bytes(self.to_dict())

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> InferenceRequest:
        """Raises ValueError or KeyError where it is not what `to_dict` writes."""
        value = from_object(value)
        if type(value["v"]) is not int or value["v"] != REQUEST_VERSION:
            raise ValueError(f"unknown request version {value['v']!r}")
        if not isinstance(value["method"], str) or not isinstance(value["parameters"], dict):
            raise ValueError("a request has a method and an object of parameters")
        return cls(
            value["method"],
            from_decimal(value["listing"], 256),
            from_decimal(value["revision"], 32),
            value["input"],
            value["parameters"],
        )

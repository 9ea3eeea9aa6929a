"""Units, price sheets and charges. The one place off chain where a price is computed; its twin on chain is Pricing.sol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tallystick.protocol.hexes import ZERO_ADDRESS, checksum_address, from_decimal, from_object

NATIVE = ZERO_ADDRESS
UNITS_BITS = 32


@dataclass(frozen=True)
class Units:
    """What one call consumed: tokens read, tokens written, compute time in milliseconds. Each below 2^32."""

    input_tokens: int
    output_tokens: int
    compute_ms: int

    def __post_init__(self) -> None:
        for value in (self.input_tokens, self.output_tokens, self.compute_ms):
            if not 0 <= value < 1 << UNITS_BITS:
                raise ValueError(f"units out of range: {self}")

    def to_dict(self) -> dict[str, int]:
        return {"input_tokens": self.input_tokens, "output_tokens": self.output_tokens, "compute_ms": self.compute_ms}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Units:
        """Raises ValueError or KeyError where it is not what `to_dict` writes."""
        value = from_object(value)
        return cls(*(from_decimal(value[key], UNITS_BITS) for key in ("input_tokens", "output_tokens", "compute_ms")))


@dataclass(frozen=True)
class PriceSheet:
    """What a revision costs, in atomic units of `asset` (wei for the native asset, the zero address)."""

    asset: str
    per_call: int
    per_thousand_input_tokens: int
    per_thousand_output_tokens: int
    per_compute_second: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "asset", checksum_address(self.asset))
        from_decimal(self.per_call, 96)
        for rate in (self.per_thousand_input_tokens, self.per_thousand_output_tokens, self.per_compute_second):
            from_decimal(rate, 80)

    def price_of(self, units: Units) -> int:
        """The charge for `units`, rounded down once: rounding favours the payer (rule M8)."""
        metered = (
            units.input_tokens * self.per_thousand_input_tokens
            + units.output_tokens * self.per_thousand_output_tokens
            + units.compute_ms * self.per_compute_second
        )
        return self.per_call + metered // 1000

    def as_tuple(self) -> tuple[str, int, int, int, int]:
        """In the order of the contract's struct."""
        return (
            self.asset,
            self.per_call,
            self.per_thousand_input_tokens,
            self.per_thousand_output_tokens,
            self.per_compute_second,
        )

    def to_dict(self) -> dict[str, str]:
        return {
            "asset": self.asset,
            "per_call": str(self.per_call),
            "per_thousand_input_tokens": str(self.per_thousand_input_tokens),
            "per_thousand_output_tokens": str(self.per_thousand_output_tokens),
            "per_compute_second": str(self.per_compute_second),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> PriceSheet:
        """Raises ValueError or KeyError where it is not what `to_dict` writes."""
        value = from_object(value)
        return cls(
            checksum_address(value["asset"]),
            from_decimal(value["per_call"], 96),
            from_decimal(value["per_thousand_input_tokens"], 80),
            from_decimal(value["per_thousand_output_tokens"], 80),
            from_decimal(value["per_compute_second"], 80),
        )

"""Volume tiers: discounts for payers who call a listing often. Its twin on chain is Tiers.sol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ALL_BPS = 10_000
MAX_TIERS = 4


@dataclass(frozen=True)
class Tier:
    """`discount_bps` hundredths of a per cent off, once `from_calls` calls of the listing were charged to the payer."""

    from_calls: int
    discount_bps: int

    def as_tuple(self) -> tuple[int, int]:
        """In the order of the contract's struct."""
        return (self.from_calls, self.discount_bps)


def discounted(price: int, tiers: Sequence[Tier], calls_before: int) -> int:
    """`price` in atomic units less the discount of the highest tier reached, rounded down: rounding favours the payer."""
    reached = [tier.discount_bps for tier in tiers if tier.from_calls <= calls_before]
    return price * (ALL_BPS - max(reached, default=0)) // ALL_BPS

"""Plans: ways to prepay calls of one listing. Which terms a plan may have is checked by ListingRegistry.sol."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """`credit_price` in atomic units for one credit, `credits` unlocked by each of `tranches`, times in seconds.

    Free trial: a price of zero. Subscription period and committed bundle: one tranche. Instalments: several.
    """

    credit_price: int
    credits: int
    tranches: int = 1
    duration: int = 30 * 86_400
    interval: int = 0

    @property
    def tranche_price(self) -> int:
        """What one tranche costs, in atomic units."""
        return self.credit_price * self.credits

    def as_tuple(self) -> tuple[int, int, int, int, int]:
        """In the order of the contract's struct."""
        return (self.credit_price, self.credits, self.tranches, self.duration, self.interval)

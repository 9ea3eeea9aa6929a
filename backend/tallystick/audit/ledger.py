"""The auditor's own books: what was paid in, what is escrowed, what is owed to whom, what was paid out. Per asset."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Totals:
    """One asset's sums since the deployment, in atomic units. `open` and `owed` are what is still to be paid to somebody."""

    paid_in: int = 0
    charged: int = 0
    refunded: int = 0
    paid_out: int = 0
    open: int = 0
    owed: int = 0

    @property
    def held(self) -> int:
        """What the contract must hold: what was paid in less what was paid out."""
        return self.paid_in - self.paid_out

    @property
    def due(self) -> int:
        """What is promised to everybody together. Rule M1: equal to what is held."""
        return self.open + self.owed


class Ledger:
    """Moves what events say was moved. Whether an event may say so is judged by its area's rules, not here."""

    def __init__(self) -> None:
        self._totals: defaultdict[str, Totals] = defaultdict(Totals)
        self._owed: defaultdict[tuple[str, str], int] = defaultdict(int)

    def escrow(self, asset: str, amount: int) -> None:
        """A payer paid in, and the amount waits for the end of a call."""
        self._move(asset, paid_in=amount, open=amount)

    def charge(self, asset: str, earner: str, amount: int) -> None:
        self._credit(asset, earner, amount)
        self._move(asset, charged=amount)

    def refund(self, asset: str, payer: str, amount: int) -> None:
        self._credit(asset, payer, amount)
        self._move(asset, refunded=amount)

    def release(self, asset: str, amount: int) -> None:
        """An escrow ended; charge and refund are entered beside this."""
        self._move(asset, open=-amount)

    def move(self, asset: str, sender: str, receiver: str, amount: int) -> None:
        """A part of an earning goes on to another. An excess over what is owed shows as an imbalance of the asset."""
        taken = min(amount, self._owed[sender, asset])
        self._owed[sender, asset] -= taken
        self._owed[receiver, asset] += amount
        self._move(asset, owed=amount - taken)

    def pay_out(self, asset: str, account: str, amount: int) -> None:
        """A withdrawal. What is owed never falls below zero: an excess shows as an imbalance of the asset."""
        taken = min(amount, self._owed[account, asset])
        self._owed[account, asset] -= taken
        self._move(asset, paid_out=amount, owed=-taken)

    def owed(self, account: str, asset: str) -> int:
        """Atomic units."""
        return self._owed.get((account, asset), 0)

    def accounts(self) -> list[tuple[str, str]]:
        """Every (account, asset) that was ever owed something, in the order of first mention."""
        return list(self._owed)

    def assets(self) -> list[str]:
        return list(self._totals)

    def totals(self, asset: str) -> Totals:
        return self._totals.get(asset, Totals())

    def _credit(self, asset: str, account: str, amount: int) -> None:
        self._owed[account, asset] += amount
        self._move(asset, owed=amount)

    def _move(self, asset: str, **by: int) -> None:
        before = self._totals[asset]
        self._totals[asset] = replace(before, **{name: getattr(before, name) + amount for name, amount in by.items()})

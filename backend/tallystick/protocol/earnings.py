"""How what a call earns is divided. Its twin on chain is Books.sol, `_earn`."""

from __future__ import annotations

from dataclasses import dataclass

from tallystick.protocol.tiers import ALL_BPS

MAX_FEE_BPS = 500
"""The most that the protocol's fee can ever be, in hundredths of a per cent."""


@dataclass(frozen=True)
class Division:
    """The parts of an earning, in atomic units; together they are all of it."""

    fee: int
    oracle_amount: int
    owner_amount: int


def divide(amount: int, fee_bps: int, oracle_share_bps: int) -> Division:
    """First the fee, of the rest the oracle's share, both rounded down; what is left is the listing owner's."""
    fee = amount * fee_bps // ALL_BPS
    oracle_amount = (amount - fee) * oracle_share_bps // ALL_BPS
    return Division(fee, oracle_amount, amount - fee - oracle_amount)

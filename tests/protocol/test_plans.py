"""Plans: what a tranche costs, and the form of the contract's struct."""

from __future__ import annotations

from tallystick.protocol.plans import Plan


def test_tranche_price_is_that_of_its_credits() -> None:
    assert Plan(250, 40, tranches=3, interval=60).tranche_price == 10_000
    assert Plan(0, 40).tranche_price == 0


def test_plan_as_tuple_in_the_order_of_the_contract() -> None:
    assert Plan(1, 2, 3, 4, 5).as_tuple() == (1, 2, 3, 4, 5)

"""What limits a direct call's charge. On a real node: tests/contracts/test_escrow_fulfil.py."""

from __future__ import annotations

import pytest

from tests.evm.refusals import refused
from tests.evm.scene import PRICE, Market

refuses = pytest.mark.refuses


@refuses("Escrow.fulfil", "Escrow_ChargeTooHigh")
@pytest.mark.parametrize(("amount", "maximum"), [(PRICE - 1, PRICE - 1), (PRICE + 1, PRICE)], ids=["escrow", "price"])
def test_fulfil_above_escrow_or_price(market: Market, amount: int, maximum: int) -> None:
    """M3: the lesser of the two limits, to the unit."""
    call = market.direct(amount=amount)
    market.escrow.send("open", call.as_tuple(), by=market.payer.address, value=amount)
    with refused(market, "Escrow_ChargeTooHigh", maximum + 1, maximum):
        market.escrow.send("fulfil", call.as_tuple(), market.outcome(maximum + 1), by=market.oracle)
    market.escrow.send("fulfil", call.as_tuple(), market.outcome(maximum), by=market.oracle)
    assert market.owed(market.owner) == maximum
    assert market.owed(market.payer.address) == amount - maximum

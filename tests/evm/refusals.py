"""Refusals: what is refused, with which values, and that nothing changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.evm.machine import Reverted
from tests.evm.scene import Market


def books(market: Market) -> dict[str, Any]:
    """Everything that money depends on: balances, and what is owed to everybody, in all three assets."""
    people = (
        *(market.payer.address, market.other_payer.address, market.owner, market.oracle),
        *(market.collector, market.stranger, market.escrow.address),
    )
    assets = ("0x" + "00" * 20, market.token.address, market.hostile.address)
    return {
        "owed": {(person, asset): market.owed(person, asset) for person in people for asset in assets},
        "native": {person: market.machine.balance(person) for person in people},
        "tokens": {
            (person, token.address): token.view("balanceOf", person)
            for person in people
            for token in (market.token, market.hostile)
        },
        "batches": market.escrow.view("batchCount"),
    }


@contextmanager
def refused(market: Market, name: str, *values: Any) -> Iterator[None]:
    """What happens inside reverts with this error and these values (none given: any), and changes nothing."""
    before = books(market)
    with pytest.raises(Reverted) as caught:
        yield
    assert caught.value.name == name, caught.value
    if values:
        assert caught.value.values == values
    assert books(market) == before

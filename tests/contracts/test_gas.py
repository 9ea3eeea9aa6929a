"""What each step costs in gas, against docs/gas.json. scripts/gas_report.py rewrites that file."""

from __future__ import annotations

import json
import os
from typing import Any

import contractkit as kit
import pytest
from contractkit import DirectCall, Mined, Outcome, PriceSheet

FILE = kit.ROOT / "docs" / "gas.json"
UPDATE = "TALLYSTICK_UPDATE_GAS"
TOLERANCE = 0.01
URI = "https://example.com/listings/0123456789abcdef/manifest.json"
ETHER = 10**18
PRICES = PriceSheet(
    per_call=ETHER // 10**4,
    per_thousand_input_tokens=ETHER // 10**5,
    per_thousand_output_tokens=ETHER // 10**4,
    per_compute_second=ETHER // 10**6,
)


def measured(registry: Any, escrow: Any, owner: Any, oracle: Any, payer: Any, terms: DirectCall) -> dict[str, Mined]:
    """Each step in steady state: whoever is credited is already owed something, and other calls are open."""
    number = 0

    def fresh_call() -> DirectCall:
        nonlocal number
        number += 1
        call = terms._replace(
            listing_id=2, amount=ETHER // 1000, request_commitment=kit.keccak(number.to_bytes(32, "big"))
        )
        kit.accepted(escrow.open, call, by=payer, value=call.amount)
        return call

    outcome = Outcome(units=kit.Units(512, 128, 850), charge=kit.price_of(PRICES, kit.Units(512, 128, 850)))
    publish = (registry.publish, oracle, kit.MANIFEST, PRICES, URI)
    kit.accepted(*publish, by=owner)
    kit.accepted(escrow.fulfil, fresh_call(), outcome, by=oracle)
    steps = {"publish": kit.accepted(*publish, by=owner)}

    call = terms._replace(listing_id=2, amount=ETHER // 1000, request_commitment=kit.keccak(b"measured"))
    steps["open"] = kit.accepted(escrow.open, call, by=payer, value=call.amount)
    steps["fulfil"] = kit.accepted(escrow.fulfil, call, outcome, by=oracle)
    steps["decline"] = kit.accepted(escrow.decline, fresh_call(), by=oracle)
    late = fresh_call()
    steps["refund"] = kit.accepted(escrow.refund, late, by=payer, at=late.deadline + 1)
    steps["withdraw"] = kit.accepted(escrow.withdraw, kit.NATIVE, owner, by=owner)
    steps["revise"] = kit.accepted(registry.revise, 2, kit.MANIFEST, PRICES, URI, by=owner)
    return steps


def test_gas_as_documented(registry: Any, escrow: Any, owner: Any, oracle: Any, payer: Any, terms: DirectCall) -> None:
    """A change of more than one per cent, to either side, is to be seen in a commit."""
    gas = {name: mined.gas_used for name, mined in measured(registry, escrow, owner, oracle, payer, terms).items()}
    if os.environ.get(UPDATE):
        report = {"evm": "shanghai", "unit": "gas", "transactions": gas}
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    documented = json.loads(FILE.read_text(encoding="utf-8"))["transactions"]
    assert gas == {name: pytest.approx(value, rel=TOLERANCE) for name, value in documented.items()}

"""A contract of more than 24,576 bytes can't be created on a chain that follows EIP-170."""

from __future__ import annotations

from typing import Any

import contractkit as kit
from brownie import web3


def test_code_size_is_within_the_limit(credit_plans: Any, escrow: Any, lens: Any, registry: Any) -> None:
    """What runs, not what Brownie compiled: linked, and with its immutables."""
    sizes = {
        contract._name: len(web3.eth.get_code(contract.address)) for contract in (credit_plans, escrow, lens, registry)
    }
    assert {name for name, size in sizes.items() if not 0 < size <= kit.MAX_CODE_BYTES} == set()

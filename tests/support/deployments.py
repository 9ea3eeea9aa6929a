"""Deployment files for tests in which no node is ever reached."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tallystick.chain.abi import ABI_HASHES
from tallystick.chain.deployment import CONTRACTS
from tallystick.protocol.hexes import checksum_address, to_hex


def write_deployment(path: Path, *, chain_id: int = 1337, **abi_hashes: bytes) -> Path:
    """A well-formed deployment file of contracts that are nowhere. `abi_hashes` replace those of this software."""
    contracts: dict[str, Any] = {
        name: {
            "address": checksum_address("0x" + f"{number:02x}" * 20),
            "block": number,
            "block_hash": to_hex(bytes([number]) * 32),
            "transaction": to_hex(bytes([number + 16]) * 32),
            "code_hash": to_hex(bytes([number + 32]) * 32),
            "abi_hash": to_hex(abi_hashes.get(name, ABI_HASHES.get(name, bytes(32)))),
        }
        for number, name in enumerate(CONTRACTS, start=1)
    }
    value = {"v": 1, "chain_id": chain_id, "genesis_hash": to_hex(b"\x77" * 32), "contracts": contracts}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path

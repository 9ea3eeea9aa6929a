"""A directly paid call: its terms, its id, and what the oracle posts for it. Its twin on chain is DirectCalls.sol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from eth_hash.auto import keccak

from tallystick.protocol.encoding import Domain, address_word, bytes32_word, uint_word
from tallystick.protocol.hexes import checksum_address, from_decimal, from_hex, from_object, to_hex
from tallystick.protocol.prices import Units

_TYPEHASH = keccak(
    b"DirectCall(address payer,uint256 listingId,uint32 revision,address oracle,address asset,uint128 amount,"
    b"uint40 deadline,bytes32 requestCommitment)"
)


class Mode(IntEnum):
    """How a call was paid, in the order of the contract's enum."""

    DIRECT = 0
    CHANNEL = 1
    KEY = 2
    CREDITS = 3


class CallStatus(IntEnum):
    """The states of a direct call on chain, in the order of the contract's enum. OPEN is left exactly once."""

    NONE = 0
    OPEN = 1
    FULFILLED = 2
    DECLINED = 3
    REFUNDED = 4


@dataclass(frozen=True)
class CallState:
    """A direct call as the escrow's books hold it. `amount`: escrowed while open, charged afterwards, atomic units.

    `fee_bps` is the protocol's fee when it was opened, in hundredths of a per cent.
    """

    status: CallStatus
    amount: int
    deadline: int
    fee_bps: int = 0

    @classmethod
    def from_tuple(cls, values: Any) -> CallState:
        """From the contract's struct, as a node's answer is decoded."""
        status, amount, deadline, fee_bps = values
        return cls(CallStatus(status), int(amount), int(deadline), int(fee_bps))


@dataclass(frozen=True)
class DirectCall:
    """The terms of a call. `amount` in atomic units of `asset`, `deadline` in Unix seconds, addresses in EIP-55 form."""

    payer: str
    listing_id: int
    revision: int
    oracle: str
    asset: str
    amount: int
    deadline: int
    request_commitment: bytes

    def struct_hash(self) -> bytes:
        return keccak(
            _TYPEHASH
            + address_word(self.payer)
            + uint_word(self.listing_id)
            + uint_word(self.revision, 32)
            + address_word(self.oracle)
            + address_word(self.asset)
            + uint_word(self.amount, 128)
            + uint_word(self.deadline, 40)
            + bytes32_word(self.request_commitment)
        )

    def call_id(self, domain: Domain) -> bytes:
        """Unique per chain and contract; no term can change under it."""
        return domain.digest(self.struct_hash())

    def as_tuple(self) -> tuple[str, int, int, str, str, int, int, bytes]:
        """In the order of the contract's struct."""
        return (
            self.payer,
            self.listing_id,
            self.revision,
            self.oracle,
            self.asset,
            self.amount,
            self.deadline,
            self.request_commitment,
        )

    def to_dict(self) -> dict[str, str | int]:
        return {
            "payer": self.payer,
            "listing": str(self.listing_id),
            "revision": self.revision,
            "oracle": self.oracle,
            "asset": self.asset,
            "amount": str(self.amount),
            "deadline": self.deadline,
            "request_commitment": to_hex(self.request_commitment),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> DirectCall:
        """Raises ValueError or KeyError where it is not what `to_dict` writes."""
        value = from_object(value)
        return cls(
            checksum_address(value["payer"]),
            from_decimal(value["listing"], 256),
            from_decimal(value["revision"], 32),
            checksum_address(value["oracle"]),
            checksum_address(value["asset"]),
            from_decimal(value["amount"], 128),
            from_decimal(value["deadline"], 40),
            from_hex(value["request_commitment"], 32),
        )


@dataclass(frozen=True)
class Outcome:
    """What the oracle posts for a call it has run. `charge` in atomic units."""

    result_hash: bytes
    receipt_digest: bytes
    units: Units
    charge: int

    def as_tuple(self) -> tuple[bytes, bytes, tuple[int, int, int], int]:
        """In the order of the contract's struct."""
        units = (self.units.input_tokens, self.units.output_tokens, self.units.compute_ms)
        return (self.result_hash, self.receipt_digest, units, self.charge)

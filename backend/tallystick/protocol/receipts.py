"""The receipt: the payer's half of the tally (rule E3). Signed by the oracle before it replies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coincurve import PrivateKey
from eth_hash.auto import keccak

from tallystick.protocol.calls import Mode
from tallystick.protocol.encoding import Domain, address_word, bytes32_word, uint_word
from tallystick.protocol.hexes import checksum_address, from_decimal, from_hex, from_object, to_hex
from tallystick.protocol.prices import Units
from tallystick.protocol.signatures import recover, sign

RECEIPT_VERSION = 1
_MODES = {mode.name.lower(): mode for mode in Mode}
_TIME_BITS = 53
"""A receipt's time is a JSON integer, and beyond 2^53 one parser reads another number than the next."""
_TYPEHASH = keccak(
    b"Receipt(bytes32 callId,uint8 mode,address payer,address oracle,uint256 listingId,uint32 revision,"
    b"bytes32 manifestHash,bytes32 requestCommitment,bytes32 parametersHash,bytes32 resultHash,uint32 inputTokens,"
    b"uint32 outputTokens,uint32 computeMs,address asset,uint128 charge,uint128 cumulativeSpend,uint64 issuedAt)"
)


@dataclass(frozen=True)
class Receipt:
    """Everything about one call. Amounts in atomic units of `asset`, `issued_at` in Unix seconds of the oracle's clock.

    `cumulative_spend` is what the call's escrow or channel has been charged in all, this call included.
    """

    call_id: bytes
    mode: Mode
    payer: str
    oracle: str
    listing_id: int
    revision: int
    manifest_hash: bytes
    request_commitment: bytes
    parameters_hash: bytes
    result_hash: bytes
    units: Units
    asset: str
    charge: int
    cumulative_spend: int
    issued_at: int

    def digest(self, domain: Domain) -> bytes:
        """The EIP-712 digest: what the oracle signs and what is anchored on chain."""
        return domain.digest(
            keccak(
                _TYPEHASH
                + bytes32_word(self.call_id)
                + uint_word(self.mode, 8)
                + address_word(self.payer)
                + address_word(self.oracle)
                + uint_word(self.listing_id)
                + uint_word(self.revision, 32)
                + bytes32_word(self.manifest_hash)
                + bytes32_word(self.request_commitment)
                + bytes32_word(self.parameters_hash)
                + bytes32_word(self.result_hash)
                + uint_word(self.units.input_tokens, 32)
                + uint_word(self.units.output_tokens, 32)
                + uint_word(self.units.compute_ms, 32)
                + address_word(self.asset)
                + uint_word(self.charge, 128)
                + uint_word(self.cumulative_spend, 128)
                + uint_word(self.issued_at, 64)
            )
        )

    def signed(self, domain: Domain, key: PrivateKey) -> SignedReceipt:
        return SignedReceipt(self, sign(key, self.digest(domain)))

    def to_dict(self) -> dict[str, Any]:
        return {
            "v": RECEIPT_VERSION,
            "call_id": to_hex(self.call_id),
            "mode": self.mode.name.lower(),
            "payer": self.payer,
            "oracle": self.oracle,
            "listing": str(self.listing_id),
            "revision": self.revision,
            "manifest_hash": to_hex(self.manifest_hash),
            "request_commitment": to_hex(self.request_commitment),
            "parameters_hash": to_hex(self.parameters_hash),
            "result_hash": to_hex(self.result_hash),
            "units": self.units.to_dict(),
            "asset": self.asset,
            "charge": str(self.charge),
            "cumulative_spend": str(self.cumulative_spend),
            "issued_at": self.issued_at,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Receipt:
        """Raises ValueError or KeyError where it is not what `to_dict` writes."""
        value = from_object(value)
        if type(value["v"]) is not int or value["v"] != RECEIPT_VERSION:
            raise ValueError(f"unknown receipt version {value['v']!r}")
        return cls(
            from_hex(value["call_id"], 32),
            _MODES[str(value["mode"])],
            checksum_address(value["payer"]),
            checksum_address(value["oracle"]),
            from_decimal(value["listing"], 256),
            from_decimal(value["revision"], 32),
            from_hex(value["manifest_hash"], 32),
            from_hex(value["request_commitment"], 32),
            from_hex(value["parameters_hash"], 32),
            from_hex(value["result_hash"], 32),
            Units.from_dict(value["units"]),
            checksum_address(value["asset"]),
            from_decimal(value["charge"], 128),
            from_decimal(value["cumulative_spend"], 128),
            from_decimal(value["issued_at"], _TIME_BITS),
        )


@dataclass(frozen=True)
class SignedReceipt:
    """A receipt with the oracle's signature over its digest."""

    receipt: Receipt
    signature: bytes

    def signer(self, domain: Domain) -> str:
        """The address that signed it. Raises ValueError if the signature is malformed."""
        return recover(self.receipt.digest(domain), self.signature)

    def to_dict(self) -> dict[str, Any]:
        return {"receipt": self.receipt.to_dict(), "signature": to_hex(self.signature)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> SignedReceipt:
        """Raises ValueError or KeyError where it is not what `to_dict` writes."""
        value = from_object(value)
        return cls(Receipt.from_dict(value["receipt"]), from_hex(value["signature"], 65))

"""What a revision of a listing fixes for ever. Its twin on chain is the struct RevisionTerms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tallystick.protocol.hexes import checksum_address
from tallystick.protocol.plans import Plan
from tallystick.protocol.prices import PriceSheet, Units
from tallystick.protocol.tiers import Tier, discounted


@dataclass(frozen=True)
class RevisionTerms:
    """`oracle_share_bps`: the oracle's part of what a call earns, in hundredths of a per cent; the owner has the rest.

    Which tiers, plans and shares a revision may have is checked by ListingRegistry.sol. Raises ValueError where the oracle
    is no address.
    """

    oracle: str
    manifest_hash: bytes
    prices: PriceSheet
    metadata_uri: str = ""
    oracle_share_bps: int = 0
    tiers: tuple[Tier, ...] = ()
    plans: tuple[Plan, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "oracle", checksum_address(self.oracle))

    def price_of(self, units: Units, calls_before: int = 0) -> int:
        """The price in atomic units for a payer who was charged for `calls_before` calls of the listing before."""
        return discounted(self.prices.price_of(units), self.tiers, calls_before)

    def lowest_price_of(self, units: Units) -> int:
        """The price in atomic units at the highest tier."""
        return self.price_of(units, max((tier.from_calls for tier in self.tiers), default=0))

    def as_tuple(self) -> tuple[Any, ...]:
        """In the order of the contract's struct."""
        return (
            self.oracle,
            self.oracle_share_bps,
            self.manifest_hash,
            self.prices.as_tuple(),
            [tier.as_tuple() for tier in self.tiers],
            [plan.as_tuple() for plan in self.plans],
            self.metadata_uri,
        )

    @classmethod
    def from_tuple(cls, values: Any) -> RevisionTerms:
        """From the contract's struct, as a node's answer is decoded."""
        oracle, share, manifest_hash, prices, tiers, plans, uri = values
        return cls(
            str(oracle),
            bytes(manifest_hash),
            PriceSheet(*prices),
            str(uri),
            int(share),
            tuple(Tier(*tier) for tier in tiers),
            tuple(Plan(*plan) for plan in plans),
        )

    @classmethod
    def from_arguments(cls, values: Mapping[str, Any]) -> RevisionTerms:
        """From the components of an event's terms, by their ABI names."""
        prices = values["prices"]
        return cls(
            values["oracle"],
            values["manifestHash"],
            PriceSheet(
                prices["asset"],
                prices["perCall"],
                prices["perThousandInputTokens"],
                prices["perThousandOutputTokens"],
                prices["perComputeSecond"],
            ),
            values["metadataURI"],
            values["oracleShareBps"],
            tuple(Tier(tier["fromCalls"], tier["discountBps"]) for tier in values["tiers"]),
            tuple(
                Plan(plan["creditPrice"], plan["credits"], plan["tranches"], plan["duration"], plan["interval"])
                for plan in values["plans"]
            ),
        )

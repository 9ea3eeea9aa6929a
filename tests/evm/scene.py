"""A marketplace in the machine: contracts, tokens, people with keys, and what they sign."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from coincurve import PrivateKey
from eth_hash.auto import keccak
from tallystick.protocol.accounts import Authorisation, ChannelTerms, KeyGrant, PositionTerms, key_account
from tallystick.protocol.calls import DirectCall, Outcome
from tallystick.protocol.encoding import Domain, address_word, uint_word
from tallystick.protocol.hexes import ZERO_ADDRESS
from tallystick.protocol.outcomes import pack_entry
from tallystick.protocol.prices import NATIVE, PriceSheet, Units
from tallystick.protocol.revisions import RevisionTerms
from tallystick.protocol.signatures import address_of as address_of_key
from tallystick.protocol.signatures import sign

from tests.evm.machine import CHAIN_ID, Contract, Machine, Mined, address_of

UNITS = Units(120, 40, 25)
PRICES = PriceSheet(NATIVE, 1_000, 2_000, 4_000, 1_000)
"""For UNITS: 1,000 + (240,000 + 160,000 + 25,000) / 1,000 = 1,425."""
PRICE = PRICES.price_of(UNITS)
ROOT = keccak(b"root of receipts")
MANIFEST = keccak(b"manifest")
TRANSFER_TYPEHASH = keccak(
    b"TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
)


@dataclass(frozen=True)
class Person:
    """Somebody with a key. `sign` gives 65 bytes r, s, v over a digest."""

    label: str

    @property
    def key(self) -> PrivateKey:
        return PrivateKey(keccak(self.label.encode()))

    @property
    def address(self) -> str:
        return address_of_key(self.key)

    def sign(self, digest: bytes) -> bytes:
        return sign(self.key, digest)


def revision_terms(oracle: str, **changes: Any) -> RevisionTerms:
    """What most revisions here are published with; `changes` by field."""
    return replace(RevisionTerms(oracle, MANIFEST, PRICES, "ipfs://manifest"), **changes)


@dataclass(frozen=True)
class Call:
    """One call as the oracle posts it. `charge` in atomic units, or in credits."""

    index: int
    charge: int = PRICE
    units: Units = UNITS
    commitment: bytes = b""
    result: bytes = b""

    def as_tuple(self) -> tuple[bytes, bytes, int]:
        return (
            self.commitment or keccak(b"request %d" % self.index),
            self.result or keccak(b"result %d" % self.index),
            pack_entry(self.index, self.units, self.charge),
        )


class Market:
    """Registry, escrow, lens and tokens, each freshly deployed, and a listing in the native asset with one revision."""

    def __init__(self, machine: Machine | None = None) -> None:
        self.machine = machine or Machine()
        self.administrator, self.collector, self.stranger = map(address_of, ("administrator", "collector", "stranger"))
        self.owner, self.oracle = address_of("owner"), address_of("oracle")
        self.payer, self.other_payer = Person("payer"), Person("other payer")
        for address in (self.payer.address, self.other_payer.address, self.stranger):
            self.machine.fund(address)
        self.registry = self.machine.deploy("ListingRegistry")
        plans = self.machine.deploy("CreditPlans")
        self.escrow = self.machine.deploy(
            "Escrow", self.registry.address, self.administrator, libraries={"CreditPlans": plans.address}
        )
        self.lens = self.machine.deploy("EscrowLens", self.escrow.address)
        self.token = self.machine.deploy("TestStablecoin")
        self.hostile = self.machine.deploy("HostileTokenMock")
        self.domain = Domain(CHAIN_ID, self.escrow.address)
        self.listing = self.publish(revision_terms(self.oracle))

    # ---- the catalogue

    def publish(self, terms: RevisionTerms, by: str | None = None) -> int:
        return int(self.registry.send("publish", terms.as_tuple(), by=by or self.owner).value)

    def revise(self, listing: int, terms: RevisionTerms, by: str | None = None) -> int:
        return int(self.registry.send("revise", listing, terms.as_tuple(), by=by or self.owner).value)

    def priced_in(self, asset: str, **terms: Any) -> int:
        """A listing as the first one, but priced in `asset`."""
        return self.publish(revision_terms(self.oracle, prices=replace(PRICES, asset=asset), **terms))

    # ---- direct calls

    def direct(self, *, listing: int | None = None, amount: int = 2_000, salt: int = 0, **changes: Any) -> DirectCall:
        call = DirectCall(
            self.payer.address,
            listing or self.listing,
            1,
            self.oracle,
            NATIVE,
            amount,
            self.machine.time + 3_600,
            keccak(b"direct %d" % salt),
        )
        return replace(call, **changes)

    def outcome(self, charge: int = PRICE, units: Units = UNITS) -> tuple[bytes, bytes, tuple[int, int, int], int]:
        made = Outcome(keccak(b"result"), keccak(b"digest"), units, charge)
        return (
            made.result_hash,
            made.receipt_digest,
            (units.input_tokens, units.output_tokens, units.compute_ms),
            charge,
        )

    # ---- tokens

    def give(self, token: Contract, person: str, amount: int = 10**12, *, allow: bool = True) -> None:
        """Mints, and lets the escrow take it where the token asks for that."""
        token.send("mint", person, amount, by=self.stranger)
        if allow and token.name == "TestStablecoin":
            token.send("approve", self.escrow.address, 2**256 - 1, by=person)

    def token_authorisation(
        self, call: DirectCall, *, nonce: bytes = b"", signer: Person | None = None, valid_before: int | None = None
    ) -> tuple[int, int, bytes, int, bytes, bytes]:
        """What a stock x402 client signs, with the call's till as recipient."""
        till = self.escrow.view("tillOf", call.as_tuple())
        nonce = nonce or keccak(b"nonce" + call.request_commitment)
        before = self.machine.time + 600 if valid_before is None else valid_before
        struct = keccak(
            TRANSFER_TYPEHASH
            + address_word(call.payer)
            + address_word(till)
            + uint_word(call.amount)
            + uint_word(0)
            + uint_word(before)
            + nonce
        )
        separator = self.machine.at("TestStablecoin", call.asset).view("DOMAIN_SEPARATOR")
        signature = (signer or self.payer).sign(keccak(b"\x19\x01" + separator + struct))
        return (0, before, nonce, signature[64], signature[:32], signature[32:64])

    # ---- accounts

    def channel(
        self, number: int = 0, asset: str = NATIVE, payer: str | None = None, oracle: str | None = None
    ) -> ChannelTerms:
        return ChannelTerms(payer or self.payer.address, oracle or self.oracle, asset, number)

    def channel_id(self, terms: ChannelTerms) -> bytes:
        return terms.channel_id(self.domain)

    def deposit(self, terms: ChannelTerms, amount: int = 10**6, by: str | None = None) -> Mined:
        value = amount if terms.asset == ZERO_ADDRESS else 0
        return self.escrow.send("deposit", terms.as_tuple(), amount, by=by or self.payer.address, value=value)

    def position(self, plan: int = 0, number: int = 0, **changes: Any) -> PositionTerms:
        terms = PositionTerms(self.payer.address, self.listing, 1, plan, self.oracle, NATIVE, number)
        return replace(terms, **changes)

    # ---- batches

    def channel_group(
        self,
        terms: ChannelTerms,
        calls: Sequence[Call],
        maximum: int = 10**6,
        *,
        listing: int | None = None,
        revision: int = 1,
        signer: Person | None = None,
        signature: bytes | None = None,
    ) -> tuple[Any, ...]:
        given = Authorisation(maximum, calls[-1].index if calls else 0, keccak(b"request"))
        if signature is None:
            signature = (signer or self.payer).sign(given.digest(self.domain, self.channel_id(terms)))
        return (
            terms.as_tuple(),
            listing or self.listing,
            revision,
            given.as_tuple(),
            signature,
            [call.as_tuple() for call in calls],
        )

    def grant(
        self, secret: bytes = b"secret", cap: int = 10**5, expiry: int | None = None, listings: Sequence[int] = ()
    ) -> KeyGrant:
        return KeyGrant(keccak(secret), cap, self.machine.time + 86_400 if expiry is None else expiry, tuple(listings))

    def key_group(
        self,
        terms: ChannelTerms,
        grant: KeyGrant,
        calls: Sequence[Call],
        *,
        listing: int | None = None,
        revision: int = 1,
        signer: Person | None = None,
    ) -> tuple[Any, ...]:
        signature = (signer or self.payer).sign(grant.digest(self.domain, self.channel_id(terms)))
        return (
            terms.as_tuple(),
            listing or self.listing,
            revision,
            grant.as_tuple(),
            signature,
            [call.as_tuple() for call in calls],
        )

    def key_account(self, terms: ChannelTerms, grant: KeyGrant) -> bytes:
        return key_account(self.channel_id(terms), grant.key_hash)

    def credit_group(
        self,
        terms: PositionTerms,
        calls: Sequence[Call],
        maximum: int = 1_000,
        *,
        revision: int = 1,
        signer: Person | None = None,
    ) -> tuple[Any, ...]:
        given = Authorisation(maximum, calls[-1].index if calls else 0, keccak(b"request"))
        signature = (signer or self.payer).sign(given.digest(self.domain, terms.position_id(self.domain)))
        return (terms.as_tuple(), revision, given.as_tuple(), signature, [call.as_tuple() for call in calls])

    def settle(
        self,
        *,
        channels: Sequence[tuple[Any, ...]] = (),
        keys: Sequence[tuple[Any, ...]] = (),
        credits: Sequence[tuple[Any, ...]] = (),  # noqa: A002
        oracle: str | None = None,
        by: str | None = None,
        root: bytes = ROOT,
    ) -> Mined:
        oracle = oracle or self.oracle
        batch = (oracle, list(channels), list(keys), list(credits), root)
        return self.escrow.send("settle", batch, by=by or oracle)

    # ---- what is held and owed

    def owed(self, account: str, asset: str = NATIVE) -> int:
        return int(self.escrow.view("owed", account, asset))

    def held(self, asset: str = NATIVE) -> int:
        if asset == NATIVE:
            return self.machine.balance(self.escrow.address)
        return int(self.machine.at("HostileTokenMock", asset).view("balanceOf", self.escrow.address))

"""The contracts' rules for listings and direct calls in Python, in the contracts' order. Their twins are the .sol files.

`NullChain` keeps one of these per block. A refusal is the typed error that the contract would revert with, made by the
same ABI and the same decoder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from eth_hash.auto import keccak

from tallystick.chain.abi import ABIS, CODEC, canonical_type
from tallystick.chain.reverts import decode_revert
from tallystick.chain.types import Listing, Revision
from tallystick.errors import ContractRefused
from tallystick.protocol.calls import CallState, CallStatus, DirectCall, Outcome
from tallystick.protocol.earnings import MAX_FEE_BPS, divide
from tallystick.protocol.encoding import Domain
from tallystick.protocol.hexes import ZERO_ADDRESS
from tallystick.protocol.prices import NATIVE, Units
from tallystick.protocol.revisions import RevisionTerms

MAX_CALL_SECONDS: Final = 7 * 24 * 3600
MAX_URI_BYTES: Final = 2048
NEVER_OPENED: Final = CallState(CallStatus.NONE, 0, 0)


@dataclass(frozen=True)
class Logged:
    """One `CallLogged`: the public half of a charged call. `charge` in atomic units."""

    call_id: bytes
    listing_id: int
    payer: str
    revision: int
    request_commitment: bytes
    result_hash: bytes
    units: Units
    charge: int


@dataclass
class Books:
    """What the contracts and the chain store. A method that refuses has changed nothing."""

    domain: Domain
    listings: dict[int, Listing] = field(default_factory=dict)
    revisions: dict[tuple[int, int], Revision] = field(default_factory=dict)
    calls: dict[bytes, CallState] = field(default_factory=dict)
    owed: dict[tuple[str, str], int] = field(default_factory=dict)
    calls_of: dict[tuple[str, int], int] = field(default_factory=dict)
    """By payer and listing: calls that were charged for, as far as its revisions have tiers."""
    fee: tuple[int, str] = (0, ZERO_ADDRESS)
    """Hundredths of a per cent, and who collects them."""
    logs: list[Logged] = field(default_factory=list)
    nonces: dict[str, int] = field(default_factory=dict)

    def copy(self) -> Books:
        return Books(
            self.domain,
            self.listings.copy(),
            self.revisions.copy(),
            self.calls.copy(),
            self.owed.copy(),
            self.calls_of.copy(),
            self.fee,
            self.logs.copy(),
            self.nonces.copy(),
        )

    # ---- ListingRegistry.sol ------------------------------------------------------------------------------------------

    def publish(self, sender: str, terms: RevisionTerms) -> None:
        self._check_revision(terms)
        listing_id = len(self.listings) + 1
        self.listings[listing_id] = Listing(listing_id, sender, terms.oracle, 0, False)
        self._add_revision(listing_id, terms)

    def revise(self, sender: str, listing_id: int, terms: RevisionTerms) -> None:
        self._owned(sender, listing_id)
        self._check_revision(terms)
        self._add_revision(listing_id, terms)

    def set_withdrawn(self, sender: str, listing_id: int, withdrawn: bool) -> None:
        listing = self._owned(sender, listing_id)
        if listing.withdrawn == withdrawn:
            raise refusal("Registry_SaleStateUnchanged", withdrawn)
        self.listings[listing_id] = replace(listing, withdrawn=withdrawn)

    def existing_listing(self, listing_id: int) -> Listing:
        found = self.listings.get(listing_id)
        if found is None:
            raise refusal("Registry_UnknownListing", listing_id, len(self.listings))
        return found

    def existing_revision(self, listing_id: int, revision: int) -> Revision:
        found = self.revisions.get((listing_id, revision))
        if found is None:
            raise refusal("Registry_UnknownRevision", revision, self.existing_listing(listing_id).latest_revision)
        return found

    def _owned(self, sender: str, listing_id: int) -> Listing:
        listing = self.existing_listing(listing_id)
        if sender != listing.owner:
            raise refusal("Registry_NotOwner", sender, listing.owner)
        return listing

    def _check_revision(self, terms: RevisionTerms) -> None:
        """Tiers and plans are taken as they are given."""
        if terms.oracle == ZERO_ADDRESS:
            raise refusal("Registry_ZeroOracle")
        if terms.manifest_hash == bytes(32):
            raise refusal("Registry_EmptyManifest")
        length = len(terms.metadata_uri.encode())
        if length > MAX_URI_BYTES:
            raise refusal("Registry_URITooLong", length, MAX_URI_BYTES)

    def _add_revision(self, listing_id: int, terms: RevisionTerms) -> None:
        listing = self.listings[listing_id]
        number = listing.latest_revision + 1
        self.revisions[listing_id, number] = Revision(listing_id, number, terms)
        self.listings[listing_id] = replace(listing, latest_revision=number, oracle=terms.oracle)

    # ---- Escrow.sol ---------------------------------------------------------------------------------------------------

    def open(self, sender: str, call: DirectCall, value: int, now: int) -> None:
        if sender != call.payer:
            raise refusal("Escrow_NotPayer", sender, call.payer)
        if call.request_commitment == bytes(32):
            raise refusal("Escrow_EmptyCommitment")
        if not now < call.deadline <= now + MAX_CALL_SECONDS:
            raise refusal("Escrow_DeadlineOutOfRange", call.deadline, now + 1, now + MAX_CALL_SECONDS)
        self._require_on_sale(call)
        call_id = call.call_id(self.domain)
        self._require_state(call_id, CallStatus.NONE)
        # There are no tokens here, so nothing but the native asset can arrive.
        expected = call.amount if call.asset == NATIVE else 0
        if value != expected:
            raise refusal("Escrow_WrongValue", value, expected)
        if call.asset != NATIVE and call.amount:
            raise refusal("SafeERC20FailedOperation", call.asset)
        self.calls[call_id] = CallState(CallStatus.OPEN, call.amount, call.deadline, self.fee[0])

    def fulfil(self, sender: str, call: DirectCall, outcome: Outcome, now: int) -> None:
        call_id = self._open_call_of_oracle(sender, call)
        if now > call.deadline:
            raise refusal("Escrow_DeadlinePassed", now, call.deadline)
        if outcome.result_hash == bytes(32):
            raise refusal("Escrow_EmptyResult")
        terms = self.existing_revision(call.listing_id, call.revision).terms
        calls_before = self.calls_of.get((call.payer, call.listing_id), 0)
        maximum = min(terms.price_of(outcome.units, calls_before), call.amount)
        if outcome.charge > maximum:
            raise refusal("Escrow_ChargeTooHigh", outcome.charge, maximum)
        if terms.tiers:
            self.calls_of[call.payer, call.listing_id] = calls_before + 1
        fee_bps = self.calls[call_id].fee_bps
        self.calls[call_id] = CallState(CallStatus.FULFILLED, outcome.charge, call.deadline, fee_bps)
        self._credit(call.payer, call.asset, call.amount - outcome.charge)
        self._earn(call, outcome.charge, terms.oracle_share_bps, fee_bps)
        self.logs.append(
            Logged(
                call_id,
                call.listing_id,
                call.payer,
                call.revision,
                call.request_commitment,
                outcome.result_hash,
                outcome.units,
                outcome.charge,
            )
        )

    def decline(self, sender: str, call: DirectCall) -> None:
        self._give_back(self._open_call_of_oracle(sender, call), call, CallStatus.DECLINED)

    def refund(self, call: DirectCall, now: int) -> None:
        call_id = call.call_id(self.domain)
        self._require_state(call_id, CallStatus.OPEN)
        if now <= call.deadline:
            raise refusal("Escrow_DeadlineNotPassed", now, call.deadline)
        self._give_back(call_id, call, CallStatus.REFUNDED)

    def withdraw(self, sender: str, asset: str) -> None:
        if not self.owed.get((sender, asset)):
            raise refusal("Escrow_NothingToWithdraw", sender, asset)
        self.owed[sender, asset] = 0

    def set_fee(self, fee_bps: int, collector: str) -> None:
        """By the administrator."""
        if fee_bps > MAX_FEE_BPS:
            raise refusal("Escrow_FeeTooHigh", fee_bps, MAX_FEE_BPS)
        if collector == ZERO_ADDRESS:
            raise refusal("Escrow_ZeroCollector")
        self.fee = (fee_bps, collector)

    def _require_on_sale(self, call: DirectCall) -> None:
        listing = self.existing_listing(call.listing_id)
        asset = self.revisions[call.listing_id, listing.latest_revision].prices.asset
        if listing.withdrawn:
            raise refusal("Escrow_ListingWithdrawn", call.listing_id)
        if call.revision != listing.latest_revision:
            raise refusal("Escrow_RevisionNotForSale", call.revision, listing.latest_revision)
        if call.oracle != listing.oracle:
            raise refusal("Escrow_WrongOracle", call.oracle, listing.oracle)
        if call.asset != asset:
            raise refusal("Escrow_WrongAsset", call.asset, asset)

    def _open_call_of_oracle(self, sender: str, call: DirectCall) -> bytes:
        if sender != call.oracle:
            raise refusal("Escrow_NotOracle", sender, call.oracle)
        call_id = call.call_id(self.domain)
        self._require_state(call_id, CallStatus.OPEN)
        return call_id

    def _require_state(self, call_id: bytes, expected: CallStatus) -> None:
        actual = self.calls.get(call_id, NEVER_OPENED).status
        if actual is not expected:
            raise refusal("Escrow_CallNotInState", call_id, actual, expected)

    def _give_back(self, call_id: bytes, call: DirectCall, status: CallStatus) -> None:
        self.calls[call_id] = CallState(status, 0, call.deadline, self.calls[call_id].fee_bps)
        self._credit(call.payer, call.asset, call.amount)

    def _earn(self, call: DirectCall, amount: int, share_bps: int, fee_bps: int) -> None:
        parts = divide(amount, fee_bps, share_bps)
        self._credit(self.listings[call.listing_id].owner, call.asset, parts.owner_amount)
        if parts.oracle_amount:
            self._credit(call.oracle, call.asset, parts.oracle_amount)
        if parts.fee:
            self._credit(self.fee[1], call.asset, parts.fee)

    def _credit(self, account: str, asset: str, amount: int) -> None:
        self.owed[account, asset] = self.owed.get((account, asset), 0) + amount


Effect = Callable[[Books, int], None]
"""What a transaction does to the books at a block's timestamp. Raises ContractRefused where the contract reverts."""


def refusal(name: str, *arguments: Any) -> ContractRefused:
    """The error `name` of the contracts' ABIs with these arguments, as it comes out of a node's revert data."""
    entry = next(item for abi in ABIS.values() for item in abi if item["type"] == "error" and item["name"] == name)
    types = [canonical_type(parameter) for parameter in entry["inputs"]]
    decoded = decode_revert(keccak(f"{name}({','.join(types)})".encode())[:4] + CODEC.encode(types, arguments))
    assert decoded is not None  # noqa: S101
    return decoded

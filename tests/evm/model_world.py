"""What the model of the money rules stands on: the catalogue, the oracles' keys, and what tokens do when they are moved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tallystick.protocol.calls import DirectCall
from tallystick.protocol.hexes import ZERO_ADDRESS
from tallystick.protocol.plans import Plan
from tallystick.protocol.revisions import RevisionTerms

DAY = 86_400
ALL_BPS = 10_000
UNKNOWN: Any = object()
"""A value of a refusal that the model does not tell, such as whom a wrong signature recovers to."""


class Refusal(Exception):
    """An operation that changes nothing. `name` of the custom error; empty for a revert without one."""

    def __init__(self, name: str = "", *values: Any) -> None:
        super().__init__(f"{name}{values}")
        self.name, self.values = name, values


@dataclass
class Listing:
    owner: str
    revisions: list[RevisionTerms] = field(default_factory=list)
    withdrawn: bool = False


class Catalogue:
    """Listings with their revisions, and which keys act for which oracle. `time` is set by whoever uses it."""

    def __init__(self) -> None:
        self.time = 0
        self.listings: list[Listing] = []
        self.signers: dict[str, tuple[str, str, int]] = {}

    def publish(self, sender: str, terms: RevisionTerms) -> int:
        _require_usable(terms)
        self.listings.append(Listing(sender, [terms]))
        return len(self.listings)

    def revise(self, sender: str, listing_id: int, terms: RevisionTerms) -> int:
        listing = self._owned(sender, listing_id)
        _require_usable(terms)
        listing.revisions.append(terms)
        return len(listing.revisions)

    def set_withdrawn(self, sender: str, listing_id: int, withdrawn: bool) -> None:
        listing = self._owned(sender, listing_id)
        if listing.withdrawn == withdrawn:
            raise Refusal("Registry_SaleStateUnchanged", withdrawn)
        listing.withdrawn = withdrawn

    def transfer(self, sender: str, giver: str, receiver: str, listing_id: int) -> None:
        """ERC-721 without approvals: only the owner can."""
        if not 1 <= listing_id <= len(self.listings):
            raise Refusal("ERC721NonexistentToken", listing_id)
        listing = self.listings[listing_id - 1]
        if sender != listing.owner:
            raise Refusal("ERC721InsufficientApproval", sender, listing_id)
        if giver != listing.owner:
            raise Refusal("ERC721IncorrectOwner", giver, listing_id, listing.owner)
        listing.owner = receiver

    def rotate_signer(self, sender: str, signer: str, grace: int) -> tuple[str, int]:
        """Gives the key before, and until when it stays good."""
        if grace > 8 * DAY:
            raise Refusal("Directory_GraceTooLong", grace, 8 * DAY)
        previous = self.signers.get(sender, (ZERO_ADDRESS, ZERO_ADDRESS, 0))[0]
        until = self.time + grace if grace else 0
        self.signers[sender] = (signer, previous, until)
        return previous, until

    def acts_for(self, key: str, oracle: str) -> bool:
        signer, previous, until = self.signers.get(oracle, (ZERO_ADDRESS, ZERO_ADDRESS, 0))
        return key in (oracle, signer) or (key == previous and self.time <= until)

    def listing(self, listing_id: int) -> Listing:
        if not 1 <= listing_id <= len(self.listings):
            raise Refusal("Registry_UnknownListing", listing_id, len(self.listings))
        return self.listings[listing_id - 1]

    def revision(self, listing_id: int, number: int) -> RevisionTerms | None:
        if not 1 <= listing_id <= len(self.listings):
            return None
        revisions = self.listings[listing_id - 1].revisions
        return revisions[number - 1] if 1 <= number <= len(revisions) else None

    def plan(self, listing_id: int, number: int, plan: int) -> Plan:
        latest = len(self.listing(listing_id).revisions)
        terms = self.revision(listing_id, number)
        if terms is None:
            raise Refusal("Registry_UnknownRevision", number, latest)
        if plan >= len(terms.plans):
            raise Refusal("Registry_UnknownPlan", plan, len(terms.plans))
        return terms.plans[plan]

    def is_served_by(self, listing_id: int, oracle: str) -> bool:
        listing = self.listing(listing_id)
        return not listing.withdrawn and listing.revisions[-1].oracle == oracle

    def require_on_sale(self, listing_id: int, number: int, oracle: str, asset: str) -> None:
        listing = self.listing(listing_id)
        sold = listing.revisions[-1]
        if listing.withdrawn:
            raise Refusal("Escrow_ListingWithdrawn", listing_id)
        if number != len(listing.revisions):
            raise Refusal("Escrow_RevisionNotForSale", number, len(listing.revisions))
        if oracle != sold.oracle:
            raise Refusal("Escrow_WrongOracle", oracle, sold.oracle)
        if asset != sold.prices.asset:
            raise Refusal("Escrow_WrongAsset", asset, sold.prices.asset)

    def _owned(self, sender: str, listing_id: int) -> Listing:
        listing = self.listing(listing_id)
        if sender != listing.owner:
            raise Refusal("Registry_NotOwner", sender, listing.owner)
        return listing


def _require_usable(terms: RevisionTerms) -> None:
    if terms.oracle == ZERO_ADDRESS:
        raise Refusal("Registry_ZeroOracle")
    if terms.oracle_share_bps > ALL_BPS:
        raise Refusal("Registry_ShareTooHigh", terms.oracle_share_bps, ALL_BPS)
    if terms.manifest_hash == bytes(32):
        raise Refusal("Registry_EmptyManifest")
    if len(terms.tiers) > 4:
        raise Refusal("Registry_TooManyTiers", len(terms.tiers), 4)
    calls = discount = 0
    for position, tier in enumerate(terms.tiers):
        if tier.from_calls <= calls or not discount < tier.discount_bps <= ALL_BPS:
            raise Refusal("Registry_TierOutOfOrder", position)
        calls, discount = tier.from_calls, tier.discount_bps
    for position, plan in enumerate(terms.plans):
        if not _is_usable(plan):
            raise Refusal("Registry_PlanUnusable", position)


def _is_usable(plan: Plan) -> bool:
    if not (plan.credits and plan.tranches and 0 < plan.duration <= 366 * DAY):
        return False
    if plan.tranches == 1:
        return plan.interval == 0
    return bool(plan.credit_price and plan.interval and plan.interval * (plan.tranches - 1) < plan.duration)


# ---- tokens

MANNERS = (
    "Honest",
    "ReturnsNothing",
    "ReturnsFalse",
    "Reverts",
    "Lies",
    "TakesFee",
    "Gives",
    "TakesMore",
    "CallsBack",
    "LiesOfBalance",
)


@dataclass(frozen=True)
class Permit:
    """An EIP-3009 authorisation to pay the amount of `call` into its till, as `signer` signed it for the call's payer."""

    signer: str
    call: DirectCall
    valid_after: int
    valid_before: int
    nonce: bytes


@dataclass
class Move:
    """What a transfer would change: balances by holder, and what is seen to arrive at, or to leave, the escrow."""

    measured: int
    changes: Mapping[Any, int] = field(default_factory=dict)


class Purses:
    """Balances of the two tokens by (token, holder); a holder is an address, or a call's id for its till."""

    def __init__(self, escrow: str, token: str, hostile: str) -> None:
        self.escrow, self.token, self.hostile = escrow, token, hostile
        self.balances: dict[tuple[str, Any], int] = defaultdict(int)
        self.without_allowance: set[str] = set()
        self.used: set[tuple[str, bytes]] = set()
        self.manner = "Honest"

    def apply(self, token: str, move: Move) -> None:
        for holder, change in move.changes.items():
            self.balances[token, holder] += change

    def pull(self, token: str, sender: str, amount: int) -> Move:
        """`transferFrom` to the escrow. `measured` is what arrives there, as far as the books believe it."""
        if token == self.token:
            if sender in self.without_allowance:
                raise Refusal("ERC20InsufficientAllowance", self.escrow, 0, amount)
            self._require_balance(sender, amount)
            return Move(amount, {sender: -amount, self.escrow: amount})
        changes = self._hostile(sender, self.escrow, amount)
        return Move(min(self._seen(changes), amount), changes)

    def push(self, token: str, receiver: str, amount: int) -> Move:
        """`transfer` from the escrow."""
        failed = Refusal("Escrow_TransferFailed", receiver, amount)
        if token == self.token:
            self._require_balance(self.escrow, amount)
            changes = _sum((self.escrow, -amount), (receiver, amount))
            if changes[self.escrow] != -amount:
                raise failed
            return Move(amount, changes)
        changes = self._hostile(self.escrow, receiver, amount)
        if self._seen(changes) != -amount:
            raise failed
        return Move(amount, changes)

    def relay(self, permit: Permit, call: DirectCall, till: bytes, time: int) -> Move:
        """`transferWithAuthorization` of the token, with the call's payer and till, by anybody."""
        if not permit.valid_after < time < permit.valid_before:
            raise Refusal("TestStablecoin_NotValidAt", time, permit.valid_after, permit.valid_before)
        if (call.payer, permit.nonce) in self.used:
            raise Refusal("TestStablecoin_AuthorisationUsed", call.payer, permit.nonce)
        if permit.call != call or permit.signer != call.payer:
            raise Refusal("TestStablecoin_InvalidSignature", UNKNOWN, call.payer)
        self._require_balance(call.payer, call.amount)
        return Move(call.amount, {call.payer: -call.amount, till: call.amount})

    def empty(self, token: str, till: bytes, more: int = 0) -> Move:
        """What a till gives to the escrow, `more` beside what lies there now. `measured` is what arrives there."""
        lying = self.balances[token, till] + more
        if token == self.token:
            return Move(lying, {till: -lying, self.escrow: lying})
        asked = lying * 2 if self.manner == "LiesOfBalance" else lying
        changes = self._hostile(till, self.escrow, asked) if asked else {}
        return Move(max(0, self._seen(changes)), changes)

    def _seen(self, changes: Mapping[Any, int]) -> int:
        """What the hostile token says that the escrow's balance changed by."""
        return changes.get(self.escrow, 0) * (2 if self.manner == "LiesOfBalance" else 1)

    def _require_balance(self, holder: str, amount: int) -> None:
        balance = self.balances[self.token, holder]
        if balance < amount:
            raise Refusal("ERC20InsufficientBalance", holder, balance, amount)

    def _hostile(self, giver: Any, receiver: Any, amount: int) -> dict[Any, int]:
        if self.manner == "Reverts":
            raise Refusal("HostileToken_Refused")
        if self.manner == "ReturnsFalse":
            raise Refusal("SafeERC20FailedOperation", self.hostile)
        if self.manner == "Lies":
            return {}
        taken = amount + 1 if self.manner == "TakesMore" else amount
        given = {"TakesFee": amount - amount // 10, "Gives": amount + 1}.get(self.manner, amount)
        if self.balances[self.hostile, giver] < taken:
            raise Refusal()
        return _sum((giver, -taken), (receiver, given))


def _sum(*changes: tuple[Any, int]) -> dict[Any, int]:
    total: dict[Any, int] = defaultdict(int)
    for holder, change in changes:
        total[holder] += change
    return total

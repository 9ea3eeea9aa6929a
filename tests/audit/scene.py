"""A marketplace in memory: emits the events that honest contracts would, and keeps the state that their views would show.

It shares no code with the auditor's accounting. Tests alter its events, or its views, and expect to be told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from coincurve import PrivateKey
from eth_hash.auto import keccak
from tallystick.chain.deployment import CONTRACTS, DeployedContract, Deployment
from tallystick.chain.events import ChainEvent, Position
from tallystick.chain.types import Block, Listing, Revision
from tallystick.protocol.calls import CallState, CallStatus, DirectCall, Mode
from tallystick.protocol.disclosure import ArchiveEntry
from tallystick.protocol.hexes import ZERO_ADDRESS, checksum_address
from tallystick.protocol.outcomes import LoggedOutcome, pack_outcome
from tallystick.protocol.prices import NATIVE, PriceSheet
from tallystick.protocol.revisions import RevisionTerms
from tallystick.protocol.signatures import address_of

from .making import commit, make_request, serve

GENESIS_TIME = 1_800_000_000
FIRST_BLOCK = 1
HOUR = 3600


def _address(name: str) -> str:
    return checksum_address("0x" + keccak(name.encode())[12:].hex())


OWNER, BUYER, OTHER_OWNER, PAYER, OTHER_PAYER = (_address(f"account {number}") for number in range(5))
ORACLE_KEY, OTHER_ORACLE_KEY = (PrivateKey(keccak(f"oracle {number}".encode())) for number in range(2))
ORACLE, OTHER_ORACLE = address_of(ORACLE_KEY), address_of(OTHER_ORACLE_KEY)
ORACLE_KEYS = {ORACLE: ORACLE_KEY, OTHER_ORACLE: OTHER_ORACLE_KEY}
PRICES = PriceSheet(NATIVE, 1_000, 50_000, 0, 2_000)
DEARER = PriceSheet(NATIVE, 9_000, 90_000, 0, 0)


def _deployed(name: str) -> DeployedContract:
    return DeployedContract(_address(name), FIRST_BLOCK, *(keccak(f"{name} {part}".encode()) for part in "htca"))


DEPLOYMENT = Deployment(1337, keccak(b"genesis"), *(_deployed(name) for name in CONTRACTS))
DOMAIN = DEPLOYMENT.domain


@dataclass
class SceneViews:
    """What the contracts would answer; a test may set any of it to something else."""

    block: Block
    listings: dict[int, Listing]
    revisions: dict[tuple[int, int], Revision]
    states: dict[bytes, CallState]
    balances: dict[tuple[str, str], int]
    native: int
    tokens: dict[str, int | None] = field(default_factory=dict)
    registry: str = DEPLOYMENT.registry.address
    seconds: int = 7 * 24 * HOUR

    def registry_address(self) -> str:
        return self.registry

    def max_call_seconds(self) -> int:
        return self.seconds

    def balance(self, asset: str) -> int | None:
        return self.native if asset == NATIVE else self.tokens.get(asset, 0)

    def owed(self, account: str, asset: str) -> int:
        return self.balances.get((account, asset), 0)

    def call_state(self, call_id: bytes) -> CallState:
        return self.states.get(call_id, CallState(CallStatus.NONE, 0, 0))

    def listing_count(self) -> int:
        return len(self.listings)

    def listing(self, listing_id: int) -> Listing | None:
        return self.listings.get(listing_id)

    def revision(self, listing_id: int, revision: int) -> Revision | None:
        return self.revisions.get((listing_id, revision))


@dataclass
class Scene:
    """One transaction a block, ten seconds apart. Every method is one transaction."""

    events: list[ChainEvent] = field(default_factory=list)
    headers: dict[int, Block] = field(default_factory=dict)
    entries: dict[bytes, ArchiveEntry] = field(default_factory=dict)
    """What the payers keep, by call id, of every call that was served; posted or not."""
    number: int = FIRST_BLOCK
    time: int = GENESIS_TIME
    listings: dict[int, Listing] = field(default_factory=dict)
    revisions: dict[tuple[int, int], Revision] = field(default_factory=dict)
    calls: dict[bytes, DirectCall] = field(default_factory=dict)
    states: dict[bytes, CallState] = field(default_factory=dict)
    owed: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    balance: int = 0
    fee: tuple[int, str] = (0, ZERO_ADDRESS)

    # ---- the catalogue ------------------------------------------------------------------------------------------------

    def publish(self, owner: str, oracle: str, prices: PriceSheet, **more: Any) -> int:
        """`more`: share, tiers and plans, as in `RevisionTerms`."""
        listing_id = len(self.listings) + 1
        self.listings[listing_id] = Listing(listing_id, owner, oracle, 1, withdrawn=False)
        self._transaction(
            ("registry", "ListingPublished", {"listingId": listing_id, "owner": owner}),
            self._revision_event(listing_id, 1, prices, oracle, **more),
            ("registry", "Transfer", {"from": ZERO_ADDRESS, "to": owner, "tokenId": listing_id}),
        )
        return listing_id

    def revise(self, listing_id: int, prices: PriceSheet, oracle: str | None = None) -> None:
        """Run by the oracle of the revision before, unless told otherwise."""
        listing, runs = self.listings[listing_id], oracle or self.listings[listing_id].oracle
        number = listing.latest_revision + 1
        self.listings[listing_id] = replace(listing, latest_revision=number, oracle=runs)
        self._transaction(self._revision_event(listing_id, number, prices, runs))

    def transfer(self, listing_id: int, to: str) -> None:
        listing = self.listings[listing_id]
        self.listings[listing_id] = replace(listing, owner=to)
        self._transaction(("registry", "Transfer", {"from": listing.owner, "to": to, "tokenId": listing_id}))

    def set_sale(self, listing_id: int, *, withdrawn: bool) -> None:
        self.listings[listing_id] = replace(self.listings[listing_id], withdrawn=withdrawn)
        name = "ListingWithdrawn" if withdrawn else "ListingRelisted"
        self._transaction(("registry", name, {"listingId": listing_id}))

    # ---- calls --------------------------------------------------------------------------------------------------------

    def open(self, payer: str, listing_id: int, amount: int, text: str) -> bytes:
        listing = self.listings[listing_id]
        request = make_request(listing_id, listing.latest_revision, text)
        salt = keccak(f"salt {len(self.calls)}".encode())
        terms = DirectCall(
            payer,
            listing_id,
            listing.latest_revision,
            listing.oracle,
            NATIVE,
            amount,
            self.time + HOUR,
            commit(request, salt),
        )
        call_id = terms.call_id(DOMAIN)
        self.calls[call_id] = terms
        self.states[call_id] = CallState(CallStatus.OPEN, amount, terms.deadline, self.fee[0])
        self.balance += amount
        self._transaction(
            (
                "escrow",
                "CallOpened",
                {"callId": call_id, "listingId": listing_id, "payer": payer, "call": terms_arguments(terms)},
            )
        )
        pinned = self.revisions[listing_id, terms.revision]
        self.entries[call_id] = serve(terms, DOMAIN, pinned, ORACLE_KEYS[terms.oracle], request, salt, self.time)
        return call_id

    def fulfil(self, call_id: bytes) -> None:
        terms, receipt = self.calls[call_id], self.entries[call_id].signed.receipt
        earner, rest = self.listings[terms.listing_id].owner, terms.amount - receipt.charge
        pinned, state = self.revisions[terms.listing_id, terms.revision], self.states[call_id]
        self.states[call_id] = replace(state, status=CallStatus.FULFILLED, amount=receipt.charge)
        fee = receipt.charge * state.fee_bps // 10_000
        share = (receipt.charge - fee) * pinned.terms.oracle_share_bps // 10_000
        collector = self.fee[1]
        for account, amount in ((earner, receipt.charge - fee - share), (terms.oracle, share), (collector, fee)):
            if amount or account == earner:
                self.owed[account, NATIVE] += amount
        self.owed[terms.payer, NATIVE] += rest
        values = {"id": call_id, "oracle": terms.oracle, "oracleAmount": share, "collector": collector, "fee": fee}
        split: list[tuple[str, str, Mapping[str, Any]]] = [("escrow", "EarningsSplit", values)] if fee or share else []
        self._transaction(
            (
                "escrow",
                "CallLogged",
                {
                    "callId": call_id,
                    "listingId": terms.listing_id,
                    "payer": terms.payer,
                    "requestCommitment": terms.request_commitment,
                    "resultHash": receipt.result_hash,
                    "outcome": pack_outcome(LoggedOutcome(terms.revision, Mode.DIRECT, receipt.units, receipt.charge)),
                },
            ),
            (
                "escrow",
                "CallFulfilled",
                {"callId": call_id, "earner": earner, "refund": rest, "receiptDigest": receipt.digest(DOMAIN)},
            ),
            *split,
        )

    def decline(self, call_id: bytes) -> None:
        self._give_back(call_id, CallStatus.DECLINED, "CallDeclined")

    def refund(self, call_id: bytes) -> None:
        self._give_back(call_id, CallStatus.REFUNDED, "CallRefunded")

    def _give_back(self, call_id: bytes, status: CallStatus, name: str) -> None:
        terms = self.calls[call_id]
        self.states[call_id] = replace(self.states[call_id], status=status, amount=0)
        self.owed[terms.payer, NATIVE] += terms.amount
        self._transaction(("escrow", name, {"callId": call_id, "payer": terms.payer, "refund": terms.amount}))

    # ---- money and administration -------------------------------------------------------------------------------------

    def withdraw(self, account: str) -> None:
        amount = self.owed.pop((account, NATIVE))
        self.balance -= amount
        values = {"account": account, "asset": NATIVE, "to": account, "amount": amount}
        self._transaction(("escrow", "Withdrawn", values))

    def set_fee(self, fee_bps: int, collector: str) -> None:
        self.fee = (fee_bps, collector)
        self.administer("FeeChanged", feeBps=fee_bps, collector=collector)

    def administer(self, name: str, **values: Any) -> None:
        self._transaction(("escrow", name, values))

    # ---- time and blocks ----------------------------------------------------------------------------------------------

    def pass_time(self, seconds: int) -> None:
        self.time += seconds

    def views(self) -> SceneViews:
        """The contracts' views at the newest block."""
        return SceneViews(
            self.headers[self.number],
            dict(self.listings),
            dict(self.revisions),
            dict(self.states),
            dict(self.owed),
            self.balance,
        )

    def header(self, number: int) -> Block:
        return self.headers[number]

    def _revision_event(
        self, listing_id: int, number: int, prices: PriceSheet, oracle: str, **more: Any
    ) -> tuple[str, str, dict[str, Any]]:
        manifest_hash, uri = keccak(f"manifest {listing_id}.{number}".encode()), f"https://example.org/{listing_id}"
        terms = RevisionTerms(oracle, manifest_hash, prices, uri, **more)
        self.revisions[listing_id, number] = Revision(listing_id, number, terms)
        return (
            "registry",
            "RevisionAdded",
            {
                "listingId": listing_id,
                "revision": number,
                "oracle": oracle,
                "terms": revision_arguments(terms),
            },
        )

    def _transaction(self, *logs: tuple[str, str, Mapping[str, Any]]) -> None:
        self.number += 1
        self.time += 10
        block = Block(self.number, keccak(f"block {self.number}".encode()), self.time)
        self.headers[self.number] = block
        transaction = keccak(f"transaction {self.number}".encode())
        self.events += [
            ChainEvent(contract, name, dict(values), Position(block.number, index), block.hash, transaction)
            for index, (contract, name, values) in enumerate(logs)
        ]


def terms_arguments(terms: DirectCall) -> dict[str, Any]:
    names = ("payer", "listingId", "revision", "oracle", "asset", "amount", "deadline", "requestCommitment")
    return dict(zip(names, terms.as_tuple(), strict=True))


def revision_arguments(terms: RevisionTerms) -> dict[str, Any]:
    price_names = ("asset", "perCall", "perThousandInputTokens", "perThousandOutputTokens", "perComputeSecond")
    plan_names = ("creditPrice", "credits", "tranches", "duration", "interval")
    return {
        "oracle": terms.oracle,
        "oracleShareBps": terms.oracle_share_bps,
        "manifestHash": terms.manifest_hash,
        "prices": dict(zip(price_names, terms.prices.as_tuple(), strict=True)),
        "tiers": [{"fromCalls": tier.from_calls, "discountBps": tier.discount_bps} for tier in terms.tiers],
        "plans": [dict(zip(plan_names, plan.as_tuple(), strict=True)) for plan in terms.plans],
        "metadataURI": terms.metadata_uri,
    }


def honest_scene() -> Scene:
    """A bit of everything: listings 1 and 2, calls 0 to 6 in the order of their opening.

    0 fulfilled, 1 declined, 2 refunded, 3 fulfilled for a new owner at the price of its old revision, 4 fulfilled, 5 and
    6 still open. OWNER and PAYER withdraw; what OTHER_PAYER and BUYER are owed stays, so that a test can alter calls 1 to
    3 without a withdrawal going wrong as well.
    """
    scene = Scene()
    scene.administer("OwnershipTransferred", previousOwner=ZERO_ADDRESS, newOwner=OWNER)
    scene.publish(OWNER, ORACLE, PRICES)
    scene.publish(OTHER_OWNER, OTHER_ORACLE, DEARER)
    served = scene.open(PAYER, 1, 5_000, "the first call")
    declined, refunded, pinned = (scene.open(OTHER_PAYER, 1, 5_000, f"call number {number}") for number in range(3))
    scene.fulfil(served)
    scene.decline(declined)
    scene.revise(1, DEARER)
    scene.transfer(1, BUYER)
    scene.fulfil(pinned)
    scene.revise(1, DEARER, OTHER_ORACLE)
    scene.set_sale(1, withdrawn=True)
    scene.set_sale(1, withdrawn=False)
    scene.administer("Paused", account=OWNER)
    scene.withdraw(OWNER)
    scene.administer("Unpaused", account=OWNER)
    later = scene.open(PAYER, 1, 50_000, "a call at the new price")
    scene.fulfil(later)
    scene.pass_time(HOUR)
    scene.refund(refunded)
    scene.withdraw(PAYER)
    scene.open(PAYER, 1, 40_000, "still open")
    scene.open(OTHER_PAYER, 2, 30_000, "open too")
    return scene

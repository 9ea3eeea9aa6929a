"""The catalogue as the registry's events tell it: listings, their owners, sale state, and revisions with their oracles."""

from __future__ import annotations

from dataclasses import replace

from tallystick.audit.findings import Findings
from tallystick.audit.kinds import ListingKind
from tallystick.chain.events import ChainEvent
from tallystick.chain.types import Block, Listing, Revision
from tallystick.protocol.hexes import ZERO_ADDRESS
from tallystick.protocol.revisions import RevisionTerms


class Listings:
    """Owners follow the ERC-721 transfers alone, so that nobody's word about who earns is taken."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._listings: dict[int, Listing] = {}
        self._revisions: dict[tuple[int, int], Revision] = {}
        self._published: dict[int, ChainEvent] = {}
        """Listings of the transaction that is being replayed; only they may be minted."""
        self.handlers = {
            ("registry", "ListingPublished"): self._on_published,
            ("registry", "RevisionAdded"): self._on_revision,
            ("registry", "Transfer"): self._on_transfer,
            ("registry", "ListingWithdrawn"): self._on_withdrawn,
            ("registry", "ListingRelisted"): self._on_relisted,
        }

    # ---- what the other areas and the comparison with the contract read -----------------------------------------------

    def find(self, listing_id: int) -> Listing | None:
        return self._listings.get(listing_id)

    def revision(self, listing_id: int, revision: int) -> Revision | None:
        return self._revisions.get((listing_id, revision))

    def all(self) -> list[Listing]:
        return list(self._listings.values())

    def all_revisions(self) -> list[Revision]:
        return list(self._revisions.values())

    # ---- rules --------------------------------------------------------------------------------------------------------

    def _on_published(self, event: ChainEvent, _block: Block) -> None:
        listing_id = event.arguments["listingId"]
        expected = max(self._listings, default=0) + 1
        if listing_id != expected:
            self._findings.add(
                ListingKind.LISTING_OUT_OF_SEQUENCE,
                f"Listing {listing_id} was published; the next is {expected}.",
                event,
            )
        if listing_id in self._listings:
            return
        self._listings[listing_id] = Listing(listing_id, ZERO_ADDRESS, ZERO_ADDRESS, 0, withdrawn=False)
        self._published[listing_id] = event

    def _on_revision(self, event: ChainEvent, _block: Block) -> None:
        arguments = event.arguments
        listing = self._known(event, arguments["listingId"])
        if listing is None:
            return
        number, expected = arguments["revision"], listing.latest_revision + 1
        if number < expected:
            self._findings.add(
                ListingKind.REVISION_REWRITTEN,
                f"Listing {listing.listing_id} got a revision {number}; the next is {expected}.",
                event,
            )
            return
        if number > expected:
            self._findings.add(
                ListingKind.REVISION_SKIPPED,
                f"Listing {listing.listing_id} got a revision {number}; the next is {expected}.",
                event,
            )
        terms = RevisionTerms.from_arguments(arguments["terms"])
        self._check_terms(event, listing.listing_id, number, terms)
        self._revisions[listing.listing_id, number] = Revision(listing.listing_id, number, terms)
        self._listings[listing.listing_id] = replace(listing, latest_revision=number, oracle=terms.oracle)

    def _on_transfer(self, event: ChainEvent, _block: Block) -> None:
        sender, receiver = event.arguments["from"], event.arguments["to"]
        listing = self._known(event, event.arguments["tokenId"])
        if listing is None:
            return
        published = self._published.get(listing.listing_id)
        minted_to = published.arguments["owner"] if published and listing.owner == ZERO_ADDRESS else None
        if sender != listing.owner or (sender == ZERO_ADDRESS and receiver != minted_to):
            expected = f"to be minted to {minted_to}" if minted_to else f"held by {listing.owner}"
            self._findings.add(
                ListingKind.OWNER_MISMATCH,
                f"Listing {listing.listing_id} went from {sender} to {receiver}; it was {expected}.",
                event,
            )
        if receiver == ZERO_ADDRESS:
            self._findings.add(
                ListingKind.LISTING_BURNED, f"Listing {listing.listing_id} went from {sender} to nobody.", event
            )
        self._listings[listing.listing_id] = replace(listing, owner=receiver)

    def _on_withdrawn(self, event: ChainEvent, _block: Block) -> None:
        self._set_withdrawn(event, withdrawn=True)

    def _on_relisted(self, event: ChainEvent, _block: Block) -> None:
        self._set_withdrawn(event, withdrawn=False)

    def _set_withdrawn(self, event: ChainEvent, *, withdrawn: bool) -> None:
        listing = self._known(event, event.arguments["listingId"])
        if listing is None:
            return
        if listing.withdrawn == withdrawn:
            state = "off sale" if withdrawn else "on sale"
            self._findings.add(
                ListingKind.SALE_STATE_UNCHANGED,
                f"Listing {listing.listing_id} was put {state}; it was {state} already.",
                event,
            )
        self._listings[listing.listing_id] = replace(listing, withdrawn=withdrawn)

    def end_transaction(self) -> None:
        """Publishing is one transaction: after it there are an owner and a first revision."""
        for listing_id, event in self._published.items():
            listing = self._listings[listing_id]
            missing = [
                *(["an owner"] if listing.owner == ZERO_ADDRESS else []),
                *(["a revision"] if listing.latest_revision == 0 else []),
            ]
            if missing:
                self._findings.add(
                    ListingKind.LISTING_INCOMPLETE,
                    f"Listing {listing_id} was published without {' or '.join(missing)}.",
                    event,
                )
        self._published.clear()

    def _known(self, event: ChainEvent, listing_id: int) -> Listing | None:
        listing = self._listings.get(listing_id)
        if listing is None:
            self._findings.add(
                ListingKind.LISTING_UNKNOWN,
                f"{event.name} is about listing {listing_id}; {len(self._listings)} listings were published.",
                event,
            )
        return listing

    def _check_terms(self, event: ChainEvent, listing_id: int, number: int, terms: RevisionTerms) -> None:
        if not any(terms.manifest_hash):
            self._findings.add(
                ListingKind.MANIFEST_EMPTY,
                f"The manifest hash of listing {listing_id}, revision {number}, is zero.",
                event,
            )
        if terms.oracle == ZERO_ADDRESS:
            self._findings.add(
                ListingKind.ORACLE_EMPTY,
                f"Listing {listing_id}, revision {number}, has the zero address as its oracle.",
                event,
            )
        if event.arguments["oracle"] != terms.oracle:
            self._findings.add(
                ListingKind.REVISION_INCONSISTENT,
                f"Listing {listing_id}, revision {number}, is indexed under oracle {event.arguments['oracle']}; its terms "
                f"name {terms.oracle}.",
                event,
            )

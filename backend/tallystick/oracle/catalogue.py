"""Which listings this oracle runs, and the model behind each: on-chain manifest hash to verified folder to runner."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from tallystick.chain.port import Chain
from tallystick.errors import ModelError, UnknownListing
from tallystick.inference.finding import find_folder
from tallystick.inference.runner import Runner
from tallystick.metering.direct import Served

log = logging.getLogger("tallystick.catalogue")

Loader = Callable[[Path, bytes], Runner]


class Catalogue:
    """Loads each model at most once and keeps it. A model that can't be loaded is tried again at the next request."""

    def __init__(
        self, chain: Chain, models_dir: Path, oracle: str, load: Loader, owners: frozenset[str] | None = None
    ) -> None:
        """`owners`: whose listings are served; None serves everybody's that name this oracle."""
        self._chain = chain
        self._models_dir = models_dir
        self._oracle = oracle
        self._load = load
        self._owners = owners
        self._runners: dict[bytes, Runner] = {}
        self._lock = threading.Lock()

    def served(self, listing_id: int, revision: int) -> Served:
        """A revision with its model. Raises UnknownListing, WrongRevision, or the ModelError that keeps it from running."""
        # Not cached: a revision never changes, but a reorganisation can put another one in its place.
        found = self._chain.revision(listing_id, revision)
        self.own_listing(listing_id)
        with self._lock:
            runner = self._runners.get(found.manifest_hash)
            if runner is None:
                runner = self._load(find_folder(self._models_dir, found.manifest_hash), found.manifest_hash)
                self._runners[found.manifest_hash] = runner
        return Served(found, runner)

    def for_sale(self) -> Iterator[tuple[Served, bool]]:
        """The newest revision of every listing that names this oracle and can be run, and whether it was withdrawn."""
        for listing_id in range(1, self._chain.listing_count() + 1):
            listing = self._chain.listing(listing_id)
            try:
                yield self.served(listing_id, listing.latest_revision), listing.withdrawn
            except UnknownListing:
                continue
            except ModelError as error:
                log.error("a listing can't be served", extra={"listing": listing_id, "code": error.code})

    def own_listing(self, listing_id: int) -> tuple[int, bool]:
        """Latest revision and whether withdrawn. Raises UnknownListing where it is not run by this oracle."""
        listing = self._chain.listing(listing_id)
        if listing.oracle != self._oracle:
            raise UnknownListing(
                f"Listing {listing_id} is run by oracle {listing.oracle}, not by this one.", listing=str(listing_id)
            )
        if self._owners is not None and listing.owner not in self._owners:
            # Anybody can list somebody else's manifest, and name this oracle for it.
            raise UnknownListing(
                f"Listing {listing_id} belongs to {listing.owner}, whose models this oracle does not serve.",
                listing=str(listing_id),
            )
        return listing.latest_revision, listing.withdrawn

    def loaded(self, manifest_hash: bytes) -> Runner | None:
        return self._runners.get(manifest_hash)

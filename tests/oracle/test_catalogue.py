"""From a listing on chain to the model behind it: the model is loaded once, the revision read each time (S5, S6)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from tallystick.chain.types import Revision
from tallystick.errors import ChainUnreachable, ModelFileAltered, ModelMissing, UnknownListing, WrongRevision
from tallystick.inference.manifest import write_manifest
from tallystick.inference.null import NullRunner, null_manifest
from tallystick.inference.runner import Runner
from tallystick.oracle.catalogue import Catalogue

from tests.metering.kit import ORACLE, OWNER, PRICES, STRANGER, Shop, null_model

OTHER_MANIFEST = null_manifest(("no", "yes"))


class Loading:
    """What a catalogue loads with: notes every load, and fails where the test says so."""

    def __init__(self) -> None:
        self.loads: list[tuple[Path, bytes]] = []
        self.error: Exception | None = None

    def __call__(self, folder: Path, manifest_hash: bytes) -> Runner:
        self.loads.append((folder, manifest_hash))
        if self.error is not None:
            raise self.error
        return NullRunner()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.close()


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return null_model(tmp_path / "models")


@pytest.fixture
def loading() -> Loading:
    return Loading()


@pytest.fixture
def catalogue(shop: Shop, models: Path, loading: Loading) -> Catalogue:
    return Catalogue(shop.chain, models, ORACLE.address, loading)


# ---- served -----------------------------------------------------------------------------------------------------------


def test_served_finds_the_folder_by_the_manifest_hash_on_chain(
    shop: Shop, models: Path, catalogue: Catalogue, loading: Loading
) -> None:
    """S6: what is loaded is what the chain names, and its hash goes to the loader to be checked."""
    served = catalogue.served(shop.listing, 1)
    assert served.revision == shop.chain.revision(shop.listing, 1)
    assert loading.loads == [(models / "null", shop.runner.manifest_hash)]


def test_served_again_loads_nothing(shop: Shop, catalogue: Catalogue, loading: Loading) -> None:
    first = catalogue.served(shop.listing, 1)
    assert catalogue.served(shop.listing, 1).runner is first.runner
    assert len(loading.loads) == 1


def test_served_of_two_listings_with_one_model_loads_it_once(
    shop: Shop, catalogue: Catalogue, loading: Loading
) -> None:
    other = shop.chain.publish(OWNER.address, ORACLE.address, shop.runner.manifest_hash, PRICES)
    assert catalogue.served(other, 1).runner is catalogue.served(shop.listing, 1).runner
    assert len(loading.loads) == 1


def test_served_by_many_threads_at_once_loads_once(shop: Shop, models: Path) -> None:
    """Loading is slow and large: two requests that come first together must not do it twice."""
    entered, loads = threading.Barrier(8), []

    def load(_folder: Path, manifest_hash: bytes) -> Runner:
        loads.append(manifest_hash)
        return NullRunner()

    catalogue = Catalogue(shop.chain, models, ORACLE.address, load)

    def ask(_number: int) -> Runner:
        entered.wait()
        return catalogue.served(shop.listing, 1).runner

    with ThreadPoolExecutor(8) as threads:
        runners = set(map(id, threads.map(ask, range(8))))
    assert len(runners) == len(loads) == 1


def test_served_without_the_model_is_refused(shop: Shop, catalogue: Catalogue, loading: Loading) -> None:
    listing = shop.chain.publish(OWNER.address, ORACLE.address, OTHER_MANIFEST.hash(), PRICES)
    with pytest.raises(ModelMissing) as refused:
        catalogue.served(listing, 1)
    assert refused.value.details == {"manifest_hash": "0x" + OTHER_MANIFEST.hash().hex()}
    assert loading.loads == []


def test_served_after_the_model_was_put_in_place_works(shop: Shop, models: Path, catalogue: Catalogue) -> None:
    listing = shop.chain.publish(OWNER.address, ORACLE.address, OTHER_MANIFEST.hash(), PRICES)
    with pytest.raises(ModelMissing):
        catalogue.served(listing, 1)
    (models / "other").mkdir()
    write_manifest(models / "other", OTHER_MANIFEST)
    assert catalogue.served(listing, 1).revision.manifest_hash == OTHER_MANIFEST.hash()


def test_served_that_failed_to_load_is_tried_again(shop: Shop, catalogue: Catalogue, loading: Loading) -> None:
    """S6: a refused model is not served, and not remembered as if it were."""
    loading.error = ModelFileAltered("model.safetensors is not the file that the manifest names.")
    with pytest.raises(ModelFileAltered):
        catalogue.served(shop.listing, 1)
    assert catalogue.loaded(shop.runner.manifest_hash) is None
    loading.error = None
    catalogue.served(shop.listing, 1)
    assert len(loading.loads) == 2


def test_served_of_an_unknown_listing_or_revision_is_refused(
    shop: Shop, catalogue: Catalogue, loading: Loading
) -> None:
    with pytest.raises(UnknownListing):
        catalogue.served(99, 1)
    with pytest.raises(WrongRevision):
        catalogue.served(shop.listing, 2)
    assert loading.loads == []


def test_served_of_an_earlier_revision_keeps_its_prices(shop: Shop, catalogue: Catalogue) -> None:
    """M9"""
    shop.chain.revise(OWNER.address, shop.listing, shop.runner.manifest_hash, replace(PRICES, per_call=5))
    assert catalogue.served(shop.listing, 1).revision.prices == PRICES
    assert catalogue.served(shop.listing, 2).revision.prices.per_call == 5


# ---- how long a revision is believed (S5) -----------------------------------------------------------------------------


def revised(shop: Shop, per_call: int) -> Revision:
    shop.chain.revise(OWNER.address, shop.listing, shop.runner.manifest_hash, replace(PRICES, per_call=per_call))
    return shop.chain.revision(shop.listing, 2)


def test_served_after_a_reorganisation_is_what_the_chain_says_now(shop: Shop, catalogue: Catalogue) -> None:
    """S5: the same number stands for another revision, and the call would be charged by a price that does not exist."""
    first = revised(shop, 5)
    assert catalogue.served(shop.listing, 2).revision == first
    shop.chain.reorganise(1)
    second = revised(shop, 7)
    assert catalogue.served(shop.listing, 2).revision == second != first


def test_served_after_a_reorganisation_without_the_revision_is_refused(shop: Shop, catalogue: Catalogue) -> None:
    revised(shop, 5)
    catalogue.served(shop.listing, 2)
    shop.chain.reorganise(1)
    with pytest.raises(WrongRevision):
        catalogue.served(shop.listing, 2)


def test_served_while_the_chain_is_down_is_refused(shop: Shop, catalogue: Catalogue) -> None:
    """S5: what was read before is not taken for what is there now."""
    catalogue.served(shop.listing, 1)
    shop.chain.go_down()
    with pytest.raises(ChainUnreachable):
        catalogue.served(shop.listing, 1)


# ---- for sale ---------------------------------------------------------------------------------------------------------


def test_for_sale_lists_the_newest_revision_of_each_own_listing(shop: Shop, catalogue: Catalogue) -> None:
    shop.chain.publish(OWNER.address, STRANGER.address, shop.runner.manifest_hash, PRICES)
    third = shop.chain.publish(OWNER.address, ORACLE.address, shop.runner.manifest_hash, PRICES)
    revised(shop, 5)
    found = [(served.revision.listing_id, served.revision.revision) for served, _withdrawn in catalogue.for_sale()]
    assert found == [(shop.listing, 2), (third, 1)]


def test_for_sale_says_what_was_withdrawn(shop: Shop, catalogue: Catalogue) -> None:
    shop.chain.withdraw_listing(OWNER.address, shop.listing)
    assert [withdrawn for _served, withdrawn in catalogue.for_sale()] == [True]


def test_for_sale_leaves_out_what_can_t_be_run(
    shop: Shop, catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    """One listing without its model does not hide the others."""
    shop.chain.publish(OWNER.address, ORACLE.address, OTHER_MANIFEST.hash(), PRICES)
    third = shop.chain.publish(OWNER.address, ORACLE.address, shop.runner.manifest_hash, PRICES)
    with caplog.at_level(logging.ERROR):
        found = [served.revision.listing_id for served, _withdrawn in catalogue.for_sale()]
    assert found == [shop.listing, third]
    assert [getattr(record, "code", None) for record in caplog.records] == [ModelMissing.code]


def test_for_sale_on_an_empty_chain_is_empty(shop: Shop, catalogue: Catalogue) -> None:
    shop.chain.reset()
    assert list(catalogue.for_sale()) == []


# ---- own listing ------------------------------------------------------------------------------------------------------


def test_own_listing_gives_the_latest_revision_and_whether_withdrawn(shop: Shop, catalogue: Catalogue) -> None:
    assert catalogue.own_listing(shop.listing) == (1, False)
    revised(shop, 5)
    shop.chain.withdraw_listing(OWNER.address, shop.listing)
    assert catalogue.own_listing(shop.listing) == (2, True)


def test_own_listing_of_another_oracle_is_refused(shop: Shop, catalogue: Catalogue) -> None:
    other = shop.chain.publish(OWNER.address, STRANGER.address, shop.runner.manifest_hash, PRICES)
    with pytest.raises(UnknownListing, match=STRANGER.address) as refused:
        catalogue.own_listing(other)
    assert refused.value.details == {"listing": str(other)}


def test_own_listing_unknown_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(UnknownListing):
        catalogue.own_listing(99)


# ---- whose listings are served ----------------------------------------------------------------------------------------


@pytest.fixture
def choosy(shop: Shop, models: Path, loading: Loading) -> Catalogue:
    """Serves one owner's listings only."""
    return Catalogue(shop.chain, models, ORACLE.address, loading, frozenset({OWNER.address}))


def stranger_s(shop: Shop) -> int:
    """Somebody else's listing of the same model, at a price of their own, that names this oracle."""
    return shop.chain.publish(STRANGER.address, ORACLE.address, shop.runner.manifest_hash, replace(PRICES, per_call=1))


def test_served_of_a_listing_of_an_owner_who_is_not_served_is_refused(
    shop: Shop, choosy: Catalogue, loading: Loading
) -> None:
    """Anybody can list a manifest and name any oracle for it: the model's work would be sold for another's profit."""
    with pytest.raises(UnknownListing, match=STRANGER.address):
        choosy.served(stranger_s(shop), 1)
    assert loading.loads == []
    assert choosy.served(shop.listing, 1).revision.listing_id == shop.listing


def test_own_listing_of_an_owner_who_is_not_served_is_refused(shop: Shop, choosy: Catalogue) -> None:
    with pytest.raises(UnknownListing):
        choosy.own_listing(stranger_s(shop))


def test_for_sale_leaves_out_owners_who_are_not_served(shop: Shop, choosy: Catalogue) -> None:
    stranger_s(shop)
    assert [served.revision.listing_id for served, _withdrawn in choosy.for_sale()] == [shop.listing]


def test_served_of_another_oracle_s_listing_is_refused(shop: Shop, catalogue: Catalogue, loading: Loading) -> None:
    other = shop.chain.publish(OWNER.address, STRANGER.address, shop.runner.manifest_hash, PRICES)
    with pytest.raises(UnknownListing):
        catalogue.served(other, 1)
    assert loading.loads == []


def test_loaded_is_none_until_the_model_is(shop: Shop, catalogue: Catalogue) -> None:
    assert catalogue.loaded(shop.runner.manifest_hash) is None
    served = catalogue.served(shop.listing, 1)
    assert catalogue.loaded(shop.runner.manifest_hash) is served.runner

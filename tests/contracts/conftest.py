"""A catalogue with one listing and an escrow for each test, and the checks that hold after every one."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

pytest.register_assert_rewrite("contractkit")

try:
    import contractkit as kit
    from brownie import CreditPlans, Escrow, EscrowLens, ListingRegistry, accounts
except ModuleNotFoundError as missing:  # the runtime environment has no Brownie; scripts/test_contracts.py runs these
    if missing.name != "brownie":
        raise
    collect_ignore_glob = ["test_*.py"]


PASSED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Remember how the test went, so that what follows from a failure isn't reported as another."""
    report = yield
    if report.when == "call":
        item.stash[PASSED] = report.passed
    return report


@pytest.fixture(autouse=True)
def isolated(module_isolation: None) -> Iterator[None]:
    """Each test finds the chain as its module's fixtures left it."""
    with kit.rewound():
        yield


@pytest.fixture(scope="session")
def administrator() -> Any:
    return accounts[1]


@pytest.fixture(scope="session")
def owner() -> Any:
    return accounts[2]


@pytest.fixture(scope="session")
def oracle() -> Any:
    return accounts[3]


@pytest.fixture(scope="session")
def payer() -> Any:
    return accounts[4]


@pytest.fixture(scope="session")
def stranger() -> Any:
    return accounts[5]


@pytest.fixture(scope="module")
def registry() -> Any:
    return kit.create(ListingRegistry, by=accounts[0])


@pytest.fixture(scope="module")
def credit_plans() -> Any:
    """The library that an escrow is linked to."""
    return kit.create(CreditPlans, by=accounts[0])


@pytest.fixture(scope="module")
def escrow(credit_plans: Any, registry: Any, administrator: Any) -> Any:
    return kit.create(Escrow, registry, administrator, by=accounts[0])


@pytest.fixture(scope="module")
def lens(escrow: Any) -> Any:
    return kit.create(EscrowLens, escrow, by=accounts[0])


@pytest.fixture(scope="module")
def prices() -> kit.PriceSheet:
    return kit.PriceSheet()


@pytest.fixture(scope="module")
def revision(oracle: Any, prices: kit.PriceSheet) -> kit.RevisionTerms:
    """What a revision run by `oracle` fixes: no share, no tiers, no plans."""
    return kit.RevisionTerms(oracle.address, prices=prices)


@pytest.fixture(scope="module")
def listing(registry: Any, owner: Any, revision: kit.RevisionTerms) -> int:
    """The id of a listing of `owner`, run by `oracle`, with one revision."""
    kit.accepted(registry.publish, revision, by=owner)
    return int(kit.view(registry.listingCount))


@pytest.fixture
def terms(payer: Any, oracle: Any, listing: int) -> kit.DirectCall:
    """What an opening would be accepted with now; an hour to run."""
    commitment = kit.keccak(b"request")
    return kit.DirectCall(payer.address, listing, 1, oracle.address, kit.NATIVE, 10_000, kit.now() + 3_600, commitment)


@pytest.fixture
def open_call(escrow: Any, payer: Any, terms: kit.DirectCall) -> kit.DirectCall:
    """The terms of a call that has been opened."""
    kit.accepted(escrow.open, terms, by=payer, value=terms.amount)
    return terms


@pytest.fixture
def call_in(escrow: Any, oracle: Any, stranger: Any, payer: Any, terms: kit.DirectCall) -> Callable[[int], bytes]:
    """Bring the call of `terms` into a state; gives its id."""

    def bring(status: int) -> bytes:
        call_id = kit.call_id_of(terms, escrow.address)
        if status != kit.NONE:
            kit.accepted(escrow.open, terms, by=payer, value=terms.amount)
        if status == kit.FULFILLED:
            kit.accepted(escrow.fulfil, terms, kit.Outcome(charge=1_000), by=oracle)
        elif status == kit.DECLINED:
            kit.accepted(escrow.decline, terms, by=oracle)
        elif status == kit.REFUNDED:
            kit.accepted(escrow.refund, terms, by=stranger, at=terms.deadline + 1)
        assert kit.view(escrow.callState, call_id)[0] == status
        return call_id

    return bring


@pytest.fixture(autouse=True)
def books_balance(request: pytest.FixtureRequest, isolated: None) -> Iterator[None]:
    """M1, after each scenario with an escrow. The books of channels, credits and tokens are checked in tests/evm."""
    yield
    if request.node.get_closest_marker("other_books"):
        return
    if "escrow" in request.fixturenames and request.node.stash.get(PASSED, False):
        marker = request.node.get_closest_marker("surplus")
        kit.assert_books_balance(request.getfixturevalue("escrow"), marker.args[0] if marker else 0)


@pytest.fixture(autouse=True)
def refusals_as_marked(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test provokes exactly the refusals that it is marked with, so that tests/contracts/test_errors.py can count."""
    kit.REFUSALS.clear()
    yield
    if request.node.stash.get(PASSED, False):
        assert {marker.args for marker in request.node.iter_markers("refuses")} == kit.REFUSALS

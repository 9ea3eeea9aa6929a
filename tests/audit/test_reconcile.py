"""The replayed books against the contracts' views: equal is silent, and each difference is found by its code alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from tallystick.audit.findings import Finding, Findings, Kind
from tallystick.audit.kinds import ChainKind, MoneyKind
from tallystick.audit.reconcile import reconcile
from tallystick.audit.replay import replay
from tallystick.protocol.calls import CallState, CallStatus
from tallystick.protocol.plans import Plan
from tallystick.protocol.prices import NATIVE
from tallystick.protocol.tiers import Tier

from .corruptions import Corrupt, call_id, drop, event_of, reopen, several
from .scene import DEPLOYMENT, OTHER_OWNER, OTHER_PAYER, PAYER, Scene, SceneViews, honest_scene

ERC20 = "0x0000000000000000000000000000000000000020"


def reconciled(scene: Scene, views: SceneViews) -> list[Finding]:
    """What the comparison finds; the replay's own findings are left out."""
    history = replay(scene.events, scene.header, DEPLOYMENT, scene.number, Findings())
    findings = Findings()
    reconcile(history, views, DEPLOYMENT.registry.address, findings)
    return list(findings)


def test_reconcile_honest_books_agree_with_the_contracts() -> None:
    scene = honest_scene()
    assert reconciled(scene, scene.views()) == []


def _state(nth: int, **changes: Any) -> Callable[[Scene, SceneViews], None]:
    def corrupt(scene: Scene, views: SceneViews) -> None:
        subject = call_id(nth)(scene)
        views.states[subject] = replace(views.states[subject], **changes)

    return corrupt


def _owed(account: str, by: int) -> Callable[[Scene, SceneViews], None]:
    def corrupt(scene: Scene, views: SceneViews) -> None:
        views.balances[account, NATIVE] = views.owed(account, NATIVE) + by

    return corrupt


def _listing(**changes: Any) -> Callable[[Scene, SceneViews], None]:
    def corrupt(scene: Scene, views: SceneViews) -> None:
        views.listings[1] = replace(views.listings[1], **changes)

    return corrupt


def _revision(**changes: Any) -> Callable[[Scene, SceneViews], None]:
    def corrupt(scene: Scene, views: SceneViews) -> None:
        revision = views.revisions[1, 1]
        views.revisions[1, 1] = replace(revision, terms=replace(revision.terms, **changes))

    return corrupt


def _set(name: str, value: object) -> Callable[[Scene, SceneViews], None]:
    return lambda _scene, views: setattr(views, name, value)


def _balance(by: int) -> Callable[[Scene, SceneViews], None]:
    return lambda _scene, views: setattr(views, "native", views.native + by)


VIEWS: Mapping[str, tuple[Callable[[Scene, SceneViews], Any], Kind]] = {
    "another catalogue": (_set("registry", OTHER_OWNER), ChainKind.SETTINGS_DIFFER),
    "deadlines of eight days": (_set("seconds", 8 * 24 * 3600), ChainKind.SETTINGS_DIFFER),
    "a call charged more": (_state(0, amount=4_999), MoneyKind.CALL_STATE_DIFFERS),
    "an open call closed": (_state(5, status=CallStatus.DECLINED), MoneyKind.CALL_STATE_DIFFERS),
    "a refunded call open": (_state(2, status=CallStatus.OPEN), MoneyKind.CALL_STATE_DIFFERS),
    "a deadline moved": (_state(6, deadline=1), MoneyKind.CALL_STATE_DIFFERS),
    "a call that is not there": (
        lambda scene, views: views.states.pop(call_id(5)(scene)),
        MoneyKind.CALL_STATE_DIFFERS,
    ),
    "a payer owed less": (_owed(OTHER_PAYER, -1), MoneyKind.OWED_DIFFERS),
    "an account owed what it took": (_owed(PAYER, 1), MoneyKind.OWED_DIFFERS),
    "an owner owed without a call": (_owed(OTHER_OWNER, 1), MoneyKind.OWED_DIFFERS),
    "another owner": (_listing(owner=PAYER), MoneyKind.LISTING_DIFFERS),
    "another oracle": (_listing(oracle=PAYER), MoneyKind.LISTING_DIFFERS),
    "another latest revision": (_listing(latest_revision=4), MoneyKind.LISTING_DIFFERS),
    "off sale": (_listing(withdrawn=True), MoneyKind.LISTING_DIFFERS),
    "another manifest": (_revision(manifest_hash=bytes(32)), MoneyKind.REVISION_DIFFERS),
    "another metadata URI": (_revision(metadata_uri="ipfs://other"), MoneyKind.REVISION_DIFFERS),
    "another oracle's share": (_revision(oracle_share_bps=1), MoneyKind.REVISION_DIFFERS),
    "another revision's oracle": (_revision(oracle=PAYER), MoneyKind.REVISION_DIFFERS),
    "another tier": (_revision(tiers=(Tier(1, 1),)), MoneyKind.REVISION_DIFFERS),
    "another plan": (_revision(plans=(Plan(1, 1),)), MoneyKind.REVISION_DIFFERS),
    "another fee": (_state(0, fee_bps=1), MoneyKind.CALL_STATE_DIFFERS),
    "a revision that is not there": (
        lambda _scene, views: views.revisions.pop((1, 1)),
        MoneyKind.REVISION_DIFFERS,
    ),
    "a balance one short": (_balance(-1), MoneyKind.BALANCE_SHORT),
    "a balance one over": (_balance(+1), MoneyKind.BALANCE_SURPLUS),
}


@pytest.mark.parametrize("corruption", VIEWS)
def test_reconcile_a_view_that_differs_is_found(corruption: str) -> None:
    corrupt, expected = VIEWS[corruption]
    scene = honest_scene()
    views = scene.views()
    corrupt(scene, views)
    assert [finding.kind for finding in reconciled(scene, views)] == [expected]


def test_reconcile_another_price_is_found() -> None:
    scene = honest_scene()
    views = scene.views()
    revision = views.revisions[1, 1]
    views.revisions[1, 1] = replace(
        revision, terms=replace(revision.terms, prices=replace(revision.prices, per_call=1_001))
    )
    (finding,) = reconciled(scene, views)
    assert finding.kind is MoneyKind.REVISION_DIFFERS
    assert "1001" in finding.message
    assert "1000" in finding.message


def test_reconcile_a_listing_that_is_not_there_is_found() -> None:
    scene = honest_scene()
    views = scene.views()
    del views.listings[2]
    assert {finding.kind for finding in reconciled(scene, views)} == {
        MoneyKind.LISTING_DIFFERS,
        MoneyKind.LISTING_COUNT_DIFFERS,
    }


HIDDEN: Mapping[str, tuple[Corrupt, set[Kind]]] = {
    "an opening": (drop("CallOpened", 6), {MoneyKind.BALANCE_SURPLUS}),
    "a decline": (drop("CallDeclined"), {MoneyKind.CALL_STATE_DIFFERS, MoneyKind.OWED_DIFFERS}),
    "a refund": (drop("CallRefunded"), {MoneyKind.CALL_STATE_DIFFERS, MoneyKind.OWED_DIFFERS}),
    "a fulfilment with its log": (
        several(drop("CallLogged", 1), drop("CallFulfilled", 1)),
        {MoneyKind.CALL_STATE_DIFFERS, MoneyKind.OWED_DIFFERS},
    ),
    "a withdrawal": (drop("Withdrawn", 1), {MoneyKind.OWED_DIFFERS, MoneyKind.BALANCE_SHORT}),
    "a transfer": (drop("Transfer", 2), {MoneyKind.LISTING_DIFFERS}),
    "the newest revision": (drop("RevisionAdded", 3), {MoneyKind.LISTING_DIFFERS}),
    "an earlier revision": (drop("RevisionAdded", 2), set()),
    "taking off sale and putting back": (several(drop("ListingWithdrawn"), drop("ListingRelisted")), set()),
    "a whole call of a payer who is known otherwise": (
        several(drop("CallOpened", 3), drop("CallLogged", 1), drop("CallFulfilled", 1)),
        {MoneyKind.OWED_DIFFERS, MoneyKind.BALANCE_SURPLUS},
    ),
}


@pytest.mark.parametrize("hidden", HIDDEN)
def test_reconcile_logs_that_a_node_hides_show_in_the_views(hidden: str) -> None:
    """What a node gains by hiding logs while its views are honest; a hidden opening alone shows as a surplus only."""
    corrupt, expected = HIDDEN[hidden]
    scene = honest_scene()
    views = scene.views()
    corrupt(scene)
    assert {finding.kind for finding in reconciled(scene, views)} == expected


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (30_000, set()),
        (29_999, {MoneyKind.BALANCE_SHORT}),
        (30_001, {MoneyKind.BALANCE_SURPLUS}),
        (None, {MoneyKind.BALANCE_UNREADABLE}),
    ],
)
def test_reconcile_compares_the_balance_of_a_token(held: int | None, expected: set[Kind]) -> None:
    """M1: per asset."""
    scene = honest_scene()
    reopen(6, asset=ERC20)(scene)
    views = scene.views()
    opened = event_of(scene, "CallOpened", 6)
    views.states[opened.arguments["callId"]] = CallState(CallStatus.OPEN, 30_000, opened.arguments["call"]["deadline"])
    views.native -= 30_000
    views.tokens[ERC20] = held
    assert {finding.kind for finding in reconciled(scene, views)} == expected


def test_reconcile_finding_names_actual_and_expected() -> None:
    scene = honest_scene()
    views = scene.views()
    views.states[call_id(0)(scene)] = CallState(CallStatus.DECLINED, 77, 88)
    (finding,) = reconciled(scene, views)
    assert "declined with 77 and deadline 88" in finding.message
    assert "fulfilled with 1284" in finding.message
    assert finding.evidence.call_id == call_id(0)(scene)
    assert finding.evidence.block == scene.number

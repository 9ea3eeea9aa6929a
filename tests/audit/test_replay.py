"""The replay over synthetic histories: an honest one is clean; each corruption is found by its code, and nothing else is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from eth_hash.auto import keccak
from tallystick.audit.findings import Evidence, Findings, Kind
from tallystick.audit.kinds import CallKind, ChainKind, ListingKind, MoneyKind
from tallystick.audit.replay import WITHOUT_CONSEQUENCE, History, replay
from tallystick.chain.abi import ABIS
from tallystick.chain.events import Position
from tallystick.protocol.calls import CallStatus
from tallystick.protocol.hexes import ZERO_ADDRESS
from tallystick.protocol.plans import Plan
from tallystick.protocol.prices import NATIVE
from tallystick.protocol.tiers import Tier

from .corruptions import (
    Corrupt,
    again,
    alter,
    alter_outcome,
    at_deadline,
    call_id,
    drop,
    event_of,
    opened_at,
    relocate,
    reopen,
    several,
)
from .scene import BUYER, DEARER, DEPLOYMENT, HOUR, ORACLE, OTHER_PAYER, OWNER, PAYER, Scene, honest_scene

WEEK = 7 * 24 * HOUR
COLLECTOR = "0x0000000000000000000000000000000000C011EC"
STRANGER = "0x000000000000000000000000000000000000dEaD"
ERC20 = "0x0000000000000000000000000000000000000020"
ZERO_HASH = bytes(32)
PRICE = 1_000 + (5 * 50_000 + 17 * 2_000) // 1_000
"""Of call 3: three words and two marks are 5 tokens; 17 ms; by its pinned sheet, 1.284 of 5,000 escrowed."""


def replayed(scene: Scene) -> tuple[History, Findings]:
    findings = Findings()
    return replay(scene.events, scene.header, DEPLOYMENT, scene.number, findings), findings


def found_in(scene: Scene) -> set[Kind]:
    return {finding.kind for finding in replayed(scene)[1]}


def log_at_the_end(scene: Scene) -> None:
    scene.fulfil(call_id(6)(scene))
    scene.events.pop()


HONEST_VARIANTS: Mapping[str, Corrupt] = {
    "as it is": several(),
    "fulfilled at the deadline": at_deadline("CallFulfilled", 1, plus=0),
    "refunded a second after the deadline": at_deadline("CallRefunded", 0, plus=1),
    "deadline in the next second": reopen(6, deadline=opened_at(6, plus=1)),
    "deadline in seven days": reopen(6, deadline=opened_at(6, plus=WEEK)),
    "charge below the price": several(
        alter_outcome(1, charge=PRICE - 1), alter("CallFulfilled", 1, refund=5_000 - PRICE + 1)
    ),
    "charge of the whole escrow": several(
        alter_outcome(1, charge=5_000, input_tokens=1_000), alter("CallFulfilled", 1, refund=0)
    ),
    "opened with an escrow of nothing": reopen(6, amount=0),
    "an earning that is divided": lambda scene: divided()(scene),
    "volume tiers, the first call at the full price": lambda scene: tiered(
        alter_outcome(3, charge=9_270), alter("CallFulfilled", 3, refund=20_000 - 9_270)
    )(scene),
    "channel and credits": lambda scene: banked()(scene),
    "another administrator named": lambda scene: scene.administer("OwnershipTransferStarted"),
}


@pytest.mark.parametrize("variant", HONEST_VARIANTS)
def test_replay_of_an_honest_history_finds_nothing(variant: str) -> None:
    scene = honest_scene()
    HONEST_VARIANTS[variant](scene)
    assert [finding.message for finding in replayed(scene)[1]] == []


NODE: Mapping[str, tuple[Corrupt, set[Kind]]] = {
    "log of another block's hash": (
        relocate("CallFulfilled", block_hash=keccak(b"fork")),
        {ChainKind.LOG_BLOCK_MISMATCH},
    ),
    "log repeated": (lambda scene: scene.events.insert(1, scene.events[0]), {ChainKind.LOG_OUT_OF_PLACE}),
    "log out of order": (relocate("Withdrawn", 1, position=Position(2, 0)), {ChainKind.LOG_OUT_OF_PLACE}),
    "log from beyond the audited block": (
        lambda scene: scene.events.append(replace(scene.events[-1], position=Position(scene.number + 1, 0))),
        {ChainKind.LOG_OUT_OF_PLACE},
    ),
    "log from before the deployment": (
        lambda scene: scene.events.insert(0, replace(scene.events[0], position=Position(0, 0))),
        {ChainKind.LOG_OUT_OF_PLACE},
    ),
    "event without a rule": (lambda scene: scene.administer("Minted"), {ChainKind.LOG_UNEXPLAINED}),
}

LISTINGS: Mapping[str, tuple[Corrupt, set[Kind]]] = {
    "listing id skipped": (
        several(
            alter("ListingPublished", 1, listingId=3),
            alter("RevisionAdded", 1, listingId=3),
            alter("Transfer", 1, tokenId=3),
            reopen(6, listingId=3),
        ),
        {ListingKind.LISTING_OUT_OF_SEQUENCE},
    ),
    "listing published twice": (again("ListingPublished"), {ListingKind.LISTING_OUT_OF_SEQUENCE}),
    "publication hidden": (drop("ListingPublished", 1), {ListingKind.LISTING_UNKNOWN}),
    "mint hidden": (drop("Transfer", 1), {ListingKind.LISTING_INCOMPLETE}),
    "first revision hidden": (
        drop("RevisionAdded", 1),
        {ListingKind.LISTING_INCOMPLETE, CallKind.OPENED_WRONG_REVISION, CallKind.OPENED_WRONG_ORACLE},
    ),
    "minted to another than was published for": (alter("Transfer", 1, to=STRANGER), {ListingKind.OWNER_MISMATCH}),
    "minted in a later transaction": (
        several(again("Transfer", nth=1), drop("Transfer", 1)),
        {ListingKind.LISTING_INCOMPLETE, ListingKind.OWNER_MISMATCH},
    ),
    "minted twice": (again("Transfer", nth=1), {ListingKind.OWNER_MISMATCH}),
    "passed on by a stranger": (alter("Transfer", 2, **{"from": STRANGER}), {ListingKind.OWNER_MISMATCH}),
    "unknown listing passed on": (again("Transfer", nth=2, tokenId=9), {ListingKind.LISTING_UNKNOWN}),
    "listing burned": (
        again("Transfer", nth=2, **{"from": BUYER, "to": ZERO_ADDRESS}),
        {ListingKind.LISTING_BURNED},
    ),
    "published without an oracle": (
        alter("RevisionAdded", 1, oracle=ZERO_ADDRESS, terms={"oracle": ZERO_ADDRESS}),
        {ListingKind.ORACLE_EMPTY, CallKind.OPENED_WRONG_ORACLE},
    ),
    "indexed under another oracle": (alter("RevisionAdded", 1, oracle=STRANGER), {ListingKind.REVISION_INCONSISTENT}),
    "relisted while on sale": (again("ListingRelisted"), {ListingKind.SALE_STATE_UNCHANGED}),
    "withdrawal from sale hidden": (drop("ListingWithdrawn"), {ListingKind.SALE_STATE_UNCHANGED}),
    "unknown listing withdrawn": (again("ListingWithdrawn", listingId=9), {ListingKind.LISTING_UNKNOWN}),
    "revision changed twice": (again("RevisionAdded", nth=2), {ListingKind.REVISION_REWRITTEN}),
    "old revision's price rewritten": (
        again("RevisionAdded", nth=0, terms={"prices": {"perCall": 1}}),
        {ListingKind.REVISION_REWRITTEN},
    ),
    "revision skipped": (again("RevisionAdded", nth=3, revision=5), {ListingKind.REVISION_SKIPPED}),
    "unknown listing revised": (again("RevisionAdded", nth=2, listingId=9), {ListingKind.LISTING_UNKNOWN}),
    "revision without a model": (
        again("RevisionAdded", nth=3, revision=4, terms={"manifestHash": ZERO_HASH}),
        {ListingKind.MANIFEST_EMPTY},
    ),
}

OPENINGS: Mapping[str, tuple[Corrupt, set[Kind]]] = {
    "call id not of its terms": (alter("CallOpened", 6, call={"amount": 29_999}), {CallKind.CALL_ID_MISMATCH}),
    "call id of another": (alter("CallOpened", 6, callId=keccak(b"another")), {CallKind.CALL_ID_MISMATCH}),
    "indexed under another payer": (alter("CallOpened", 6, payer=STRANGER), {CallKind.OPENING_INCONSISTENT}),
    "indexed under another listing": (alter("CallOpened", 6, listingId=1), {CallKind.OPENING_INCONSISTENT}),
    "opened twice": (again("CallOpened", nth=6), {CallKind.CALL_OPENED_TWICE}),
    "opened again after its end": (again("CallOpened", nth=0), {CallKind.CALL_OPENED_TWICE}),
    "opened while paused": (drop("Unpaused"), {CallKind.OPENED_WHILE_PAUSED}),
    "opened off sale": (drop("ListingRelisted"), {CallKind.OPENED_OFF_SALE}),
    "opened for an unknown listing": (reopen(6, listingId=9), {ListingKind.LISTING_UNKNOWN}),
    "opened for the revision of before": (reopen(5, revision=1), {CallKind.OPENED_WRONG_REVISION}),
    "opened for a revision to come": (reopen(6, revision=2), {CallKind.OPENED_WRONG_REVISION}),
    "opened with a stranger as oracle": (reopen(6, oracle=STRANGER), {CallKind.OPENED_WRONG_ORACLE}),
    "opened with the oracle of before": (reopen(5, oracle=ORACLE), {CallKind.OPENED_WRONG_ORACLE}),
    "opened in another asset": (reopen(6, asset=ERC20), {CallKind.OPENED_WRONG_ASSET}),
    "opened for no request": (reopen(6, requestCommitment=ZERO_HASH), {CallKind.COMMITMENT_EMPTY}),
    "deadline in the opening second": (
        reopen(6, deadline=opened_at(6, plus=0)),
        {CallKind.DEADLINE_OUT_OF_RANGE},
    ),
    "deadline a second beyond seven days": (
        reopen(6, deadline=opened_at(6, plus=WEEK + 1)),
        {CallKind.DEADLINE_OUT_OF_RANGE},
    ),
}

ENDINGS: Mapping[str, tuple[Corrupt, set[Kind]]] = {
    "opening of a declined call hidden": (drop("CallOpened", 1), {CallKind.CALL_UNKNOWN}),
    "opening of a fulfilled call hidden": (drop("CallOpened", 3), {CallKind.CALL_UNKNOWN}),
    "fulfilled twice": (
        again("CallLogged", "CallFulfilled", nth=1),
        {CallKind.CALL_LOGGED_TWICE, CallKind.CALL_ENDED_TWICE},
    ),
    "declined, then fulfilled": (
        again("CallLogged", "CallFulfilled", nth=1, callId=call_id(1), requestCommitment=lambda s: _commitment(s, 1)),
        {CallKind.CALL_ENDED_TWICE, CallKind.FULFILLED_LATE},
    ),
    "fulfilled, then declined": (again("CallDeclined", callId=call_id(3)), {CallKind.CALL_ENDED_TWICE}),
    "declined, then refunded": (again("CallRefunded", callId=call_id(1)), {CallKind.CALL_ENDED_TWICE}),
    "refunded twice": (again("CallRefunded"), {CallKind.CALL_ENDED_TWICE}),
    "logged as paid in another way": (
        alter_outcome(1, mode=1),
        {CallKind.FULFILMENT_WITHOUT_LOG},
    ),
    "logged in a way that does not exist": (
        alter_outcome(1, mode=200),
        {CallKind.LOG_MODE_UNSUPPORTED, CallKind.FULFILMENT_WITHOUT_LOG},
    ),
    "log of another listing": (alter("CallLogged", 1, listingId=2), {CallKind.LOG_CONTRADICTS_TERMS}),
    "log of another payer": (alter("CallLogged", 1, payer=STRANGER), {CallKind.LOG_CONTRADICTS_TERMS}),
    "log of another revision": (alter_outcome(1, revision=2), {CallKind.LOG_CONTRADICTS_TERMS}),
    "log of another request": (
        alter("CallLogged", 1, requestCommitment=keccak(b"other")),
        {CallKind.LOG_CONTRADICTS_TERMS},
    ),
    "charged without a result": (alter("CallLogged", 1, resultHash=ZERO_HASH), {CallKind.RESULT_EMPTY}),
    "charged one above the price": (
        several(alter_outcome(1, charge=PRICE + 1), alter("CallFulfilled", 1, refund=5_000 - PRICE - 1)),
        {CallKind.CHARGE_ABOVE_PRICE},
    ),
    "units below what was charged for": (
        alter_outcome(1, input_tokens=4),
        {CallKind.CHARGE_ABOVE_PRICE},
    ),
    "charged above the escrow": (
        several(alter_outcome(1, charge=5_001, input_tokens=1_000), alter("CallFulfilled", 1, refund=0)),
        {CallKind.CHARGE_ABOVE_ESCROW, CallKind.REFUND_WRONG, MoneyKind.BOOKS_UNBALANCED},
    ),
    "fulfilled a second after the deadline": (
        at_deadline("CallFulfilled", 1, plus=1),
        {CallKind.FULFILLED_LATE},
    ),
    "fulfilment hidden": (drop("CallFulfilled", 1), {CallKind.LOG_WITHOUT_FULFILMENT}),
    "fulfilment hidden at the very end": (
        log_at_the_end,
        {CallKind.LOG_WITHOUT_FULFILMENT},
    ),
    "log hidden": (drop("CallLogged", 1), {CallKind.FULFILMENT_WITHOUT_LOG}),
    "log and fulfilment in two transactions": (
        relocate("CallFulfilled", 1, transaction=keccak(b"another")),
        {CallKind.LOG_WITHOUT_FULFILMENT, CallKind.FULFILMENT_WITHOUT_LOG},
    ),
    "earned by a stranger": (alter("CallFulfilled", 1, earner=STRANGER), {CallKind.WRONG_EARNER}),
    "earned by the owner of before": (
        alter("CallFulfilled", 1, earner=OWNER),
        {CallKind.WRONG_EARNER, MoneyKind.WITHDRAWAL_BELOW_OWED},
    ),
    "refund too small": (
        alter("CallFulfilled", 1, refund=5_000 - PRICE - 1),
        {CallKind.REFUND_WRONG, MoneyKind.BOOKS_UNBALANCED},
    ),
    "refund too large": (
        alter("CallFulfilled", 1, refund=5_000 - PRICE + 1),
        {CallKind.REFUND_WRONG, MoneyKind.BOOKS_UNBALANCED},
    ),
    "no receipt anchored": (alter("CallFulfilled", 1, receiptDigest=ZERO_HASH), {CallKind.DIGEST_EMPTY}),
    "declined for less than was escrowed": (
        alter("CallDeclined", refund=4_999),
        {CallKind.REFUND_WRONG, MoneyKind.BOOKS_UNBALANCED},
    ),
    "declined in favour of a stranger": (alter("CallDeclined", payer=STRANGER), {CallKind.REFUND_WRONG_PAYER}),
    "refunded to a stranger": (alter("CallRefunded", payer=STRANGER), {CallKind.REFUND_WRONG_PAYER}),
    "refunded at the deadline": (at_deadline("CallRefunded", 0, plus=0), {CallKind.REFUNDED_EARLY}),
}

MONEY: Mapping[str, tuple[Corrupt, set[Kind]]] = {
    "withdrawn one more than was owed": (
        alter("Withdrawn", 1, amount=lambda s: event_of(s, "Withdrawn", 1).arguments["amount"] + 1),
        {MoneyKind.WITHDRAWAL_ABOVE_OWED, MoneyKind.BOOKS_UNBALANCED},
    ),
    "withdrawn one less than was owed": (
        alter("Withdrawn", 1, amount=lambda s: event_of(s, "Withdrawn", 1).arguments["amount"] - 1),
        {MoneyKind.WITHDRAWAL_BELOW_OWED},
    ),
    "withdrawn by a stranger": (
        alter("Withdrawn", 1, account=STRANGER),
        {MoneyKind.WITHDRAWAL_ABOVE_OWED, MoneyKind.BOOKS_UNBALANCED},
    ),
    "withdrawn in another asset": (
        alter("Withdrawn", 1, asset=ERC20),
        {MoneyKind.WITHDRAWAL_ABOVE_OWED, MoneyKind.BOOKS_UNBALANCED},
    ),
    "withdrawn twice": (
        again("Withdrawn", nth=1),
        {MoneyKind.WITHDRAWAL_ABOVE_OWED, MoneyKind.BOOKS_UNBALANCED},
    ),
    "nothing withdrawn": (
        again("Withdrawn", nth=1, account=STRANGER, amount=0),
        {MoneyKind.WITHDRAWAL_EMPTY},
    ),
}


def divided(*corruptions: Corrupt) -> Corrupt:
    """After a call of 2,500 bps for its oracle and a fee of 100 bps, whose division is the last log but one."""

    def corrupt(scene: Scene) -> None:
        scene.set_fee(100, COLLECTOR)
        listing = scene.publish(OWNER, ORACLE, DEARER, oracle_share_bps=2_500)
        call = scene.open(OTHER_PAYER, listing, 20_000, "divided")
        scene.set_fee(0, BUYER)
        scene.fulfil(call)
        for corruption in corruptions:
            corruption(scene)

    return corrupt


def tiered(*corruptions: Corrupt) -> Corrupt:
    """After three calls at a tenth off from the second on."""

    def corrupt(scene: Scene) -> None:
        listing = scene.publish(OWNER, ORACLE, DEARER, tiers=(Tier(1, 1_000),))
        for _ in range(3):
            scene.fulfil(scene.open(OTHER_PAYER, listing, 20_000, "tiered"))
        for corruption in corruptions:
            corruption(scene)

    return corrupt


def banked(*corruptions: Corrupt) -> Corrupt:
    """After a channel and credits that were paid in, charged, and given back."""

    def corrupt(scene: Scene) -> None:
        channel, position = keccak(b"channel"), keccak(b"position")
        plan = Plan(10, 5, 2, 3_600, 60)
        listing = scene.publish(OWNER, ORACLE, DEARER, plans=(plan,))
        terms = {
            "payer": OTHER_PAYER,
            "listingId": listing,
            "revision": 1,
            "plan": 0,
            "oracle": ORACLE,
            "asset": NATIVE,
            "number": 1,
        }
        opened = {"channelId": channel, "payer": OTHER_PAYER, "oracle": ORACLE, "asset": NATIVE, "number": 1}
        scene.administer("ChannelOpened", **opened)
        scene.administer("ChannelDeposited", **{"channelId": channel, "from": OTHER_PAYER, "amount": 1_000})
        bought = {"positionId": position, "listingId": listing, "payer": OTHER_PAYER, "terms": terms}
        scene.administer("CreditsBought", **bought, unlocked=5, expiresAt=0)
        scene.administer("InstalmentPaid", positionId=position, tranches=2, unlocked=10)
        for account, amount in ((channel, 300), (position, 40)):
            charged = {"batchId": 1, "accountId": account, "earner": OWNER, "amount": amount, "calls": 4}
            scene.administer("AccountCharged", **charged)
        scene.administer("ChannelClosed", channelId=channel, payer=OTHER_PAYER, amount=700)
        scene.administer("CreditsReclaimed", positionId=position, payer=OTHER_PAYER, credits=6, amount=60)
        scene.administer("TillEmptied", callId=channel, payer=OTHER_PAYER, asset=ERC20, amount=5)
        for corruption in corruptions:
            corruption(scene)

    return corrupt


DIVISIONS: Mapping[str, tuple[Corrupt, set[Kind]]] = {
    "division hidden": (divided(drop("EarningsSplit")), {MoneyKind.SPLIT_MISSING}),
    "division of nothing earned": (
        divided(again("EarningsSplit")),
        {MoneyKind.SPLIT_WRONG},
    ),
    "fee too large": (divided(alter("EarningsSplit", fee=93)), {MoneyKind.SPLIT_WRONG}),
    "share of another oracle": (divided(alter("EarningsSplit", oracle=STRANGER)), {MoneyKind.SPLIT_WRONG}),
    "more divided than was earned": (
        divided(alter("EarningsSplit", oracleAmount=50_000)),
        {MoneyKind.SPLIT_WRONG, MoneyKind.BOOKS_UNBALANCED},
    ),
    "fee above the cap": (
        lambda scene: scene.set_fee(501, COLLECTOR),
        {MoneyKind.FEE_TOO_HIGH},
    ),
    "charged above the tier": (
        tiered(alter_outcome(4, charge=8_500), alter("CallFulfilled", 4, refund=11_500)),
        {CallKind.CHARGE_ABOVE_PRICE},
    ),
}

ACCOUNTS: Mapping[str, tuple[Corrupt, set[Kind]]] = {
    "channel's opening hidden": (banked(drop("ChannelOpened")), {MoneyKind.ACCOUNT_UNKNOWN}),
    "purchase hidden": (banked(drop("CreditsBought")), {MoneyKind.ACCOUNT_UNKNOWN}),
    "plan that does not exist": (banked(alter("CreditsBought", terms={"plan": 1})), {MoneyKind.ACCOUNT_UNKNOWN}),
    "charged above the deposit": (
        banked(alter("AccountCharged", 0, amount=301)),
        {MoneyKind.ACCOUNT_OVERDRAWN},
    ),
    "credits given back twice": (banked(again("CreditsReclaimed")), {MoneyKind.ACCOUNT_OVERDRAWN}),
}

CORRUPTIONS = {**NODE, **LISTINGS, **OPENINGS, **ENDINGS, **MONEY, **DIVISIONS, **ACCOUNTS}


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_replay_of_a_corrupted_history_finds_that_and_nothing_else(corruption: str) -> None:
    corrupt, expected = CORRUPTIONS[corruption]
    scene = honest_scene()
    corrupt(scene)
    assert found_in(scene) == expected


def test_corruptions_cover_every_kind_that_a_replay_can_find() -> None:
    by_the_node = {ChainKind.LOG_UNDECODABLE, ChainKind.LOG_HIDDEN, ChainKind.BLOCK_CHANGED, ChainKind.SETTINGS_DIFFER}
    of_the_views = {kind for kind in MoneyKind if kind.code.endswith("differs") or kind.code.startswith("balance")}
    expected = {*ChainKind, *ListingKind, *CallKind, *MoneyKind} - by_the_node - of_the_views
    found = set().union(*(kinds for _, kinds in CORRUPTIONS.values()))
    assert found == expected - {CallKind.SETTLEMENT_UNCHECKED}


def test_finding_carries_the_log_and_both_amounts() -> None:
    scene = honest_scene()
    alter_outcome(1, charge=PRICE + 1)(scene)
    alter("CallFulfilled", 1, refund=5_000 - PRICE - 1)(scene)
    event = event_of(scene, "CallLogged", 1)
    (finding,) = replayed(scene)[1]
    assert finding.evidence == Evidence(
        event.position.block, event.position.log_index, event.transaction, call_id(3)(scene)
    )
    assert str(PRICE + 1) in finding.message
    assert str(PRICE) in finding.message


def test_finding_of_a_log_out_of_place_names_the_blocks_that_were_asked_for() -> None:
    scene = honest_scene()
    relocate("CallOpened", 6, position=Position(99, 0))(scene)
    (finding,) = replayed(scene)[1]
    assert finding.message == "CallOpened is of block 99, log 0; blocks 1 to 25 were asked for."


def test_imbalance_is_told_once_and_again_when_it_changes() -> None:
    scene = honest_scene()
    alter("CallDeclined", refund=4_999)(scene)
    alter("CallRefunded", refund=4_998)(scene)
    blocks = [finding.evidence.block for finding in replayed(scene)[1] if finding.kind is MoneyKind.BOOKS_UNBALANCED]
    assert blocks == [event_of(scene, name).position.block for name in ("CallDeclined", "CallRefunded")]


def test_history_has_the_books_of_an_honest_scene() -> None:
    scene = honest_scene()
    history, _ = replayed(scene)
    statuses = [record.status for record in history.calls.all()]
    assert statuses == [CallStatus(code) for code in (2, 3, 4, 2, 2, 1, 1)]
    assert history.ledger.owed(OTHER_PAYER, NATIVE) == 5_000 + 5_000 + 5_000 - PRICE
    assert history.ledger.owed(PAYER, NATIVE) == history.ledger.owed(OWNER, NATIVE) == 0
    totals = history.ledger.totals(NATIVE)
    assert totals.open == 70_000
    assert totals.due == totals.held == scene.balance
    assert totals.paid_in == totals.charged + totals.refunded + totals.open


def test_pinned_revision_stays_as_it_was_when_it_was_opened() -> None:
    """Rule M9: the price of a call is that of its revision, whatever is published later."""
    scene = honest_scene()
    again("RevisionAdded", nth=0, terms={"prices": {"perCall": 7}, "manifestHash": keccak(b"other")})(scene)
    history, _ = replayed(scene)
    pinned = history.listings.revision(1, 1)
    assert pinned is not None
    assert pinned == scene.revisions[1, 1]


def test_every_event_of_the_contracts_has_a_rule_or_is_without_consequence() -> None:
    events = {(contract, entry["name"]) for contract, abi in ABIS.items() for entry in abi if entry["type"] == "event"}
    known = set(WITHOUT_CONSEQUENCE)
    for contract, name in events - known:
        scene = Scene()
        scene.administer(name)
        scene.events = [replace(scene.events[0], contract=contract)]
        # A rule looks at the arguments, which this log lacks; where there is none, the replay says so.
        try:
            kinds = found_in(scene)
        except KeyError:
            kinds = set()
        assert ChainKind.LOG_UNEXPLAINED not in kinds, name
    assert known <= events


def _commitment(scene: Scene, nth: int) -> bytes:
    commitment: Any = event_of(scene, "CallOpened", nth).arguments["call"]["requestCommitment"]
    return bytes(commitment)


def test_replay_sums_up_channels_and_credits() -> None:
    """M1: 1,000 deposited and 2 tranches of 50; 340 of it charged, the rest owed to the payer again."""
    before, scene = honest_scene(), honest_scene()
    banked()(scene)
    plain, banking = (replayed(each)[0].ledger.totals(NATIVE) for each in (before, scene))
    assert banking.paid_in - plain.paid_in == 1_100
    assert banking.charged - plain.charged == 340
    assert banking.refunded - plain.refunded == 760
    assert banking.owed - plain.owed == 1_100
    assert banking.open == plain.open

"""Audits through a node that lies about a real chain: what it drops or alters is found, and what can't be is listed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_hash.auto import keccak
from tallystick.audit.auditor import audit
from tallystick.audit.kinds import CallKind, ChainKind, DisclosureKind, ListingKind, MoneyKind, ReceiptKind
from tallystick.audit.replay import WITHOUT_CONSEQUENCE
from tallystick.audit.report import AuditReport
from tallystick.chain.abi import ABIS, canonical_type
from tallystick.errors import ChainError, ChainUnreachable, WrongChain
from tallystick.protocol.plans import Plan
from tallystick.protocol.tiers import Tier

from .hostile import Lie, Refusal, Relay, lying
from .market import HOUR, Market, write_archive

Log = dict[str, Any]


@dataclass(frozen=True)
class Story:
    """A finished history on a real chain, and what the payers of its charged and open calls kept."""

    market: Market
    relay: Relay
    archive: Path
    charged: bytes
    open: bytes

    def audit(self, lie: Lie, *, archive: bool = True) -> AuditReport:
        with lying(self.relay, lie) as url:
            return audit(url, self.market.deployment, archives=[self.archive] if archive else [])

    def codes(self, lie: Lie, *, archive: bool = True) -> set[str]:
        return {finding.kind.code for finding in self.audit(lie, archive=archive).findings}

    def logs(self) -> list[Log]:
        """The honest node's."""
        found: list[Log] = []
        self.audit(on_logs(found.extend))
        return found


@pytest.fixture(scope="module")
def story(market: Market, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """One of each event, in small. The last two: a call of another payer is opened, and nothing more."""
    owner, buyer = market.owners
    payer, other, _ = market.payers
    market.set_fee(250, market.stranger)
    terms: dict[str, Any] = {"oracle_share_bps": 1_000, "tiers": (Tier(1, 100),), "plans": (Plan(5, 6),)}
    listing_id = market.publish(owner, market.oracles[0], **terms)
    charged, declined, refunded = (market.open(payer, listing_id, f"call {number}") for number in range(3))
    market.fulfil(charged)
    market.decline(declined)
    market.transfer(listing_id, buyer)
    market.revise(listing_id, oracle=market.oracles[1])
    market.set_sale(listing_id, withdrawn=True)
    market.set_sale(listing_id, withdrawn=False)
    market.set_paused(paused=True)
    market.set_paused(paused=False)
    market.pass_time(HOUR + 60)
    market.refund(refunded)
    market.withdraw(payer)
    opened = market.open(other, listing_id, "still open")
    archive = write_archive(tmp_path_factory.mktemp("archive") / "payers.jsonl", [charged, opened])
    relay = Relay(market.url)
    yield Story(market, relay, archive, charged.call_id, opened.call_id)
    relay.close()


def honest(_method: str, _parameters: list[Any], result: Any) -> Any:
    return result


def on_logs(change: Callable[[list[Log]], Any]) -> Lie:
    """Alter the list of logs in place, or return another."""

    def lie(method: str, _parameters: list[Any], result: Any) -> Any:
        if method != "eth_getLogs":
            return result
        changed = change(result)
        return result if changed is None else changed

    return lie


def without(index: int) -> Lie:
    return on_logs(lambda logs: logs[:index] + logs[index + 1 :])


def name_of(log: Log) -> str:
    return str(_NAMES[log["topics"][0]])


_NAMES = {
    "0x"
    + keccak(f"{entry['name']}({','.join(canonical_type(item) for item in entry['inputs'])})".encode()).hex(): entry[
        "name"
    ]
    for abi in ABIS.values()
    for entry in abi
    if entry["type"] == "event"
}


def test_audit_through_the_relay_is_an_honest_audit(story: Story) -> None:
    report = story.audit(honest)
    assert report.passed
    assert [finding.kind for finding in report.findings] == [
        ReceiptKind.RECEIPT_PENDING,
        DisclosureKind.COMPUTE_TIME_UNCHECKED,
    ]
    assert report.to_dict() == audit(story.market.url, story.market.deployment, archives=[story.archive]).to_dict()


def test_story_has_every_event_that_the_auditor_has_a_rule_for(story: Story) -> None:
    without_consequence = {name for _, name in WITHOUT_CONSEQUENCE} - {"OwnershipTransferred"}
    assert {name_of(log) for log in story.logs()} == set(_NAMES.values()) - without_consequence - OF_ACCOUNTS


# ---- logs that are kept back ------------------------------------------------------------------------------------------

OF_ACCOUNTS = {
    "AccountCharged",
    "ChannelClosed",
    "ChannelDeposited",
    "ChannelOpened",
    "CreditsBought",
    "CreditsReclaimed",
    "InstalmentPaid",
    "TillEmptied",
}
"""Events of ways to pay that the story does not have."""

HARMLESS = {"OwnershipTransferred", "Paused"}
"""Without these logs nothing is charged, owed or sold otherwise. (A missing Unpaused is found: calls are opened later.)"""


def test_audit_finds_each_single_log_that_is_kept_back(story: Story) -> None:
    logs = story.logs()
    unnoticed = {name_of(log) for index, log in enumerate(logs) if story.audit(without(index)).passed}
    assert unnoticed == HARMLESS


def test_audit_of_a_lagging_node_whose_newest_logs_are_missing_fails(story: Story) -> None:
    """Behind a load balancer: headers and views of one node, logs of another that is two blocks behind."""
    newest = max(int(log["blockNumber"], 16) for log in story.logs())
    lagging = on_logs(lambda logs: [log for log in logs if int(log["blockNumber"], 16) < newest - 1])
    assert MoneyKind.OWED_DIFFERS.code in story.codes(lagging, archive=False)


def test_audit_without_any_log_fails(story: Story) -> None:
    codes = story.codes(on_logs(lambda _logs: []), archive=False)
    assert {MoneyKind.LISTING_COUNT_DIFFERS.code, MoneyKind.BALANCE_SURPLUS.code} <= codes
    assert not story.audit(on_logs(lambda _logs: []), archive=False).passed


def test_audit_of_a_hidden_open_call_needs_its_payers_receipt(story: Story) -> None:
    """Without the receipt it looks as if somebody had forced ether into the escrow, and the note says that it may be this."""
    logs = story.logs()
    (index,) = (index for index, log in enumerate(logs) if log["topics"][1:2] == ["0x" + story.open.hex()])
    alone = story.audit(without(index), archive=False)
    assert alone.passed
    (note,) = (finding for finding in alone.findings if finding.kind is MoneyKind.BALANCE_SURPLUS)
    assert "hides the openings" in note.kind.meaning

    report = story.audit(without(index))
    (found,) = (finding for finding in report.findings if finding.kind is ChainKind.LOG_HIDDEN)
    assert found.evidence.call_id == story.open
    assert not report.passed


def test_audit_of_a_whole_call_that_is_hidden_finds_it(story: Story) -> None:
    """Opening, log and ending of the charged call: its payer withdraws a refund of which nobody knows the reason."""
    mine = "0x" + story.charged.hex()
    codes = story.codes(on_logs(lambda logs: [log for log in logs if log["topics"][1:2] != [mine]]), archive=False)
    assert {MoneyKind.WITHDRAWAL_ABOVE_OWED.code, MoneyKind.BOOKS_UNBALANCED.code} <= codes


# ---- logs that are altered --------------------------------------------------------------------------------------------

UNSEEN = {
    ("OwnershipTransferred", 1),
    ("OwnershipTransferred", 2),
    ("Paused", 1),
    ("Unpaused", 1),
    ("Withdrawn", 3),
}
"""Words that nothing else on chain confirms, and that no money or listing depends on: who administers and pauses, and
where somebody had their own money sent."""


def flipped(index: int, word: int) -> Lie:
    """One bit of a log: of its topics counted from 0, then of the 32-byte words of its data."""

    def flip(logs: list[Log]) -> None:
        log = logs[index]
        topics = len(log["topics"])
        if word < topics:
            log["topics"][word] = _flip(log["topics"][word], 66)
        else:
            log["data"] = _flip(log["data"], 2 + 64 * (word - topics + 1))

    return on_logs(flip)


def _flip(text: str, end: int) -> str:
    return text[: end - 1] + f"{int(text[end - 1], 16) ^ 1:x}" + text[end:]


def words_of(log: Log) -> int:
    return len(log["topics"]) + (len(log["data"]) - 2) // 64


@pytest.mark.timeout(600)
def test_audit_finds_each_single_word_that_is_altered(story: Story) -> None:
    """With the receipts of the charged calls: nothing else on chain confirms a result's hash."""
    unseen = {
        (name_of(log), word)
        for index, log in enumerate(story.logs())
        for word in range(words_of(log))
        if story.audit(flipped(index, word)).passed
    }
    assert unseen == UNSEEN


def _with(index: int, **changes: Any) -> Callable[[list[Log]], None]:
    return lambda logs: logs[index].update(changes)


def _insert_copy(**changes: Any) -> Callable[[list[Log]], None]:
    """The newest log again, at another place."""
    return lambda logs: logs.append({**logs[-1], **changes})


ALTERED: Mapping[str, tuple[Callable[[list[Log]], Any], str]] = {
    "of another block's hash": (_with(5, blockHash="0x" + "ab" * 32), ChainKind.LOG_BLOCK_MISMATCH.code),
    "of a block to come": (_insert_copy(blockNumber="0xfffff"), ChainKind.LOG_OUT_OF_PLACE.code),
    "twice": (_insert_copy(), ChainKind.LOG_OUT_OF_PLACE.code),
    "made up": (_insert_copy(logIndex="0x7"), CallKind.CALL_OPENED_TWICE.code),
    "of another contract": (_with(5, address="0x" + "ab" * 20), ChainKind.LOG_UNDECODABLE.code),
    "without topics": (_with(5, topics=[]), ChainKind.LOG_UNDECODABLE.code),
    "of a pending block": (_with(5, blockHash=None), ChainKind.LOG_UNDECODABLE.code),
    "cut short": (lambda logs: logs[5].update(data=logs[5]["data"][:66]), ChainKind.LOG_UNDECODABLE.code),
    "in transactions of their own": (
        lambda logs: [{**log, "transactionHash": f"0x{index:064x}"} for index, log in enumerate(logs)],
        ListingKind.LISTING_INCOMPLETE.code,
    ),
}


@pytest.mark.parametrize("altered", ALTERED)
def test_audit_of_logs_that_are_altered_fails(story: Story, altered: str) -> None:
    change, expected = ALTERED[altered]
    report = story.audit(on_logs(change))
    assert not report.passed
    assert expected in {finding.kind.code for finding in report.findings}


def test_audit_that_met_an_undecodable_log_says_that_it_went_no_further(story: Story) -> None:
    report = story.audit(on_logs(_with(5, topics=[])))
    assert [finding.kind for finding in report.findings] == [ChainKind.LOG_UNDECODABLE]
    assert (report.calls, report.totals) == ((), ())


# ---- headers, views and balances that are altered ---------------------------------------------------------------------


def on_headers(change: Callable[[dict[str, Any]], None]) -> Lie:
    def lie(method: str, _parameters: list[Any], result: Any) -> Any:
        if method == "eth_getBlockByNumber":
            change(result)
        return result

    return lie


def test_audit_of_a_fork_of_headers_finds_the_logs_foreign(story: Story) -> None:
    """Block hashes of an abandoned fork, but for those that the deployment file names."""
    deployment = story.market.deployment
    known = {"0x" + deployment.genesis_hash.hex(), "0x" + deployment.escrow.block_hash.hex()}

    def fork(header: dict[str, Any]) -> None:
        if header["hash"] not in known:
            header["hash"] = _flip(header["hash"], 66)

    assert ChainKind.LOG_BLOCK_MISMATCH.code in story.codes(on_headers(fork))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-HOUR - 600, {CallKind.REFUNDED_EARLY.code}),
        (HOUR + 600, {CallKind.DEADLINE_OUT_OF_RANGE.code, CallKind.FULFILLED_LATE.code}),
    ],
)
def test_audit_of_headers_with_other_times_finds_deadlines_broken(
    story: Story, seconds: int, expected: set[str]
) -> None:
    def shift(header: dict[str, Any]) -> None:
        header["timestamp"] = hex(int(header["timestamp"], 16) + seconds)

    assert expected <= story.codes(on_headers(shift), archive=False)


def test_audit_during_which_the_audited_block_changes_fails(story: Story) -> None:
    head = max(int(log["blockNumber"], 16) for log in story.logs())
    asked = 0

    def change_at_the_end(method: str, parameters: list[Any], result: Any) -> Any:
        nonlocal asked
        if method == "eth_getBlockByNumber" and parameters[0] == hex(head):
            asked += 1
            if asked > 2:
                result["hash"] = _flip(result["hash"], 66)
        return result

    assert story.codes(change_at_the_end) >= {ChainKind.BLOCK_CHANGED.code}
    assert asked > 2


def test_audit_during_which_the_audited_block_vanishes_fails(story: Story) -> None:
    head = max(int(log["blockNumber"], 16) for log in story.logs())
    asked = 0

    def vanish(method: str, parameters: list[Any], result: Any) -> Any:
        nonlocal asked
        if method == "eth_getBlockByNumber" and parameters[0] == hex(head):
            asked += 1
            return result if asked <= 2 else None
        return result

    report = story.audit(vanish)
    (finding,) = (finding for finding in report.findings if finding.kind is ChainKind.BLOCK_CHANGED)
    assert "is gone" in finding.message


def test_audit_finds_each_single_view_that_is_altered(story: Story) -> None:
    """Each answer of the contracts, with one bit of its last byte turned. An answer that can't be read is no pass either."""
    calls: list[str] = []

    def note(method: str, parameters: list[Any], result: Any) -> Any:
        if method == "eth_call":
            calls.append(parameters[0]["data"])
        return result

    story.audit(note)

    def passes(data: str) -> bool:
        def lie(method: str, parameters: list[Any], result: Any) -> Any:
            asked = method == "eth_call" and parameters[0]["data"] == data
            return _flip(result, len(result)) if asked else result

        with suppress(ChainError):
            return story.audit(lie).passed
        return False

    assert len(set(calls)) > 10
    assert [data for data in dict.fromkeys(calls) if passes(data)] == []


@pytest.mark.parametrize(("by", "passed"), [(-1, False), (1, True)])
def test_audit_of_another_balance(story: Story, by: int, passed: bool) -> None:
    def lie(method: str, _parameters: list[Any], result: Any) -> Any:
        return hex(int(result, 16) + by) if method == "eth_getBalance" else result

    report = story.audit(lie)
    assert report.passed is passed
    expected = MoneyKind.BALANCE_SURPLUS if passed else MoneyKind.BALANCE_SHORT
    assert expected in {finding.kind for finding in report.findings}


# ---- nodes that are difficult, but honest -----------------------------------------------------------------------------


@pytest.mark.parametrize("widest", [1, 4])
def test_audit_of_a_node_that_refuses_wide_ranges_asks_for_narrow_ones(story: Story, widest: int) -> None:
    def refuse(method: str, parameters: list[Any], result: Any) -> Any:
        if method == "eth_getLogs" and _width(parameters) > widest:
            raise Refusal("query returned more than 10000 results")
        return result

    assert story.audit(refuse).to_dict() == story.audit(honest).to_dict()


def _width(parameters: list[Any]) -> int:
    return int(parameters[0]["toBlock"], 16) - int(parameters[0]["fromBlock"], 16) + 1


def test_audit_of_a_node_that_gives_no_logs_at_all_says_so(story: Story) -> None:
    def refuse(method: str, _parameters: list[Any], result: Any) -> Any:
        if method == "eth_getLogs":
            raise Refusal("the method eth_getLogs does not exist")
        return result

    with pytest.raises(ChainUnreachable, match="eth_getLogs does not exist"):
        story.audit(refuse)


def test_audit_of_a_proof_of_authority_chain_passes(story: Story) -> None:
    """Its blocks carry more extra data than Ethereum's."""

    def sign(header: dict[str, Any]) -> None:
        header["extraData"] = "0x" + "ab" * 97

    assert story.audit(on_headers(sign)).passed


def test_audit_of_a_node_of_another_chain_is_refused(story: Story) -> None:
    def lie(method: str, _parameters: list[Any], result: Any) -> Any:
        return "0x1" if method == "eth_chainId" else result

    with pytest.raises(WrongChain):
        story.audit(lie)

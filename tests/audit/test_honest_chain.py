"""Audits of a real chain on which everybody is honest, or where only the oracle's receipts are not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from eth_hash.auto import keccak
from tallystick.audit.auditor import audit
from tallystick.audit.disclosures import DisclosureCheck
from tallystick.audit.findings import Severity
from tallystick.audit.kinds import ChainKind, MoneyKind, ReceiptKind
from tallystick.audit.receipts import ReceiptCheck
from tallystick.audit.report import AuditReport
from tallystick.errors import BlockOutOfRange, ChainUnreachable, DeploymentMismatch, WrongChain
from tallystick.protocol.hexes import to_hex
from tallystick.protocol.prices import NATIVE
from tallystick.protocol.revisions import RevisionTerms

from .making import rerun_model
from .market import HOUR, PRICES, Market, write_archive


def errors(report: AuditReport) -> list[str]:
    return [
        f"{finding.kind.code}: {finding.message}"
        for finding in report.findings
        if finding.kind.severity is not Severity.NOTE
    ]


def forced(report: AuditReport) -> int:
    """Wei that were forced into the escrow, by the report's note."""
    notes = [finding for finding in report.findings if finding.kind is MoneyKind.BALANCE_SURPLUS]
    return int(notes[0].message.split(", ")[1].split()[0]) if notes else 0


def test_audit_of_fresh_contracts_passes_with_nothing_to_say(market: Market) -> None:
    """At the block of the deployment itself, before anything happened."""
    block = market.deployment.escrow.block
    report = audit(market.url, market.deployment, to_block=block)
    assert (report.passed, report.calls, report.findings) == (True, (), ())
    assert report.totals[0].balance == 0


def test_audit_at_an_earlier_block_sees_that_block_alone(market: Market) -> None:
    listing_id = market.publish(market.owners[0], market.oracles[0])
    call = market.open(market.payers[0], listing_id, "first")
    block = market.head()
    market.fulfil(call)
    market.open(market.payers[0], listing_id, "second")

    report = audit(market.url, market.deployment, to_block=block.number)
    assert errors(report) == []
    assert report.block == block
    (row,) = (row for row in report.calls if row.call_id == call.call_id)
    assert row.status == "open"
    assert len(audit(market.url, market.deployment).calls) == len(report.calls) + 1


def test_audit_of_receipts_from_after_the_audited_block_only_notes_them(market: Market, tmp_path: Path) -> None:
    listing_id = market.publish(market.owners[0], market.oracles[0])
    block = market.head().number
    call = market.open(market.payers[0], listing_id, "later")
    path = write_archive(tmp_path / "payer.jsonl", [call])
    report = audit(market.url, market.deployment, to_block=block, archives=[path])
    assert errors(report) == []
    assert ReceiptKind.RECEIPT_AFTER_AUDIT in {finding.kind for finding in report.findings}


@pytest.mark.parametrize("offset", [1, 1000])
def test_audit_of_a_block_that_is_not_there_is_refused(market: Market, offset: int) -> None:
    head = market.head().number
    with pytest.raises(BlockOutOfRange, match=str(head)):
        audit(market.url, market.deployment, to_block=head + offset)


def test_audit_of_a_block_before_the_contracts_is_refused(market: Market) -> None:
    with pytest.raises(BlockOutOfRange):
        audit(market.url, market.deployment, to_block=market.deployment.escrow.block - 1)


def test_audit_in_small_pages_is_the_same_audit(market: Market) -> None:
    listing_id = market.publish(market.owners[0], market.oracles[0])
    market.fulfil(market.open(market.payers[1], listing_id, "in pages"))
    whole = audit(market.url, market.deployment)
    paged = audit(market.url, market.deployment, page_blocks=3)
    assert json.dumps(paged.to_dict()) == json.dumps(whole.to_dict())


def test_audit_tells_how_far_it_is(market: Market) -> None:
    heard: dict[str, list[tuple[int, int]]] = {}
    market.open(market.payers[0], market.publish(market.owners[0], market.oracles[0]), "heard")
    report = audit(
        market.url,
        market.deployment,
        on_progress=lambda what, done, total: heard.setdefault(what, []).append((done, total)),
    )
    length = report.block.number - market.deployment.first_block + 1
    assert heard["replay"][-1] == (length, length)
    assert heard["compare"][-1] == (len(report.calls), len(report.calls))
    assert all(done == sorted(done) for done in heard.values())


def test_audit_of_several_transactions_in_one_block_passes(market: Market) -> None:
    """The order within the block decides: revision, owner and state are those of the moment, not of the block's end."""
    listing_id = market.publish(market.owners[0], market.oracles[0])
    first, second = (market.open(market.payers[index], listing_id, f"crowd {index}") for index in range(2))
    owner, buyer = market.owners
    escrow, registry = market.escrow.functions, market.registry.functions
    dearer = replace(PRICES, per_call=2 * PRICES.per_call)
    sent = [
        (escrow.fulfil(first.terms.as_tuple(), first.outcome.as_tuple()), first.terms.oracle),
        (registry.revise(listing_id, RevisionTerms(first.terms.oracle, keccak(b"crowd"), dearer).as_tuple()), owner),
        (registry.transferFrom(owner, buyer, listing_id), owner),
        (escrow.fulfil(second.terms.as_tuple(), second.outcome.as_tuple()), second.terms.oracle),
        (escrow.withdraw(NATIVE, owner), owner),
    ]
    receipts = market.in_one_block(sent)
    assert len({receipt["blockNumber"] for receipt in receipts}) == 1
    assert [receipt["transactionIndex"] for receipt in receipts] == list(range(len(sent)))
    assert {receipt["status"] for receipt in receipts} == {1}

    report = audit(market.url, market.deployment)
    assert errors(report) == []
    assert {row.status for row in report.calls if row.call_id in (first.call_id, second.call_id)} == {"fulfilled"}


def test_audit_over_a_reorganisation_fails(market: Market) -> None:
    """The audited block is replaced while the audit runs: what was read before and after are two histories."""
    listing_id = market.publish(market.owners[0], market.oracles[0])
    before = market.rpc("evm_snapshot")
    market.open(market.payers[0], listing_id, "on a fork")
    fork = market.head()

    def reorganise(what: str, done: int, _total: int) -> None:
        if (what, done) == ("compare", 1):
            market.rpc("evm_revert", before)
            market.rpc("evm_mine")

    report = audit(market.url, market.deployment, on_progress=reorganise)
    assert market.head().number == fork.number
    assert market.head().hash != fork.hash
    (finding,) = (finding for finding in report.findings if finding.kind is ChainKind.BLOCK_CHANGED)
    assert to_hex(fork.hash) in finding.message
    assert not report.passed


def test_audit_notes_forced_ether_and_passes(market: Market) -> None:
    """Rule M1: equal, but for forced ether."""
    before = forced(audit(market.url, market.deployment))
    market.force_ether(12_345)
    report = audit(market.url, market.deployment)
    assert report.passed
    assert MoneyKind.BALANCE_SURPLUS in {finding.kind for finding in report.findings}
    assert forced(report) == before + 12_345


def test_audit_reads_a_listing_whose_uri_is_not_text(market: Market) -> None:
    """Solidity takes any bytes for a string, so one owner could else stop every audit."""
    listing_id = int(market.registry.functions.listingCount().call()) + 1
    encoded = market.registry.encode_abi(
        "publish", [RevisionTerms(market.oracles[0], keccak(b"odd"), PRICES, "AAAA").as_tuple()]
    )
    data = encoded.replace(b"AAAA".hex(), "ff00fe80")
    transaction = market.web3.eth.send_transaction(
        {"from": market.owners[0], "to": market.registry.address, "data": data}
    )
    assert market.web3.eth.wait_for_transaction_receipt(transaction)["status"] == 1
    assert market.owner_of(listing_id) == market.owners[0]
    assert errors(audit(market.url, market.deployment)) == []


# ---- a chain that is not the one that is meant ------------------------------------------------------------------------


def test_audit_of_another_chain_is_refused(market: Market) -> None:
    with pytest.raises(WrongChain):
        audit(market.url, replace(market.deployment, chain_id=1))


def test_audit_of_a_chain_with_another_genesis_is_refused(market: Market) -> None:
    with pytest.raises(DeploymentMismatch):
        audit(market.url, replace(market.deployment, genesis_hash=bytes(32)))


def test_audit_of_other_code_is_refused(market: Market) -> None:
    escrow = replace(market.deployment.escrow, code_hash=bytes(32))
    with pytest.raises(DeploymentMismatch):
        audit(market.url, replace(market.deployment, escrow=escrow))


def test_audit_of_an_escrow_with_another_catalogue_is_found(market: Market) -> None:
    """The deployment names a catalogue that the escrow does not read."""
    impostor = replace(market.deployment.registry, address=market.deployment.escrow.address)
    code = market.deployment.escrow.code_hash
    report = audit(market.url, replace(market.deployment, registry=replace(impostor, code_hash=code)))
    assert ChainKind.LOG_UNDECODABLE in {finding.kind for finding in report.findings}
    assert not report.passed


def test_audit_without_a_node_says_so(market: Market) -> None:
    with pytest.raises(ChainUnreachable):
        audit("http://127.0.0.1:9", market.deployment, timeout=2.0)


# ---- an oracle whose receipts are not what it posts -------------------------------------------------------------------


def test_audit_finds_an_oracle_that_anchors_another_receipt(market: Market, tmp_path: Path) -> None:
    call = market.open(market.payers[2], market.publish(market.owners[0], market.oracles[0]), "another receipt")
    market.fulfil(call, replace(call.outcome, receipt_digest=keccak(b"another receipt")))
    path = write_archive(tmp_path / "payer.jsonl", [call])
    report = audit(market.url, market.deployment, archives=[path])
    assert [line.split(":")[0] for line in errors(report)] == ["receipt_not_anchored"]
    (row,) = (row for row in report.calls if row.call_id == call.call_id)
    assert (row.receipt, row.findings) == (ReceiptCheck.FAILS, ("receipt_not_anchored",))


def test_audit_finds_an_oracle_that_posts_another_result_and_charge(market: Market, tmp_path: Path) -> None:
    call = market.open(market.payers[2], market.publish(market.owners[0], market.oracles[0]), "another result")
    market.fulfil(call, replace(call.outcome, result_hash=keccak(b"another"), charge=call.outcome.charge - 1))
    path = write_archive(tmp_path / "payer.jsonl", [call])
    report = audit(market.url, market.deployment, archives=[path])
    assert [line.split(":")[0] for line in errors(report)] == ["receipt_contradicts_chain"] * 2


def test_audit_finds_an_oracle_that_made_up_its_result(market: Market, tmp_path: Path) -> None:
    """Everything fits, but the model says otherwise."""
    call = market.open(market.payers[2], market.publish(market.owners[0], market.oracles[0]), "made up")
    market.fulfil(call)
    path = write_archive(tmp_path / "payer.jsonl", [call])
    report = audit(
        market.url,
        market.deployment,
        archives=[path],
        rerun=lambda *asked: replace(rerun_model(*asked), result={"label": "honest"}),
    )
    assert [line.split(":")[0] for line in errors(report)] == ["rerun_differs"]
    (row,) = (row for row in report.calls if row.call_id == call.call_id)
    assert (row.receipt, row.disclosure) == (ReceiptCheck.AGREES, DisclosureCheck.DIFFERS)


def test_audit_finds_a_served_call_that_was_never_posted(market: Market, tmp_path: Path) -> None:
    """Rule S3. Until its deadline it is pending; once it was refunded it never will be logged."""
    call = market.open(market.payers[2], market.publish(market.owners[0], market.oracles[0]), "never posted")
    path = write_archive(tmp_path / "payer.jsonl", [call])
    pending = audit(market.url, market.deployment, archives=[path])
    assert errors(pending) == []
    (row,) = (row for row in pending.calls if row.call_id == call.call_id)
    assert row.receipt is ReceiptCheck.PENDING

    market.pass_time(HOUR + 60)
    market.refund(call)
    report = audit(market.url, market.deployment, archives=[path])
    assert [line.split(":")[0] for line in errors(report)] == ["receipt_without_log"]

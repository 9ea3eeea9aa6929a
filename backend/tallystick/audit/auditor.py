"""An audit from beginning to end. It needs a node and the contracts' addresses, and nothing from any oracle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tallystick.audit.archives import Archive, read_archive
from tallystick.audit.disclosures import DisclosureCheck, Rerun, check_disclosures, note_compute_time
from tallystick.audit.findings import Evidence, Findings
from tallystick.audit.kinds import CallKind, ChainKind
from tallystick.audit.node import Node, View
from tallystick.audit.receipts import CheckedReceipts, check_receipts
from tallystick.audit.reconcile import reconcile
from tallystick.audit.replay import History, replay
from tallystick.audit.report import AuditReport, CallRow, asset_totals, call_row
from tallystick.chain.deployment import Deployment
from tallystick.chain.events import DEFAULT_PAGE_BLOCKS, ChainEvent
from tallystick.errors import UndecodableLog
from tallystick.protocol.hexes import to_hex
from tallystick.protocol.prices import NATIVE

DEFAULT_TIMEOUT: Final = 10.0
"""Seconds that the node has for each answer."""

Progress = Callable[[str, int, int], None]
"""Hears what is being done, and how much of how much: `replay` counts blocks, `compare` calls, `disclosures` receipts."""


def audit(
    marketplace_url: str,
    deployment: Deployment,
    *,
    to_block: int | None = None,
    archives: Sequence[Path] = (),
    rerun: Rerun | None = None,
    page_blocks: int = DEFAULT_PAGE_BLOCKS,
    timeout: float = DEFAULT_TIMEOUT,
    on_progress: Progress | None = None,
) -> AuditReport:
    """Audit everything from the deployment to `to_block`, by default the newest block, over the RPC at `marketplace_url`.

    `archives` are files of receipts to hold against the chain; `rerun` runs the model of a disclosed call again. Whatever
    is wrong with the history is in the report. Raises ArchiveInvalid for a file that is no archive; WrongChain,
    ContractMissing or DeploymentMismatch where the node serves another chain than `deployment` is on; BlockOutOfRange for
    a block that can't be audited; ChainUnreachable where the node gives no usable answer.
    """
    # Before the block is chosen, so that every call with a receipt was opened by then.
    receipts = [read_archive(path) for path in archives]
    with Node(marketplace_url, deployment, timeout=timeout) as node:
        node.verify()
        return _audit(node, node.at(to_block), deployment, receipts, rerun, page_blocks, on_progress or _silent)


def _audit(
    node: Node,
    view: View,
    deployment: Deployment,
    archives: Sequence[Archive],
    rerun: Rerun | None,
    page_blocks: int,
    tell: Progress,
) -> AuditReport:
    findings = Findings()
    events = _told(node.events(view.block.number, page_blocks), deployment.first_block, view.block.number, tell)
    try:
        history = replay(events, node.header, deployment, view.block.number, findings)
    except UndecodableLog as error:
        findings.add(ChainKind.LOG_UNDECODABLE, error.message)
        return AuditReport(deployment.chain_id, deployment.escrow.address, view.block, (), (), tuple(findings))
    reconcile(history, view, deployment.registry.address, findings, lambda done, total: tell("compare", done, total))

    receipts = check_receipts(history, archives, deployment.domain, view, node.newest_call_state, findings)
    disclosures = check_disclosures(
        receipts.proven, rerun, findings, lambda done, total: tell("disclosures", done, total)
    )
    note_compute_time(history, findings)
    _note_settled(history, findings)

    balances = {asset: view.balance(asset) for asset in (NATIVE, *history.ledger.assets())}
    _check_unchanged(node, view, findings)
    return AuditReport(
        deployment.chain_id,
        deployment.escrow.address,
        view.block,
        _rows(history, receipts, disclosures, findings),
        asset_totals(history, balances),
        tuple(findings),
    )


def _note_settled(history: History, findings: Findings) -> None:
    if history.calls.settled:
        findings.add(
            CallKind.SETTLEMENT_UNCHECKED,
            f"{history.calls.settled} calls were charged to channels, keys or credits.",
        )


def _told(events: Iterator[ChainEvent], first: int, last: int, tell: Progress) -> Iterator[ChainEvent]:
    for event in events:
        yield event
        tell("replay", event.position.block - first + 1, last - first + 1)


def _check_unchanged(node: Node, view: View, findings: Findings) -> None:
    """Everything was read at one block number; only if its block is still the same was it one history."""
    number, before = view.block.number, view.block.hash
    now = node.block_hash(number)
    if now != before:
        state = f"is {to_hex(now)}" if now is not None else "is gone"
        findings.add(
            ChainKind.BLOCK_CHANGED,
            f"Block {number} {state}; when the audit began it was {to_hex(before)}.",
            Evidence(number),
        )


def _rows(
    history: History,
    receipts: CheckedReceipts,
    disclosures: Mapping[bytes, DisclosureCheck],
    findings: Findings,
) -> tuple[CallRow, ...]:
    codes: dict[bytes | None, dict[str, None]] = {}
    for finding in findings:
        codes.setdefault(finding.evidence.call_id, {})[finding.kind.code] = None
    return tuple(
        call_row(
            record,
            receipts.of(record.opening.call_id),
            disclosures.get(record.opening.call_id, DisclosureCheck.NONE),
            tuple(codes.get(record.opening.call_id, ())),
        )
        for record in history.calls.all()
    )


def _silent(_what: str, _done: int, _total: int) -> None:
    """Nobody listens."""

"""Receipts against the chain: the two halves of the tally put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from tallystick.audit.archives import Archive, ArchiveLine
from tallystick.audit.findings import Evidence, Findings
from tallystick.audit.kinds import ChainKind, ReceiptKind
from tallystick.audit.receipt_rules import receipt_faults, standing_faults
from tallystick.audit.reconcile import Views
from tallystick.audit.records import CallRecord
from tallystick.audit.replay import History
from tallystick.protocol.calls import CallState, CallStatus
from tallystick.protocol.encoding import Domain
from tallystick.protocol.hexes import to_hex


class ReceiptCheck(StrEnum):
    """How a call's receipt stands: none was given, it fits the chain, its log is still to come, or it doesn't fit."""

    NONE = "none"
    AGREES = "agrees"
    PENDING = "pending"
    FAILS = "fails"


@dataclass(frozen=True)
class Proven:
    """A receipt that its call's oracle did sign."""

    line: ArchiveLine
    record: CallRecord


@dataclass(frozen=True)
class CheckedReceipts:
    """How each call's receipt stands, by call id, and the receipts that are the oracle's, for their disclosures."""

    checks: dict[bytes, ReceiptCheck] = field(default_factory=dict)
    proven: list[Proven] = field(default_factory=list)

    def of(self, call_id: bytes) -> ReceiptCheck:
        return self.checks.get(call_id, ReceiptCheck.NONE)


def check_receipts(
    history: History,
    archives: Iterable[Archive],
    domain: Domain,
    views: Views,
    newest_call_state: Callable[[bytes], CallState],
    findings: Findings,
) -> CheckedReceipts:
    """Hold every archived receipt against the replay. `newest_call_state` tells of calls from after the audited block."""
    by_call: dict[bytes, list[ArchiveLine]] = {}
    for archive in archives:
        if archive.cut_off is not None:
            findings.add(
                ReceiptKind.ARCHIVE_CUT_OFF,
                "The archive's last line is not a whole receipt.",
                Evidence(source=archive.cut_off),
            )
        for line in archive.lines:
            by_call.setdefault(line.entry.signed.receipt.call_id, []).append(line)
    checked = CheckedReceipts()
    for call_id, lines in by_call.items():
        record = history.calls.find(call_id)
        if record is None:
            checked.checks[call_id] = _check_unknown(lines, domain, views, newest_call_state, findings)
        else:
            checked.checks[call_id] = _check_call(record, lines, domain, views, checked.proven, findings)
    _note_missing(history, checked, findings)
    return checked


def _check_call(
    record: CallRecord,
    lines: Sequence[ArchiveLine],
    domain: Domain,
    views: Views,
    proven: list[Proven],
    findings: Findings,
) -> ReceiptCheck:
    signed = [line for line in lines if _is_signed_by(line, record.opening.terms.oracle, domain, findings)]
    proven += [Proven(line, record) for line in signed]
    # By digest, never by signature bytes: one receipt may bear several valid signatures.
    distinct = {line.entry.signed.receipt.digest(domain): line for line in signed}
    sound = len(signed) == len(lines)
    if len(distinct) > 1:
        sound = False
        first, second = list(distinct)[:2]
        findings.add(
            ReceiptKind.EQUIVOCATION,
            f"The oracle signed receipts {to_hex(first)} and {to_hex(second)} for one call; only one can be true.",
            Evidence(
                call_id=record.opening.call_id, source=", ".join(distinct[digest].source for digest in (first, second))
            ),
        )
    pending = False
    for digest, line in distinct.items():
        for kind, message in receipt_faults(line.entry.signed.receipt, digest, record):
            sound = False
            findings.add(kind, message, _evidence(line))
        for kind, message in standing_faults(line.entry.signed.receipt, record, views.block):
            pending = kind is ReceiptKind.RECEIPT_PENDING
            sound = sound and pending
            findings.add(kind, message, _evidence(line))
    if not sound:
        return ReceiptCheck.FAILS
    return ReceiptCheck.PENDING if pending else ReceiptCheck.AGREES


def _check_unknown(
    lines: Sequence[ArchiveLine],
    domain: Domain,
    views: Views,
    newest_call_state: Callable[[bytes], CallState],
    findings: Findings,
) -> ReceiptCheck:
    """Receipts of a call that the replay has not seen: hidden by the node, opened since, or made up."""
    check = ReceiptCheck.FAILS
    for line in lines:
        receipt = line.entry.signed.receipt
        if not _is_signed_by(line, receipt.oracle, domain, findings):
            continue
        state = views.call_state(receipt.call_id)
        if state.status is not CallStatus.NONE:
            findings.add(
                ChainKind.LOG_HIDDEN,
                f"The contract has the call as {state.status.name.lower()}, but the node shows no opening of it.",
                _evidence(line),
            )
        elif newest_call_state(receipt.call_id).status is not CallStatus.NONE:
            check = ReceiptCheck.PENDING
            findings.add(
                ReceiptKind.RECEIPT_AFTER_AUDIT,
                f"The call was opened after block {views.block.number}, where this audit ends.",
                _evidence(line),
            )
        else:
            findings.add(
                ReceiptKind.RECEIPT_WITHOUT_CALL,
                f"The receipt charges {receipt.charge} for a call that was never opened.",
                _evidence(line),
            )
    return check


def _is_signed_by(line: ArchiveLine, oracle: str, domain: Domain, findings: Findings) -> bool:
    try:
        signer = line.entry.signed.signer(domain)
    except ValueError as error:
        findings.add(
            ReceiptKind.RECEIPT_SIGNATURE_INVALID, f"The receipt's signature is unusable: {error}.", _evidence(line)
        )
        return False
    if signer != oracle:
        findings.add(
            ReceiptKind.RECEIPT_WRONG_SIGNER,
            f"The receipt is signed by {signer}, or is not of this marketplace; the call's oracle is {oracle}.",
            _evidence(line),
        )
        return False
    return True


def _note_missing(history: History, checked: CheckedReceipts, findings: Findings) -> None:
    """Only for payers that the archives know: a payer's archive can't be expected to hold the calls of others."""
    payers = {proven.record.opening.terms.payer for proven in checked.proven}
    for record in history.calls.all():
        call_id = record.opening.call_id
        if record.logged is not None and record.opening.terms.payer in payers and call_id not in checked.checks:
            findings.add(
                ReceiptKind.RECEIPT_MISSING,
                f"The archives have receipts of payer {record.opening.terms.payer}, but none for this call.",
                record.logged.evidence,
            )


def _evidence(line: ArchiveLine) -> Evidence:
    return Evidence(call_id=line.entry.signed.receipt.call_id, source=line.source)

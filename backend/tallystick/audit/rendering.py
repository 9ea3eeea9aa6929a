"""An audit report on a terminal: findings first, then calls and money, and the verdict as the last line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tallystick.audit.findings import Finding, Severity
from tallystick.protocol.hexes import to_hex
from tallystick.protocol.prices import NATIVE

if TYPE_CHECKING:
    from tallystick.audit.report import AssetTotals, AuditReport, CallRow

MAX_ROWS: Final = 100
"""Calls, and findings of one severity, that are printed; the JSON report has all of them."""

_STYLES: Final = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


def render(report: AuditReport, console: Console) -> None:
    """Print the report. Everything in it goes out as plain text, since receipts and models chose some of it."""
    for severity in Severity:
        _findings([finding for finding in report.findings if finding.kind.severity is severity], severity, console)
    _calls(report, console)
    console.print(_money(report.totals))
    console.print(Text(verdict(report), style="bold green" if report.passed else "bold red"), soft_wrap=True)


def verdict(report: AuditReport) -> str:
    """The last line: `audit: PASS (…)` or `audit: FAIL (n findings)`."""
    if not report.passed:
        return f"audit: FAIL ({_count(report.count(Severity.ERROR), 'finding')})"
    parts = [_count(len(report.calls), "call"), f"to block {report.block.number}"]
    lesser = {severity: report.count(severity) for severity in (Severity.WARNING, Severity.NOTE)}
    parts += [_count(number, severity.value) for severity, number in lesser.items() if number]
    return f"audit: PASS ({', '.join(parts)})"


def _findings(findings: list[Finding], severity: Severity, console: Console) -> None:
    for finding in findings[:MAX_ROWS]:
        line = Text.assemble(
            (severity.value, _STYLES[severity]), " ", (finding.kind.code, "bold"), "  ", _plain(finding.message)
        )
        console.print(line, soft_wrap=True)
        console.print(Text(f"    {finding.kind.meaning}"), soft_wrap=True)
        if where := _where(finding):
            console.print(Text(f"    {where}", style="dim"), soft_wrap=True)
    if len(findings) > MAX_ROWS:
        console.print(Text(f"… and {_count(len(findings) - MAX_ROWS, f'more {severity.value}')}."))


def _where(finding: Finding) -> str:
    evidence = finding.evidence
    parts = [
        f"call {to_hex(evidence.call_id)}" if evidence.call_id is not None else "",
        f"block {evidence.block}" if evidence.block is not None else "",
        f"log {evidence.log_index}" if evidence.log_index is not None else "",
        f"transaction {to_hex(evidence.transaction)}" if evidence.transaction is not None else "",
        _plain(evidence.source) if evidence.source is not None else "",
    ]
    return ", ".join(part for part in parts if part)


def _calls(report: AuditReport, console: Console) -> None:
    # The newest are the ones that are looked for; those with findings must not fall off the end.
    newest_first = list(reversed(report.calls))
    shown = sorted(newest_first, key=lambda row: not row.findings)[:MAX_ROWS]
    table = _table(f"Calls to block {report.block.number}")
    for name in ("call", "listing", "payer", "status"):
        table.add_column(name, overflow="fold")
    for name in ("charge", "in/out/ms"):
        table.add_column(name, overflow="fold", justify="right")
    for name in ("receipt", "disclosure", "findings"):
        table.add_column(name, overflow="fold")
    for row in shown:
        table.add_row(*(Text(cell) for cell in _call_cells(row)))
    console.print(table)
    if len(shown) < len(report.calls):
        console.print(Text(f"… and {_count(len(report.calls) - len(shown), 'more call')}; the JSON report has all."))


def _call_cells(row: CallRow) -> list[str]:
    units = row.units
    return [
        _short(to_hex(row.call_id)),
        f"{row.listing_id} r{row.revision}",
        _short(row.payer),
        row.status,
        str(row.charge) if row.charge is not None else "",
        f"{units.input_tokens}/{units.output_tokens}/{units.compute_ms}" if units else "",
        row.receipt.value,
        row.disclosure.value,
        ", ".join(row.findings),
    ]


def _money(totals: tuple[AssetTotals, ...]) -> Table:
    """A row for each sum and a column for each asset: amounts of 20 digits stay in one piece on a narrow terminal."""
    table = _table("Money, in atomic units")
    table.add_column("")
    for asset in totals:
        table.add_column("native (wei)" if asset.asset == NATIVE else asset.asset, justify="right", overflow="fold")
    for name in ("escrowed", "charged", "refunded", "withdrawn", "owed", "open", "balance"):
        values = [getattr(asset, name) for asset in totals]
        table.add_row(name, *("unread" if value is None else str(value) for value in values))
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=SIMPLE)


def _plain(text: str) -> str:
    """Without control characters, which could move the cursor or hide a line."""
    return "".join(character if character.isprintable() else "�" for character in text)


def _short(text: str) -> str:
    return f"{text[:8]}…{text[-4:]}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"

"""The outcome of an audit as a value: every call, every asset's sums, every finding, and whether it passed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from tallystick.audit.disclosures import DisclosureCheck
from tallystick.audit.findings import Finding, Severity
from tallystick.audit.receipts import ReceiptCheck
from tallystick.audit.records import CallRecord
from tallystick.audit.rendering import render
from tallystick.audit.replay import History
from tallystick.chain.types import Block
from tallystick.protocol.hexes import to_hex
from tallystick.protocol.prices import NATIVE, Units

REPORT_VERSION = 1


@dataclass(frozen=True)
class CallRow:
    """One call. `status` is the contract's word in lower case; `charge` in atomic units of `asset`.

    `charge` and `units` are None for a call that was not charged. `findings` are the codes about this call.
    """

    call_id: bytes
    listing_id: int
    revision: int
    payer: str
    asset: str
    status: str
    escrowed: int
    charge: int | None
    units: Units | None
    receipt: ReceiptCheck
    disclosure: DisclosureCheck
    findings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "call_id": to_hex(self.call_id),
            "listing": str(self.listing_id),
            "revision": self.revision,
            "payer": self.payer,
            "asset": self.asset,
            "status": self.status,
            "escrowed": str(self.escrowed),
            "charge": str(self.charge) if self.charge is not None else None,
            "units": self.units.to_dict() if self.units is not None else None,
            "receipt": self.receipt.value,
            "disclosure": self.disclosure.value,
            "findings": list(self.findings),
        }


@dataclass(frozen=True)
class AssetTotals:
    """One asset's sums since the deployment, in atomic units.

    escrowed = charged + refunded + open; charged + refunded = withdrawn + owed. `balance` is what the escrow contract
    holds; None where it was not read.
    """

    asset: str
    escrowed: int
    charged: int
    refunded: int
    withdrawn: int
    owed: int
    open: int
    balance: int | None

    def to_dict(self) -> dict[str, str | None]:
        return {name: str(value) if value is not None else None for name, value in vars(self).items()}


@dataclass(frozen=True)
class AuditReport:
    """What an audit of everything up to `block` found. It passed if nothing of severity error was."""

    chain_id: int
    escrow: str
    block: Block
    calls: tuple[CallRow, ...]
    totals: tuple[AssetTotals, ...]
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        return not self.count(Severity.ERROR)

    def count(self, severity: Severity) -> int:
        """How many findings of this severity there are."""
        return sum(finding.kind.severity is severity for finding in self.findings)

    def render(self, console: Console) -> None:
        """Print it: findings, calls, money, and last `audit: PASS (…)` or `audit: FAIL (n findings)`."""
        render(self, console)

    def to_dict(self) -> dict[str, Any]:
        """JSON: amounts as decimal strings, hashes as 0x-hex, times in Unix seconds."""
        return {
            "v": REPORT_VERSION,
            "passed": self.passed,
            "chain_id": self.chain_id,
            "escrow": self.escrow,
            "block": {
                "number": self.block.number,
                "hash": to_hex(self.block.hash),
                "timestamp": self.block.timestamp,
            },
            "findings": [finding.to_dict() for finding in self.findings],
            "calls": [row.to_dict() for row in self.calls],
            "totals": [totals.to_dict() for totals in self.totals],
        }


def call_row(
    record: CallRecord, receipt: ReceiptCheck, disclosure: DisclosureCheck, findings: tuple[str, ...]
) -> CallRow:
    terms, logged = record.opening.terms, record.logged
    return CallRow(
        record.opening.call_id,
        terms.listing_id,
        terms.revision,
        terms.payer,
        terms.asset,
        record.status.name.lower(),
        terms.amount,
        logged.charge if logged else None,
        logged.units if logged else None,
        receipt,
        disclosure,
        findings,
    )


def asset_totals(history: History, balances: Mapping[str, int | None]) -> tuple[AssetTotals, ...]:
    """The native asset always, others where they moved. `balances`: what the escrow holds of each, where it was read."""
    rows = []
    for asset in dict.fromkeys([NATIVE, *history.ledger.assets()]):
        totals = history.ledger.totals(asset)
        rows.append(
            AssetTotals(
                asset,
                totals.paid_in,
                totals.charged,
                totals.refunded,
                totals.paid_out,
                totals.owed,
                totals.open,
                balances.get(asset),
            )
        )
    return tuple(rows)

"""Withdrawals as the escrow's events tell them: each pays out exactly what the account was owed."""

from __future__ import annotations

from tallystick.audit.findings import Findings
from tallystick.audit.kinds import MoneyKind
from tallystick.audit.ledger import Ledger
from tallystick.chain.events import ChainEvent
from tallystick.chain.types import Block


class Withdrawals:
    """Amounts in atomic units."""

    def __init__(self, findings: Findings, ledger: Ledger) -> None:
        self._findings = findings
        self._ledger = ledger
        self.handlers = {("escrow", "Withdrawn"): self._on_withdrawn}

    def _on_withdrawn(self, event: ChainEvent, _block: Block) -> None:
        account, asset, amount = (event.arguments[name] for name in ("account", "asset", "amount"))
        owed = self._ledger.owed(account, asset)
        message = f"{account} withdrew {amount} of asset {asset}; it was owed {owed}."
        if amount == 0:
            self._findings.add(MoneyKind.WITHDRAWAL_EMPTY, message, event)
        if amount > owed:
            self._findings.add(MoneyKind.WITHDRAWAL_ABOVE_OWED, message, event)
        if amount < owed:
            self._findings.add(MoneyKind.WITHDRAWAL_BELOW_OWED, message, event)
        self._ledger.pay_out(asset, account, amount)

    def end_transaction(self) -> None:
        """A withdrawal is complete in itself."""

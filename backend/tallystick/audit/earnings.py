"""How earnings are divided: the protocol's fee, of the rest the oracle's share, and what is left for the listing's owner."""

from __future__ import annotations

from dataclasses import dataclass

from tallystick.audit.findings import Findings
from tallystick.audit.kinds import MoneyKind
from tallystick.audit.ledger import Ledger
from tallystick.audit.records import Fulfilled, Opening
from tallystick.chain.events import ChainEvent
from tallystick.chain.types import Block
from tallystick.protocol.earnings import MAX_FEE_BPS, divide
from tallystick.protocol.hexes import ZERO_ADDRESS, to_hex


@dataclass(frozen=True)
class Split:
    """The parts of an earning that do not go to the listing's owner, in atomic units."""

    oracle: str
    oracle_amount: int
    collector: str
    fee: int


@dataclass(frozen=True)
class _Earned:
    """An earning whose division may still come. `expected`: None where it is taken as it is told."""

    event: ChainEvent
    asset: str
    earner: str
    expected: Split | None


class Earnings:
    """An earning is entered for the owner first; its `EarningsSplit` follows in the transaction and moves the parts on."""

    def __init__(self, findings: Findings, ledger: Ledger) -> None:
        self._findings = findings
        self._ledger = ledger
        self._earned: dict[bytes, _Earned] = {}
        """Earnings of the transaction that is being replayed, by call or account."""
        self._collector = ZERO_ADDRESS
        self.fee_bps = 0
        """The fee of calls that are opened now, in hundredths of a per cent."""
        self.handlers = {
            ("escrow", "EarningsSplit"): self._on_split,
            ("escrow", "FeeChanged"): self._on_fee_changed,
        }

    def earned_by_call(self, event: ChainEvent, opening: Opening, ending: Fulfilled) -> None:
        """The fee is that of the opening, the share that of the pinned revision, the collector that of the moment."""
        share_bps = opening.pinned.terms.oracle_share_bps if opening.pinned is not None else 0
        parts = divide(ending.charge, opening.fee_bps, share_bps)
        expected = Split(opening.terms.oracle, parts.oracle_amount, self._collector, parts.fee)
        self._earned[opening.call_id] = _Earned(event, opening.terms.asset, ending.earner, expected)

    def earned_by_account(self, event: ChainEvent, account: bytes, asset: str, earner: str) -> None:
        """Its revision's share is not known here, so its division is taken as it is told."""
        self._earned[account] = _Earned(event, asset, earner, None)

    def _on_split(self, event: ChainEvent, _block: Block) -> None:
        values = event.arguments
        told = Split(values["oracle"], values["oracleAmount"], values["collector"], values["fee"])
        earned = self._earned.pop(values["id"], None)
        if earned is None:
            self._findings.add(
                MoneyKind.SPLIT_WRONG, f"An earning of {to_hex(values['id'])} was divided; there was none.", event
            )
            return
        if earned.expected is not None and told != earned.expected:
            self._findings.add(
                MoneyKind.SPLIT_WRONG,
                f"The earning was divided as {told}; it should have been {earned.expected}.",
                event,
            )
        self._ledger.move(earned.asset, earned.earner, told.oracle, told.oracle_amount)
        self._ledger.move(earned.asset, earned.earner, told.collector, told.fee)

    def _on_fee_changed(self, event: ChainEvent, _block: Block) -> None:
        self.fee_bps, self._collector = event.arguments["feeBps"], event.arguments["collector"]
        if self.fee_bps > MAX_FEE_BPS:
            self._findings.add(
                MoneyKind.FEE_TOO_HIGH, f"The fee was set to {self.fee_bps} bps; it may be {MAX_FEE_BPS}.", event
            )

    def end_transaction(self) -> None:
        """A division that has not come yet does not come."""
        for earned in self._earned.values():
            expected = earned.expected
            if expected is not None and (expected.oracle_amount or expected.fee):
                self._findings.add(
                    MoneyKind.SPLIT_MISSING,
                    f"The earning was not divided; {expected.oracle_amount} were the oracle's and {expected.fee} the fee.",
                    earned.event,
                )
        self._earned.clear()

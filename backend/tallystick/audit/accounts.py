"""Channels and credit positions as the escrow's events tell them: sums that are paid in, charged and given back.

What a call may be charged, and by whose signature, is not checked here.
"""

from __future__ import annotations

from dataclasses import dataclass

from tallystick.audit.earnings import Earnings
from tallystick.audit.findings import Findings
from tallystick.audit.kinds import MoneyKind
from tallystick.audit.ledger import Ledger
from tallystick.audit.listings import Listings
from tallystick.chain.events import ChainEvent
from tallystick.chain.types import Block
from tallystick.protocol.hexes import to_hex


@dataclass
class _Account:
    """`rest`: what was paid in and has not left. `credit_price` and `unlocked` are of credit positions. Atomic units."""

    asset: str
    rest: int = 0
    credit_price: int = 0
    unlocked: int = 0


class Accounts:
    """Amounts in atomic units, entered as they were logged."""

    def __init__(self, findings: Findings, ledger: Ledger, listings: Listings, earnings: Earnings) -> None:
        self._findings = findings
        self._ledger = ledger
        self._listings = listings
        self._earnings = earnings
        self._accounts: dict[bytes, _Account] = {}
        self.handlers = {
            ("escrow", "ChannelOpened"): self._on_opened,
            ("escrow", "ChannelDeposited"): self._on_deposited,
            ("escrow", "ChannelClosed"): self._on_closed,
            ("escrow", "CreditsBought"): self._on_bought,
            ("escrow", "InstalmentPaid"): self._on_instalment,
            ("escrow", "CreditsReclaimed"): self._on_reclaimed,
            ("escrow", "AccountCharged"): self._on_charged,
            ("escrow", "TillEmptied"): self._on_till_emptied,
        }

    def _on_opened(self, event: ChainEvent, _block: Block) -> None:
        self._accounts.setdefault(event.arguments["channelId"], _Account(event.arguments["asset"]))

    def _on_deposited(self, event: ChainEvent, _block: Block) -> None:
        account = self._known(event, "channelId")
        if account is not None:
            self._pay_in(account, event.arguments["amount"])

    def _on_closed(self, event: ChainEvent, _block: Block) -> None:
        self._give_back(event, "channelId")

    def _on_bought(self, event: ChainEvent, _block: Block) -> None:
        values, terms = event.arguments, event.arguments["terms"]
        revision = self._listings.revision(terms["listingId"], terms["revision"])
        plans = revision.terms.plans if revision is not None else ()
        if terms["plan"] >= len(plans):
            self._findings.add(
                MoneyKind.ACCOUNT_UNKNOWN,
                f"Plan {terms['plan']} of listing {terms['listingId']}, revision {terms['revision']}, was bought; there is "
                "no such plan.",
                event,
            )
            return
        price = plans[terms["plan"]].credit_price
        account = _Account(terms["asset"], credit_price=price, unlocked=values["unlocked"])
        self._accounts[values["positionId"]] = account
        self._pay_in(account, price * account.unlocked)

    def _on_instalment(self, event: ChainEvent, _block: Block) -> None:
        account = self._known(event, "positionId")
        if account is not None:
            more = event.arguments["unlocked"] - account.unlocked
            account.unlocked += more
            self._pay_in(account, account.credit_price * more)

    def _on_reclaimed(self, event: ChainEvent, _block: Block) -> None:
        self._give_back(event, "positionId")

    def _on_charged(self, event: ChainEvent, _block: Block) -> None:
        account = self._known(event, "accountId")
        if account is None:
            return
        earner, amount = event.arguments["earner"], event.arguments["amount"]
        self._take(event, account, amount)
        self._ledger.charge(account.asset, earner, amount)
        self._earnings.earned_by_account(event, event.arguments["accountId"], account.asset, earner)

    def _on_till_emptied(self, event: ChainEvent, _block: Block) -> None:
        values = event.arguments
        self._ledger.escrow(values["asset"], values["amount"])
        self._ledger.release(values["asset"], values["amount"])
        self._ledger.refund(values["asset"], values["payer"], values["amount"])

    def _pay_in(self, account: _Account, amount: int) -> None:
        account.rest += amount
        self._ledger.escrow(account.asset, amount)

    def _give_back(self, event: ChainEvent, name: str) -> None:
        account = self._known(event, name)
        if account is not None:
            self._take(event, account, event.arguments["amount"])
            self._ledger.refund(account.asset, event.arguments["payer"], event.arguments["amount"])

    def _take(self, event: ChainEvent, account: _Account, amount: int) -> None:
        if amount > account.rest:
            self._findings.add(
                MoneyKind.ACCOUNT_OVERDRAWN, f"{event.name} takes {amount} of {account.rest} that were left.", event
            )
        account.rest -= amount
        self._ledger.release(account.asset, amount)

    def _known(self, event: ChainEvent, name: str) -> _Account | None:
        account = self._accounts.get(event.arguments[name])
        if account is None:
            self._findings.add(
                MoneyKind.ACCOUNT_UNKNOWN,
                f"{event.name} is about {to_hex(event.arguments[name])}, which was never opened or bought.",
                event,
            )
        return account

    def end_transaction(self) -> None:
        """Every entry is complete in itself."""

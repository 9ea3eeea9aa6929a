"""Audits of a real chain after random honest histories: every kind of step, in any order, and nothing to find."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from tallystick.audit.auditor import audit
from tallystick.audit.disclosures import DisclosureCheck
from tallystick.audit.receipts import ReceiptCheck
from tallystick.protocol.calls import CallStatus
from tallystick.protocol.prices import NATIVE, PriceSheet

from .making import rerun_model
from .market import ESCROW, HOUR, Market, OpenedCall, write_archive
from .test_honest_chain import errors

STEPS = 45


class RandomLife:
    """Draws one honest step after the other, and counts what should have come of it."""

    def __init__(self, market: Market, seed: int) -> None:
        self.market = market
        self.random = Random(seed)  # noqa: S311
        self.listings = [
            market.publish(market.owners[index], market.oracles[index], oracle_share_bps=share)
            for index, share in enumerate((0, 3_333))
        ]
        self.open: list[OpenedCall] = []
        self.ended: Counter[str] = Counter()
        self.charged = 0

    def step(self) -> None:
        steps: list[Callable[[], None]] = [self.open_call] * 4 + [self.fulfil] * 4
        steps += [self.decline, self.expire, self.revise, self.transfer, self.change_oracle, self.pause_sale]
        steps += [self.withdraw, self.pause, self.change_fee]
        self.random.choice(steps)()

    def open_call(self) -> None:
        payer, listing_id = self.random.choice(self.market.payers), self.random.choice(self.listings)
        text = " ".join(
            self.random.choice(("audio", "rhythm", "queue", "sky")) for _ in range(self.random.randint(1, 9))
        )
        # Some escrows are below the price, so that the charge is cut to them.
        amount = self.random.choice((ESCROW, 10**15, 1, 0))
        self.open.append(self.market.open(payer, listing_id, text, amount))

    def fulfil(self) -> None:
        if call := self._take():
            self.market.fulfil(call)
            self.ended["fulfilled"] += 1
            self.charged += call.outcome.charge

    def decline(self) -> None:
        if call := self._take():
            self.market.decline(call)
            self.ended["declined"] += 1

    def expire(self) -> None:
        """Everything that is open by then can only be refunded."""
        self.market.pass_time(HOUR + 60)
        for call in self.open:
            self.market.refund(call)
        self.ended["refunded"] += len(self.open)
        self.open = []

    def revise(self) -> None:
        prices = PriceSheet(NATIVE, self.random.randint(0, 10**15), self.random.randint(0, 10**16), 7, 10**13)
        self.market.revise(self.random.choice(self.listings), prices)

    def transfer(self) -> None:
        self.market.transfer(self.random.choice(self.listings), self.random.choice(self.market.owners))

    def change_oracle(self) -> None:
        self.market.revise(self.random.choice(self.listings), oracle=self.random.choice(self.market.oracles))

    def pause_sale(self) -> None:
        listing_id = self.random.choice(self.listings)
        self.market.set_sale(listing_id, withdrawn=True)
        self.fulfil()
        self.market.set_sale(listing_id, withdrawn=False)

    def pause(self) -> None:
        self.market.set_paused(paused=True)
        self.fulfil()
        self.market.set_paused(paused=False)

    def change_fee(self) -> None:
        self.market.set_fee(self.random.choice((0, 1, 250, 500)), self.market.stranger)

    def withdraw(self) -> None:
        account = self.random.choice([*self.market.payers, *self.market.owners, *self.market.oracles])
        if self.market.owed(account):
            self.market.withdraw(account, self.random.choice([account, self.market.stranger]))

    def _take(self) -> OpenedCall | None:
        return self.open.pop(self.random.randrange(len(self.open))) if self.open else None


@pytest.mark.parametrize("seed", [11, 22, 33])
def test_audit_of_an_honest_random_history_passes(market: Market, tmp_path: Path, seed: int) -> None:
    before, calls_before = market.head().number, len(market.calls)
    life = RandomLife(market, seed)
    for _ in range(STEPS):
        life.step()
    mine = market.calls[calls_before:]
    posted = [call for call in mine if market.status(call) is CallStatus.FULFILLED]
    path = write_archive(tmp_path / "all.jsonl", posted)

    report = audit(market.url, market.deployment, archives=[path], rerun=rerun_model)

    assert errors(report) == []
    assert report.passed
    rows = {row.call_id: row for row in report.calls}
    statuses = Counter(rows[call.call_id].status for call in mine)
    assert statuses == life.ended + Counter(open=len(life.open))
    assert life.ended["fulfilled"] >= 5
    assert sum(rows[call.call_id].charge or 0 for call in mine) == life.charged > 0
    assert {rows[call.call_id].receipt for call in posted} == {ReceiptCheck.AGREES}
    assert {rows[call.call_id].disclosure for call in posted} == {DisclosureCheck.AGREES}
    (totals,) = report.totals
    assert totals.balance == totals.owed + totals.open
    assert totals.escrowed == totals.withdrawn + totals.owed + totals.open
    assert report.block.number >= before + STEPS // 2

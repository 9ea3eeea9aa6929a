"""Directly paid calls as the escrow's events tell them: each opened once by its terms, and ended once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from tallystick.audit.earnings import Earnings
from tallystick.audit.endings import fulfilment_faults, give_back_faults, log_faults
from tallystick.audit.findings import Evidence, Findings
from tallystick.audit.kinds import CallKind
from tallystick.audit.ledger import Ledger
from tallystick.audit.listings import Listings
from tallystick.audit.openings import opening_faults
from tallystick.audit.records import CallRecord, Fault, Fulfilled, GivenBack, Logged, Opening, call_terms
from tallystick.chain.events import ChainEvent
from tallystick.chain.types import Block
from tallystick.protocol.calls import CallStatus, Mode
from tallystick.protocol.encoding import Domain


class DirectCalls:
    """A step that breaks a rule is entered as it was logged; one that can't follow from the call's state moves nothing."""

    def __init__(
        self, findings: Findings, ledger: Ledger, listings: Listings, earnings: Earnings, domain: Domain
    ) -> None:
        self._findings = findings
        self._ledger = ledger
        self._listings = listings
        self._earnings = earnings
        self._domain = domain
        self._records: dict[bytes, CallRecord] = {}
        self._unpaid: dict[bytes, Logged] = {}
        """Logs of the transaction that is being replayed whose fulfilment has not come yet."""
        self._charged: Counter[tuple[str, int]] = Counter()
        """Calls by payer and listing that were charged for, as far as its revisions have volume tiers."""
        self._paused = False
        self.settled = 0
        """Calls that were charged to channels, keys and credits."""
        self.handlers = {
            ("escrow", "CallOpened"): self._on_opened,
            ("escrow", "CallLogged"): self._on_logged,
            ("escrow", "CallFulfilled"): self._on_fulfilled,
            ("escrow", "CallDeclined"): self._on_declined,
            ("escrow", "CallRefunded"): self._on_refunded,
            ("escrow", "Paused"): self._on_paused,
            ("escrow", "Unpaused"): self._on_unpaused,
        }

    def find(self, call_id: bytes) -> CallRecord | None:
        return self._records.get(call_id)

    def all(self) -> list[CallRecord]:
        """In the order in which they were opened."""
        return list(self._records.values())

    def _on_opened(self, event: ChainEvent, block: Block) -> None:
        terms = call_terms(event)
        pinned = self._listings.revision(terms.listing_id, terms.revision)
        opening = Opening.from_event(event, block, pinned, self._earnings.fee_bps)
        if opening.call_id in self._records:
            first = self._records[opening.call_id].opening.evidence.block
            self._findings.add(CallKind.CALL_OPENED_TWICE, f"The call was opened before, in block {first}.", event)
            return
        listing = self._listings.find(terms.listing_id)
        self._report(event, opening_faults(event, opening, listing, self._domain, paused=self._paused))
        self._records[opening.call_id] = CallRecord(opening)
        self._ledger.escrow(terms.asset, terms.amount)

    def _on_logged(self, event: ChainEvent, block: Block) -> None:
        try:
            logged = Logged.from_event(event, block)
        except ValueError as error:
            self._findings.add(CallKind.LOG_MODE_UNSUPPORTED, f"The call's outcome can't be read: {error}.", event)
            return
        if logged.mode is not Mode.DIRECT:
            self._on_settled(logged)
            return
        record = self._known(event)
        if record is None:
            return
        if record.logged is not None:
            self._findings.add(
                CallKind.CALL_LOGGED_TWICE,
                f"The call was logged before, in block {record.logged.block.number}.",
                event,
            )
            return
        terms, pinned = record.opening.terms, record.opening.pinned
        self._report(event, log_faults(record.opening, logged, self._charged[terms.payer, terms.listing_id]))
        if pinned is not None and pinned.terms.tiers:
            self._charged[terms.payer, terms.listing_id] += 1
        self._records[logged.call_id] = replace(record, logged=logged)
        self._unpaid[logged.call_id] = logged

    def _on_settled(self, logged: Logged) -> None:
        """Its money is its account's; here it counts towards volume tiers."""
        self.settled += 1
        revision = self._listings.revision(logged.listing_id, logged.revision)
        if logged.mode is not Mode.CREDITS and revision is not None and revision.terms.tiers:
            self._charged[logged.payer, logged.listing_id] += 1

    def _on_fulfilled(self, event: ChainEvent, _block: Block) -> None:
        logged = self._unpaid.pop(event.arguments["callId"], None)
        record = self._open(event)
        if record is None:
            return
        if logged is None:
            self._findings.add(
                CallKind.FULFILMENT_WITHOUT_LOG, "The charge has no log of the call in its transaction.", event
            )
            return
        values, terms = event.arguments, record.opening.terms
        ending = Fulfilled(
            logged.charge, values["earner"], values["refund"], values["receiptDigest"], Evidence.of(event)
        )
        self._report(event, fulfilment_faults(record.opening, ending, self._listings.find(terms.listing_id)))
        self._records[record.opening.call_id] = replace(record, ending=ending)
        self._ledger.release(terms.asset, terms.amount)
        self._ledger.charge(terms.asset, ending.earner, ending.charge)
        self._ledger.refund(terms.asset, terms.payer, ending.refund)
        self._earnings.earned_by_call(event, record.opening, ending)

    def _on_declined(self, event: ChainEvent, block: Block) -> None:
        values = event.arguments
        self._give_back(
            event, block, GivenBack(CallStatus.DECLINED, values["payer"], values["refund"], Evidence.of(event))
        )

    def _on_refunded(self, event: ChainEvent, block: Block) -> None:
        values = event.arguments
        self._give_back(
            event, block, GivenBack(CallStatus.REFUNDED, values["payer"], values["refund"], Evidence.of(event))
        )

    def _give_back(self, event: ChainEvent, block: Block, ending: GivenBack) -> None:
        record = self._open(event)
        if record is None:
            return
        terms = record.opening.terms
        self._report(event, give_back_faults(record.opening, ending, block))
        self._records[record.opening.call_id] = replace(record, ending=ending)
        self._ledger.release(terms.asset, terms.amount)
        self._ledger.refund(terms.asset, ending.payer, ending.refund)

    def _on_paused(self, _event: ChainEvent, _block: Block) -> None:
        self._paused = True

    def _on_unpaused(self, _event: ChainEvent, _block: Block) -> None:
        self._paused = False

    def end_transaction(self) -> None:
        """A log and its fulfilment are one transaction."""
        for logged in self._unpaid.values():
            self._findings.add(
                CallKind.LOG_WITHOUT_FULFILMENT,
                f"The call was logged with a charge of {logged.charge}, and no fulfilment follows in that transaction.",
                logged.evidence,
            )
        self._unpaid.clear()

    def _known(self, event: ChainEvent) -> CallRecord | None:
        record = self._records.get(event.arguments["callId"])
        if record is None:
            self._findings.add(CallKind.CALL_UNKNOWN, f"{event.name} is about a call that was never opened.", event)
        return record

    def _open(self, event: ChainEvent) -> CallRecord | None:
        record = self._known(event)
        if record is not None and record.ending is not None:
            self._findings.add(
                CallKind.CALL_ENDED_TWICE,
                f"{event.name} ends a call that was {record.status.name.lower()} in block {record.ending.evidence.block}.",
                event,
            )
            return None
        return record

    def _report(self, event: ChainEvent, faults: Iterable[Fault]) -> None:
        for kind, message in faults:
            self._findings.add(kind, message, event)

"""The replay: every log in its order, handed to the area whose rules it falls under; after every block the books balance.

To audit a further kind of event, write an area (as `calls.py` is one) and add it in `replay`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from tallystick.audit.accounts import Accounts
from tallystick.audit.calls import DirectCalls
from tallystick.audit.earnings import Earnings
from tallystick.audit.findings import Evidence, Findings
from tallystick.audit.kinds import ChainKind, MoneyKind
from tallystick.audit.ledger import Ledger
from tallystick.audit.listings import Listings
from tallystick.audit.withdrawals import Withdrawals
from tallystick.chain.deployment import Deployment
from tallystick.chain.events import ChainEvent, Position
from tallystick.chain.types import Block
from tallystick.protocol.hexes import to_hex

Handler = Callable[[ChainEvent, Block], None]

WITHOUT_CONSEQUENCE: Final = frozenset(
    {
        ("registry", "Approval"),
        ("registry", "ApprovalForAll"),
        ("escrow", "EIP712DomainChanged"),
        ("escrow", "OwnershipTransferStarted"),
        ("escrow", "OwnershipTransferred"),
        ("escrow", "ChannelClosing"),
        ("escrow", "KeyRevoked"),
        ("escrow", "CreditsClosing"),
        ("escrow", "BatchSettled"),
        ("escrow", "GroupSkipped"),
        ("escrow", "CallSkipped"),
        ("registry", "EndpointChanged"),
        ("registry", "SignerRotated"),
    }
)
"""Events that move neither money nor listings. What the administrator does, pausing and the fee, is replayed by itself."""


class Area(Protocol):
    """The rules of one group of events. `handlers` by contract and event name."""

    @property
    def handlers(self) -> Mapping[tuple[str, str], Handler]: ...

    def end_transaction(self) -> None:
        """Called after the last log of each transaction that has any."""
        ...


@dataclass(frozen=True)
class History:
    """A replayed history: what stands at its last block, by the auditor's own books."""

    listings: Listings
    calls: DirectCalls
    ledger: Ledger


def replay(
    events: Iterable[ChainEvent],
    header: Callable[[int], Block],
    deployment: Deployment,
    last_block: int,
    findings: Findings,
) -> History:
    """Replay `events`, which should be all from the deployment to `last_block`.

    `header` gives the chain's block of a number; what it raises, and what reading `events` raises, passes through.
    """
    ledger = Ledger()
    listings = Listings(findings)
    earnings = Earnings(findings, ledger)
    calls = DirectCalls(findings, ledger, listings, earnings, deployment.domain)
    accounts = Accounts(findings, ledger, listings, earnings)
    history = History(listings, calls, ledger)
    areas: list[Area] = [listings, calls, accounts, earnings, Withdrawals(findings, ledger)]
    _Replay(areas, ledger, header, range(deployment.first_block, last_block + 1), findings).run(events)
    return history


class _Replay:
    def __init__(
        self,
        areas: Sequence[Area],
        ledger: Ledger,
        header: Callable[[int], Block],
        blocks: range,
        findings: Findings,
    ) -> None:
        self._areas = areas
        self._handlers = {key: handler for area in areas for key, handler in area.handlers.items()}
        self._ledger = ledger
        self._header = header
        self._blocks = blocks
        self._findings = findings
        self._imbalance: dict[str, int] = {}

    def run(self, events: Iterable[ChainEvent]) -> None:
        previous: ChainEvent | None = None
        block: Block | None = None
        for event in events:
            if not self._in_place(event, previous.position if previous else None):
                continue
            if previous and _transaction(event) != _transaction(previous):
                self._end_transaction()
            if block is None or block.number != event.position.block:
                if block is not None:
                    self._balance(block)
                block = self._header(event.position.block)
            self._check_block(event, block)
            self._apply(event, block)
            previous = event
        self._end_transaction()
        if block is not None:
            self._balance(block)

    def _in_place(self, event: ChainEvent, previous: Position | None) -> bool:
        position = event.position
        if position.block not in self._blocks:
            reason = f"blocks {self._blocks.start} to {self._blocks.stop - 1} were asked for"
        elif previous is not None and position <= previous:
            reason = f"block {previous.block}, log {previous.log_index} came before it"
        else:
            return True
        where = f"block {position.block}, log {position.log_index}"
        self._findings.add(ChainKind.LOG_OUT_OF_PLACE, f"{event.name} is of {where}; {reason}.", event)
        return False

    def _check_block(self, event: ChainEvent, block: Block) -> None:
        if event.block_hash != block.hash:
            self._findings.add(
                ChainKind.LOG_BLOCK_MISMATCH,
                f"{event.name} is of a block {to_hex(event.block_hash)}; block {block.number} is {to_hex(block.hash)}.",
                event,
            )

    def _apply(self, event: ChainEvent, block: Block) -> None:
        key = (event.contract, event.name)
        handler = self._handlers.get(key)
        if handler is not None:
            handler(event, block)
        elif key not in WITHOUT_CONSEQUENCE:
            self._findings.add(
                ChainKind.LOG_UNEXPLAINED, f"There is no rule for {event.name} of the {event.contract}.", event
            )

    def _end_transaction(self) -> None:
        for area in self._areas:
            area.end_transaction()

    def _balance(self, block: Block) -> None:
        """Conservation (rule M1), told once for each change of the difference."""
        for asset in self._ledger.assets():
            totals = self._ledger.totals(asset)
            difference = totals.due - totals.held
            if difference != self._imbalance.get(asset, 0):
                self._imbalance[asset] = difference
                self._findings.add(
                    MoneyKind.BOOKS_UNBALANCED,
                    f"After block {block.number}, {totals.open} escrowed and {totals.owed} owed of asset {asset}; paid in "
                    f"less paid out is {totals.held}.",
                    Evidence(block.number),
                )


def _transaction(event: ChainEvent) -> tuple[int, bytes]:
    return event.position.block, event.transaction

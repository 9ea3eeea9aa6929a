"""The replayed books against what the contracts say of themselves at the audited block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tallystick.audit.findings import Evidence, Findings
from tallystick.audit.kinds import ChainKind, MoneyKind
from tallystick.audit.openings import MAX_CALL_SECONDS
from tallystick.audit.replay import History
from tallystick.chain.types import Block, Listing, Revision
from tallystick.protocol.calls import CallState
from tallystick.protocol.hexes import to_hex
from tallystick.protocol.prices import NATIVE


class Views(Protocol):
    """The contracts' views at `block`; `node.View` asks a node."""

    block: Block

    def registry_address(self) -> str: ...

    def max_call_seconds(self) -> int: ...

    def balance(self, asset: str) -> int | None:
        """What the escrow holds of `asset`, in atomic units; None where a token does not tell."""
        ...

    def owed(self, account: str, asset: str) -> int:
        """Atomic units."""
        ...

    def call_state(self, call_id: bytes) -> CallState: ...

    def listing_count(self) -> int: ...

    def listing(self, listing_id: int) -> Listing | None: ...

    def revision(self, listing_id: int, revision: int) -> Revision | None: ...


def reconcile(
    history: History,
    views: Views,
    registry: str,
    findings: Findings,
    on_compared: Callable[[int, int], None] | None = None,
) -> None:
    """Compare everything that the replay knows of. `registry` is the catalogue's address by the deployment.

    `on_compared` hears how many calls of how many are done.
    """
    _settings(views, registry, findings)
    _catalogue(history, views, findings)
    _calls(history, views, findings, on_compared)
    _owed(history, views, findings)
    _balances(history, views, findings)


def _settings(views: Views, registry: str, findings: Findings) -> None:
    evidence = Evidence(views.block.number)
    actual = views.registry_address()
    if actual != registry:
        findings.add(
            ChainKind.SETTINGS_DIFFER,
            f"The escrow reads the catalogue at {actual}; the deployment names {registry}.",
            evidence,
        )
    seconds = views.max_call_seconds()
    if seconds != MAX_CALL_SECONDS:
        findings.add(
            ChainKind.SETTINGS_DIFFER,
            f"The escrow lets deadlines lie {seconds} s ahead; at most {MAX_CALL_SECONDS} s are allowed.",
            evidence,
        )


def _catalogue(history: History, views: Views, findings: Findings) -> None:
    evidence = Evidence(views.block.number)
    listings = history.listings.all()
    count = views.listing_count()
    if count != len(listings):
        findings.add(
            MoneyKind.LISTING_COUNT_DIFFERS,
            f"The contract counts {count} listings; {len(listings)} were published.",
            evidence,
        )
    for listing in listings:
        shown = views.listing(listing.listing_id)
        if shown != listing:
            findings.add(
                MoneyKind.LISTING_DIFFERS,
                f"Listing {listing.listing_id}: the contract shows {_differing(shown, listing)}.",
                evidence,
            )
    for revision in history.listings.all_revisions():
        held = views.revision(revision.listing_id, revision.revision)
        if held != revision:
            findings.add(
                MoneyKind.REVISION_DIFFERS,
                f"Listing {revision.listing_id}, revision {revision.revision}: the contract shows "
                f"{_differing(held, revision)}.",
                evidence,
            )


def _calls(history: History, views: Views, findings: Findings, on_compared: Callable[[int, int], None] | None) -> None:
    records = history.calls.all()
    for done, record in enumerate(records, start=1):
        state, expected = views.call_state(record.opening.call_id), record.state
        if state != expected:
            findings.add(
                MoneyKind.CALL_STATE_DIFFERS,
                f"The contract has the call as {_described(state)}; its history gives {_described(expected)}.",
                Evidence(views.block.number, call_id=record.opening.call_id),
            )
        if on_compared is not None:
            on_compared(done, len(records))


def _owed(history: History, views: Views, findings: Findings) -> None:
    """Everybody who was ever credited, and those who should not have been: payers and owners without an ended call."""
    payers = [(record.opening.terms.payer, record.opening.terms.asset) for record in history.calls.all()]
    owners = [(listing.owner, NATIVE) for listing in history.listings.all()]
    for account, asset in dict.fromkeys([*history.ledger.accounts(), *payers, *owners]):
        actual, expected = views.owed(account, asset), history.ledger.owed(account, asset)
        if actual != expected:
            findings.add(
                MoneyKind.OWED_DIFFERS,
                f"The contract owes {account} {actual} of asset {asset}; its history gives {expected}.",
                Evidence(views.block.number),
            )


def _balances(history: History, views: Views, findings: Findings) -> None:
    evidence = Evidence(views.block.number)
    for asset in dict.fromkeys([NATIVE, *history.ledger.assets()]):
        held, due = views.balance(asset), history.ledger.totals(asset).due
        of = "wei" if asset == NATIVE else f"of asset {asset}"
        if held is None:
            findings.add(
                MoneyKind.BALANCE_UNREADABLE, f"The escrow owes {due} {of}; what it holds is unknown.", evidence
            )
        elif held < due:
            findings.add(MoneyKind.BALANCE_SHORT, f"The escrow holds {held} {of}; it owes {due}.", evidence)
        elif held > due:
            findings.add(
                MoneyKind.BALANCE_SURPLUS, f"The escrow holds {held} {of}; it owes {due}, {held - due} less.", evidence
            )


def _differing(shown: Listing | Revision | None, expected: Listing | Revision) -> str:
    if shown is None:
        return "none"
    actual, wanted = _parts(shown), _parts(expected)
    return ", ".join(
        f"{name} {_text(actual[name])}, not {_text(wanted[name])}" for name in wanted if actual[name] != wanted[name]
    )


def _parts(value: Listing | Revision) -> dict[str, object]:
    """By name; of a revision its terms."""
    return vars(value.terms) if isinstance(value, Revision) else vars(value)


def _text(value: object) -> str:
    return to_hex(value) if isinstance(value, bytes) else str(value)


def _described(state: CallState) -> str:
    fee = f", fee {state.fee_bps} bps" if state.fee_bps else ""
    return f"{state.status.name.lower()} with {state.amount} and deadline {state.deadline}{fee}"

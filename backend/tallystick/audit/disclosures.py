"""Calls laid open: do the salt and bytes open the receipt's hashes, and does the pinned model say the same again?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from tallystick.audit.findings import Evidence, Findings
from tallystick.audit.kinds import DisclosureKind
from tallystick.audit.receipts import Proven
from tallystick.audit.records import Fault
from tallystick.audit.replay import History
from tallystick.errors import RequestError, TallystickError
from tallystick.protocol.disclosure import Disclosure
from tallystick.protocol.prices import Units
from tallystick.protocol.receipts import Receipt
from tallystick.protocol.requests import InferenceRequest
from tallystick.protocol.results import differences, on_grid

WHERE_IT_RAN: Final = frozenset({"device", "engine"})
"""Effective parameters in which an auditor's run may differ: they say on what it ran, not what was computed."""

MAX_DIFFERENCES: Final = 3
"""Differences that one finding quotes; the rest are counted."""

MAX_QUOTED: Final = 300
"""Characters of a difference that are quoted: a disclosed result may be long."""


@dataclass(frozen=True)
class RerunResult:
    """What the auditor's own run gave, and the effective parameters that it took. Its compute time is not compared."""

    result: Any
    units: Units
    parameters: Mapping[str, Any] = field(default_factory=dict)


Rerun = Callable[[bytes, InferenceRequest, Mapping[str, Any]], RerunResult]
"""Runs the model of a manifest hash on a request; the disclosed effective parameters are the oracle's word, to compare with.

Raises RequestError where the model refuses such a request, another TallystickError where it can't be run here.
"""


class DisclosureCheck(StrEnum):
    """How far a call was laid open, and what running its model again gave. After NONE, from the worst to the best."""

    NONE = "none"
    INVALID = "invalid"
    DIFFERS = "differs"
    IMPOSSIBLE = "impossible"
    OPENED = "opened"
    AGREES = "agrees"


def check_disclosures(
    proven: Sequence[Proven],
    rerun: Rerun | None,
    findings: Findings,
    on_checked: Callable[[int, int], None] | None = None,
) -> dict[bytes, DisclosureCheck]:
    """Check every disclosure beside a receipt that its oracle signed; without `rerun` no model is run.

    A call that several archives lay open is run once. `on_checked` hears how many receipts of how many are done.
    """
    checks: dict[bytes, DisclosureCheck] = {}
    runs: dict[Receipt, DisclosureCheck] = {}
    for done, item in enumerate(proven, start=1):
        receipt, disclosure = item.line.entry.signed.receipt, item.line.entry.disclosure
        if disclosure is not None:
            check = _check_opening(item, receipt, disclosure, findings)
            if check is DisclosureCheck.OPENED and rerun is not None:
                # What opens the same hashes is the same request and result, so one run stands for all.
                if receipt not in runs:
                    runs[receipt] = _check_rerun(item, receipt, disclosure, rerun, findings)
                check = runs[receipt]
            checks[receipt.call_id] = _worse(checks.get(receipt.call_id), check)
        if on_checked is not None:
            on_checked(done, len(proven))
    return checks


def note_compute_time(history: History, findings: Findings) -> None:
    """Say once how much of what was charged rests on the oracle's clock."""
    timed = [
        record.logged.units.compute_ms
        for record in history.calls.all()
        if record.logged is not None
        and record.opening.pinned is not None
        and record.opening.pinned.prices.per_compute_second
        and record.logged.units.compute_ms
    ]
    if timed:
        findings.add(
            DisclosureKind.COMPUTE_TIME_UNCHECKED,
            f"{len(timed)} calls are priced by compute time, {sum(timed)} ms in all by their oracles' clocks.",
        )


def _check_opening(item: Proven, receipt: Receipt, disclosure: Disclosure, findings: Findings) -> DisclosureCheck:
    faults = list(_opening_faults(receipt, disclosure))
    for kind, message in faults:
        findings.add(kind, message, _evidence(item))
    return DisclosureCheck.INVALID if faults else DisclosureCheck.OPENED


def _check_rerun(
    item: Proven, receipt: Receipt, disclosure: Disclosure, rerun: Rerun, findings: Findings
) -> DisclosureCheck:
    pinned = item.record.opening.pinned
    if pinned is None:
        return DisclosureCheck.OPENED
    try:
        # The model of the catalogue, not of the receipt: those may differ, which is a finding of its own.
        again = rerun(pinned.manifest_hash, disclosure.request, disclosure.parameters)
    except RequestError as error:
        findings.add(
            DisclosureKind.RERUN_DIFFERS,
            f"The pinned model refuses the disclosed request: {error.message}",
            _evidence(item),
        )
        return DisclosureCheck.DIFFERS
    except TallystickError as error:
        findings.add(DisclosureKind.RERUN_IMPOSSIBLE, f"The model could not be run: {error.message}", _evidence(item))
        return DisclosureCheck.IMPOSSIBLE
    except Exception as error:
        # One call that breaks the auditor's own run must not end the audit of all the others.
        findings.add(
            DisclosureKind.RERUN_IMPOSSIBLE, f"The re-run broke off ({type(error).__name__}: {error}).", _evidence(item)
        )
        return DisclosureCheck.IMPOSSIBLE
    faults = list(_rerun_faults(receipt, disclosure, again))
    for kind, message in faults:
        findings.add(kind, message, _evidence(item))
    return DisclosureCheck.DIFFERS if faults else DisclosureCheck.AGREES


def _opening_faults(receipt: Receipt, disclosure: Disclosure) -> Iterator[Fault]:
    """The hashes first: what does not open them is nobody's request and nobody's result."""
    try:
        mismatches = disclosure.mismatches(receipt)
        off_grid = on_grid(disclosure.result) != disclosure.result
    except ValueError as error:
        yield DisclosureKind.DISCLOSURE_DOES_NOT_OPEN, f"What was disclosed has no canonical form: {error}."
        return
    for name in mismatches:
        yield (
            DisclosureKind.DISCLOSURE_DOES_NOT_OPEN,
            f"The disclosed salt and bytes don't give the receipt's {name.replace('_', ' ')}.",
        )
    request = disclosure.request
    if (request.listing_id, request.revision) != (receipt.listing_id, receipt.revision):
        yield (
            DisclosureKind.DISCLOSURE_OTHER_REQUEST,
            f"The request is for listing {request.listing_id}, revision {request.revision}; the receipt is for listing "
            f"{receipt.listing_id}, revision {receipt.revision}.",
        )
    for name, asked in request.parameters.items():
        if not mismatches and disclosure.parameters.get(name) != asked:
            yield (
                DisclosureKind.DISCLOSURE_OTHER_REQUEST,
                f"The request asks for {name} {asked!r}; it was run with {disclosure.parameters.get(name)!r}.",
            )
    if off_grid and not mismatches:
        yield DisclosureKind.RESULT_OFF_GRID, "The disclosed result holds numbers that are not on the result grid."


def _rerun_faults(receipt: Receipt, disclosure: Disclosure, again: RerunResult) -> Iterator[Fault]:
    try:
        lines = differences(disclosure.result, on_grid(again.result))
    except ValueError as error:
        lines = [f"the re-run has no usable result: {error}"]
    if lines:
        quoted = "; ".join(line[:MAX_QUOTED] for line in lines[:MAX_DIFFERENCES])
        more = f" (and {len(lines) - MAX_DIFFERENCES} more)" if len(lines) > MAX_DIFFERENCES else ""
        yield DisclosureKind.RERUN_DIFFERS, f"{quoted}{more}."
    for name in sorted({*again.parameters, *disclosure.parameters} - WHERE_IT_RAN) if again.parameters else ():
        if again.parameters.get(name) != disclosure.parameters.get(name):
            yield (
                DisclosureKind.RERUN_DIFFERS,
                f"It was run with {name} {disclosure.parameters.get(name)!r}; the pinned model runs such a request with "
                f"{again.parameters.get(name)!r}.",
            )
    for name in ("input_tokens", "output_tokens"):
        signed, counted = getattr(receipt.units, name), getattr(again.units, name)
        if signed != counted:
            yield (
                DisclosureKind.RERUN_UNITS_DIFFER,
                f"The receipt has {signed} {name.replace('_', ' ')}; the re-run counts {counted}.",
            )


def _worse(one: DisclosureCheck | None, other: DisclosureCheck) -> DisclosureCheck:
    """A call with several disclosures stands as its worst one does."""
    order = list(DisclosureCheck)
    return other if one is None else min(one, other, key=order.index)


def _evidence(item: Proven) -> Evidence:
    return Evidence(call_id=item.record.opening.call_id, source=item.line.source)

"""Disclosures against receipts: what opens the hashes is run again, and everything else is found out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from eth_hash.auto import keccak
from tallystick.audit.archives import ArchiveLine
from tallystick.audit.disclosures import (
    DisclosureCheck,
    Rerun,
    RerunResult,
    check_disclosures,
    note_compute_time,
)
from tallystick.audit.findings import Evidence, Finding, Findings
from tallystick.audit.kinds import DisclosureKind
from tallystick.audit.receipts import Proven
from tallystick.audit.replay import History, replay
from tallystick.errors import EmptyText, ModelMissing
from tallystick.protocol.canonical import canonical_bytes
from tallystick.protocol.commitments import parameters_hash, request_commitment, result_hash
from tallystick.protocol.disclosure import ArchiveEntry, Disclosure
from tallystick.protocol.prices import Units
from tallystick.protocol.requests import InferenceRequest
from tallystick.protocol.results import TOLERANCE

from .corruptions import alter_outcome, call_id
from .making import PARAMETERS, rerun_model
from .scene import DEPLOYMENT, DOMAIN, ORACLE_KEYS, Scene, honest_scene

SUBJECT = 3
"""The call that these tests lay open."""


def history_of(scene: Scene) -> History:
    return replay(scene.events, scene.header, DEPLOYMENT, scene.number, Findings())


def proven(scene: Scene, entry: ArchiveEntry, source: str = "payer.jsonl:1") -> Proven:
    record = history_of(scene).calls.find(call_id(SUBJECT)(scene))
    assert record is not None
    return Proven(ArchiveLine(source, entry), record)


def entry_of(scene: Scene) -> ArchiveEntry:
    return scene.entries[call_id(SUBJECT)(scene)]


def disclosed(entry: ArchiveEntry) -> Disclosure:
    assert entry.disclosure is not None
    return entry.disclosure


def with_disclosure(entry: ArchiveEntry, **changes: Any) -> ArchiveEntry:
    """Another disclosure beside the same receipt."""
    return ArchiveEntry(entry.signed, replace(disclosed(entry), **changes))


def committed(entry: ArchiveEntry, **changes: Any) -> ArchiveEntry:
    """Another disclosure, and a receipt that the oracle signed over its hashes."""
    disclosure = replace(disclosed(entry), **changes)
    receipt = replace(
        entry.signed.receipt,
        request_commitment=request_commitment(disclosure.salt, disclosure.request.canonical()),
        parameters_hash=parameters_hash(disclosure.salt, canonical_bytes(dict(disclosure.parameters))),
        result_hash=result_hash(disclosure.salt, canonical_bytes(disclosure.result)),
    )
    return ArchiveEntry(receipt.signed(DOMAIN, ORACLE_KEYS[receipt.oracle]), disclosure)


def checked(rerun: Rerun | None, *items: Proven) -> tuple[DisclosureCheck | None, list[Finding]]:
    findings = Findings()
    checks = check_disclosures(items, rerun, findings)
    return checks.get(items[0].record.opening.call_id), list(findings)


def test_check_disclosures_honest_one_agrees_when_run_again() -> None:
    """Another compute time is no difference: it is the oracle's word."""
    scene = honest_scene()
    assert checked(rerun_model, proven(scene, entry_of(scene))) == (DisclosureCheck.AGREES, [])


def test_check_disclosures_runs_the_catalogues_model_on_what_was_disclosed() -> None:
    scene = honest_scene()
    asked: list[tuple[bytes, InferenceRequest, Mapping[str, Any]]] = []

    def rerun(manifest_hash: bytes, request: InferenceRequest, parameters: Mapping[str, Any]) -> RerunResult:
        asked.append((manifest_hash, request, parameters))
        return rerun_model(manifest_hash, request, parameters)

    entry = entry_of(scene)
    falsified = replace(entry.signed.receipt, manifest_hash=keccak(b"another model"))
    signed = falsified.signed(DOMAIN, ORACLE_KEYS[falsified.oracle])
    checked(rerun, proven(scene, ArchiveEntry(signed, entry.disclosure)))
    disclosure = disclosed(entry)
    assert asked == [(scene.revisions[1, 1].manifest_hash, disclosure.request, disclosure.parameters)]


def test_check_disclosures_without_a_rerun_are_opened() -> None:
    scene = honest_scene()
    assert checked(None, proven(scene, entry_of(scene))) == (DisclosureCheck.OPENED, [])


def test_check_disclosures_of_none_is_silent() -> None:
    scene = honest_scene()
    assert checked(rerun_model, proven(scene, ArchiveEntry(entry_of(scene).signed, None))) == (None, [])


FALSE: Mapping[str, tuple[Callable[[Disclosure], dict[str, Any]], set[str]]] = {
    "another salt": (
        lambda _opened: {"salt": bytes(32)},
        {"request commitment", "parameters hash", "result hash"},
    ),
    "another input": (lambda opened: {"request": replace(opened.request, input="other")}, {"request commitment"}),
    "another method": (lambda opened: {"request": replace(opened.request, method="embed")}, {"request commitment"}),
    "other request parameters": (
        lambda opened: {"request": replace(opened.request, parameters={"top_k": 1})},
        {"request commitment"},
    ),
    "other effective parameters": (lambda _opened: {"parameters": {"top_k": 1}}, {"parameters hash"}),
    "another result": (lambda _opened: {"result": {"label": "calm"}}, {"result hash"}),
}


@pytest.mark.parametrize("falsified", FALSE)
def test_check_disclosures_that_dont_open_the_hashes_are_not_run(falsified: str) -> None:
    changes, expected = FALSE[falsified]
    scene = honest_scene()
    entry = entry_of(scene)
    item = proven(scene, with_disclosure(entry, **changes(disclosed(entry))))
    check, findings = checked(_must_not_run, item)
    assert check is DisclosureCheck.INVALID
    assert {finding.kind for finding in findings} == {DisclosureKind.DISCLOSURE_DOES_NOT_OPEN}
    assert {
        name
        for name in ("request commitment", "parameters hash", "result hash")
        for finding in findings
        if name in finding.message
    } == expected
    assert findings[0].evidence == Evidence(call_id=call_id(SUBJECT)(scene), source="payer.jsonl:1")


@pytest.mark.parametrize(("listing_id", "revision"), [(2, 1), (1, 2)])
def test_check_disclosures_request_for_another_model_than_was_paid(listing_id: int, revision: int) -> None:
    """Rule S2: the payer's own commitment opens, but to a request for something else."""
    scene = honest_scene()
    entry = entry_of(scene)
    request = replace(disclosed(entry).request, listing_id=listing_id, revision=revision)
    check, findings = checked(_must_not_run, proven(scene, committed(entry, request=request)))
    assert check is DisclosureCheck.INVALID
    assert [finding.kind for finding in findings] == [DisclosureKind.DISCLOSURE_OTHER_REQUEST]


def test_check_disclosures_run_with_other_parameters_than_were_asked_for() -> None:
    """Rule S2: the oracle signed what it ran with, and that is not what the payer's request says."""
    scene = honest_scene()
    entry = committed(entry_of(scene), parameters={**PARAMETERS, "top_k": 1})
    check, findings = checked(_must_not_run, proven(scene, entry))
    assert check is DisclosureCheck.INVALID
    assert [finding.kind for finding in findings] == [DisclosureKind.DISCLOSURE_OTHER_REQUEST]
    assert "asks for top_k 2; it was run with 1" in findings[0].message


def test_check_disclosures_result_off_the_grid_is_found() -> None:
    """Rule E5."""
    scene = honest_scene()
    check, findings = checked(_must_not_run, proven(scene, committed(entry_of(scene), result={"score": 0.12345})))
    assert check is DisclosureCheck.INVALID
    assert [finding.kind for finding in findings] == [DisclosureKind.RESULT_OFF_GRID]


def test_check_disclosures_without_a_canonical_form_is_found() -> None:
    scene = honest_scene()
    check, findings = checked(_must_not_run, proven(scene, with_disclosure(entry_of(scene), result=float("nan"))))
    assert check is DisclosureCheck.INVALID
    assert [finding.kind for finding in findings] == [DisclosureKind.DISCLOSURE_DOES_NOT_OPEN]


# ---- run again --------------------------------------------------------------------------------------------------------


def _must_not_run(*_arguments: object) -> RerunResult:
    raise AssertionError("a disclosure that does not open was run")


def _rerun(result: object, units: Units | None = None) -> Rerun:
    return lambda _manifest, _request, _parameters: RerunResult(result, units or TOKENS)


def _scores(calm: float, terse: float) -> dict[str, object]:
    scores = [{"label": "terse", "score": terse}, {"label": "calm", "score": calm}]
    return {"label": "terse", "scores": scores}


SCORES = (0.2308, 0.7692)
"""Of “call number 2”: three vowels in thirteen characters."""
TOKENS = Units(5, 0, 1)


def test_subject_is_served_with_the_scores_that_the_reruns_are_compared_with() -> None:
    scene = honest_scene()
    assert checked(_rerun(_scores(*SCORES)), proven(scene, entry_of(scene))) == (DisclosureCheck.AGREES, [])


@pytest.mark.parametrize("sign", [-1, 1])
def test_check_disclosures_result_within_the_tolerance_agrees(sign: int) -> None:
    """Rule E5: never by hash alone. Another machine's numbers have another hash."""
    scene = honest_scene()
    again = _scores(SCORES[0] + sign * TOLERANCE * 0.9, SCORES[1] - sign * TOLERANCE * 0.9)
    assert checked(_rerun(again), proven(scene, entry_of(scene))) == (DisclosureCheck.AGREES, [])


DIFFERENT: Mapping[str, object] = {
    "a score beyond the tolerance": _scores(SCORES[0] + 2 * TOLERANCE, SCORES[1]),
    "another label": {**_scores(*SCORES), "label": "calm"},
    "a score missing": {"label": "terse", "scores": [{"label": "terse", "score": SCORES[1]}]},
    "another shape": ["terse"],
    "no number": _scores(float("nan"), SCORES[1]),
}


@pytest.mark.parametrize("different", DIFFERENT)
def test_check_disclosures_another_result_is_found(different: str) -> None:
    scene = honest_scene()
    check, findings = checked(_rerun(DIFFERENT[different]), proven(scene, entry_of(scene)))
    assert check is DisclosureCheck.DIFFERS
    assert [finding.kind for finding in findings] == [DisclosureKind.RERUN_DIFFERS]


@pytest.mark.parametrize(("number", "end"), [(3, "tolerance 0.001."), (9, "(and 6 more).")])
def test_check_disclosures_quotes_three_differences_and_counts_the_rest(number: int, end: str) -> None:
    def result(score: float) -> dict[str, object]:
        return {"scores": [{"label": str(label), "score": score} for label in range(number)]}

    scene = honest_scene()
    _, findings = checked(_rerun(result(0.25)), proven(scene, committed(entry_of(scene), result=result(0.5))))
    assert "scores[2].score: disclosed 0.5, re-run 0.25" in findings[0].message
    assert "scores[3]" not in findings[0].message
    assert findings[0].message.endswith(end)


def test_check_disclosures_quotes_no_long_result_in_full() -> None:
    scene = honest_scene()
    entry = committed(entry_of(scene), result={"label": "x" * 10_000})
    _, findings = checked(_rerun({"label": "calm"}), proven(scene, entry))
    assert findings[0].kind is DisclosureKind.RERUN_DIFFERS
    assert len(findings[0].message) < 400


@pytest.mark.parametrize("units", [Units(4, 0, 17), Units(5, 1, 17)])
def test_check_disclosures_other_token_counts_are_found(units: Units) -> None:
    scene = honest_scene()
    check, findings = checked(_rerun(_scores(*SCORES), units), proven(scene, entry_of(scene)))
    assert check is DisclosureCheck.DIFFERS
    assert [finding.kind for finding in findings] == [DisclosureKind.RERUN_UNITS_DIFFER]


def test_check_disclosures_model_that_cant_be_run_here_is_a_warning() -> None:
    def rerun(*_arguments: object) -> RerunResult:
        raise ModelMissing("There is no model folder.")

    scene = honest_scene()
    check, findings = checked(rerun, proven(scene, entry_of(scene)))
    assert check is DisclosureCheck.IMPOSSIBLE
    assert [finding.kind for finding in findings] == [DisclosureKind.RERUN_IMPOSSIBLE]
    assert "no model folder" in findings[0].message


def test_check_disclosures_request_that_the_model_refuses_is_a_difference() -> None:
    def rerun(*_arguments: object) -> RerunResult:
        raise EmptyText("The input is empty.")

    scene = honest_scene()
    check, findings = checked(rerun, proven(scene, entry_of(scene)))
    assert check is DisclosureCheck.DIFFERS
    assert [finding.kind for finding in findings] == [DisclosureKind.RERUN_DIFFERS]


@pytest.mark.parametrize(
    ("changes", "differs"),
    [({}, False), ({"device": "cpu", "engine": "other"}, False), ({"max_tokens": 65}, True), ({"dtype": "half"}, True)],
)
def test_check_disclosures_other_effective_parameters_of_the_rerun(changes: dict[str, Any], differs: bool) -> None:
    """A parameter that the request left open has one right value; where a model runs may differ."""

    def rerun(*asked: Any) -> RerunResult:
        return replace(rerun_model(*asked), parameters={**PARAMETERS, **changes})

    scene = honest_scene()
    check, findings = checked(rerun, proven(scene, entry_of(scene)))
    assert check is (DisclosureCheck.DIFFERS if differs else DisclosureCheck.AGREES)
    assert [finding.kind for finding in findings] == [DisclosureKind.RERUN_DIFFERS] * differs


def test_check_disclosures_rerun_that_breaks_does_not_end_the_audit() -> None:
    def rerun(*_arguments: object) -> RerunResult:
        raise RuntimeError("out of memory")

    scene = honest_scene()
    check, findings = checked(rerun, proven(scene, entry_of(scene)))
    assert check is DisclosureCheck.IMPOSSIBLE
    assert [finding.kind for finding in findings] == [DisclosureKind.RERUN_IMPOSSIBLE]
    assert "RuntimeError: out of memory" in findings[0].message


def test_check_disclosures_of_several_archives_are_run_once() -> None:
    scene = honest_scene()
    runs = []

    def rerun(manifest_hash: bytes, request: InferenceRequest, parameters: Mapping[str, Any]) -> RerunResult:
        runs.append(request)
        return rerun_model(manifest_hash, request, parameters)

    heard: list[tuple[int, int]] = []
    items = [proven(scene, entry_of(scene)), proven(scene, entry_of(scene), "oracle.jsonl:9")]
    checks = check_disclosures(items, rerun, Findings(), lambda done, total: heard.append((done, total)))
    assert checks == {call_id(SUBJECT)(scene): DisclosureCheck.AGREES}
    assert len(runs) == 1
    assert heard == [(1, 2), (2, 2)]


@pytest.mark.parametrize("order", [1, -1])
def test_check_disclosures_a_call_stands_as_its_worst_disclosure(order: int) -> None:
    scene = honest_scene()
    false = with_disclosure(entry_of(scene), result="other")
    items = [proven(scene, entry_of(scene)), proven(scene, false, "oracle.jsonl:9")][::order]
    check, findings = checked(rerun_model, *items)
    assert check is DisclosureCheck.INVALID
    assert [finding.evidence.source for finding in findings] == ["oracle.jsonl:9"]


def test_note_compute_time_counts_the_calls_priced_by_it() -> None:
    """Calls 0 and 3, by the first price sheet; call 4's has no price for it."""
    findings = Findings()
    note_compute_time(history_of(honest_scene()), findings)
    (note,) = findings
    assert note.kind is DisclosureKind.COMPUTE_TIME_UNCHECKED
    assert note.message.startswith("2 calls are priced by compute time, 34 ms")


def test_note_compute_time_is_silent_where_none_was_used() -> None:
    scene = honest_scene()
    for nth in range(2):
        alter_outcome(nth, compute_ms=0)(scene)
    findings = Findings()
    note_compute_time(history_of(scene), findings)
    assert list(findings) == []

"""Receipts against a replayed history: honest ones agree; each falsified field is found, and equivocation is proved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from coincurve import PrivateKey
from eth_hash.auto import keccak
from tallystick.audit.archives import Archive, ArchiveLine
from tallystick.audit.findings import Evidence, Finding, Findings, Kind
from tallystick.audit.kinds import ChainKind, ReceiptKind
from tallystick.audit.receipt_rules import CLOCK_TOLERANCE_SECONDS
from tallystick.audit.receipts import CheckedReceipts, ReceiptCheck, check_receipts
from tallystick.audit.replay import replay
from tallystick.protocol.calls import CallState, CallStatus, Mode
from tallystick.protocol.disclosure import ArchiveEntry
from tallystick.protocol.encoding import Domain
from tallystick.protocol.prices import Units
from tallystick.protocol.receipts import Receipt, SignedReceipt

from .corruptions import call_id, drop, event_of
from .scene import (
    DEPLOYMENT,
    DOMAIN,
    HOUR,
    ORACLE_KEYS,
    OTHER_ORACLE,
    OTHER_ORACLE_KEY,
    OTHER_PAYER,
    OWNER,
    PAYER,
    Scene,
    honest_scene,
)

STRANGER = "0x000000000000000000000000000000000000dEaD"
ERC20 = "0x0000000000000000000000000000000000000020"
NEVER_OPENED = CallState(CallStatus.NONE, 0, 0)


def archive(*entries: ArchiveEntry, name: str = "payer.jsonl") -> Archive:
    return Archive(tuple(ArchiveLine(f"{name}:{number}", entry) for number, entry in enumerate(entries, start=1)))


def checked(
    scene: Scene, *archives: Archive, newest: CallState = NEVER_OPENED
) -> tuple[CheckedReceipts, list[Finding]]:
    """What the check finds; the replay's own findings are left out. `newest` is any call's state at the newest block."""
    history = replay(scene.events, scene.header, DEPLOYMENT, scene.number, Findings())
    findings = Findings()
    receipts = check_receipts(history, archives, DOMAIN, scene.views(), lambda _call_id: newest, findings)
    return receipts, list(findings)


def kinds(findings: Iterable[Finding]) -> list[Kind]:
    return [finding.kind for finding in findings]


def entry_of(scene: Scene, nth: int) -> ArchiveEntry:
    return scene.entries[call_id(nth)(scene)]


def resigned(entry: ArchiveEntry, key: PrivateKey | None = None, **changes: Any) -> ArchiveEntry:
    """The same receipt with other fields, properly signed by its oracle, or by `key`."""
    receipt = replace(entry.signed.receipt, **changes)
    signer = key or ORACLE_KEYS[entry.signed.receipt.oracle]
    return ArchiveEntry(receipt.signed(DOMAIN, signer), entry.disclosure)


def test_check_receipts_honest_ones_agree() -> None:
    scene = honest_scene()
    receipts, findings = checked(scene, archive(*(entry_of(scene, nth) for nth in (0, 3, 4))))
    assert findings == []
    assert {receipts.of(call_id(nth)(scene)) for nth in (0, 3, 4)} == {ReceiptCheck.AGREES}
    assert receipts.of(call_id(1)(scene)) is ReceiptCheck.NONE
    assert [proven.record.opening.call_id for proven in receipts.proven] == [call_id(nth)(scene) for nth in (0, 3, 4)]


FIELDS: Mapping[str, tuple[Mapping[str, Any], set[Kind]]] = {
    "mode": ({"mode": Mode.CHANNEL}, {ReceiptKind.RECEIPT_CONTRADICTS_CHAIN}),
    "payer": ({"payer": STRANGER}, {ReceiptKind.RECEIPT_CONTRADICTS_CHAIN}),
    "oracle": ({"oracle": OTHER_ORACLE}, {ReceiptKind.RECEIPT_CONTRADICTS_CHAIN}),
    "listing": ({"listing_id": 2}, {ReceiptKind.RECEIPT_CONTRADICTS_CHAIN}),
    "revision": ({"revision": 2}, {ReceiptKind.RECEIPT_CONTRADICTS_CHAIN}),
    "request commitment": ({"request_commitment": keccak(b"x")}, {ReceiptKind.RECEIPT_CONTRADICTS_CHAIN}),
    "result hash": ({"result_hash": keccak(b"x")}, {ReceiptKind.RECEIPT_CONTRADICTS_CHAIN}),
    "input tokens": ({"units": Units(6, 0, 17)}, {ReceiptKind.RECEIPT_CONTRADICTS_CHAIN}),
    "output tokens": ({"units": Units(5, 1, 17)}, {ReceiptKind.RECEIPT_CONTRADICTS_CHAIN}),
    "compute time": ({"units": Units(5, 0, 16)}, {ReceiptKind.RECEIPT_CONTRADICTS_CHAIN}),
    "asset": ({"asset": ERC20}, {ReceiptKind.RECEIPT_CONTRADICTS_CHAIN}),
    "charge": ({"charge": 1_283, "cumulative_spend": 1_283}, {ReceiptKind.RECEIPT_CONTRADICTS_CHAIN}),
    "cumulative spend": ({"cumulative_spend": 1_285}, {ReceiptKind.RECEIPT_CONTRADICTS_CHAIN}),
    "manifest hash": ({"manifest_hash": keccak(b"x")}, {ReceiptKind.RECEIPT_WRONG_MANIFEST}),
    "parameters hash": ({"parameters_hash": keccak(b"x")}, set()),
}


@pytest.mark.parametrize("field", FIELDS)
def test_check_receipts_a_falsified_field_is_found(field: str) -> None:
    """Signed by the oracle all the same. The digest is then another than the anchored one, whatever the field."""
    changes, expected = FIELDS[field]
    scene = honest_scene()
    receipts, findings = checked(scene, archive(resigned(entry_of(scene, 3), **changes)))
    assert set(kinds(findings)) - {ReceiptKind.RECEIPT_MISSING} == {*expected, ReceiptKind.RECEIPT_NOT_ANCHORED}
    assert receipts.of(call_id(3)(scene)) is ReceiptCheck.FAILS
    contradictions = [finding for finding in findings if finding.kind is ReceiptKind.RECEIPT_CONTRADICTS_CHAIN]
    name = "units" if field in ("input tokens", "output tokens", "compute time") else field
    assert all(f"receipt's {name} is" in finding.message for finding in contradictions)


def test_fields_are_all_of_a_receipt_but_its_call_id_and_time() -> None:
    changed = {name for changes, _ in FIELDS.values() for name in changes}
    assert changed == set(Receipt.__dataclass_fields__) - {"call_id", "issued_at"}


def test_check_receipts_another_digest_on_chain_is_found() -> None:
    scene = honest_scene()
    index = scene.events.index(event_of(scene, "CallFulfilled", 1))
    arguments = {**scene.events[index].arguments, "receiptDigest": keccak(b"another")}
    scene.events[index] = replace(scene.events[index], arguments=arguments)
    _, findings = checked(scene, archive(entry_of(scene, 3)))
    assert kinds(findings) == [ReceiptKind.RECEIPT_NOT_ANCHORED]


@pytest.mark.parametrize(("late", "expected"), [(0, set()), (1, {ReceiptKind.RECEIPT_AFTER_POSTING})])
def test_check_receipts_issued_after_the_posting(late: int, expected: set[Kind]) -> None:
    """Rule E3, up to the tolerance between the two clocks."""
    scene = honest_scene()
    subject = call_id(6)(scene)
    posting = scene.time + 10 + CLOCK_TOLERANCE_SECONDS
    scene.entries[subject] = resigned(entry_of(scene, 6), issued_at=posting + late)
    scene.fulfil(subject)
    _, findings = checked(scene, archive(entry_of(scene, 6)))
    assert set(kinds(findings)) - {ReceiptKind.RECEIPT_MISSING} == expected


@pytest.mark.parametrize(("early", "expected"), [(0, set()), (1, {ReceiptKind.RECEIPT_BEFORE_OPENING})])
def test_check_receipts_issued_before_the_opening(early: int, expected: set[Kind]) -> None:
    """Rule E3, up to the tolerance between the two clocks."""
    scene = honest_scene()
    subject = call_id(6)(scene)
    history = replay(scene.events, scene.header, DEPLOYMENT, scene.number, Findings())
    opened = next(call.opening.block.timestamp for call in history.calls.all() if call.opening.call_id == subject)
    scene.entries[subject] = resigned(entry_of(scene, 6), issued_at=opened - CLOCK_TOLERANCE_SECONDS - early)
    scene.fulfil(subject)
    _, findings = checked(scene, archive(entry_of(scene, 6)))
    assert set(kinds(findings)) - {ReceiptKind.RECEIPT_MISSING} == expected


# ---- signatures -------------------------------------------------------------------------------------------------------


def test_check_receipts_signed_by_another_is_not_held_against_the_oracle() -> None:
    scene = honest_scene()
    forged = resigned(entry_of(scene, 3), OTHER_ORACLE_KEY, charge=5_000, cumulative_spend=5_000)
    receipts, findings = checked(scene, archive(forged))
    assert kinds(findings) == [ReceiptKind.RECEIPT_WRONG_SIGNER]
    assert receipts.of(call_id(3)(scene)) is ReceiptCheck.FAILS
    assert receipts.proven == []


def test_check_receipts_of_another_marketplace_is_refused() -> None:
    scene = honest_scene()
    honest = entry_of(scene, 3)
    elsewhere = honest.signed.receipt.signed(
        Domain(1, DEPLOYMENT.escrow.address), ORACLE_KEYS[honest.signed.receipt.oracle]
    )
    _, findings = checked(scene, archive(ArchiveEntry(elsewhere, None)))
    assert kinds(findings) == [ReceiptKind.RECEIPT_WRONG_SIGNER]


def _high_s(signature: bytes) -> bytes:
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    twin = order - int.from_bytes(signature[32:64], "big")
    return signature[:32] + twin.to_bytes(32, "big") + bytes([55 - signature[64]])


MALFORMED: Mapping[str, Callable[[bytes], bytes]] = {
    "too short": lambda signature: signature[:64],
    "no recovery id": lambda signature: signature[:64] + b"\x00",
    "malleable twin": _high_s,
    "not on the curve": lambda _signature: bytes(64) + b"\x1b",
}


@pytest.mark.parametrize("malformed", MALFORMED)
def test_check_receipts_malformed_signature_is_found(malformed: str) -> None:
    scene = honest_scene()
    signed = entry_of(scene, 3).signed
    broken = SignedReceipt(signed.receipt, MALFORMED[malformed](signed.signature))
    receipts, findings = checked(scene, archive(ArchiveEntry(broken, None)))
    assert kinds(findings) == [ReceiptKind.RECEIPT_SIGNATURE_INVALID]
    assert receipts.proven == []


# ---- several receipts for one call ------------------------------------------------------------------------------------


def test_check_receipts_the_same_receipt_twice_is_tolerated() -> None:
    scene = honest_scene()
    entry = entry_of(scene, 3)
    bare = ArchiveEntry(entry.signed, None)
    receipts, findings = checked(scene, archive(entry, entry, bare), archive(entry, name="oracle.jsonl"))
    assert findings == []
    assert receipts.of(call_id(3)(scene)) is ReceiptCheck.AGREES


def test_check_receipts_two_receipts_for_one_call_are_equivocation() -> None:
    """Both are signed by the oracle, so together they are proof for anybody; the places of both are named."""
    scene = honest_scene()
    honest = entry_of(scene, 3)
    other = resigned(honest, result_hash=keccak(b"another result"))
    receipts, findings = checked(scene, archive(honest), archive(other, name="oracle.jsonl"))
    assert set(kinds(findings)) == {
        ReceiptKind.EQUIVOCATION,
        ReceiptKind.RECEIPT_CONTRADICTS_CHAIN,
        ReceiptKind.RECEIPT_NOT_ANCHORED,
    }
    (proof,) = (finding for finding in findings if finding.kind is ReceiptKind.EQUIVOCATION)
    assert proof.evidence == Evidence(call_id=call_id(3)(scene), source="payer.jsonl:1, oracle.jsonl:1")
    assert receipts.of(call_id(3)(scene)) is ReceiptCheck.FAILS


def test_check_receipts_two_receipts_for_an_unposted_call_are_equivocation() -> None:
    scene = honest_scene()
    honest = entry_of(scene, 6)
    receipts, findings = checked(
        scene, archive(honest, resigned(honest, issued_at=honest.signed.receipt.issued_at + 1))
    )
    assert ReceiptKind.EQUIVOCATION in kinds(findings)
    assert receipts.of(call_id(6)(scene)) is ReceiptCheck.FAILS


def test_check_receipts_a_forged_second_receipt_is_not_equivocation() -> None:
    scene = honest_scene()
    honest = entry_of(scene, 3)
    forged = resigned(honest, OTHER_ORACLE_KEY, charge=1, cumulative_spend=1)
    _, findings = checked(scene, archive(honest, forged))
    assert kinds(findings) == [ReceiptKind.RECEIPT_WRONG_SIGNER]


# ---- receipts without a log, logs without a receipt -------------------------------------------------------------------


def test_check_receipts_of_an_open_call_is_pending_until_its_deadline() -> None:
    scene = honest_scene()
    subject = call_id(6)(scene)
    scene.pass_time(scene.calls[subject].deadline - scene.time - 10)
    scene.administer("OwnershipTransferStarted")
    assert scene.headers[scene.number].timestamp == scene.calls[subject].deadline
    receipts, findings = checked(scene, archive(entry_of(scene, 6)))
    assert kinds(findings) == [ReceiptKind.RECEIPT_PENDING, ReceiptKind.RECEIPT_MISSING]
    assert receipts.of(subject) is ReceiptCheck.PENDING


def test_check_receipts_never_posted_is_found_after_the_deadline() -> None:
    """Rule S3: what was served is logged."""
    scene = honest_scene()
    scene.pass_time(HOUR)
    scene.administer("OwnershipTransferStarted")
    receipts, findings = checked(scene, archive(entry_of(scene, 6)))
    assert kinds(findings)[0] is ReceiptKind.RECEIPT_WITHOUT_LOG
    assert "open past its deadline" in findings[0].message
    assert receipts.of(call_id(6)(scene)) is ReceiptCheck.FAILS


@pytest.mark.parametrize(("nth", "word"), [(1, "declined"), (2, "refunded")])
def test_check_receipts_of_a_call_that_ended_without_charge_is_found(nth: int, word: str) -> None:
    scene = honest_scene()
    _, findings = checked(scene, archive(entry_of(scene, nth)))
    assert ReceiptKind.RECEIPT_WITHOUT_LOG in kinds(findings)
    assert word in findings[0].message


@pytest.mark.parametrize("charge", [30_001, 9_000 + 360 + 1])
def test_check_receipts_pending_above_escrow_or_price_is_found(charge: int) -> None:
    """Rule M3, before it is posted: the contract would refuse it. The escrow is 30,000, four tokens cost 9,360."""
    scene = honest_scene()
    entry = resigned(entry_of(scene, 6), charge=charge, cumulative_spend=charge)
    receipts, findings = checked(scene, archive(entry))
    assert kinds(findings)[:2] == [ReceiptKind.RECEIPT_OVERCHARGES, ReceiptKind.RECEIPT_PENDING]
    assert receipts.of(call_id(6)(scene)) is ReceiptCheck.FAILS


def test_check_receipts_pending_at_the_price_is_not_an_overcharge() -> None:
    scene = honest_scene()
    assert entry_of(scene, 6).signed.receipt.charge == 9_360
    _, findings = checked(scene, archive(entry_of(scene, 6)))
    assert ReceiptKind.RECEIPT_OVERCHARGES not in kinds(findings)


def test_check_receipts_of_a_call_that_nobody_opened_is_found() -> None:
    scene = honest_scene()
    made_up = resigned(entry_of(scene, 3), call_id=keccak(b"never opened"))
    receipts, findings = checked(scene, archive(made_up))
    assert kinds(findings) == [ReceiptKind.RECEIPT_WITHOUT_CALL]
    assert receipts.of(keccak(b"never opened")) is ReceiptCheck.FAILS
    assert receipts.proven == []


def test_check_receipts_of_a_call_from_after_the_audited_block_is_a_note() -> None:
    scene = honest_scene()
    later = resigned(entry_of(scene, 3), call_id=keccak(b"opened later"))
    opened = CallState(CallStatus.OPEN, 5_000, 1)
    receipts, findings = checked(scene, archive(later), newest=opened)
    assert kinds(findings) == [ReceiptKind.RECEIPT_AFTER_AUDIT]
    assert receipts.of(keccak(b"opened later")) is ReceiptCheck.PENDING


def test_check_receipts_of_a_call_whose_logs_the_node_hides_is_found() -> None:
    """The payer's receipt is what catches a node that hides a call's logs altogether."""
    scene = honest_scene()
    entry = entry_of(scene, 6)
    drop("CallOpened", 6)(scene)
    _, findings = checked(scene, archive(entry), newest=CallState(CallStatus.OPEN, 30_000, 1))
    assert kinds(findings) == [ChainKind.LOG_HIDDEN]


def test_check_receipts_for_an_unknown_call_with_a_forged_signature_is_no_evidence() -> None:
    scene = honest_scene()
    forged = resigned(entry_of(scene, 3), OTHER_ORACLE_KEY, call_id=keccak(b"never opened"))
    _, findings = checked(scene, archive(forged))
    assert kinds(findings) == [ReceiptKind.RECEIPT_WRONG_SIGNER]


def test_check_receipts_missing_ones_are_noted_for_the_archives_payers_only() -> None:
    scene = honest_scene()
    _, findings = checked(scene, archive(entry_of(scene, 0)))
    assert kinds(findings) == [ReceiptKind.RECEIPT_MISSING]
    assert findings[0].evidence.call_id == call_id(4)(scene)
    assert scene.calls[call_id(4)(scene)].payer == PAYER
    assert scene.calls[call_id(3)(scene)].payer == OTHER_PAYER != OWNER


def test_check_receipts_without_archives_notes_nothing() -> None:
    receipts, findings = checked(honest_scene())
    assert findings == []
    assert receipts.checks == {}


def test_check_receipts_of_an_archive_that_was_cut_off_notes_it() -> None:
    scene = honest_scene()
    whole = archive(*(entry_of(scene, nth) for nth in (0, 4)))
    receipts, findings = checked(scene, replace(whole, cut_off="payer.jsonl:3"))
    assert kinds(findings) == [ReceiptKind.ARCHIVE_CUT_OFF]
    assert findings[0].evidence == Evidence(source="payer.jsonl:3")
    assert receipts.of(call_id(0)(scene)) is ReceiptCheck.AGREES

"""The report as JSON and on a terminal."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console
from tallystick.audit.disclosures import DisclosureCheck
from tallystick.audit.findings import Evidence, Finding, Findings, Kind, Severity
from tallystick.audit.kinds import CATALOGUE, CallKind, DisclosureKind, MoneyKind
from tallystick.audit.receipts import ReceiptCheck
from tallystick.audit.rendering import MAX_ROWS
from tallystick.audit.replay import replay
from tallystick.audit.report import AuditReport, asset_totals, call_row
from tallystick.chain.types import Block
from tallystick.protocol.hexes import to_hex
from tallystick.protocol.prices import NATIVE

from .corruptions import call_id
from .scene import DEPLOYMENT, Scene, honest_scene

OVERCHARGE = Finding(
    CallKind.CHARGE_ABOVE_PRICE, "The charge is 5; the price is 4.", Evidence(7, 1, bytes(32), bytes(32))
)
SURPLUS = Finding(MoneyKind.BALANCE_SURPLUS, "The escrow holds 1 wei more.", Evidence(9))
UNCHECKED = Finding(DisclosureKind.RERUN_IMPOSSIBLE, "No model.", Evidence(source="a.jsonl:3"))


def report_of(scene: Scene, *findings: Finding) -> AuditReport:
    history = replay(scene.events, scene.header, DEPLOYMENT, scene.number, Findings())
    rows = tuple(call_row(record, ReceiptCheck.NONE, DisclosureCheck.NONE, ()) for record in history.calls.all())
    return AuditReport(
        1337,
        DEPLOYMENT.escrow.address,
        scene.headers[scene.number],
        rows,
        asset_totals(history, {NATIVE: scene.balance}),
        findings,
    )


def rendered(report: AuditReport, width: int = 200) -> str:
    output = io.StringIO()
    report.render(Console(file=output, width=width))
    return output.getvalue()


@pytest.mark.parametrize(
    ("findings", "passed", "last"),
    [
        ((), True, "audit: PASS (7 calls, to block 25)"),
        ((SURPLUS,), True, "audit: PASS (7 calls, to block 25, 1 note)"),
        ((SURPLUS, UNCHECKED, SURPLUS), True, "audit: PASS (7 calls, to block 25, 1 warning, 2 notes)"),
        ((OVERCHARGE,), False, "audit: FAIL (1 finding)"),
        ((OVERCHARGE, SURPLUS, OVERCHARGE), False, "audit: FAIL (2 findings)"),
    ],
)
def test_verdict_is_the_last_line_and_fails_on_errors_alone(
    findings: tuple[Finding, ...], passed: bool, last: str
) -> None:
    report = report_of(honest_scene(), *findings)
    assert report.passed is passed
    assert rendered(report).splitlines()[-1] == last


def test_to_dict_is_json_with_amounts_as_strings() -> None:
    scene = honest_scene()
    value = json.loads(json.dumps(report_of(scene, OVERCHARGE).to_dict()))
    assert (value["v"], value["passed"]) == (1, False)
    assert value["chain_id"] == 1337
    assert value["escrow"] == DEPLOYMENT.escrow.address
    block = scene.headers[scene.number]
    assert value["block"] == {"number": 25, "hash": to_hex(block.hash), "timestamp": block.timestamp}
    assert value["findings"] == [
        {
            "code": "charge_above_price",
            "severity": "error",
            "message": OVERCHARGE.message,
            "meaning": CallKind.CHARGE_ABOVE_PRICE.meaning,
            "evidence": {
                "block": 7,
                "log_index": 1,
                "transaction": "0x" + "00" * 32,
                "call_id": "0x" + "00" * 32,
                "source": None,
            },
        }
    ]
    first, declined = value["calls"][:2]
    assert first["call_id"] == to_hex(call_id(0)(scene))
    assert (first["status"], first["escrowed"], first["charge"]) == ("fulfilled", "5000", "1284")
    assert first["units"] == {"input_tokens": 5, "output_tokens": 0, "compute_ms": 17}
    assert (declined["status"], declined["charge"], declined["units"]) == ("declined", None, None)


def test_totals_add_up() -> None:
    scene = honest_scene()
    (totals,) = report_of(scene).totals
    assert totals.asset == NATIVE
    assert totals.escrowed == totals.charged + totals.refunded + totals.open
    assert totals.charged + totals.refunded == totals.withdrawn + totals.owed
    assert totals.balance == totals.owed + totals.open == scene.balance
    assert totals.to_dict()["withdrawn"] == str(totals.withdrawn)


def test_totals_of_an_asset_whose_balance_was_not_read_say_so() -> None:
    scene = honest_scene()
    report = report_of(scene)
    unread = replace(report, totals=(replace(report.totals[0], balance=None),))
    assert unread.totals[0].to_dict()["balance"] is None
    assert "unread" in rendered(unread)


def test_render_findings_come_first_errors_before_notes() -> None:
    lines = rendered(report_of(honest_scene(), SURPLUS, OVERCHARGE)).splitlines()
    assert lines[0] == "error charge_above_price  The charge is 5; the price is 4."
    assert lines[1] == f"    {CallKind.CHARGE_ABOVE_PRICE.meaning}"
    assert lines[2] == f"    call 0x{'00' * 32}, block 7, log 1, transaction 0x{'00' * 32}"
    assert lines[3].startswith("note balance_surplus")


def test_render_shows_every_call_and_every_sum() -> None:
    scene = honest_scene()
    report = report_of(scene)
    text = rendered(report)
    for row in report.calls:
        assert to_hex(row.call_id)[:8] in text
    for name in ("escrowed", "charged", "refunded", "withdrawn", "owed", "open", "balance"):
        assert any(line.split() == [name, str(getattr(report.totals[0], name))] for line in text.splitlines()), name


def test_render_loses_no_digit_on_a_narrow_terminal() -> None:
    scene = honest_scene()
    report = report_of(scene)
    large = 123_456_789_012_345_678_901_234_567_890
    report = replace(report, totals=(replace(report.totals[0], escrowed=large),))
    assert str(large) in rendered(report, width=60)


def test_render_prints_what_receipts_say_as_plain_text() -> None:
    """Neither terminal escapes nor console markup of a hostile oracle take effect."""
    hostile = Finding(DisclosureKind.RERUN_DIFFERS, "[bold]disclosed\x1b[2J\r 'x'", Evidence(source="a\x07.jsonl:1"))
    text = rendered(report_of(honest_scene(), hostile))
    assert "[bold]disclosed�[2J� 'x'" in text
    assert "a�.jsonl:1" in text
    assert not any(character in text for character in "\x1b\r\x07")


def test_render_of_many_calls_shows_those_with_findings_and_the_newest() -> None:
    report = report_of(honest_scene())
    rows = [replace(report.calls[0], call_id=number.to_bytes(3, "big") + bytes(29)) for number in range(MAX_ROWS + 50)]
    rows[0] = replace(rows[0], findings=("charge_above_price",))
    text = rendered(replace(report, calls=tuple(rows)))
    shown = {number for number in range(len(rows)) if f"0x{number:06x}" in text}
    assert shown == {0, *range(len(rows) - MAX_ROWS + 1, len(rows))}
    assert "… and 50 more calls; the JSON report has all." in text


def test_render_of_many_findings_counts_those_left_out() -> None:
    text = rendered(report_of(honest_scene(), *[OVERCHARGE] * (MAX_ROWS + 1)))
    assert text.count("The charge is 5") == MAX_ROWS
    assert "… and 1 more error." in text
    assert text.splitlines()[-1] == f"audit: FAIL ({MAX_ROWS + 1} findings)"


def test_render_of_as_many_as_are_printed_counts_nothing_left_out() -> None:
    report = report_of(honest_scene(), *[OVERCHARGE] * MAX_ROWS)
    full = replace(report, calls=(report.calls * MAX_ROWS)[:MAX_ROWS])
    assert "… and" not in rendered(full)


def test_render_shows_what_a_call_was_charged_for() -> None:
    row = replace(report_of(honest_scene()).calls[0], receipt=ReceiptCheck.AGREES, findings=("wrong_earner",))
    report = replace(report_of(honest_scene()), calls=(row,))
    (line,) = (line for line in rendered(report).splitlines() if to_hex(row.call_id)[:8] in line)
    columns = [
        to_hex(row.call_id)[:8] + "…" + to_hex(row.call_id)[-4:],
        "1",
        "r1",
        row.payer[:8] + "…" + row.payer[-4:],
    ]
    assert line.split() == [*columns, "fulfilled", "1284", "5/0/17", "agrees", "none", "wrong_earner"]


def test_render_names_the_assets() -> None:
    report = report_of(honest_scene())
    token = replace(report.totals[0], asset="0x0000000000000000000000000000000000000020")
    text = rendered(replace(report, totals=(report.totals[0], token)))
    assert any(line.split() == ["native", "(wei)", token.asset] for line in text.splitlines())


def test_report_of_an_empty_marketplace_passes() -> None:
    report = AuditReport(1337, DEPLOYMENT.escrow.address, Block(3, bytes(32), 0), (), (), ())
    assert rendered(report).splitlines()[-1] == "audit: PASS (0 calls, to block 3)"


# ---- the catalogue ----------------------------------------------------------------------------------------------------


def test_catalogue_codes_are_unique_and_every_area_is_in_it() -> None:
    codes = [kind.code for area in CATALOGUE for kind in area]
    assert len(codes) == len(set(codes))
    assert set(CATALOGUE) == set(Kind.__subclasses__())


@pytest.mark.parametrize("kind", [kind for area in CATALOGUE for kind in area], ids=lambda kind: kind.code)
def test_catalogue_kind_says_what_it_means(kind: Kind) -> None:
    assert kind.severity in Severity
    assert kind.meaning.endswith(".")
    assert len(kind.meaning) > 30

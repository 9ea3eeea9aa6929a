"""status, doctor, receipt and down where there is nothing, or something else than expected."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from tallystick.cli.context import show_amount
from tallystick.client.archive import Archive
from tallystick.client.journal import Journal
from tallystick.errors import ArchiveInvalid

from tests.cli.conftest import Shell
from tests.client.evidence import make_evidence, make_pending


@contextmanager
def answering(content: bytes, status: int = 200) -> Iterator[str]:
    """A server that gives one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self._answer()

        def _answer(self) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


# ---- status -----------------------------------------------------------------------------------------------------------


def test_status_with_nothing_there_says_what_is_missing(shell: Shell) -> None:
    outcome = shell.run("status")
    assert outcome.code == 0
    assert "deployment_missing" in outcome.out
    assert "oracle_unreachable" in outcome.out


def test_status_as_json_with_nothing_there_says_what_is_missing(shell: Shell) -> None:
    shown = shell.run("status", "--json").json()
    assert shown["processes"] == {}
    assert shown["chain"]["error"] == "deployment_missing"
    assert shown["oracle"]["error"] == "oracle_unreachable"


def test_status_without_its_node_says_so(shell: Shell) -> None:
    shell.deploy()
    assert shell.run("status", "--json").json()["chain"]["error"] == "chain_unreachable"


@pytest.mark.parametrize("content", [b"[]", b"null", b"{}", b"<html>", b'"ready"', b"[" * 100_000])
def test_status_of_what_is_no_oracle_says_so(shell: Shell, content: bytes) -> None:
    with answering(content) as url:
        shown = shell.run("status", "--json", oracle_url=url).json()
    assert shown["oracle"]["error"] == "oracle_answer_invalid"


@pytest.mark.parametrize(
    "content", [b"[]", b"null", b"{}", b"<html>", b'{"jsonrpc":"2.0","id":0,"result":"x"}', b"[" * 100_000]
)
def test_status_of_what_is_no_node_says_so(shell: Shell, content: bytes) -> None:
    shell.deploy()
    with answering(content) as url:
        shown = shell.run("status", "--json", rpc_url=url).json()
    assert shown["chain"]["error"] in ("chain_unreachable", "node_error")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"chain":1}', '{"chain":{"pid":"x","started":1}}', '{"chain":{}}'])
def test_status_with_a_broken_process_file_takes_it_for_none(shell: Shell, content: str) -> None:
    shell.state.mkdir()
    (shell.state / "processes.json").write_text(content)
    assert shell.run("status", "--json").json()["processes"] == {}


def test_status_does_not_take_a_reused_process_id_for_ours(shell: Shell) -> None:
    """Ids are reused: the start time tells whether it is the process that `up` started."""
    shell.state.mkdir()
    (shell.state / "processes.json").write_text(json.dumps({"chain": {"pid": 1, "started": 12.5}}))
    assert shell.run("status", "--json").json()["processes"] == {}


# ---- down -------------------------------------------------------------------------------------------------------------


def test_down_with_nothing_there_stops_nothing(shell: Shell) -> None:
    outcome = shell.run("down")
    assert (outcome.code, outcome.out) == (0, "nothing runs\n")
    assert shell.run("down", "--json").json() == {"stopped": []}


def test_down_does_not_stop_a_process_that_is_not_ours(shell: Shell) -> None:
    shell.state.mkdir()
    (shell.state / "processes.json").write_text(json.dumps({"chain": {"pid": 1, "started": 12.5}}))
    assert shell.run("down", "--json").json() == {"stopped": []}


# ---- doctor -----------------------------------------------------------------------------------------------------------


def test_doctor_with_nothing_there_names_what_is_missing(shell: Shell) -> None:
    outcome = shell.run("doctor", "--json")
    checks = {check["name"]: check for check in outcome.json()["checks"]}
    assert outcome.code == 3
    assert checks["python"]["ok"] is True
    assert (checks["chain"]["ok"], checks["chain"]["code"]) == (False, "deployment_missing")
    assert (checks["oracle"]["ok"], checks["oracle"]["code"]) == (False, "oracle_unreachable")
    assert all(check["message"] for check in checks.values())


def test_doctor_with_wrong_settings_names_them_and_goes_on(shell: Shell) -> None:
    outcome = shell.run("doctor", "--json", port="0")
    checks = {check["name"]: check for check in outcome.json()["checks"]}
    assert outcome.code == 3
    assert checks["settings"]["code"] == "invalid_setting"
    assert checks["python"]["ok"] is True


def test_doctor_for_people_says_the_same(shell: Shell) -> None:
    outcome = shell.run("doctor")
    assert outcome.code == 3
    assert "ok      python: " in outcome.out
    assert "missing chain: " in outcome.out


# ---- receipt ----------------------------------------------------------------------------------------------------------


def test_receipt_with_nothing_there_says_what_makes_the_first(shell: Shell) -> None:
    outcome = shell.run("receipt")
    assert outcome.code == 0
    assert "tallystick query" in outcome.out
    assert shell.run("receipt", "--json").json() == {"receipts": [], "pending": []}


def test_receipt_lists_what_is_kept_and_what_is_pending(shell: Shell) -> None:
    evidence, pending = make_evidence(), make_pending("another question")
    Archive(shell.state / "receipts.jsonl").append(evidence.entry())
    Journal(shell.state / "pending").write(pending)
    outcome = shell.run("receipt")
    assert "0x" + evidence.pending.call_id.hex() in outcome.out
    assert "0x" + pending.call_id.hex() in outcome.out
    assert f"pending, {show_amount(pending.call.amount)} escrowed" in outcome.out
    shown = shell.run("receipt", "--json").json()
    assert shown["receipts"] == [evidence.entry().signed.to_dict()]
    assert [item["call_id"] for item in shown["pending"]] == ["0x" + pending.call_id.hex()]


def test_receipt_of_a_call_shows_it_with_its_disclosure(shell: Shell) -> None:
    evidence = make_evidence()
    Archive(shell.state / "receipts.jsonl").append(evidence.entry())
    shown = shell.run("receipt", "0x" + evidence.pending.call_id.hex(), "--json").json()
    assert shown == evidence.entry().to_dict()


def test_receipt_in_another_archive_is_found_there(shell: Shell) -> None:
    evidence = make_evidence()
    Archive(shell.folder / "mine.jsonl").append(evidence.entry())
    shown = shell.run("receipt", "--json", archive_file=str(shell.folder / "mine.jsonl")).json()
    assert len(shown["receipts"]) == 1


def test_receipt_with_a_broken_archive_names_the_line(shell: Shell) -> None:
    shell.state.mkdir()
    (shell.state / "receipts.jsonl").write_bytes(b"broken\n")
    shell.run("receipt").assert_refused(ArchiveInvalid, "receipts.jsonl, line 1")


def test_receipt_with_a_broken_journal_names_the_file(shell: Shell) -> None:
    pending = make_pending()
    Journal(shell.state / "pending").write(pending)
    path = shell.state / "pending" / f"{pending.call_id.hex()}.json"
    path.write_text("{")
    shell.run("receipt").assert_refused(ArchiveInvalid, path.name)

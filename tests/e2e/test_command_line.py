"""The command line as its users type it, against a real marketplace with the real model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from tallystick.devnet.processes import port_is_taken

from tests.support.ports import free_port
from tests.support.world import ROOT


class Shell:
    """Runs `tallystick` in an environment of its own."""

    def __init__(self, folder: Path) -> None:
        self.rpc_port, self.port = free_port(), free_port()
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TALLYSTICK_")},
            "TALLYSTICK_RPC_URL": f"http://127.0.0.1:{self.rpc_port}",
            "TALLYSTICK_ORACLE_URL": f"http://127.0.0.1:{self.port}",
            "TALLYSTICK_PORT": str(self.port),
            "TALLYSTICK_STATE_DIR": str(folder / "state"),
            "TALLYSTICK_DEPLOYMENT_FILE": str(folder / "deployment.json"),
            "TALLYSTICK_MODELS_DIR": str(ROOT / "models"),
            "HF_HUB_OFFLINE": "1",
        }

    def run(self, *arguments: str, code: int = 0, **environment: str) -> str:
        """Standard output of one command, which must end with `code`."""
        result = subprocess.run(
            [sys.executable, "-m", "tallystick", *arguments],
            cwd=self.folder,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert result.returncode == code, f"exit {result.returncode}\n{result.stdout}\n{result.stderr}"
        return result.stdout if code == 0 else result.stdout + result.stderr

    def json(self, *arguments: str, code: int = 0, **environment: str) -> Mapping[str, Any]:
        value: Mapping[str, Any] = json.loads(self.run("--json", *arguments, code=code, **environment))
        return value


@pytest.fixture(scope="module")
def shell(real_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    running = Shell(tmp_path_factory.mktemp("shell"))
    try:
        running.json("up")
        yield running
    finally:
        running.run("down")
        assert not port_is_taken(running.rpc_port)
        assert not port_is_taken(running.port)


@pytest.fixture(scope="module")
def listing(shell: Shell) -> str:
    wanted = "customer-service"
    models = shell.json("models")["data"]
    assert models, wanted
    return str(models[0]["id"])


def test_query_pays_and_keeps_a_receipt_that_the_audit_passes(shell: Shell, listing: str) -> None:
    """E1, E3: query, receipt, audit with re-run, withdraw."""
    answer = shell.json("query", listing, "my card was charged two times for one order!!", "--key", "dev:payer")
    assert answer["result"]["label"] == "payment_problem"
    assert 0 < int(answer["charge"]) <= int(answer["escrowed"])
    assert answer["call_id"] in shell.run("receipt")
    kept = shell.json("receipt", answer["call_id"])
    assert kept["receipt"] == answer["receipt"]["receipt"]
    archive = str(shell.folder / "state" / "receipts.jsonl")
    report = shell.json("audit", "--archive", archive, "--models", str(ROOT / "models"))
    assert report["passed"] is True
    assert "audit: PASS" in shell.run("audit", "--archive", archive)
    assert int(shell.json("withdraw", "--key", "dev:owner")["amount"]) >= int(answer["charge"])


def test_status_and_doctor_find_nothing_wrong(shell: Shell, listing: str) -> None:
    status = shell.json("status")
    assert status["oracle"]["state"] == "ready"
    assert set(status["processes"]) == {"chain", "oracle"}
    assert all(check["ok"] for check in shell.json("doctor")["checks"])


def test_up_again_changes_nothing(shell: Shell, listing: str) -> None:
    before = shell.json("status")
    shell.json("up")
    after = shell.json("status")
    assert before["processes"] == after["processes"]
    assert before["chain"]["listings"] == after["chain"]["listings"]


def test_down_and_up_go_on_with_the_same_chain(shell: Shell, listing: str) -> None:
    answer = shell.json("query", listing, "do you ship to Norway?", "--key", "dev:payer")
    shell.run("down")
    assert not port_is_taken(shell.rpc_port)
    shell.json("up")
    assert answer["call_id"] in shell.run("receipt")
    assert shell.json("audit")["passed"] is True


@pytest.mark.parametrize(
    ("arguments", "environment", "exit_code", "code"),
    [
        (("query", "1", "hello"), {}, 3, "key_missing"),
        (("query", "1", "hello", "--key", "dev:nobody"), {}, 3, "key_invalid"),
        (("query", "1", "hello", "--key", "nowhere.json"), {"TALLYSTICK_PASSWORD": "x"}, 3, "key_missing"),
        (("query", "1", "hello"), {"TALLYSTICK_PRIVATE_KEY": "0x1234"}, 3, "key_invalid"),
        (("query", "999", "hello", "--key", "dev:payer"), {}, 6, "unknown_listing"),
        (("query", "1", "   ", "--key", "dev:payer"), {}, 6, "empty_text"),
        (("query", "1", "hello", "--budget", "1wei", "--key", "dev:payer"), {}, 5, "budget_exceeded"),
        (("receipt", "0x12"), {}, 6, "invalid_request"),
        (("receipt", "0x" + "12" * 32), {}, 6, "unknown_call"),
        (("refund", "0x" + "12" * 32, "--key", "dev:payer"), {}, 6, "unknown_call"),
        (("withdraw", "--key", "dev:payer2"), {}, 4, "contract_refused"),
        (("publish", "nowhere", "--per-call", "1gwei", "--key", "dev:owner"), {}, 7, "model_missing"),
        (("publish", "nowhere", "--key", "dev:owner"), {}, 3, "invalid_setting"),
        (("withdraw", "--to", "0x" + "00" * 20, "--key", "dev:owner"), {}, 6, "invalid_request"),
        (("unlist", "1", "--key", "dev:payer"), {}, 4, "contract_refused"),
        (("models",), {"TALLYSTICK_RPC_URL": "http://127.0.0.1:1"}, 4, "chain_unreachable"),
        (("models",), {"TALLYSTICK_DEPLOYMENT_FILE": "nowhere.json"}, 4, "deployment_missing"),
        (("models",), {"TALLYSTICK_COLOUR": "red"}, 3, "unknown_setting"),
        (("oracle", "run"), {"TALLYSTICK_PORT": "RPC_PORT", "TALLYSTICK_STATE_DIR": "other"}, 3, "port_in_use"),
        (
            ("query", "1", "hello", "--key", "dev:payer"),
            {"TALLYSTICK_ORACLE_URL": "http://127.0.0.1:1"},
            4,
            "oracle_unreachable",
        ),
    ],
)
def test_command_with_bad_input_fails_by_name(
    shell: Shell, listing: str, arguments: tuple[str, ...], environment: dict[str, str], exit_code: int, code: str
) -> None:
    """S7: a stable code, a message that says what to do, the documented exit code; and no money moves."""
    before = shell.json("status")["chain"]["escrow_balance"]
    filled = {name: value.replace("RPC_PORT", str(shell.rpc_port)) for name, value in environment.items()}
    error = shell.json(*arguments, code=exit_code, **filled)["error"]
    assert error["code"] == code, error
    assert error["message"]
    assert code in shell.run(*arguments, code=exit_code, **filled)
    assert shell.json("status")["chain"]["escrow_balance"] == before


def test_wrong_chain_is_refused(shell: Shell, tmp_path: Path) -> None:
    """B10: a deployment file of another chain."""
    content = json.loads((shell.folder / "deployment.json").read_text())
    content["chain_id"] = 5
    other = tmp_path / "deployment.json"
    other.write_text(json.dumps(content))
    error = shell.json("models", code=4, TALLYSTICK_DEPLOYMENT_FILE=str(other))["error"]
    assert error["code"] == "wrong_chain"


def test_processes_of_the_marketplace_listen_on_loopback_only(shell: Shell, listing: str) -> None:
    pids = shell.json("status")["processes"].values()
    listening = [
        connection.laddr.ip
        for pid in pids
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert set(listening) == {"127.0.0.1"}

"""All commands: their help, their options, and what they say where settings, keys, files or servers are missing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from eth_account import Account
from tallystick import __version__
from tallystick.chain.wallet import development_wallet
from tallystick.cli.context import BROKEN_PIPE, INTERRUPTED, Context, command
from tallystick.cli.main import app
from tallystick.errors import (
    ChainUnreachable,
    DeploymentMismatch,
    DeploymentMissing,
    FileUnusable,
    InvalidRequest,
    InvalidSetting,
    KeyInvalid,
    KeyMissing,
    ModelMissing,
    PortInUse,
    UnknownCall,
    UnknownSetting,
)

from tests.cli.conftest import Shell

USAGE = 2
"""click's exit code for wrong usage."""
SECRET = "0x" + "5ec7e7" * 10 + "abcd"
CALL_ID = "0x" + "ab" * 32
TO_THE_CHAIN = [
    ("models",),
    ("query", "1", "hello", "--key", "dev:payer"),
    ("refund", "--key", "dev:payer"),
    ("refund", CALL_ID, "--key", "dev:payer"),
    ("withdraw", "--key", "dev:payer"),
    ("unlist", "1", "--key", "dev:owner"),
    ("relist", "1", "--key", "dev:owner"),
    ("audit",),
]
"""Commands that can't do without a chain."""
SIGNING = [("unlist", "1"), ("relist", "1"), ("publish", "nowhere", "--free")]
"""Commands that look for a key before they look for anything else."""


def commands(
    group: click.Group | None = None, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command and group, with the words that call it."""
    root: Any = group or typer.main.get_command(app)
    for name, found in root.commands.items():
        yield (*path, name), found
        if hasattr(found, "commands"):
            yield from commands(found, (*path, name))


ALL = list(commands())


def ids(value: object) -> str | None:
    return " ".join(value) if isinstance(value, tuple) else None


# ---- help -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("path", [(), *(path for path, _ in ALL)], ids=ids)
def test_help_is_there_for_every_command(shell: Shell, path: tuple[str, ...], flag: str) -> None:
    outcome = shell.run(*path, flag)
    assert outcome.code == 0
    assert "Usage:" in outcome.out
    assert outcome.err == ""
    assert not shell.state.exists()


@pytest.mark.parametrize(("path", "found"), ALL, ids=ids)
def test_every_command_and_option_says_what_it_is(path: tuple[str, ...], found: click.Command) -> None:
    assert found.help
    silent = [
        parameter.name
        for parameter in found.params
        if not getattr(parameter, "help", None) and parameter.name != "help"
    ]
    assert silent == []


def test_without_a_command_the_help_is_shown(shell: Shell) -> None:
    outcome = shell.run()
    assert outcome.code == USAGE
    assert "Usage:" in outcome.out + outcome.err


def test_version_is_printed(shell: Shell) -> None:
    assert shell.run("--version").out == f"tallystick {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        *(
            ("nonsense",),
            ("--nonsense",),
            ("models", "--nonsense"),
            ("query",),
            ("query", "1"),
            ("query", "one", "text"),
        ),
        *(("query", "0", "text"), ("query", "-1", "text"), ("query", "1", "text", "--top-k", "x"), ("unlist",)),
        *(("audit", "--to-block", "-1"), ("train",), ("publish",), ("oracle",), ("oracle", "nonsense")),
    ],
    ids=ids,
)
def test_wrong_usage_ends_with_its_own_code(shell: Shell, arguments: tuple[str, ...]) -> None:
    outcome = shell.run(*arguments)
    assert outcome.code == USAGE
    assert "Traceback" not in outcome.err


# ---- settings ---------------------------------------------------------------------------------------------------------


def test_unknown_setting_is_named(shell: Shell) -> None:
    shell.run("models", prot="9000").assert_refused(UnknownSetting, "TALLYSTICK_PROT", "docs/SETTINGS.md")


def test_invalid_setting_is_named(shell: Shell) -> None:
    shell.run("models", port="0").assert_refused(InvalidSetting, "TALLYSTICK_PORT", "1 to 65535")


def test_configuration_file_that_is_not_there_is_named(shell: Shell) -> None:
    shell.run("--config", "none.toml", "models").assert_refused(InvalidSetting, "none.toml")


def test_configuration_file_with_an_unknown_key_is_named(shell: Shell) -> None:
    path = shell.folder / "tallystick.toml"
    path.write_text("prot = 9000\n")
    shell.run("--config", str(path), "models").assert_refused(UnknownSetting, "tallystick.toml: prot")


def test_option_wins_over_the_environment(shell: Shell) -> None:
    shell.deploy()
    shell.run("--rpc-url", "http://127.0.0.1:1", "models").assert_refused(ChainUnreachable, "http://127.0.0.1:1 ")


@pytest.mark.parametrize("text", ["127.0.0.1:8545", "http://[::1", "http://127.0.0.1:x"])
def test_rpc_url_that_is_none_is_named(shell: Shell, text: str) -> None:
    shell.run("--rpc-url", text, "models").assert_refused(InvalidSetting, "--rpc-url")


# ---- chain and deployment ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", TO_THE_CHAIN, ids=ids)
def test_command_without_a_deployment_file_is_refused(shell: Shell, arguments: tuple[str, ...]) -> None:
    shell.run(*arguments).assert_refused(DeploymentMissing, "deployment.json", "tallystick up")


@pytest.mark.parametrize("arguments", TO_THE_CHAIN, ids=ids)
def test_command_without_its_node_is_refused(shell: Shell, arguments: tuple[str, ...]) -> None:
    shell.deploy()
    shell.run(*arguments).assert_refused(ChainUnreachable, shell.nowhere)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"\xff", b'{"v":2}', b'{"v":1}', b"[" * 100_000])
def test_deployment_file_that_is_none_is_refused(shell: Shell, content: bytes) -> None:
    shell.deployment.write_bytes(content)
    shell.run("models").assert_refused(DeploymentMismatch, "deployment.json")


def test_deployment_of_another_version_is_refused(shell: Shell) -> None:
    shell.deploy(registry=b"\1" * 32)
    shell.run("models").assert_refused(DeploymentMismatch, "registry", "another version")


# ---- keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", SIGNING, ids=ids)
def test_command_without_a_key_is_refused(shell: Shell, arguments: tuple[str, ...]) -> None:
    shell.deploy()
    shell.run(*arguments).assert_refused(KeyMissing, "--key", "TALLYSTICK_KEYSTORE")


@pytest.mark.parametrize(
    "arguments", [("unlist", "1", "--key", "dev:owner"), ("--key", "dev:owner", "unlist", "1")], ids=ids
)
def test_key_is_taken_before_and_after_the_command(shell: Shell, arguments: tuple[str, ...]) -> None:
    """With a key the command goes on to the chain, which is not there."""
    shell.deploy()
    shell.run(*arguments).assert_refused(ChainUnreachable)


@pytest.mark.parametrize("role", ["nobody", "", "Owner", "payer3"])
def test_development_key_that_is_none_is_refused(shell: Shell, role: str) -> None:
    shell.deploy()
    shell.run("unlist", "1", "--key", f"dev:{role}").assert_refused(KeyInvalid, "owner, oracle, payer")


def test_development_key_off_the_development_chain_is_refused(shell: Shell) -> None:
    """Everybody knows these keys: money sent to them elsewhere is gone."""
    shell.deploy(chain_id=1)
    shell.run("unlist", "1", "--key", "dev:owner").assert_refused(KeyInvalid, "chain 1", "keystore")


@pytest.mark.parametrize(
    "text", [SECRET + "ff", SECRET[:-2], "0x" + "00" * 32, "0x" + "ff" * 32, "hunter2", SECRET[:-1] + "g"]
)
def test_private_key_that_is_none_is_refused_and_not_shown(shell: Shell, text: str) -> None:
    """S7."""
    shell.deploy()
    outcome = shell.run("unlist", "1", private_key=text)
    outcome.assert_refused(KeyInvalid, "TALLYSTICK_PRIVATE_KEY")
    assert text not in outcome.err


def test_private_key_is_never_shown(shell: Shell) -> None:
    """S7."""
    shell.deploy()
    for arguments in (("unlist", "1"), ("--json", "unlist", "1"), ("status",), ("doctor",), ("withdraw", "--to", "x")):
        outcome = shell.run(*arguments, private_key=SECRET)
        assert SECRET[2:] not in outcome.out + outcome.err


def test_keystore_that_is_not_there_is_refused(shell: Shell) -> None:
    shell.deploy()
    shell.run("unlist", "1", "--key", "none.json", password="x").assert_refused(KeyMissing, "none.json")


def test_keystore_without_its_password_is_refused(shell: Shell) -> None:
    shell.deploy()
    shell.run("unlist", "1", "--key", str(_keystore(shell.folder))).assert_refused(KeyMissing, "TALLYSTICK_PASSWORD")


def test_keystore_with_a_wrong_password_is_refused_and_it_is_not_shown(shell: Shell) -> None:
    """S7."""
    shell.deploy()
    outcome = shell.run("unlist", "1", "--key", str(_keystore(shell.folder)), password="hunter3")
    outcome.assert_refused(KeyInvalid, "password is wrong")
    assert "hunter3" not in outcome.err


@pytest.mark.parametrize("given", ["option", "setting"])
def test_keystore_with_its_password_signs(shell: Shell, given: str) -> None:
    shell.deploy()
    path = str(_keystore(shell.folder))
    if given == "option":
        outcome = shell.run("unlist", "1", "--key", path, password="hunter2")
    else:
        outcome = shell.run("unlist", "1", keystore=path, password="hunter2")
    outcome.assert_refused(ChainUnreachable)


def test_keystore_wins_over_the_private_key(shell: Shell) -> None:
    shell.deploy()
    shell.run("unlist", "1", keystore="none.json", password="x", private_key=SECRET).assert_refused(KeyMissing)


def _keystore(folder: Path) -> Path:
    path = folder / "keystore.json"
    secret = development_wallet("owner", 1337).key.secret
    path.write_text(json.dumps(Account.encrypt(secret, "hunter2", kdf="pbkdf2", iterations=1)))
    return path


# ---- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "0x", "0x12", CALL_ID[2:], CALL_ID + "00", "0x" + "zz" * 32, "call"])
def test_call_id_that_is_none_is_refused(shell: Shell, text: str) -> None:
    shell.run("receipt", text).assert_refused(InvalidRequest, "call id")


@pytest.mark.parametrize(
    "budget", ["", "x", "-1", "1.5", "0.0000000000000000001ether", "1e18", "nan", "inf", "1_000", "１"]
)
def test_budget_that_is_none_is_refused_before_anything_is_asked(shell: Shell, budget: str) -> None:
    outcome = shell.run("query", "1", "hello", f"--budget={budget}", "--key", "dev:payer")
    outcome.assert_refused(InvalidSetting, "wei" if "." in budget else "amount")


@pytest.mark.parametrize(
    "option", ["per-call", "per-thousand-input-tokens", "per-thousand-output-tokens", "per-compute-second"]
)
@pytest.mark.parametrize("amount", ["cheap", "-1", str(2**96), "1" + "0" * 70 + "ether"])
def test_price_that_is_none_is_refused_before_anything_is_asked(shell: Shell, option: str, amount: str) -> None:
    shell.run("publish", "nowhere", f"--{option}={amount}", "--key", "dev:owner").assert_refused(InvalidSetting)


@pytest.mark.parametrize(
    "address", ["", "x", "0x", "0x" + "11" * 19, "0x" + "11" * 21, "0xE11BA2b4D45Eaed5996Cd0823791E0C93114882D"]
)
def test_receiver_that_is_no_address_is_refused_before_anything_is_asked(shell: Shell, address: str) -> None:
    shell.run("withdraw", "--to", address, "--key", "dev:payer").assert_refused(InvalidRequest, "--to")


@pytest.mark.parametrize("place", ["nobody", "escrow", "registry"])
def test_receiver_that_nobody_can_spend_from_is_refused(shell: Shell, place: str) -> None:
    shell.deploy()
    addresses = json.loads(shell.deployment.read_text())["contracts"]
    receiver = "0x" + "0" * 40 if place == "nobody" else addresses[place]["address"]
    shell.run("withdraw", "--to", receiver, "--key", "dev:payer").assert_refused(InvalidRequest, "nobody can spend")


@pytest.mark.parametrize(
    "prices", [(), ("--per-call", "0"), ("--per-call", "0ether", "--per-compute-second", "0")], ids=ids
)
def test_publish_at_no_price_is_refused_unless_it_is_meant(shell: Shell, prices: tuple[str, ...]) -> None:
    shell.deploy()
    shell.run("publish", "nowhere", *prices, "--key", "dev:owner").assert_refused(InvalidSetting, "--free")


@pytest.mark.parametrize("share", ["100.01", "-1", "0.001", "nan", "half", ""])
def test_publish_with_an_oracle_share_that_is_none_is_refused(shell: Shell, share: str) -> None:
    shell.deploy()
    arguments = ("publish", "nowhere", "--free", f"--oracle-share={share}", "--key", "dev:owner")
    shell.run(*arguments).assert_refused(InvalidSetting, "--oracle-share")


def test_publish_of_a_folder_without_a_model_is_refused(shell: Shell) -> None:
    shell.deploy()
    shell.run("publish", str(shell.folder / "none"), "--free", "--key", "dev:owner").assert_refused(
        ModelMissing, "none"
    )


def test_train_of_a_folder_without_a_recipe_is_refused(shell: Shell) -> None:
    shell.run("train", str(shell.folder / "none")).assert_refused(ModelMissing, "recipe.toml", "none")


def test_audit_of_an_archive_that_is_not_there_is_refused(shell: Shell) -> None:
    shell.deploy()
    outcome = shell.run("audit", "--archive", "none.jsonl")
    assert outcome.code in (4, 8)
    assert "Traceback" not in outcome.err


# ---- JSON -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize(
    "arguments",
    [
        *TO_THE_CHAIN,
        *SIGNING,
        ("receipt", CALL_ID),
        ("receipt", "x"),
        ("withdraw", "--to", "x"),
        ("train", "nowhere"),
        ("up",),
    ],
    ids=ids,
)
def test_error_is_one_json_document(shell: Shell, arguments: tuple[str, ...], place: str) -> None:
    words = ("--json", *arguments) if place == "before" else (*arguments, "--json")
    outcome = shell.run(*words, port="0") if arguments == ("up",) else shell.run(*words)
    body = outcome.json()
    assert list(body) == ["error"]
    assert list(body["error"]) == ["message", "type", "param", "code", "retryable", "details"]
    assert outcome.err == ""
    assert outcome.code > 2


@pytest.mark.parametrize("arguments", [("receipt",), ("status",), ("doctor",), ("down",)], ids=ids)
def test_answer_is_one_json_document(shell: Shell, arguments: tuple[str, ...]) -> None:
    outcome = shell.run("--json", *arguments)
    assert isinstance(outcome.json(), dict)
    assert outcome.err == ""


# ---- how commands end -------------------------------------------------------------------------------------------------


def _ending_with(error: BaseException, *, as_json: bool = False) -> int:
    """The exit code of a command in which something is raised."""
    made = typer.Context(click.Command("x"), obj=Context(json=as_json))

    @command
    def failing(context: typer.Context) -> None:
        raise error

    with pytest.raises(typer.Exit) as caught:
        failing(made)
    return caught.value.exit_code


def test_interrupted_command_ends_with_its_own_code() -> None:
    assert _ending_with(KeyboardInterrupt()) == INTERRUPTED == 130


def test_interrupt_while_a_module_makes_a_dataclass_ends_with_the_same_code(tmp_path: Path) -> None:
    """That is text run by exec(), after which `python -m` would end by the signal itself."""
    (tmp_path / "interrupted.py").write_text(
        "import os, signal, typer\n"
        "from tallystick.cli.context import command\n"
        "@command\n"
        "def run() -> None:\n"
        "    exec('import time; os.kill(os.getpid(), signal.SIGINT); time.sleep(60)')\n"
        "typer.run(run)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-m", "interrupted"], env=environment, timeout=60, check=False)
    assert ended.returncode == INTERRUPTED


def test_command_whose_reader_left_ends_with_its_own_code() -> None:
    assert _ending_with(BrokenPipeError()) == BROKEN_PIPE == 141


@pytest.mark.parametrize("arguments", [("receipt",), ("receipt", "--json")], ids=ids)
def test_command_writing_into_a_closed_pipe_ends_quietly(shell: Shell, arguments: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**os.environ, "TALLYSTICK_STATE_DIR": str(shell.state), "PYTHONUNBUFFERED": "1"}
    with os.fdopen(writer, "wb") as gone:
        ended = subprocess.run(
            [sys.executable, "-m", "tallystick", *arguments],
            env=environment,
            stdout=gone,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (BROKEN_PIPE, "")


def test_command_that_meets_an_unusable_file_says_which(capsys: pytest.CaptureFixture[str]) -> None:
    assert _ending_with(PermissionError(13, "Permission denied", "/some/file")) == FileUnusable.exit_code
    assert "/some/file" in capsys.readouterr().err


def test_state_folder_that_is_a_file_is_named(shell: Shell) -> None:
    shell.deploy()
    shell.state.write_text("")
    outcome = shell.run("oracle", "run")
    assert outcome.code == FileUnusable.exit_code
    assert f"file_unusable: {shell.state}" in " ".join(outcome.err.split())


def test_archive_that_is_a_folder_is_named(shell: Shell) -> None:
    archive = shell.folder / "archive"
    archive.mkdir()
    shell.run("receipt", archive_file=str(archive)).assert_refused(FileUnusable, "archive")


def test_receipt_of_a_call_that_is_not_here_is_refused(shell: Shell) -> None:
    shell.run("receipt", CALL_ID).assert_refused(UnknownCall, CALL_ID)


def test_up_on_a_port_in_use_is_refused_and_starts_nothing(shell: Shell) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        outcome = shell.run("--rpc-url", url, "up")
    assert outcome.code == PortInUse.exit_code
    assert "port_in_use: " in outcome.err
    assert not (shell.state / "processes.json").exists()


@pytest.mark.parametrize(
    "url", ["http://203.0.113.1:8545", "http://node.invalid:8545", "https://127.0.0.1.evil.invalid"]
)
def test_up_for_a_node_elsewhere_is_refused_and_starts_nothing(shell: Shell, url: str) -> None:
    shell.run("--rpc-url", url, "up").assert_refused(InvalidSetting, "on this machine only")
    assert not shell.state.exists()


def test_working_directory_is_left_as_it_is(shell: Shell) -> None:
    """No command that is refused makes a folder, not even the state folder."""
    before = sorted(shell.folder.iterdir())
    for arguments in (*TO_THE_CHAIN, *SIGNING, ("receipt",), ("status",)):
        shell.run(*arguments)
    assert sorted(shell.folder.iterdir()) == before

"""Settings: one table, and nothing in it that is read by accident."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tallystick.errors import InvalidSetting, UnknownSetting
from tallystick.settings import PREFIX, TOOL_VARIABLES, Settings, load_settings, table

SECRET = "0x" + "5ec7e7" * 10 + "abcd"
LIMITED = [item.name for item in fields(Settings) if " to " in item.metadata["limits"]]
TEXTS = ("rpc_url", "oracle_url", "host")


def variable(name: str) -> str:
    return PREFIX + name.upper()


def limits(name: str) -> tuple[float, float]:
    """The limits that the table states, as numbers."""
    stated = next(row["limits"] for row in table() if row["name"] == name)
    low, high = stated.split(" to ")
    return float(low.replace(",", "")), float(high.split()[0].replace(",", ""))


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


# ---- sources ----------------------------------------------------------------------------------------------------------


def test_load_settings_without_sources_gives_the_defaults() -> None:
    assert load_settings({}) == Settings()


def test_load_settings_reads_the_environment() -> None:
    assert load_settings({"TALLYSTICK_PORT": "9000"}) == replace(Settings(), port=9000)


def test_load_settings_reads_a_file(tmp_path: Path) -> None:
    path = write(tmp_path / "tallystick.toml", 'port = 9000\nallowed_hosts = ["example.com"]\n')
    assert load_settings({}, config=path) == replace(Settings(), port=9000, allowed_hosts=("example.com",))


def test_load_settings_reads_the_file_that_the_environment_names(tmp_path: Path) -> None:
    path = write(tmp_path / "tallystick.toml", "port = 9000\n")
    assert load_settings({"TALLYSTICK_CONFIG": str(path)}).port == 9000


def test_load_settings_prefers_the_environment_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "tallystick.toml", "port = 9000\n")
    assert load_settings({"TALLYSTICK_PORT": "9001"}, config=path).port == 9001


def test_load_settings_prefers_overrides_over_everything(tmp_path: Path) -> None:
    path = write(tmp_path / "tallystick.toml", "port = 9000\n")
    assert load_settings({"TALLYSTICK_PORT": "9001"}, config=path, port=9002).port == 9002


def test_load_settings_takes_an_override_of_none_for_not_given() -> None:
    assert load_settings({"TALLYSTICK_PORT": "9001"}, port=None).port == 9001


def test_load_settings_leaves_other_variables_alone() -> None:
    assert load_settings({"PORT": "9000", "HOME": "x"}) == Settings()


@pytest.mark.parametrize("name", sorted(TOOL_VARIABLES - {"CONFIG"}))
def test_load_settings_leaves_variables_of_the_scripts_alone(name: str) -> None:
    assert load_settings({f"TALLYSTICK_{name}": "x"}) == Settings()


# ---- refusals ---------------------------------------------------------------------------------------------------------


def test_load_settings_with_an_unknown_variable_names_it() -> None:
    with pytest.raises(UnknownSetting, match="TALLYSTICK_PROT") as caught:
        load_settings({"TALLYSTICK_PROT": "9000"})
    assert caught.value.details["setting"] == "prot"


def test_load_settings_with_an_unknown_key_names_file_and_key(tmp_path: Path) -> None:
    path = write(tmp_path / "tallystick.toml", "prot = 9000\n")
    with pytest.raises(UnknownSetting, match=r"tallystick\.toml: prot"):
        load_settings({}, config=path)


def test_load_settings_with_a_table_in_the_file_names_it(tmp_path: Path) -> None:
    path = write(tmp_path / "tallystick.toml", "[oracle]\nport = 9000\n")
    with pytest.raises(UnknownSetting, match="oracle"):
        load_settings({}, config=path)


def test_load_settings_without_the_file_names_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"none\.toml"):
        load_settings({}, config=tmp_path / "none.toml")


@pytest.mark.parametrize("content", [b"port = ", b"\xff\xfe", b"port = 1\nport = 2\n"])
def test_load_settings_with_a_file_that_is_no_toml_names_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tallystick.toml"
    path.write_bytes(content)
    with pytest.raises(InvalidSetting, match=r"tallystick\.toml"):
        load_settings({}, config=path)


@pytest.mark.parametrize("name", LIMITED)
def test_load_settings_accepts_its_limits(name: str) -> None:
    for limit in limits(name):
        assert getattr(load_settings({variable(name): f"{limit:g}" if limit % 1 else str(int(limit))}), name) == limit


@pytest.mark.parametrize("name", LIMITED)
def test_load_settings_beyond_its_limits_names_the_setting(name: str) -> None:
    low, high = limits(name)
    for number in (low - 1, high + 1):
        with pytest.raises(InvalidSetting, match=variable(name)) as caught:
            load_settings({variable(name): str(int(number))})
        assert caught.value.details["setting"] == name


@pytest.mark.parametrize("name", LIMITED)
@pytest.mark.parametrize("text", ["", "ten", "nan", "inf", "-inf", "0x10", "1,000", "1e400", "9" * 5000])
def test_load_settings_with_what_is_no_number_names_the_setting(name: str, text: str) -> None:
    with pytest.raises(InvalidSetting, match=variable(name)):
        load_settings({variable(name): text})


@pytest.mark.parametrize("name", LIMITED)
@pytest.mark.parametrize("literal", ["true", "[1]", "{}", "1979-05-27", "nan", "inf"])
def test_load_settings_with_another_kind_in_the_file_names_the_setting(tmp_path: Path, name: str, literal: str) -> None:
    path = write(tmp_path / "tallystick.toml", f"{name} = {literal}\n")
    with pytest.raises(InvalidSetting, match=name):
        load_settings({}, config=path)


@pytest.mark.parametrize("item", fields(Settings), ids=lambda item: item.name)
def test_load_settings_takes_no_boolean_for_anything(tmp_path: Path, item: Any) -> None:
    path = write(tmp_path / "tallystick.toml", f"{item.name} = false\n")
    with pytest.raises(InvalidSetting, match=item.name):
        load_settings({}, config=path)


@pytest.mark.parametrize("name", [*TEXTS, "state_dir", "models_dir", "deployment_file"])
@pytest.mark.parametrize("text", ["", " "])
def test_load_settings_takes_no_empty_text_for_one_that_is_needed(name: str, text: str) -> None:
    """An empty host would bind to every address; an empty folder would be the one that we happen to stand in."""
    with pytest.raises(InvalidSetting, match=variable(name)):
        load_settings({variable(name): text})


@pytest.mark.parametrize("name", ["keystore", "password", "private_key", "archive_file", "crash_at"])
def test_load_settings_takes_an_empty_text_for_not_given_where_there_is_a_choice(name: str) -> None:
    assert getattr(load_settings({variable(name): ""}), name) is None


@pytest.mark.parametrize("name", ["rpc_url", "oracle_url"])
@pytest.mark.parametrize(
    "text",
    [
        *("127.0.0.1:8545", "ws://127.0.0.1:8545", "file:///etc/passwd", "http://", "http:///v1"),
        *("http://[::1", "http://127.0.0.1:port", "http://127.0.0.1:0", "http://127.0.0.1:65536"),
    ],
)
def test_load_settings_with_what_is_no_http_url_names_the_setting(name: str, text: str) -> None:
    with pytest.raises(InvalidSetting, match=variable(name)):
        load_settings({variable(name): text})


@pytest.mark.parametrize("text", ["http://127.0.0.1:8545/", "https://example.com/rpc/", "http://[::1]:8545"])
def test_load_settings_takes_http_urls_without_their_last_slash(text: str) -> None:
    assert load_settings({"TALLYSTICK_RPC_URL": text}).rpc_url == text.rstrip("/")


@pytest.mark.parametrize(
    ("given", "expected"),
    [("example.com", ("example.com",)), (" a , b ,, ", ("a", "b")), ("", ())],
)
def test_load_settings_splits_a_list_at_commas(given: str, expected: tuple[str, ...]) -> None:
    assert load_settings({"TALLYSTICK_ALLOWED_HOSTS": given}).allowed_hosts == expected


def test_load_settings_expands_the_home_folder() -> None:
    assert load_settings({"TALLYSTICK_STATE_DIR": "~/tally"}).state_dir == Path("~/tally").expanduser()


# ---- what is kept from view -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["private_key", "password"])
def test_repr_hides_secrets(name: str) -> None:
    """S7: settings may be logged."""
    settings = load_settings({variable(name): SECRET})
    assert getattr(settings, name) == SECRET
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)


@pytest.mark.parametrize("name", ["private_key", "password"])
def test_load_settings_with_an_unusable_secret_does_not_show_it(tmp_path: Path, name: str) -> None:
    """S7: whoever mistypes a key does not find it in a log."""
    path = write(tmp_path / "tallystick.toml", f'{name} = ["{SECRET}"]\n')
    with pytest.raises(InvalidSetting) as caught:
        load_settings({}, config=path)
    assert SECRET not in caught.value.message
    assert SECRET not in str(caught.value.details)


def test_table_has_no_default_for_secrets() -> None:
    assert {row["default"] for row in table() if row["name"] in ("private_key", "password")} == {""}


# ---- the table --------------------------------------------------------------------------------------------------------


def test_table_lists_every_setting_once() -> None:
    assert [row["name"] for row in table()] == [item.name for item in fields(Settings)]


def test_table_gives_help_for_every_setting() -> None:
    assert [row["name"] for row in table() if not row["help"]] == []


@pytest.mark.parametrize("row", table(), ids=lambda row: row["name"])
def test_default_is_what_its_own_text_means(row: dict[str, str]) -> None:
    """The documented default, written into the environment, changes nothing."""
    if row["default"]:
        assert load_settings({row["variable"]: row["default"]}) == Settings()


def test_host_is_loopback_unless_told_otherwise() -> None:
    assert Settings().host == "127.0.0.1"


def test_archive_lies_in_the_state_folder_unless_told_otherwise(tmp_path: Path) -> None:
    assert load_settings({}, state_dir=tmp_path).archive == tmp_path / "receipts.jsonl"
    assert load_settings({}, state_dir=tmp_path, archive_file=tmp_path / "mine").archive == tmp_path / "mine"


@given(st.dictionaries(st.sampled_from([row["variable"] for row in table()]), st.text(max_size=20), max_size=3))
def test_load_settings_raises_nothing_but_its_own_errors(environment: dict[str, str]) -> None:
    named = {name.removeprefix(PREFIX).lower() for name in environment}
    try:
        load_settings(environment)
    except InvalidSetting as error:
        refused = error
    else:
        return
    assert refused.details["setting"] in named

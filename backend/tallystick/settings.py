"""Every setting in one table, which feeds environment, file, validation and docs/SETTINGS.md.

Sources, later ones win: the defaults here, a TOML file (`--config` or TALLYSTICK_CONFIG), environment variables
TALLYSTICK_<NAME>. An unknown key in either is fatal and named.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tallystick.errors import InvalidSetting, UnknownSetting

PREFIX = "TALLYSTICK_"
TOOL_VARIABLES = frozenset({"CONFIG", "BROWNIE_HOME", "TEST_PORT", "DEPLOYER_KEY", "ADMINISTRATOR"})
"""Variables under our prefix that are not settings of the package: where the file is, and what scripts/ read."""


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("expected text")
    return value


def _path(value: Any) -> Path:
    return Path(_text(value)).expanduser()


def _optional_path(value: Any) -> Path | None:
    return None if value == "" else _path(value)


def _optional_text(value: Any) -> str | None:
    return None if value == "" else _text(value)


def _words(value: Any) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise ValueError("expected a list of texts, or one text with commas")
    return tuple(item.strip() for item in items if item.strip())


def _url(value: Any) -> str:
    text = _text(value).rstrip("/")
    parts = urlsplit(text)
    # Reading the port checks it.
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("expected an http:// or https:// URL")
    return text


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError("expected a whole number")
        number = int(value)
        if not low <= number <= high:
            raise ValueError(f"expected {low} to {high}")
        return number

    return convert


def _seconds(low: float, high: float) -> Callable[[Any], float]:
    def convert(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError("expected a number of seconds")
        number = float(value)
        if not low <= number <= high:
            raise ValueError(f"expected {low:g} to {high:g} seconds")
        return number

    return convert


def _setting(
    default: Any, convert: Callable[[Any], Any], help_text: str, limits: str = "", *, secret: bool = False
) -> Any:
    metadata = {"convert": convert, "help": help_text, "limits": limits, "secret": secret}
    return field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """All settings with their defaults. Durations in seconds, sizes in bytes."""

    rpc_url: str = _setting("http://127.0.0.1:8545", _url, "JSON-RPC URL of the chain's node", "http(s) URL")
    rpc_timeout: float = _setting(10.0, _seconds(0.1, 120), "time limit of one RPC call", "0.1 to 120 s")
    deployment_file: Path = _setting(Path("deployments/1337.json"), _path, "where the contracts are (docs/SPEC.md)")
    page_blocks: int = _setting(2000, _whole(1, 1_000_000), "blocks per event query of an audit", "1 to 1,000,000")
    confirmations: int = _setting(1, _whole(1, 1000), "blocks, its own included, until an escrow counts", "1 to 1,000")
    finality: int = _setting(1, _whole(1, 10_000), "blocks until a posted result is no longer watched", "1 to 10,000")

    state_dir: Path = _setting(Path(".tallystick"), _path, "the store, receipts, logs and process files")
    models_dir: Path = _setting(Path("models"), _path, "the folder that holds the model folders")

    oracle_url: str = _setting("http://127.0.0.1:8402", _url, "where clients reach the oracle", "http(s) URL")
    host: str = _setting("127.0.0.1", _text, "address the oracle binds to; loopback unless you say otherwise")
    port: int = _setting(8402, _whole(1, 65535), "port the oracle binds to", "1 to 65,535")
    allowed_hosts: tuple[str, ...] = _setting(
        ("127.0.0.1", "localhost", "::1"), _words, "Host names that requests may use (against DNS rebinding)"
    )
    max_body: int = _setting(262_144, _whole(1024, 67_108_864), "largest request body", "1,024 to 67,108,864 bytes")
    body_timeout: float = _setting(10.0, _seconds(0.1, 300), "time a client has to send its request", "0.1 to 300 s")
    max_in_flight: int = _setting(32, _whole(1, 10_000), "requests worked on at once; more get 429", "1 to 10,000")
    post_wait: float = _setting(
        5.0, _seconds(0, 60), "how long a reply waits to name its posted transaction", "0 to 60 s"
    )
    reply_wait: float = _setting(
        30.0, _seconds(0, 300), "how long a repeated request waits for the first", "0 to 300 s"
    )
    service_margin: int = _setting(
        30, _whole(1, 3600), "least time before its deadline at which a call is accepted", "1 to 3,600 s"
    )
    posting_margin: int = _setting(
        5,
        _whole(1, 3600),
        "least time before its deadline at which a result is still signed and posted",
        "1 to 3,600 s",
    )
    served_owners: tuple[str, ...] = _setting(
        (), _words, "addresses whose listings are served; on the development chain dev:owner by default"
    )
    max_fee_gwei: int = _setting(
        500, _whole(1, 100_000), "above this fee per gas nothing is posted", "1 to 100,000 gwei"
    )
    torch_threads: int = _setting(0, _whole(0, 1024), "threads of the model runner; 0 leaves it to torch", "0 to 1,024")
    drain: float = _setting(10.0, _seconds(0, 300), "how long a stopping oracle finishes calls in flight", "0 to 300 s")

    call_duration: int = _setting(
        300, _whole(1, 604_800), "seconds from opening a call to its deadline", "1 to 604,800 s"
    )
    archive_file: Path | None = _setting(
        None, _optional_path, "the payer's receipt archive; default: receipts.jsonl in the state folder"
    )

    private_key: str | None = _setting(None, _optional_text, "key that signs, as 0x-hex", secret=True)
    keystore: Path | None = _setting(None, _optional_path, "encrypted keystore file of the key that signs")
    password: str | None = _setting(None, _optional_text, "password of the keystore", secret=True)

    crash_at: str | None = _setting(
        None, _optional_text, "crash tests only, refused off the development chain: `step:before` or `step:after`"
    )

    @property
    def archive(self) -> Path:
        return self.archive_file or self.state_dir / "receipts.jsonl"

    @property
    def store_file(self) -> Path:
        return self.state_dir / "oracle.sqlite3"


def load_settings(
    environment: Mapping[str, str] | None = None, *, config: Path | None = None, **overrides: Any
) -> Settings:
    """Read file and environment; `overrides` (None means not given) win. Raises UnknownSetting or InvalidSetting."""
    environment = os.environ if environment is None else environment
    given: dict[str, tuple[Any, str]] = {}
    path = config or (Path(environment[f"{PREFIX}CONFIG"]) if environment.get(f"{PREFIX}CONFIG") else None)
    if path is not None:
        for name, value in _read_file(path).items():
            given[name] = (value, f"{path}: {name}")
    for variable, value in environment.items():
        if variable.startswith(PREFIX) and variable.removeprefix(PREFIX) not in TOOL_VARIABLES:
            given[variable.removeprefix(PREFIX).lower()] = (value, variable)
    for name, value in overrides.items():
        if value is not None:
            given[name] = (value, f"--{name.replace('_', '-')}")

    known = {item.name: item for item in fields(Settings)}
    values: dict[str, Any] = {}
    for name, (value, source) in given.items():
        if name not in known:
            raise UnknownSetting(
                f"{source} is no setting of Tallystick's; docs/SETTINGS.md lists those there are.", setting=name
            )
        metadata = known[name].metadata
        try:
            values[name] = value if isinstance(value, Path) else metadata["convert"](value)
        except ValueError as error:
            shown = "the value" if metadata["secret"] else repr(value)
            raise InvalidSetting(f"{source}: {shown} is not usable: {error}.", setting=name) from None
    return Settings(**values)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidSetting(f"The configuration file {path} can't be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"The configuration file {path} is not TOML: {error}.") from None


def table() -> list[dict[str, str]]:
    """The settings as rows of text, for docs/SETTINGS.md and `tallystick doctor`."""
    rows = []
    for item in fields(Settings):
        default = item.default
        shown = ",".join(default) if isinstance(default, tuple) else ("" if default is None else str(default))
        rows.append(
            {
                "name": item.name,
                "variable": f"{PREFIX}{item.name.upper()}",
                "default": shown,
                "limits": item.metadata["limits"],
                "help": item.metadata["help"],
            }
        )
    return rows

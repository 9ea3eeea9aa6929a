"""What every command needs: settings, the chain, a key, and one way to print and to fail."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, ParamSpec

import typer
from rich.console import Console

from tallystick.errors import FileUnusable, InvalidSetting, KeyMissing, TallystickError
from tallystick.settings import Settings, load_settings

P = ParamSpec("P")

INTERRUPTED = 130
BROKEN_PIPE = 141


class Output(Console):
    """Standard output. Where its reader has gone, the command ends with the exit code for that."""

    def on_broken_pipe(self) -> None:
        try:
            super().on_broken_pipe()
        except SystemExit:
            raise typer.Exit(BROKEN_PIPE) from None


@dataclass
class Context:
    """Options of the whole command line. `json` asks for one JSON document on standard output and nothing else there."""

    config: Path | None = None
    state_dir: Path | None = None
    rpc_url: str | None = None
    key: str | None = None
    json: bool = False
    notes: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))
    out: Console = field(default_factory=lambda: Output(highlight=False))

    @cached_property
    def settings(self) -> Settings:
        return load_settings(config=self.config, state_dir=self.state_dir, rpc_url=self.rpc_url)

    @cached_property
    def deployment(self) -> Any:
        from tallystick.chain.deployment import Deployment

        return Deployment.load(self.settings.deployment_file)

    @cached_property
    def market(self) -> Any:
        """The marketplace on chain, verified against the deployment file."""
        from tallystick.chain.marketplace import Marketplace

        market = Marketplace(self.settings.rpc_url, self.deployment, timeout=self.settings.rpc_timeout)
        market.verify()
        return market

    def wallet(self) -> Any:
        """The key that signs: `--key`, else the settings. Raises KeyMissing or KeyInvalid."""
        from tallystick.chain.wallet import development_wallet, wallet_from_hex, wallet_from_keystore

        settings = self.settings
        if self.key is not None:
            if self.key.startswith("dev:"):
                return development_wallet(self.key.removeprefix("dev:"), self.deployment.chain_id)
            return wallet_from_keystore(Path(self.key), settings.password)
        if settings.keystore is not None:
            return wallet_from_keystore(settings.keystore, settings.password)
        if settings.private_key is not None:
            return wallet_from_hex(settings.private_key, "TALLYSTICK_PRIVATE_KEY")
        raise KeyMissing(
            "This needs a key to sign with. Give --key dev:payer (or dev:owner, dev:oracle) on the development chain, "
            "--key FILE for an encrypted keystore with its password in TALLYSTICK_PASSWORD, or set TALLYSTICK_KEYSTORE."
        )

    def close(self) -> None:
        """Close what was opened on the way."""
        for opened in ("client", "market"):
            if opened in self.__dict__:
                self.__dict__.pop(opened).close()

    @cached_property
    def client(self) -> Any:
        """The payer, with the key that signs."""
        from tallystick.client.client import Client
        from tallystick.client.remote import RemoteOracle

        settings = self.settings
        return Client(
            self.market,
            RemoteOracle(settings.oracle_url),
            self.wallet(),
            settings.state_dir,
            archive=settings.archive,
            call_duration=settings.call_duration,
            confirmations=settings.confirmations,
        )

    def show(self, value: Any, render: Callable[[], None]) -> None:
        """Print `value` as JSON where asked for, else whatever `render` prints."""
        if self.json:
            sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
        else:
            render()

    def note(self, text: str) -> None:
        """Progress and remarks: on standard error, so that standard output stays the answer."""
        if not self.json:
            self.notes.print(text, markup=False)


def command(function: Callable[P, None]) -> Callable[P, None]:
    """Let a command fail in one way: the message on standard error (or the error body, with --json), its exit code."""

    @wraps(function)
    def wrapped(*arguments: P.args, **options: P.kwargs) -> None:
        try:
            function(*arguments, **options)
        except TallystickError as error:
            fail(error, wants_json(arguments, options))
        except KeyboardInterrupt:
            _forget_interrupt()
            Console(stderr=True).print("\nInterrupted.")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            raise typer.Exit(BROKEN_PIPE) from None
        except OSError as error:
            fail(_unusable(error), wants_json(arguments, options))

    return wrapped


def _forget_interrupt() -> None:
    """Let the exit code be ours also where Ctrl-C came while a module was making a dataclass.

    CPython notes an interrupt that leaves source text run by exec() as unhandled, and ends `python -m` by that signal
    whatever is caught later; running any other text takes the note back (run_eval_code_obj in Python/pythonrun.c).
    """
    exec("")  # noqa: S102


def wants_json(arguments: tuple[object, ...], options: Mapping[str, object]) -> bool:
    """Whether a command was called with --json, before or after it: its context carries ours."""
    carried = (getattr(value, "obj", None) for value in (*arguments, *options.values()))
    return any(isinstance(found, Context) and found.json for found in carried)


def _unusable(error: OSError) -> FileUnusable:
    place = str(error.filename) if error.filename is not None else "A file"
    return FileUnusable(f"{place} can't be used: {error.strerror or error}. Check the path and its permissions.")


def fail(error: TallystickError, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(error.body(), indent=2, ensure_ascii=False) + "\n")
    else:
        console = Console(stderr=True, highlight=False)
        console.print(f"[bold red]{error.code}[/bold red]: ", end="")
        console.print(error.message, markup=False)
    raise typer.Exit(error.exit_code)


DECIMALS = {"wei": 0, "gwei": 9, "ether": 18}
AMOUNT = re.compile(r"([0-9]{1,80})(?:\.([0-9]{1,80}))?\s*(wei|gwei|ether)?")


def parse_amount(text: str) -> int:
    """`1500`, `1500wei`, `2gwei` or `0.001ether` in wei. Raises InvalidSetting on anything else, or on parts of a wei."""
    found = AMOUNT.fullmatch(text.strip().lower())
    if found is None:
        raise InvalidSetting(f"{text[:80]!r} is no amount: write it as 1500, 2gwei or 0.001ether.")
    whole, fraction, unit = found[1], (found[2] or "").rstrip("0"), found[3] or "wei"
    if len(fraction) > DECIMALS[unit]:
        raise InvalidSetting(f"{text[:80]!r} is no whole number of wei.")
    return int(whole + fraction.ljust(DECIMALS[unit], "0"))


def show_amount(amount: int) -> str:
    """An amount of the native asset for people: exact, in ether where that is shorter."""
    if amount < 10**9:
        return f"{amount} wei"
    whole, fraction = divmod(amount, 10**18)
    digits = f"{fraction:018}".rstrip("0")
    return f"{whole}.{digits} ether" if digits else f"{whole} ether"

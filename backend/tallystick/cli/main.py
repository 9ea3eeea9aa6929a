"""`tallystick`: the command line. Each command is a function in a module of its own group; exit codes are in docs/CLI.md."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tallystick import __version__
from tallystick.cli import auditing, calls, local, models
from tallystick.cli.context import Context

app = typer.Typer(
    name="tallystick",
    help="A marketplace for AI models in which every call is metered on a blockchain.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
oracle = typer.Typer(
    help="The oracle: verifies payment, runs the model, posts the result's hash.", no_args_is_help=True
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"tallystick {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(help="TOML file with settings (docs/SETTINGS.md).")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="Folder for store, receipts and logs.")] = None,
    rpc_url: Annotated[str | None, typer.Option(help="JSON-RPC URL of the chain's node.")] = None,
    key: Annotated[
        str | None, typer.Option(help="Who signs: dev:ROLE on the development chain, or a keystore file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    context.obj = Context(config=config, state_dir=state_dir, rpc_url=rpc_url, key=key, json=as_json)
    context.call_on_close(context.obj.close)


app.command()(local.up)
app.command()(local.down)
app.command()(local.status)
app.command()(local.doctor)
app.command()(local.demo)
app.command("models")(models.show_models)
app.command()(models.train)
app.command()(models.publish)
app.command()(models.unlist)
app.command()(models.relist)
app.command()(calls.query)
app.command()(calls.receipt)
app.command()(calls.refund)
app.command()(calls.withdraw)
app.command()(auditing.audit)
oracle.command("run")(local.oracle_run)
app.add_typer(oracle, name="oracle")


def run() -> None:
    """The console script."""
    app()

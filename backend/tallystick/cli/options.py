"""Options that several commands share. They work before the command and after it: `tallystick --json models`, `tallystick
models --json`."""

from __future__ import annotations

from typing import Annotated

import typer


def _set_json(context: typer.Context, value: bool) -> bool:
    if value:
        context.obj.json = True
    return value


def _set_key(context: typer.Context, value: str | None) -> str | None:
    if value is not None:
        context.obj.key = value
    return value


Json = Annotated[
    bool, typer.Option("--json", callback=_set_json, expose_value=True, help="One JSON document on standard output.")
]
Key = Annotated[
    str | None,
    typer.Option("--key", callback=_set_key, help="Who signs: dev:ROLE on the development chain, or a keystore file."),
]

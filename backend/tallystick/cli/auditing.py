"""The auditor's command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from tallystick.cli.context import Context, command
from tallystick.cli.options import Json

FAILED = 9
"""Exit code of an audit that ran and found something wrong."""


@command
def audit(
    context: typer.Context,
    archive: Annotated[list[Path] | None, typer.Option(help="A receipt archive; may be given several times.")] = None,
    models: Annotated[Path | None, typer.Option(help="Folder of model folders: re-run the disclosed calls.")] = None,
    to_block: Annotated[int | None, typer.Option(help="Audit up to this block; default: the newest.", min=0)] = None,
    json: Json = False,
) -> None:
    """Replay everything that happened on chain and check it, call by call. Exit code 0: PASS, 9: something is wrong."""
    obj: Context = context.obj
    report = run_audit(obj, archives=archive or [], models=models, to_block=to_block)
    obj.show(report.to_dict(), lambda: report.render(obj.out))
    if not report.passed:
        raise typer.Exit(FAILED)


def run_audit(obj: Context, *, archives: list[Path], models: Path | None, to_block: int | None = None) -> Any:
    from tallystick.audit.auditor import audit as replay

    settings = obj.settings
    with obj.notes.status("replaying the chain ..."):
        return replay(
            settings.rpc_url,
            obj.deployment,
            to_block=to_block,
            archives=tuple(archives),
            rerun=None if models is None else model_rerun(models),
            page_blocks=settings.page_blocks,
            timeout=settings.rpc_timeout,
        )


def model_rerun(models: Path) -> Callable[..., Any]:
    """Re-run disclosed calls with the model folders below `models`, each verified against the manifest hash on chain."""
    from tallystick.audit.disclosures import RerunResult
    from tallystick.inference.finding import find_folder
    from tallystick.inference.loading import load_runner

    loaded: dict[bytes, Any] = {}

    def rerun(manifest_hash: bytes, request: Any, _parameters: Any) -> Any:
        runner = loaded.get(manifest_hash)
        if runner is None:
            runner = loaded[manifest_hash] = load_runner(find_folder(models, manifest_hash), manifest_hash)
        # What the request asks for, not what the oracle says it ran with: the two are compared.
        effective = runner.effective_parameters(request.parameters)
        inference = runner.run(request.input, effective)
        return RerunResult(inference.result, inference.units, effective)

    return rerun

"""The marketplace on this machine: up, down, status, doctor, demo, and the oracle's own process."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.table import Table

from tallystick.cli.context import Context, command
from tallystick.cli.models import RECIPE, publish_folder, train_if_needed
from tallystick.cli.options import Json, Key
from tallystick.errors import InvalidSetting, SetupError, TallystickError

DEMO_MODEL = "customer-service"
CHAIN, ORACLE = "chain", "oracle"


def example_prices() -> Any:
    """What `up` and `demo` ask for the example listing: 0.0001 ether a call and 0.001 ether per 1,000 tokens."""
    from tallystick.protocol.prices import NATIVE, PriceSheet

    return PriceSheet(NATIVE, 10**14, 10**15, 0, 0)


@command
def up(context: typer.Context, json: Json = False) -> None:
    """Start the marketplace here: chain, contracts, a trained and listed model, the oracle. What runs already stays."""
    obj: Context = context.obj
    from tallystick.devnet import marketplace as devnet
    from tallystick.devnet.processes import Registry

    settings, checkout = obj.settings, devnet.Checkout.find()
    _require_loopback(settings.rpc_url)
    state = settings.state_dir.absolute()
    registry = Registry(state / "processes.json")
    running = {name: process for name, process in registry.load().items() if process.alive()}

    if CHAIN not in running:
        obj.note(f"starting Ganache on {settings.rpc_url} ...")
        running[CHAIN] = devnet.start_chain(
            checkout, devnet.port_of(settings.rpc_url), state / "chain.log", state / "chain"
        )
        registry.save(running)
    if not _is_deployed(obj):
        if settings.deployment_file.exists():
            # The address of an older escrow, and of whatever it still owes, must not get lost.
            settings.deployment_file.rename(settings.deployment_file.with_suffix(f".{int(time.time())}.old.json"))
        obj.note("deploying the contracts ...")
        devnet.deploy(checkout, settings.rpc_url, settings.deployment_file)
    if ORACLE not in running:
        listed = _prepare_listings(obj, checkout.models)
        obj.note(f"starting the oracle on {settings.oracle_url} ...")
        running[ORACLE] = devnet.start_oracle(
            oracle_environment(obj, checkout), settings.oracle_url, state / "oracle.log"
        )
        registry.save(running)
    else:
        listed = obj.market.listing_count()
    shown = {
        "rpc_url": settings.rpc_url,
        "oracle_url": settings.oracle_url,
        "escrow": obj.deployment.escrow.address,
        "registry": obj.deployment.registry.address,
        "listings": listed,
    }

    def render() -> None:
        obj.out.print(f"chain    {settings.rpc_url}  (Ganache, chain {obj.deployment.chain_id})")
        obj.out.print(f"escrow   {obj.deployment.escrow.address}")
        obj.out.print(f"oracle   {settings.oracle_url}")
        obj.out.print('Try: tallystick query 1 "Where is my parcel?" --key dev:payer', markup=False)
        obj.out.print("Stop: tallystick down")

    obj.show(shown, render)


def _require_loopback(rpc_url: str) -> None:
    host = urlsplit(rpc_url).hostname
    if host not in ("127.0.0.1", "localhost", "::1"):
        raise InvalidSetting(
            f"`up` starts and deploys on this machine only, not on {host}. To use a marketplace that runs there, name its "
            "deployment file with TALLYSTICK_DEPLOYMENT_FILE.",
            setting="rpc_url",
        )


def _is_deployed(obj: Context) -> bool:
    """Whether the chain that runs is the one of the deployment file; a file of an older chain is replaced."""
    from tallystick.errors import ContractMissing, DeploymentMismatch, DeploymentMissing

    try:
        _ = obj.market
        return True
    except (DeploymentMissing, DeploymentMismatch, ContractMissing):
        obj.__dict__.pop("deployment", None)
        return False


def _prepare_listings(obj: Context, models: Path) -> int:
    """Train every model folder that needs it and list those whose manifest is not for sale yet."""
    from tallystick.inference.manifest import read_manifest

    market = obj.market
    on_sale = {
        market.revision(number, market.listing(number).latest_revision).manifest_hash
        for number in range(1, market.listing_count() + 1)
    }
    for recipe in sorted(models.glob(f"*/{RECIPE}")):
        target = recipe.parent / "artifacts" / "model"
        train_if_needed(obj, recipe.parent, target)
        if read_manifest(target).hash() not in on_sale:
            owner = Context(config=obj.config, state_dir=obj.state_dir, rpc_url=obj.rpc_url, key="dev:owner", json=True)
            publish_folder(owner, target, example_prices())
    return int(market.listing_count())


def oracle_environment(obj: Context, checkout: Any, **extra: str) -> dict[str, str]:
    """The environment of an oracle process that serves what this command line sees, with the development key."""
    settings = obj.settings
    return {
        **checkout.environment(),
        # torch makes this folder as soon as it is imported, by default where nobody cleans it up.
        "TORCHINDUCTOR_CACHE_DIR": str(settings.state_dir.absolute() / "torch"),
        "TALLYSTICK_RPC_URL": settings.rpc_url,
        "TALLYSTICK_DEPLOYMENT_FILE": str(settings.deployment_file.absolute()),
        "TALLYSTICK_STATE_DIR": str(settings.state_dir.absolute()),
        "TALLYSTICK_MODELS_DIR": str(checkout.models),
        "TALLYSTICK_ORACLE_URL": settings.oracle_url,
        "TALLYSTICK_PORT": str(settings.port),
        "TALLYSTICK_HOST": settings.host,
        "TALLYSTICK_CONFIRMATIONS": str(settings.confirmations),
        "TALLYSTICK_FINALITY": str(settings.finality),
        "TALLYSTICK_TORCH_THREADS": str(settings.torch_threads),
        **extra,
    }


@command
def down(context: typer.Context, json: Json = False) -> None:
    """Stop what `up` started. Chain, store and receipts stay; `up` goes on with them."""
    obj: Context = context.obj
    from tallystick.devnet.processes import Registry

    registry = Registry(obj.settings.state_dir / "processes.json")
    processes = registry.load()
    stopped = []
    for name in (ORACLE, CHAIN):
        process = processes.get(name)
        if process is not None and process.alive():
            process.stop()
            stopped.append(name)
    registry.save({})
    obj.show(
        {"stopped": stopped}, lambda: obj.out.print(f"stopped {' and '.join(stopped)}" if stopped else "nothing runs")
    )


@command
def status(context: typer.Context, json: Json = False) -> None:
    """What runs, and how it stands: chain, contracts, oracle, listings, money."""
    obj: Context = context.obj
    from tallystick.devnet.processes import Registry

    settings = obj.settings
    processes = Registry(settings.state_dir / "processes.json").load()
    shown: dict[str, Any] = {
        "processes": {name: process.pid for name, process in processes.items() if process.alive()},
        "chain": _probe(lambda: _chain_status(obj)),
        "oracle": _probe(lambda: _oracle_status(settings.oracle_url)),
    }

    def render() -> None:
        table = Table(show_header=False, box=None)
        for part in ("chain", "oracle"):
            for name, value in shown[part].items():
                table.add_row(part, name, str(value))
        for name, pid in shown["processes"].items():
            table.add_row("process", name, str(pid))
        obj.out.print(table)

    obj.show(shown, render)


def _probe(question: Any) -> dict[str, Any]:
    try:
        return dict(question())
    except TallystickError as error:
        return {"error": error.code, "message": error.message}


def _chain_status(obj: Context) -> Mapping[str, Any]:
    market, head = obj.market, obj.market.head()
    escrow = obj.deployment.escrow.address
    return {
        "rpc_url": obj.settings.rpc_url,
        "chain_id": obj.deployment.chain_id,
        "block": head.number,
        "escrow": escrow,
        "escrow_balance": str(market.native_balance(escrow)),
        "listings": market.listing_count(),
    }


def _oracle_status(url: str) -> Mapping[str, Any]:
    from tallystick.client.remote import RemoteOracle

    oracle = RemoteOracle(url, timeout=5.0, attempts=1)
    state = oracle.get("/readyz", "status")["status"]
    return {"url": url, "state": state, **oracle.get("/v1/status")}


@command
def doctor(context: typer.Context, json: Json = False) -> None:
    """Check everything that a marketplace here needs, and say what to do about what is missing."""
    obj: Context = context.obj
    checks = _checks(obj)
    failed = [check for check in checks if not check["ok"]]

    def render() -> None:
        for check in checks:
            mark = "[green]ok[/green]     " if check["ok"] else "[red]missing[/red]"
            obj.out.print(f"{mark} {check['name']}: ", end="")
            obj.out.print(check["message"], markup=False)

    obj.show({"checks": checks}, render)
    if failed:
        raise typer.Exit(SetupError.exit_code)


def _checks(obj: Context) -> list[dict[str, Any]]:
    checks: list[dict[str, Any]] = []

    def check(name: str, question: Any) -> None:
        try:
            checks.append({"name": name, "ok": True, "message": str(question())})
        except TallystickError as error:
            checks.append({"name": name, "ok": False, "code": error.code, "message": error.message})

    check("python", lambda: sys.version.split()[0])
    check("settings", lambda: f"state in {obj.settings.state_dir}")
    check("checkout", _checkout_root)
    check("node", _node)
    check("inference", _inference)
    check("chain", lambda: f"block {obj.market.head().number} at {obj.settings.rpc_url}")
    check("models", lambda: _models(obj))
    check("oracle", lambda: _oracle_status(obj.settings.oracle_url)["state"])
    return checks


def _checkout_root() -> str:
    from tallystick.devnet.marketplace import Checkout

    return str(Checkout.find().root)


def _node() -> str:
    from tallystick.devnet.marketplace import Checkout
    from tallystick.errors import ToolMissing

    found = shutil.which("node", path=Checkout.find().environment()["PATH"])
    if found is None:
        raise ToolMissing("Node is not set up; run `make setup`.")
    return found


def _inference() -> str:
    from importlib.metadata import PackageNotFoundError, version

    from tallystick.errors import ToolMissing

    try:
        return f"torch {version('torch')}, transformers {version('transformers')}"
    except PackageNotFoundError as error:
        raise ToolMissing(f"{error.name} is not installed; install tallystick[oracle], or run `make setup`.") from None


def _models(obj: Context) -> str:
    from tallystick.inference.folder import read_verified

    folders = sorted(path.parent for path in obj.settings.models_dir.glob("*/artifacts/*/manifest.json"))
    for folder in folders:
        read_verified(folder, None)
    return f"{len(folders)} trained, files as their manifests say"


@command
def oracle_run(context: typer.Context, key: Key = None) -> None:
    """Serve as an oracle in the foreground, until Ctrl-C. On the development chain the key is dev:oracle by default."""
    obj: Context = context.obj
    from tallystick.inference.loading import load_runner
    from tallystick.oracle.logs import configure_logs
    from tallystick.oracle.server import run_oracle

    settings = obj.settings
    if obj.key is None and settings.keystore is None and settings.private_key is None:
        obj.key = "dev:oracle"
    wallet = obj.wallet()
    configure_logs()
    threads = settings.torch_threads or None
    run_oracle(
        settings, wallet, lambda folder, manifest_hash: load_runner(folder, manifest_hash, torch_threads=threads)
    )


@command
def demo(
    context: typer.Context,
    again: Annotated[bool, typer.Option(help="Train the model again even if it is current.")] = False,
) -> None:
    """Watch one marketplace from training to audit, on a chain of its own that is gone afterwards."""
    from tallystick.cli.demonstration import run_demo

    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    run_demo(context.obj, again=again)

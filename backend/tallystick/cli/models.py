"""The owner's commands, and the list that everybody reads: models, train, publish, unlist, relist."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any

import typer

from tallystick.cli.context import Context, command, parse_amount, show_amount
from tallystick.cli.options import Json, Key
from tallystick.errors import InvalidSetting, ModelMissing

RECIPE = "recipe.toml"


@command
def show_models(context: typer.Context, json: Json = False) -> None:
    """List what is for sale, as the chain has it."""
    obj: Context = context.obj
    rows = [_listing_entry(obj.market, listing_id) for listing_id in range(1, obj.market.listing_count() + 1)]

    def render() -> None:
        if not rows:
            obj.out.print("Nothing is listed yet. `tallystick publish FOLDER` makes the first listing.")
            return
        for row in rows:
            prices = row["prices"]
            state = "off sale" if row["withdrawn"] else "for sale"
            obj.out.print(
                f"{row['id']}  revision {row['revision']}, {state}: {show_amount(int(prices['per_call']))} a call, "
                f"{show_amount(int(prices['per_thousand_input_tokens']))} per 1,000 tokens read"
            )
            obj.out.print(f"   owner {row['owner']}, oracle {row['oracle']}")
            obj.out.print(f"   manifest {row['manifest_hash']}", soft_wrap=True)

    obj.show({"object": "list", "data": rows}, render)


def _listing_entry(market: Any, listing_id: int) -> dict[str, Any]:
    listing = market.listing(listing_id)
    revision = market.revision(listing_id, listing.latest_revision)
    return {
        "id": str(listing_id),
        "owner": listing.owner,
        "oracle": listing.oracle,
        "revision": listing.latest_revision,
        "withdrawn": listing.withdrawn,
        "manifest_hash": "0x" + revision.manifest_hash.hex(),
        "prices": revision.prices.to_dict(),
        "metadata_uri": revision.metadata_uri,
    }


@command
def train(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A folder with a recipe.toml, such as models/customer-service.")],
    base: Annotated[str | None, typer.Option(help="Base model: a folder or a hub id; default: the recipe's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed; default: the recipe's.")] = None,
    output: Annotated[Path | None, typer.Option(help="Where the model goes; default: FOLDER/artifacts/model.")] = None,
    again: Annotated[bool, typer.Option(help="Train even if the model there is what this recipe makes.")] = False,
    json: Json = False,
) -> None:
    """Train a model by its recipe and save it with its manifest, ready to publish."""
    obj: Context = context.obj
    target = output or folder / "artifacts" / "model"
    report = train_if_needed(obj, folder, target, base=base, seed=seed, again=again)
    obj.show({"folder": str(target), **report}, lambda: obj.out.print(f"model in {target}"))


def train_if_needed(
    obj: Context, folder: Path, target: Path, *, base: str | None = None, seed: int | None = None, again: bool = False
) -> dict[str, Any]:
    """Train, unless the model in `target` is what the recipe makes. Returns what its manifest says was measured."""
    from tallystick.inference.manifest import read_manifest
    from tallystick.training.train import is_current, train

    recipe = folder / RECIPE
    if not recipe.exists():
        raise ModelMissing(f"There is no {RECIPE} in {folder}; name a folder such as models/customer-service.")
    trained = again or base is not None or seed is not None or not is_current(recipe, target)
    if trained:
        train(recipe, target, base=base, seed=seed, console=obj.notes)
    manifest = read_manifest(target)
    if not trained:
        obj.note(f"{manifest.title}: trained before from this very recipe and data; train again with --again.")
    return {
        "trained": trained,
        "manifest_hash": "0x" + manifest.hash().hex(),
        "accuracy": manifest.metrics.accuracy,
        "macro_f1": manifest.metrics.macro_f1,
        "baseline_accuracy": manifest.metrics.baseline_accuracy,
    }


@command
def publish(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(help="A trained model folder, such as models/customer-service/artifacts/model.")
    ],
    per_call: Annotated[str | None, typer.Option(help="Price of a call, such as 0.0001ether.")] = None,
    per_thousand_input_tokens: Annotated[str | None, typer.Option(help="Price of 1,000 tokens read.")] = None,
    per_thousand_output_tokens: Annotated[str | None, typer.Option(help="Price of 1,000 tokens written.")] = None,
    per_compute_second: Annotated[str | None, typer.Option(help="Price of a second of computing.")] = None,
    free: Annotated[bool, typer.Option(help="Yes, at no price at all.")] = False,
    oracle: Annotated[
        str | None, typer.Option(help="Address that runs it; default on the development chain: its oracle.")
    ] = None,
    oracle_share: Annotated[
        str | None, typer.Option(help="Per cent of what a call earns that its oracle gets, such as 12.5; default: 0.")
    ] = None,
    revise: Annotated[int | None, typer.Option(help="Add a revision to this listing instead of a new listing.")] = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Put a trained model up for sale: mint a listing, or add a revision to one.

    A new listing costs what its price options say. A revision keeps the prices of the one before it, but for those given,
    and so its oracle, the oracle's share, tiers and plans.
    """
    obj: Context = context.obj
    given = {
        "per_call": per_call,
        "per_thousand_input_tokens": per_thousand_input_tokens,
        "per_thousand_output_tokens": per_thousand_output_tokens,
        "per_compute_second": per_compute_second,
    }
    prices = _prices(obj, given, revise, free=free)
    share = _basis_points(oracle_share) if oracle_share is not None else None
    entry = publish_folder(obj, folder, prices, oracle=oracle, oracle_share_bps=share, revise=revise)
    obj.show(entry, lambda: obj.out.print(f"listing {entry['listing']}, revision {entry['revision']}: for sale"))


def _basis_points(text: str) -> int:
    """Hundredths of a per cent. Raises InvalidSetting where `text` is no share of the whole, or finer than that."""
    try:
        points = Decimal(text) * 100
        if points == int(points) and 0 <= points <= 10_000:
            return int(points)
    except (InvalidOperation, OverflowError, ValueError):
        pass
    raise InvalidSetting(
        f"--oracle-share: {text!r} is no per cent from 0 to 100 of at most two decimals.", setting="oracle_share"
    )


def _prices(obj: Context, given: dict[str, str | None], revise: int | None, *, free: bool) -> Any:
    """The price sheet of a publication. Raises InvalidSetting where it would sell for nothing without being told to."""
    from tallystick.protocol.prices import NATIVE, PriceSheet

    amounts = {name: parse_amount(text) for name, text in given.items() if text is not None}
    before = PriceSheet(NATIVE, 0, 0, 0, 0)
    if revise is not None and not free:
        before = obj.market.revision(revise, obj.market.listing(revise).latest_revision).prices
    try:
        prices = PriceSheet.from_dict({**before.to_dict(), **amounts})
    except ValueError as error:
        raise InvalidSetting(f"A price is too high for a price sheet: {error}.") from None
    if not any(prices.as_tuple()[1:]) and not free:
        raise InvalidSetting(
            "This would sell for nothing. Give a price, such as --per-call 0.0001ether, or say --free."
        )
    return prices


def publish_folder(
    obj: Context,
    folder: Path,
    prices: Any,
    *,
    oracle: str | None = None,
    oracle_share_bps: int | None = None,
    revise: int | None = None,
) -> dict[str, Any]:
    """Check the folder as an oracle will, then list its manifest hash. A revision keeps what is not given."""
    from tallystick.chain.wallet import development_wallet
    from tallystick.inference.folder import read_verified
    from tallystick.protocol.hexes import checksum_address
    from tallystick.protocol.revisions import RevisionTerms

    wallet = obj.wallet()
    manifest_hash = read_verified(folder, None).manifest.hash()
    uri = f"{obj.settings.oracle_url}/v1/manifests/0x{manifest_hash.hex()}"
    market, transactions = obj.market, obj.market.transactions
    try:
        named = checksum_address(oracle) if oracle else None
    except ValueError as error:
        raise InvalidSetting(f"--oracle: {error}.", setting="oracle") from None
    if revise is None:
        operator = named or development_wallet("oracle", obj.deployment.chain_id).address
        terms = RevisionTerms(operator, manifest_hash, prices, uri, oracle_share_bps or 0)
        function = market.publish_listing(terms)
    else:
        before = market.revision(revise, market.listing(revise).latest_revision).terms
        terms = RevisionTerms(
            named or before.oracle,
            manifest_hash,
            prices,
            uri,
            before.oracle_share_bps if oracle_share_bps is None else oracle_share_bps,
            before.tiers,
            before.plans,
        )
        function = market.revise_listing(revise, terms)
    mined = transactions.send_and_wait(transactions.prepare(wallet, function))
    listing_id = revise if revise is not None else market.published_in(mined)
    return {
        "listing": str(listing_id),
        "revision": market.listing(listing_id).latest_revision,
        "manifest_hash": "0x" + manifest_hash.hex(),
        "prices": prices.to_dict(),
        "gas_used": mined.gas_used,
    }


@command
def unlist(
    context: typer.Context,
    listing: Annotated[int, typer.Argument(help="Listing id.", min=1)],
    key: Key = None,
    json: Json = False,
) -> None:
    """Take a listing off sale. Calls that are open are still served."""
    _change_sale(context.obj, listing, "withdraw_listing", "off sale")


@command
def relist(
    context: typer.Context,
    listing: Annotated[int, typer.Argument(help="Listing id.", min=1)],
    key: Key = None,
    json: Json = False,
) -> None:
    """Put a listing back on sale."""
    _change_sale(context.obj, listing, "relist", "for sale")


def _change_sale(obj: Context, listing: int, function: str, outcome: str) -> None:
    wallet, transactions = obj.wallet(), obj.market.transactions
    obj.market.listing(listing)
    mined = transactions.send_and_wait(transactions.prepare(wallet, getattr(obj.market, function)(listing)))
    obj.show(
        {"listing": str(listing), "state": outcome, "gas_used": mined.gas_used},
        lambda: obj.out.print(f"listing {listing}: {outcome}"),
    )

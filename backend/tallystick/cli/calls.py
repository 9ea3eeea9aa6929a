"""The payer's commands: query, receipt, refund, withdraw."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from tallystick.cli.context import Context, command, parse_amount, show_amount
from tallystick.cli.options import Json, Key
from tallystick.errors import CallClosed, InvalidRequest, PaymentError, TallystickError, UnknownCall


@command
def query(
    context: typer.Context,
    listing: Annotated[int, typer.Argument(help="Listing id.", min=1)],
    text: Annotated[str, typer.Argument(help="What the model is to read.")],
    top_k: Annotated[int | None, typer.Option(help="How many labels to return.")] = None,
    budget: Annotated[str | None, typer.Option(help="The most it may cost, such as 0.001ether.")] = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Pay for one answer: ask the price, escrow it on chain, get the answer, check its receipt and keep it."""
    obj: Context = context.obj
    parameters = {} if top_k is None else {"top_k": top_k}
    limit = None if budget is None else parse_amount(budget)
    with obj.notes.status("starting") as spinner:
        answer = obj.client.query(
            listing, text, parameters, budget=limit, on_step=lambda step: spinner.update(f"{step} ...")
        )
    receipt = answer.entry.signed.receipt
    shown: dict[str, Any] = {
        "result": answer.result,
        "call_id": "0x" + receipt.call_id.hex(),
        "units": receipt.units.to_dict(),
        "charge": str(receipt.charge),
        "asset": receipt.asset,
        "escrowed": str(answer.call.amount),
        "settlement": dict(answer.settlement),
        "receipt": answer.entry.signed.to_dict(),
    }

    def render() -> None:
        table = Table(show_header=False, box=None)
        for score in answer.result["scores"]:
            table.add_row(Text(score["label"]), f"{score['score']:.4f}")
        obj.out.print(table)
        obj.out.print(f"charge   {show_amount(receipt.charge)} for {receipt.units.input_tokens} tokens")
        obj.out.print(f"call     {shown['call_id']}")
        obj.out.print(f"posted   {answer.settlement.get('transaction', answer.settlement.get('settlement'))}")
        obj.out.print(f"receipt  verified, kept in {obj.settings.archive}")

    obj.show(shown, render)


@command
def receipt(
    context: typer.Context,
    call_id: Annotated[str | None, typer.Argument(help="Call id; without one, the list of all.")] = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Show a receipt, or all; a paid call whose answer got lost is fetched again at no cost."""
    obj: Context = context.obj
    from tallystick.client.archive import Archive
    from tallystick.client.journal import Journal

    archive, journal = Archive(obj.settings.archive), Journal(obj.settings.state_dir / "pending")
    if call_id is None:
        entries = list(archive.entries())
        pending = list(journal.all())
        obj.show(
            {
                "receipts": [entry.signed.to_dict() for entry in entries],
                "pending": [{"call_id": "0x" + item.call_id.hex(), "call": item.call.to_dict()} for item in pending],
            },
            lambda: _render_receipts(obj, entries, pending),
        )
        return
    wanted = parse_call_id(call_id)
    entry = archive.find(wanted)
    if entry is None and journal.find(wanted) is not None:
        entry = obj.client.fetch(journal.find(wanted)).entry
    if entry is None:
        raise UnknownCall(f"No receipt and no pending call {call_id} here.", call_id=call_id)
    found = entry
    obj.show(found.to_dict(), lambda: obj.out.print_json(data=found.to_dict()))


def _render_receipts(obj: Context, entries: list[Any], pending: list[Any]) -> None:
    if not entries and not pending:
        obj.out.print("No receipts yet. `tallystick query LISTING TEXT` makes the first.")
        return
    for entry in entries:
        held = entry.signed.receipt
        result = entry.disclosure.result if entry.disclosure else None
        label = result.get("label", "") if isinstance(result, dict) else ""
        obj.out.print(f"0x{held.call_id.hex()}", markup=False)
        obj.out.print(
            f"  listing {held.listing_id}, revision {held.revision}: {show_amount(held.charge)}, {label}", markup=False
        )
    for item in pending:
        obj.out.print(f"0x{item.call_id.hex()}", markup=False)
        obj.out.print(
            f"  listing {item.call.listing_id}: pending, {show_amount(item.call.amount)} escrowed", markup=False
        )


@command
def refund(
    context: typer.Context,
    call_id: Annotated[
        str | None, typer.Argument(help="Call id; without one, every pending call past its deadline.")
    ] = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Get the escrow of unanswered calls back, once their deadline has passed; then `tallystick withdraw` pays it out."""
    obj: Context = context.obj
    client = obj.client
    if call_id is not None:
        chosen = [client.pending(parse_call_id(call_id))]
    else:
        now = obj.market.head().timestamp
        kept = [*client.journal.all(), *client.journal.answered()]
        chosen = [item for item in kept if item.call.deadline < now]
    done, failed = [], []
    for item in chosen:
        shown = {"call_id": "0x" + item.call_id.hex(), "refund": str(item.call.amount)}
        try:
            done.append({**shown, "gas_used": client.refund(item.call).gas_used})
        except TallystickError as error:
            if call_id is not None:
                raise
            # One that has ended, or that another chain holds, must not keep the rest from their money.
            if not isinstance(error, CallClosed):
                failed.append({**shown, "error": error.code, "message": error.message})

    def render() -> None:
        for entry in done:
            obj.out.print(f"refunded {show_amount(int(entry['refund']))}  {entry['call_id']}")
        for entry in failed:
            obj.out.print(f"failed   {entry['call_id']}: {entry['message']}", markup=False)
        obj.out.print(
            "Pay it out with `tallystick withdraw`."
            if done
            else "Nothing to refund: no call kept here is open and past its deadline."
        )

    obj.show({"refunded": done, "failed": failed}, render)
    if failed:
        raise typer.Exit(PaymentError.exit_code)


@command
def withdraw(
    context: typer.Context,
    to: Annotated[str | None, typer.Option(help="Receiving address; default: the signing account.")] = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Pay out everything the escrow owes to the signing account: earnings and refunds."""
    obj: Context = context.obj
    from tallystick.protocol.hexes import ZERO_ADDRESS, checksum_address

    try:
        receiver = None if to is None else checksum_address(to)
        if receiver in (ZERO_ADDRESS, obj.deployment.escrow.address, obj.deployment.registry.address):
            raise ValueError("nobody can spend what is sent there")
    except ValueError as error:
        raise InvalidRequest(f"--to: {error}.", param="to") from None
    amount, mined = obj.client.withdraw(to=receiver)
    obj.show(
        {"amount": str(amount), "gas_used": mined.gas_used, "block": mined.block},
        lambda: obj.out.print(f"withdrew {show_amount(amount)}"),
    )


def parse_call_id(text: str) -> bytes:
    from tallystick.protocol.hexes import from_hex

    try:
        return from_hex(text, 32)
    except ValueError as error:
        raise InvalidRequest(f"{text[:80]!r} is no call id: {error}.", param="call_id") from None

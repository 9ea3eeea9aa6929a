"""Records to rows and back."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Row

from tallystick.chain.types import Mined, SignedTransaction
from tallystick.protocol.calls import DirectCall, Outcome
from tallystick.protocol.hexes import from_hex, to_hex
from tallystick.protocol.prices import Units
from tallystick.protocol.receipts import SignedReceipt
from tallystick.protocol.requests import InferenceRequest
from tallystick.store.records import (
    Abandoned,
    Action,
    Completed,
    Confirmed,
    Decline,
    Finalised,
    Fulfil,
    Posted,
    Posting,
    Queued,
    Rejected,
    Reservation,
    Signed,
    StoredCall,
)


def of_reservation(reservation: Reservation) -> dict[str, Any]:
    return {
        "call_id": to_hex(reservation.call_id),
        "state": "reserved",
        "payer": reservation.call.payer,
        "terms": json.dumps(reservation.call.to_dict()),
        "salt": reservation.salt,
        "request": reservation.request.canonical(),
        "reserved_at": reservation.reserved_at,
    }


def to_reservation(row: Row[Any]) -> Reservation:
    return Reservation(
        from_hex(row.call_id, 32),
        DirectCall.from_dict(json.loads(row.terms)),
        bytes(row.salt),
        InferenceRequest.from_dict(json.loads(row.request)),
        int(row.reserved_at),
    )


def to_completed(row: Row[Any]) -> Completed:
    answer = json.loads(row.answer)
    signed = SignedReceipt.from_dict(json.loads(row.receipt))
    return Completed(to_reservation(row), signed, answer["parameters"], answer["result"], bytes(row.reply))


def to_call(row: Row[Any]) -> StoredCall:
    if row.state == "completed":
        return to_completed(row)
    reservation = to_reservation(row)
    return Abandoned(reservation, json.loads(row.failure)) if row.state == "abandoned" else reservation


def of_action(action: Action) -> str:
    if isinstance(action, Decline):
        return json.dumps({"kind": "decline"})
    outcome = action.outcome
    return json.dumps(
        {
            "kind": "fulfil",
            "result_hash": to_hex(outcome.result_hash),
            "receipt_digest": to_hex(outcome.receipt_digest),
            "units": outcome.units.to_dict(),
            "charge": str(outcome.charge),
        }
    )


def to_action(text: str) -> Action:
    value = json.loads(text)
    if value["kind"] == "decline":
        return Decline()
    return Fulfil(
        Outcome(
            from_hex(value["result_hash"], 32),
            from_hex(value["receipt_digest"], 32),
            Units.from_dict(value["units"]),
            int(value["charge"]),
        )
    )


def of_mined(mined: Mined) -> str:
    return json.dumps(
        {
            "transaction": to_hex(mined.transaction),
            "succeeded": mined.succeeded,
            "block": mined.block,
            "block_hash": to_hex(mined.block_hash),
            "gas_used": mined.gas_used,
            "fee": str(mined.fee),
            "depth": mined.depth,
        }
    )


def to_mined(text: str) -> Mined:
    value = json.loads(text)
    return Mined(
        from_hex(value["transaction"], 32),
        value["succeeded"],
        value["block"],
        from_hex(value["block_hash"], 32),
        value["gas_used"],
        int(value["fee"]),
        value["depth"],
    )


def to_posting(row: Row[Any]) -> Posting:
    queued = Queued(
        int(row.posting_id),
        from_hex(row.call_id, 32),
        DirectCall.from_dict(json.loads(row.terms)),
        to_action(row.action),
    )
    if row.state == "queued":
        return queued
    if row.state == "rejected":
        return Rejected(queued, json.loads(row.failure))
    transaction = SignedTransaction(row.sender, int(row.nonce), bytes(row.raw), from_hex(row.transaction_hash, 32))
    if row.state == "signed":
        return Signed(queued, transaction)
    if row.state == "posted":
        return Posted(queued, transaction)
    state = Confirmed if row.state == "confirmed" else Finalised
    return state(queued, transaction, to_mined(row.mined))

"""Records as the oracle makes them, a few for each state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from coincurve import PrivateKey
from eth_hash.auto import keccak
from tallystick.chain.types import Mined, SignedTransaction
from tallystick.protocol.calls import DirectCall, Mode, Outcome
from tallystick.protocol.encoding import Domain
from tallystick.protocol.prices import NATIVE, Units
from tallystick.protocol.receipts import Receipt
from tallystick.protocol.requests import InferenceRequest
from tallystick.protocol.signatures import address_of
from tallystick.store.records import Completed, Fulfil, Reservation

PAYER, ORACLE = (PrivateKey(bytes([number]) * 32) for number in (1, 2))
DOMAIN = Domain(1337, "0x5FbDB2315678afecb367f032d93F642f64180aa3")
FAILURE = {"error": {"message": "It failed. Nothing is charged.", "code": "inference_failed", "details": {"ms": 5}}}


def reservation(number: int = 1, **changes: Any) -> Reservation:
    """A reservation of a call of its own; text, amounts and ids are as awkward as they may be."""
    request = InferenceRequest("classify", 2**256 - number, 3, f"Wo ist mein Paket? ✉ {number}", {"top_k": 2})
    call = DirectCall(
        address_of(PAYER),
        request.listing_id,
        request.revision,
        address_of(ORACLE),
        NATIVE,
        2**128 - 1,
        2**40 - 1,
        keccak(request.canonical()),
    )
    made = Reservation(call.call_id(DOMAIN), call, keccak(f"salt {number}".encode()), request, 1_800_000_000 + number)
    return replace(made, **changes)


def completed(reserved: Reservation) -> Completed:
    call = reserved.call
    receipt = Receipt(
        call_id=reserved.call_id,
        mode=Mode.DIRECT,
        payer=call.payer,
        oracle=call.oracle,
        listing_id=call.listing_id,
        revision=call.revision,
        manifest_hash=keccak(b"manifest"),
        request_commitment=call.request_commitment,
        parameters_hash=keccak(b"parameters"),
        result_hash=keccak(b"result"),
        units=Units(2**32 - 1, 0, 17),
        asset=call.asset,
        charge=2**128 - 1,
        cumulative_spend=2**128 - 1,
        issued_at=1_800_000_100,
    )
    result = {"label": "Frage", "scores": [{"label": "Frage", "score": 0.1235}]}
    reply = b'{"exact":"bytes, \xc3\xa9"}'
    return Completed(reserved, receipt.signed(DOMAIN, ORACLE), {"top_k": 2, "dtype": "float32"}, result, reply)


def fulfil(done: Completed) -> Fulfil:
    receipt = done.signed.receipt
    return Fulfil(Outcome(receipt.result_hash, receipt.digest(DOMAIN), receipt.units, receipt.charge))


def transaction(nonce: int, sender: PrivateKey = ORACLE) -> SignedTransaction:
    raw = f"signed {nonce}".encode() + b"\x00\xff"
    return SignedTransaction(address_of(sender), nonce, raw, keccak(raw))


def mined(sent: SignedTransaction, block: int = 7, depth: int = 1) -> Mined:
    return Mined(sent.hash, True, block, keccak(bytes([block])), 100_000, 2**70, depth)

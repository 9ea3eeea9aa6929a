"""The payer's own check of a reply: nothing in it is believed that the signature, the terms or the chain don't show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tallystick.chain.types import Revision
from tallystick.client.journal import PendingCall
from tallystick.errors import ReceiptInvalid
from tallystick.protocol.bounds import exceeded, most_units
from tallystick.protocol.calls import Mode
from tallystick.protocol.disclosure import ArchiveEntry, Disclosure
from tallystick.protocol.encoding import Domain
from tallystick.protocol.hexes import from_object, to_hex
from tallystick.protocol.receipts import SignedReceipt


def checked_entry(reply: Mapping[str, Any], pending: PendingCall, revision: Revision, domain: Domain) -> ArchiveEntry:
    """The reply as an archive entry, if it proves all it claims. Raises ReceiptInvalid, naming the first thing it doesn't.

    Checked: the oracle's signature; every field against the terms; the charge against escrow and price sheet; the units
    against what the request can use; the parameters against those asked for; the three hashes against the request that
    was sent and the parameters and result that came back.
    """
    try:
        signed = SignedReceipt.from_dict(reply)
        disclosure = Disclosure(pending.salt, pending.request, from_object(reply["parameters"]), reply["result"])
        signer = signed.signer(domain)
        unopened = disclosure.mismatches(signed.receipt)
        _require_classification(disclosure.result)
    except (ValueError, KeyError, TypeError) as error:
        raise ReceiptInvalid(f"The reply carries no readable receipt ({error}). Keep it as evidence.") from None
    receipt, call = signed.receipt, pending.call
    expected: dict[str, Any] = {
        "call_id": pending.call_id,
        "mode": Mode.DIRECT,
        "payer": call.payer,
        "oracle": call.oracle,
        "listing_id": call.listing_id,
        "revision": call.revision,
        "manifest_hash": revision.manifest_hash,
        "request_commitment": call.request_commitment,
        "asset": call.asset,
        "cumulative_spend": receipt.charge,
    }
    problems = [f"it was signed by {signer}, not by {call.oracle}"] if signer != call.oracle else []
    problems += [
        f"its {name} is {_shown(getattr(receipt, name))}, not {_shown(value)}"
        for name, value in expected.items()
        if getattr(receipt, name) != value
    ]
    limit = min(call.amount, revision.prices.price_of(receipt.units))
    if receipt.charge > limit:
        problems.append(f"it charges {receipt.charge}, more than the {limit} that escrow and price sheet allow")
    problems += [
        f"its {name} is {getattr(receipt.units, name)}, more than this request can use"
        for name in exceeded(receipt.units, most_units(pending.request.input))
    ]
    problems += [
        f"it was run with {name} {disclosure.parameters.get(name)!r}, not with the {value!r} that was asked for"
        for name, value in pending.request.parameters.items()
        if disclosure.parameters.get(name) != value
    ]
    problems += [f"its {name} is not that of what was sent and returned" for name in unopened]
    if problems:
        raise ReceiptInvalid(
            f"The oracle's receipt for call {to_hex(pending.call_id)} does not hold: {'; '.join(problems)}. Keep the reply: "
            "a signed receipt that contradicts the chain is evidence against the oracle.",
            call_id=to_hex(pending.call_id),
        )
    return ArchiveEntry(signed, disclosure)


def _require_classification(result: Any) -> None:
    """Raises ValueError where a result is not what `classify` returns: a label and scores by label."""
    if not isinstance(result, Mapping) or not isinstance(result.get("label"), str):
        raise ValueError("the result has no label")
    scores = result.get("scores")
    if not isinstance(scores, list) or not scores or not all(_is_score(score) for score in scores):
        raise ValueError("the result has no scores by label")


def _is_score(score: Any) -> bool:
    return (
        isinstance(score, Mapping)
        and isinstance(score.get("label"), str)
        and isinstance(score.get("score"), int | float)
        and not isinstance(score.get("score"), bool)
    )


def _shown(value: Any) -> str:
    return to_hex(value) if isinstance(value, bytes) else str(value)

"""The payer's own check of a reply: nothing in it is believed that the signature, the terms or the chain don't show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tallystick.chain.types import Revision
from tallystick.client.journal import PendingCall
from tallystick.errors import ReceiptInvalid
from tallystick.protocol.calls import Mode
from tallystick.protocol.disclosure import ArchiveEntry, Disclosure
from tallystick.protocol.encoding import Domain
from tallystick.protocol.hexes import from_object, to_hex
from tallystick.protocol.receipts import SignedReceipt


def checked_entry(reply: Mapping[str, Any], pending: PendingCall, revision: Revision, domain: Domain) -> ArchiveEntry:
    """The reply as an archive entry, if it proves all it claims. Raises ReceiptInvalid, naming the first thing it doesn't.

    Checked: the oracle's signature; every field against the terms; the charge against escrow and price sheet; the three
    hashes against the request that was sent and the parameters and result that came back.
    """
    try:
        signed = SignedReceipt.from_dict(reply)
        disclosure = Disclosure(pending.salt, pending.request, from_object(reply["parameters"]), reply["result"])
        signer = signed.signer(domain)
        unopened = disclosure.mismatches(signed.receipt)
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
    problems += [f"its {name} is not that of what was sent and returned" for name in unopened]
    if problems:
        raise ReceiptInvalid(
            f"The oracle's receipt for call {to_hex(pending.call_id)} does not hold: {'; '.join(problems)}. Keep the reply: "
            "a signed receipt that contradicts the chain is evidence against the oracle.",
            call_id=to_hex(pending.call_id),
        )
    return ArchiveEntry(signed, disclosure)


def _shown(value: Any) -> str:
    return to_hex(value) if isinstance(value, bytes) else str(value)

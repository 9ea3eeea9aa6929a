"""A call and its reply, made without oracle and chain, so that each part can be tampered with."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from coincurve import PrivateKey
from tallystick.chain.types import Revision
from tallystick.client.journal import PendingCall
from tallystick.protocol.calls import DirectCall, Mode
from tallystick.protocol.canonical import canonical_bytes
from tallystick.protocol.commitments import parameters_hash, request_commitment, result_hash
from tallystick.protocol.disclosure import ArchiveEntry, Disclosure
from tallystick.protocol.encoding import Domain
from tallystick.protocol.hexes import to_hex
from tallystick.protocol.prices import NATIVE, PriceSheet, Units
from tallystick.protocol.receipts import Receipt
from tallystick.protocol.requests import InferenceRequest
from tallystick.protocol.revisions import RevisionTerms
from tallystick.protocol.signatures import address_of

ORACLE_KEY = PrivateKey(b"\x0c" * 32)
OTHER_KEY = PrivateKey(b"\x0d" * 32)
PAYER = address_of(PrivateKey(b"\x0e" * 32))
DOMAIN = Domain(1337, "0x5FbDB2315678afecb367f032d93F642f64180aa3")
PRICES = PriceSheet(NATIVE, 100, 10_000, 0, 0)
REVISION = Revision(1, 2, RevisionTerms(address_of(ORACLE_KEY), b"\x21" * 32, PRICES))
PARAMETERS = {"top_k": 3, "max_tokens": 256, "dtype": "float32"}
RESULT = {"label": "question", "scores": [{"label": "question", "score": 0.75}, {"label": "praise", "score": 0.25}]}
UNITS = Units(6, 0, 12)


@dataclass(frozen=True)
class Evidence:
    """What the payer holds (`pending`) and what the oracle sends back: `receipt`, signed by `key`, and the rest."""

    pending: PendingCall
    receipt: Receipt
    key: PrivateKey = ORACLE_KEY
    parameters: Any = None
    result: Any = None

    def reply(self) -> dict[str, Any]:
        return {
            "receipt": self.receipt.to_dict(),
            "signature": to_hex(self.receipt.signed(DOMAIN, self.key).signature),
            "parameters": PARAMETERS if self.parameters is None else self.parameters,
            "result": RESULT if self.result is None else self.result,
        }

    def entry(self) -> ArchiveEntry:
        opened = Disclosure(self.pending.salt, self.pending.request, PARAMETERS, RESULT)
        return ArchiveEntry(self.receipt.signed(DOMAIN, self.key), opened)

    def with_receipt(self, **changes: Any) -> Evidence:
        """The oracle signs something else."""
        return replace(self, receipt=replace(self.receipt, **changes))


def make_pending(text: str = "Where is my parcel?", salt: bytes = b"\x5a" * 32, **terms: Any) -> PendingCall:
    request = InferenceRequest("classify", 1, 2, text, {"top_k": 3})
    call = DirectCall(
        payer=PAYER,
        listing_id=1,
        revision=2,
        oracle=address_of(ORACLE_KEY),
        asset=NATIVE,
        amount=1000,
        deadline=1_800_000_300,
        request_commitment=request_commitment(salt, request.canonical()),
    )
    call = replace(call, **terms)
    return PendingCall(call.call_id(DOMAIN), call, salt, request)


def make_evidence(pending: PendingCall | None = None) -> Evidence:
    """A call and an honest reply to it."""
    pending = pending or make_pending()
    call, salt = pending.call, pending.salt
    charge = PRICES.price_of(UNITS)
    receipt = Receipt(
        call_id=pending.call_id,
        mode=Mode.DIRECT,
        payer=call.payer,
        oracle=call.oracle,
        listing_id=call.listing_id,
        revision=call.revision,
        manifest_hash=REVISION.manifest_hash,
        request_commitment=call.request_commitment,
        parameters_hash=parameters_hash(salt, canonical_bytes(PARAMETERS)),
        result_hash=result_hash(salt, canonical_bytes(RESULT)),
        units=UNITS,
        asset=call.asset,
        charge=charge,
        cumulative_spend=charge,
        issued_at=1_800_000_010,
    )
    return Evidence(pending, receipt)


def line_of(entry: ArchiveEntry) -> bytes:
    """An entry as a line of an archive file, without its newline."""
    return json.dumps(entry.to_dict(), ensure_ascii=False, separators=(",", ":")).encode()

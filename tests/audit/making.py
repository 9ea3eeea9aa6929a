"""What an honest oracle makes: results, units, receipts, disclosures. Shared by the synthetic and the real chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from coincurve import PrivateKey
from tallystick.audit.disclosures import RerunResult
from tallystick.chain.types import Revision
from tallystick.protocol.calls import DirectCall, Mode
from tallystick.protocol.canonical import canonical_bytes
from tallystick.protocol.commitments import parameters_hash, request_commitment, result_hash
from tallystick.protocol.disclosure import ArchiveEntry, Disclosure
from tallystick.protocol.encoding import Domain
from tallystick.protocol.prices import Units
from tallystick.protocol.receipts import Receipt
from tallystick.protocol.requests import InferenceRequest

PARAMETERS = {"top_k": 2, "max_tokens": 64}


def run_model(text: str) -> tuple[Any, Units]:
    """A model of two labels that scores by the text's vowels; as deterministic as an auditor could wish."""
    share = round(sum(letter in "aeiou" for letter in text) / len(text), 4)
    scores = [{"label": "calm", "score": share}, {"label": "terse", "score": round(1 - share, 4)}]
    return {"label": "calm" if share > 0.5 else "terse", "scores": scores}, Units(len(text.split()) + 2, 0, 17)


def rerun_model(manifest_hash: bytes, request: InferenceRequest, parameters: Mapping[str, Any]) -> RerunResult:
    result, units = run_model(request.input)
    # Another machine takes another time, which is not compared.
    return RerunResult(result, replace(units, compute_ms=units.compute_ms + 5))


def make_request(listing_id: int, revision: int, text: str) -> InferenceRequest:
    return InferenceRequest("classify", listing_id, revision, text, {"top_k": 2})


def commit(request: InferenceRequest, salt: bytes) -> bytes:
    return request_commitment(salt, request.canonical())


def serve(
    terms: DirectCall,
    domain: Domain,
    pinned: Revision,
    oracle: PrivateKey,
    request: InferenceRequest,
    salt: bytes,
    issued_at: int,
) -> ArchiveEntry:
    """What the payer keeps of an honestly served call: the signed receipt and the call laid open."""
    result, units = run_model(request.input)
    charge = min(terms.amount, pinned.terms.lowest_price_of(units))
    receipt = Receipt(
        call_id=terms.call_id(domain),
        mode=Mode.DIRECT,
        payer=terms.payer,
        oracle=terms.oracle,
        listing_id=terms.listing_id,
        revision=terms.revision,
        manifest_hash=pinned.manifest_hash,
        request_commitment=terms.request_commitment,
        parameters_hash=parameters_hash(salt, canonical_bytes(PARAMETERS)),
        result_hash=result_hash(salt, canonical_bytes(result)),
        units=units,
        asset=terms.asset,
        charge=charge,
        cumulative_spend=charge,
        issued_at=issued_at,
    )
    return ArchiveEntry(receipt.signed(domain, oracle), Disclosure(salt, request, PARAMETERS, result))

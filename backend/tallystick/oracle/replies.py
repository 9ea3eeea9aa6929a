"""The JSON that leaves the oracle. Its shapes are documented in docs/API.md and stand nowhere else."""

from __future__ import annotations

from typing import Any

from tallystick.chain.types import Listing
from tallystick.metering.direct import Inferred, Quote, Served
from tallystick.protocol.canonical import canonical_bytes
from tallystick.protocol.encoding import Domain
from tallystick.protocol.hexes import to_hex
from tallystick.protocol.receipts import Receipt
from tallystick.store.records import (
    Abandoned,
    Completed,
    Confirmed,
    Finalised,
    Posted,
    Posting,
    Queued,
    Rejected,
    Reservation,
    Signed,
    StoredCall,
)


def chain_name(domain: Domain) -> str:
    """CAIP-2, such as eip155:1337."""
    return f"eip155:{domain.chain_id}"


def write_reply(receipt: Receipt, inferred: Inferred, signature: bytes) -> bytes:
    """The answer to a paid call: canonical JSON, stored and sent byte for byte the same however often it is fetched."""
    return canonical_bytes(
        {
            "id": to_hex(receipt.call_id),
            "object": "classification",
            "created": receipt.issued_at,
            "listing": str(receipt.listing_id),
            "revision": receipt.revision,
            "model": inferred.quote.served.runner.manifest.name,
            "result": inferred.inference.result,
            "parameters": dict(inferred.quote.parameters),
            "usage": {
                **receipt.units.to_dict(),
                "charge": str(receipt.charge),
                "asset": receipt.asset,
            },
            "receipt": receipt.to_dict(),
            "signature": to_hex(signature),
        }
    )


def quote_details(
    quote: Quote, domain: Domain, oracle: str, *, service_margin: int, confirmations: int
) -> dict[str, Any]:
    """What a payer needs to open a call for this request."""
    return {
        "required": str(quote.maximum),
        "asset": quote.served.revision.prices.asset,
        "chain": chain_name(domain),
        "escrow": domain.escrow,
        "oracle": oracle,
        "listing": str(quote.request.listing_id),
        "revision": quote.request.revision,
        "least_seconds": service_margin,
        "confirmations": confirmations,
    }


def model_entry(served: Served, listing: Listing, domain: Domain) -> dict[str, Any]:
    """One listing, in the shape of OpenAI's model object with our facts added."""
    manifest = served.runner.manifest
    return {
        "id": str(listing.listing_id),
        "object": "model",
        "owned_by": listing.owner,
        "name": manifest.name,
        "title": manifest.title,
        "description": manifest.description,
        "task": manifest.task,
        "labels": list(manifest.labels),
        "context_length": manifest.decoding_defaults.max_tokens,
        "accuracy": manifest.metrics.accuracy,
        "licence": manifest.licence,
        "revision": served.revision.revision,
        "manifest_hash": to_hex(served.revision.manifest_hash),
        "prices": served.revision.prices.to_dict(),
        "oracle": listing.oracle,
        "escrow": domain.escrow,
        "chain": chain_name(domain),
        "withdrawn": listing.withdrawn,
    }


def call_entry(call_id: bytes, stored: StoredCall, posting: Posting | None) -> dict[str, Any]:
    """Where a call stands: its receipt and its way onto the chain. Reveals neither request nor result."""
    entry: dict[str, Any] = {"id": to_hex(call_id), "settlement": settlement(posting)}
    if isinstance(stored, Completed):
        return {**entry, "state": "completed", **stored.signed.to_dict()}
    if isinstance(stored, Abandoned):
        return {**entry, "state": "abandoned", "failure": stored.failure}
    assert isinstance(stored, Reservation)  # noqa: S101
    return {**entry, "state": "reserved"}


def settlement(posting: Posting | None) -> dict[str, Any]:
    """A posting in words for clients: its state, its transaction, and once mined block, gas and fee in wei."""
    match posting:
        case None:
            return {"state": "none"}
        case Queued():
            return {"state": "queued"}
        case Signed(transaction=transaction) | Posted(transaction=transaction):
            return {"state": type(posting).__name__.lower(), "transaction": to_hex(transaction.hash)}
        case Confirmed(transaction=transaction, mined=mined) | Finalised(transaction=transaction, mined=mined):
            return {
                "state": type(posting).__name__.lower(),
                "transaction": to_hex(transaction.hash),
                "block": mined.block,
                "gas_used": mined.gas_used,
                "fee": str(mined.fee),
            }
        case Rejected(failure=failure):
            return {"state": "rejected", "failure": failure}

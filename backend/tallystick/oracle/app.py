"""The routes. Each reads its input, lets the service do the work in a thread, and shapes the reply."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Path, Query, Request, Response
from starlette.background import BackgroundTask

from tallystick import __version__
from tallystick.errors import ChainUnreachable, InvalidRequest
from tallystick.metering.steps import Checkpoint, Step, When, no_checkpoint
from tallystick.oracle.edge import Gate, install, read_body
from tallystick.oracle.replies import settlement
from tallystick.oracle.service import Answer, OracleService
from tallystick.protocol.canonical import parse_json
from tallystick.protocol.hexes import from_hex, to_hex
from tallystick.protocol.payments import PAYMENT_HEADER
from tallystick.settings import Settings

MAX_PAGE = 1000
Hash = Annotated[str, Path(description="32 bytes as 0x-hex", max_length=66)]
CLASSIFY_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["listing", "input"],
                    "additionalProperties": False,
                    "properties": {
                        "listing": {"type": "string", "description": "listing id"},
                        "revision": {"type": "integer", "description": "default: the payment's, else the one for sale"},
                        "input": {"type": "string"},
                        "parameters": {"type": "object"},
                    },
                },
                "example": {"listing": "1", "revision": 1, "input": "Where is my parcel?", "parameters": {"top_k": 3}},
            }
        },
    },
    "parameters": [
        {"name": PAYMENT_HEADER, "in": "header", "required": False, "schema": {"type": "string"}},
    ],
}


def create_app(service: OracleService, settings: Settings, checkpoint: Checkpoint = no_checkpoint) -> FastAPI:
    """The ASGI application over a service."""
    # The interactive pages would load scripts from another site. A redirect would be no answer that clients expect.
    app = FastAPI(title="Tallystick oracle", version=__version__, docs_url=None, redoc_url=None, redirect_slashes=False)
    gate = Gate(settings.max_in_flight)
    questions = Gate(settings.max_in_flight)
    install(app, settings.allowed_hosts)

    @app.post("/v1/classify", openapi_extra=CLASSIFY_BODY)
    async def classify(request: Request) -> Response:
        """Classify one text. Unpaid: 402 with what to pay. Paid: the answer with its receipt; again: the same bytes."""
        body = await read_body(request, settings.max_body, settings.body_timeout)
        payment = request.headers.get(PAYMENT_HEADER)
        # Questions about prices are free: they must not take the places of requests that are paid.
        answer = await (questions if payment is None else gate).run(_classify, service, body, payment)
        checkpoint(Step.REPLIED, When.BEFORE)
        return Response(
            answer.body,
            media_type="application/json",
            headers=_answer_headers(answer),
            background=BackgroundTask(checkpoint, Step.REPLIED, When.AFTER),
        )

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        """The listings that this oracle runs."""
        return {"object": "list", "data": await questions.run(service.models)}

    @app.get("/v1/manifests/{manifest_hash}")
    async def manifest(manifest_hash: Hash) -> Response:
        """The manifest of a model that is loaded here, as the bytes that hash to its on-chain hash."""
        content = await questions.run(service.manifest, _hash(manifest_hash, "manifest_hash"))
        return Response(content, media_type="application/json")

    @app.get("/v1/calls/{call_id}")
    async def call(call_id: Hash) -> dict[str, Any]:
        """Where a call stands: receipt and settlement, neither request nor result."""
        return await questions.run(service.call, _hash(call_id, "call_id"))

    @app.get("/v1/receipts")
    async def receipts(
        after: Annotated[int, Query(ge=0, le=2**62)] = 0, limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100
    ) -> dict[str, Any]:
        """The public archive, a page at a time: signed receipts without requests or results."""
        return await questions.run(service.receipts, after, limit)

    @app.get("/v1/status")
    async def status() -> dict[str, Any]:
        """How many calls and postings there are in each state."""
        return dict(await questions.run(service.counts))

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        """Alive."""
        return {"status": "alive"}

    @app.get("/readyz")
    async def readiness() -> dict[str, str]:
        """Able to serve paid calls now."""
        reason = await questions.run(service.ready)
        if reason is not None:
            raise ChainUnreachable(f"Not ready: {reason}")
        return {"status": "ready"}

    return app


def _classify(service: OracleService, body: bytes, payment_header: str | None) -> Answer:
    """Parses where the work is done: a large body takes so long that everybody else would have to wait for it."""
    return service.classify(parse_json(body), payment_header)


def _answer_headers(answer: Answer) -> dict[str, str]:
    posted = settlement(answer.posting)
    headers = {
        "tallystick-call": to_hex(answer.call_id),
        "tallystick-replayed": "true" if answer.replayed else "false",
        "tallystick-settlement": str(posted["state"]),
    }
    if "transaction" in posted:
        headers["tallystick-transaction"] = str(posted["transaction"])
    return headers


def _hash(text: str, name: str) -> bytes:
    try:
        return from_hex(text, 32)
    except ValueError as error:
        raise InvalidRequest(f"{name}: {error}.", param=name) from None

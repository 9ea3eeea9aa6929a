"""Rule S3: after a SIGKILL at any step, before it or after it, a restart ends with charged = served = logged."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx
import pytest
from tallystick.client.remote import OracleUnreachable
from tallystick.errors import TallystickError
from tallystick.metering.steps import Step, When
from tallystick.protocol.calls import CallStatus
from tallystick.protocol.outcomes import unpack_outcome
from tallystick.protocol.payments import DirectPayment

from tests.support.world import World, eventually, settled

POINTS = [(step, when) for step in Step for when in When]


@pytest.mark.parametrize(("step", "when"), POINTS, ids=[f"{step.value}-{when.value}" for step, when in POINTS])
def test_restart_after_kill_serves_charges_and_logs_once(world: World, tmp_path: Path, step: Step, when: When) -> None:
    """S3, S4, A1–A5: the call is answered once, posted once and charged what its receipt says, whatever was killed when."""
    listing = world.null_listing()
    state = tmp_path / "oracle"
    with (
        world.oracle(state, crash_at=f"{step.value}:{when.value}") as doomed,
        world.payer(doomed, tmp_path / "payer", attempts=1) as client,
    ):
        # The price is asked with a request of its own, which a kill at `received` would hit: take the terms from the chain.
        pending, _ = client.open(_quote(world, listing, client.wallet.address))
        body = _body(pending)
        first = _send(doomed.url, body, DirectPayment(pending.call, pending.salt).to_header())
        eventually(lambda: not doomed.process.alive())

    with world.oracle(state) as revived, world.payer(revived, tmp_path / "payer") as client:
        answer = client.fetch(pending)
        settled(client, pending)
        second = _send(revived.url, body, DirectPayment(pending.call, pending.salt).to_header())

    charge = answer.entry.signed.receipt.charge
    logged = [event for event in world.events(pending.call_id) if event.name == "CallLogged"]
    assert len(logged) == 1
    assert unpack_outcome(logged[0].arguments["outcome"]).charge == charge > 0
    assert logged[0].arguments["resultHash"] == answer.entry.signed.receipt.result_hash
    assert world.market.call_state(pending.call_id).status is CallStatus.FULFILLED
    assert world.market.call_state(pending.call_id).amount == charge
    assert second is not None
    if first is not None:
        assert first == second
    # A run that ended without a record may be repeated; one that was recorded never is.
    assert 1 <= revived.runs() <= 2
    if (step, when) not in ((Step.INFERRED, When.AFTER), (Step.RECORDED, When.BEFORE)):
        assert revived.runs() == 1


def test_crash_points_cover_every_step_of_the_protocol() -> None:
    """A step that is added is killed at, too: the points are the product of the enumerations."""
    assert {step.value for step in Step} == {
        *("received", "verified", "reserved", "inferred", "recorded"),
        *("replied", "queued", "posted", "confirmed", "finalised"),
    }
    assert len(POINTS) == 2 * len(Step)


def test_sigterm_finishes_what_is_in_flight(world: World, tmp_path: Path) -> None:
    """A9: a stopped oracle leaves no reservation behind, and what it had answered is posted at the next start."""
    listing = world.null_listing()
    with world.oracle(tmp_path / "oracle") as oracle, world.payer(oracle, tmp_path / "payer") as client:
        pending, _ = client.open(client.quote(listing, "hello there"))
        client.fetch(pending)
        oracle.process._find().send_signal(signal.SIGTERM)  # type: ignore[union-attr]
        eventually(lambda: not oracle.process.alive())
    with world.oracle(tmp_path / "oracle") as oracle, world.payer(oracle, tmp_path / "payer") as client:
        settled(client, pending)
    assert oracle.runs() == 1


def _quote(world: World, listing: int, payer: str) -> object:
    from tallystick.client.client import Quote
    from tallystick.protocol.requests import InferenceRequest

    terms = world.market.listing(listing)
    request = InferenceRequest("classify", listing, terms.latest_revision, "Where is my parcel?", {})
    return Quote(request, terms.oracle, "0x" + "0" * 40, 10**15)


def _body(pending: object) -> dict[str, object]:
    request = pending.request  # type: ignore[attr-defined]
    return {"listing": str(request.listing_id), "revision": request.revision, "input": request.input, "parameters": {}}


def _send(url: str, body: dict[str, object], payment: str) -> bytes | None:
    """The reply's bytes, or None if the connection broke."""
    try:
        response = httpx.post(
            f"{url}/v1/classify", json=body, headers={"Tallystick-Payment": payment}, timeout=30, trust_env=False
        )
    except (httpx.TransportError, OracleUnreachable, TallystickError):
        return None
    assert response.status_code == 200, response.text
    return response.content

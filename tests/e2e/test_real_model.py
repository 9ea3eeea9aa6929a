"""The real model behind a real oracle: killed, altered, poisoned."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tallystick.inference.manifest import read_manifest
from tallystick.protocol.calls import CallStatus
from tallystick.protocol.outcomes import unpack_outcome
from tallystick.protocol.payments import DirectPayment

from tests.support.errors import assert_error
from tests.support.world import World, eventually, settled

QUESTION = "the zip on the jacket was broken when I unpacked it, I want a new one"


@pytest.fixture
def model(world: World, real_model: Path) -> Iterator[Path]:
    """A copy of the model that a test may spoil, where the oracle looks for it."""
    folder = world.models / "customer-service" / "artifacts" / "model"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(real_model, folder)
    yield folder
    shutil.rmtree(folder)


def test_kill_between_inference_and_posting_posts_answers_and_charges_once(
    world: World, model: Path, tmp_path: Path
) -> None:
    """S3: a real SIGKILL after the result was recorded, before anything was sent to the chain."""
    listing = world.publish(read_manifest(model).hash())
    state = tmp_path / "oracle"
    with (
        world.oracle(state, null=False, crash_at="queued:before") as doomed,
        world.payer(doomed, tmp_path / "payer", attempts=1) as client,
    ):
        pending, _ = client.open(client.quote(listing, QUESTION))
        payment = DirectPayment(pending.call, pending.salt).to_header()
        body = {"listing": str(listing), "revision": 1, "input": QUESTION, "parameters": {}}
        with contextlib.suppress(httpx.TransportError):
            httpx.post(
                f"{doomed.url}/v1/classify",
                json=body,
                headers={"Tallystick-Payment": payment},
                timeout=60,
                trust_env=False,
            )
        eventually(lambda: not doomed.process.alive())
        assert world.market.call_state(pending.call_id).status is CallStatus.OPEN

    with world.oracle(state, null=False) as revived, world.payer(revived, tmp_path / "payer") as client:
        answer = client.fetch(pending)
        settled(client, pending)
        assert answer.replayed
    assert answer.result["label"] == "damaged_item"
    logged = [event for event in world.events(pending.call_id) if event.name == "CallLogged"]
    charges = [unpack_outcome(event.arguments["outcome"]).charge for event in logged]
    assert charges == [answer.entry.signed.receipt.charge]


def test_model_file_altered_after_listing_is_not_loaded(world: World, model: Path, tmp_path: Path) -> None:
    """S6, D4: refused with the file's name; nothing can be paid for."""
    listing = world.publish(read_manifest(model).hash())
    weights = model / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with world.oracle(tmp_path / "oracle", null=False) as oracle:
        response = httpx.post(
            f"{oracle.url}/v1/classify", json={"listing": str(listing), "input": "x"}, timeout=60, trust_env=False
        )
        error = assert_error(response, 503, "model_file_altered")
        assert "model.safetensors" in error["message"]
        assert httpx.get(f"{oracle.url}/v1/models", timeout=60, trust_env=False).json()["data"] == []


def test_pickle_in_a_model_folder_is_not_loaded(world: World, model: Path, tmp_path: Path) -> None:
    """S6, E13."""
    import pickle

    listing = world.publish(read_manifest(model).hash())
    (model / "pytorch_model.bin").write_bytes(pickle.dumps({"weights": 1}))
    with world.oracle(tmp_path / "oracle", null=False) as oracle:
        response = httpx.post(
            f"{oracle.url}/v1/classify", json={"listing": str(listing), "input": "x"}, timeout=60, trust_env=False
        )
        error = assert_error(response, 503, "model_file_forbidden")
        assert "pytorch_model.bin" in error["message"]


def test_oracle_started_without_its_chain_waits_for_it(world: World, tmp_path: Path) -> None:
    """B1: alive but not ready, refusing with 503 and when to come back."""
    with world.oracle(tmp_path / "oracle", ready=False, rpc_url="http://127.0.0.1:1") as oracle:
        eventually(lambda: _answers(f"{oracle.url}/healthz"))
        assert_error(httpx.get(f"{oracle.url}/readyz", trust_env=False), 503, "chain_unreachable")
        response = httpx.post(f"{oracle.url}/v1/classify", json={"listing": "1", "input": "x"}, trust_env=False)
        assert_error(response, 503, "chain_unreachable")


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False

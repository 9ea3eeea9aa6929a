"""Rule S1: identical requests at once give one inference, one charge, one log."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from tallystick.protocol.payments import DirectPayment

from tests.support.world import World, settled

AT_ONCE = 50


@pytest.mark.parametrize("round_number", range(3))
def test_identical_requests_at_once_run_once(world: World, tmp_path: Path, round_number: int) -> None:
    """S1, C2: everybody gets the same bytes or is told to come back; one run, one charge, one log."""
    listing = world.null_listing()
    with world.oracle(tmp_path / "oracle") as oracle, world.payer(oracle, tmp_path / "payer") as client:
        pending, _ = client.open(client.quote(listing, f"question {round_number}"))
        headers = {"Tallystick-Payment": DirectPayment(pending.call, pending.salt).to_header()}
        content = {
            "listing": str(listing),
            "revision": 1,
            "input": pending.request.input,
            "parameters": {},
        }

        def ask(_number: int) -> httpx.Response:
            return httpx.post(f"{oracle.url}/v1/classify", json=content, headers=headers, timeout=60, trust_env=False)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            responses = list(pool.map(ask, range(AT_ONCE)))
        settled(client, pending)

        answered = [response for response in responses if response.status_code == 200]
        told_to_wait = [response for response in responses if response.status_code in (409, 429)]
        assert len(answered) + len(told_to_wait) == AT_ONCE
        assert len({response.content for response in answered}) == 1
        assert [response.headers["tallystick-replayed"] for response in answered].count("false") == 1
        assert oracle.runs() == 1
        assert [event.name for event in world.events(pending.call_id)].count("CallLogged") == 1

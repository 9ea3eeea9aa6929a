"""The demo as a newcomer runs it: it passes, and nothing is left of it, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.world import eventually


def start_demo(folder: Path) -> subprocess.Popen[str]:
    """The demo, with its temporary files and its processes marked by `folder`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TALLYSTICK_")}
    return subprocess.Popen(
        [sys.executable, "-m", "tallystick", "demo"],
        env={**environment, "TMPDIR": str(folder), "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def left_over(folder: Path) -> list[str]:
    """Files of the demo, and processes that have its folder in their environment."""
    found = [str(path) for path in folder.iterdir()]
    for process in psutil.process_iter():
        try:
            if process.environ().get("TMPDIR", "").startswith(str(folder)):
                found.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def test_demo_passes_its_audit_and_leaves_nothing(real_model: Path, tmp_path: Path) -> None:
    """S1, S2, M4: paid, refused, replayed, refunded, audited."""
    with start_demo(tmp_path) as demo:
        output, _ = demo.communicate(timeout=120)
    assert demo.returncode == 0, output
    for shown in (
        "payment_required",
        "commitment_mismatch",
        "charged nothing",
        "Escrow_DeadlineNotPassed",
        "refunded",
        "audit: PASS",
    ):
        assert shown in output
    assert output.rstrip().splitlines()[-1].startswith("audit: PASS")
    assert not left_over(tmp_path)


@pytest.mark.parametrize("chapter", ["2. Start", "3. List", "5. What"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_demo_leaves_nothing(
    real_model: Path, tmp_path: Path, chapter: str, number: signal.Signals
) -> None:
    with start_demo(tmp_path) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if line.strip().startswith(chapter):
                break
        demo.send_signal(number)
        demo.communicate(timeout=60)
    assert demo.returncode == 130
    eventually(lambda: not left_over(tmp_path))

"""The command line in this process, with everything it could reach pointing at nothing."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tallystick.cli.main import app
from tallystick.errors import TallystickError
from typer.testing import CliRunner

from tests.support.deployments import write_deployment


@dataclass(frozen=True)
class Shell:
    """Runs `tallystick` with settings that a test chooses. Nothing listens at its node's and oracle's addresses."""

    folder: Path
    nowhere: str

    @property
    def deployment(self) -> Path:
        return self.folder / "deployment.json"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def deploy(self, **changes: Any) -> None:
        """Leave a deployment file, of contracts that are nowhere."""
        write_deployment(self.deployment, **changes)

    def run(self, *arguments: str, **environment: str) -> Outcome:
        """One command, with more TALLYSTICK_ variables."""
        ours: dict[str, str | None] = {name: None for name in os.environ if name.startswith("TALLYSTICK_")}
        ours |= {
            "TALLYSTICK_STATE_DIR": str(self.state),
            "TALLYSTICK_DEPLOYMENT_FILE": str(self.deployment),
            "TALLYSTICK_MODELS_DIR": str(self.folder / "models"),
            "TALLYSTICK_RPC_URL": self.nowhere,
            "TALLYSTICK_ORACLE_URL": self.nowhere,
            "COLUMNS": "200",
            "NO_COLOR": "1",
            "TERM": "dumb",
        }
        ours |= {f"TALLYSTICK_{name.upper()}": value for name, value in environment.items()}
        result = CliRunner().invoke(app, list(arguments), env=ours, catch_exceptions=False)
        return Outcome(result.exit_code, result.stdout, result.stderr)


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Standard output, which must be one JSON document and nothing else."""
        return json.loads(self.out)

    def assert_refused(self, kind: type[TallystickError], *words: str) -> None:
        """The error's code and a message with these words on standard error, nothing on the other, its exit code."""
        assert self.code == kind.exit_code, self
        assert self.out == ""
        assert self.err.startswith(f"{kind.code}: ")
        text = " ".join(self.err.split())
        assert "Traceback" not in text
        assert all(word in text for word in words), text


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    with socket.socket() as bound:
        # Bound and not listening: whoever connects is refused, and nobody else can take the port.
        bound.bind(("127.0.0.1", 0))
        yield Shell(tmp_path, f"http://127.0.0.1:{bound.getsockname()[1]}")

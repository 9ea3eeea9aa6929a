from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .kit import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.close()


@pytest.fixture
def careful(tmp_path: Path) -> Iterator[Shop]:
    """A shop that waits: two blocks until an escrow counts, three until a posted result is left alone."""
    made = Shop(tmp_path, confirmations=2, finality=3)
    yield made
    made.close()

"""A marketplace for each test, on a machine of its own."""

from __future__ import annotations

import pytest

from tests.evm.scene import Market


@pytest.fixture
def market() -> Market:
    return Market()

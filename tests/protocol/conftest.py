"""Hypothesis draws the same examples in each run, so that a red test means a change and not a draw."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("tallystick", derandomize=True, deadline=None, max_examples=300)
settings.load_profile("tallystick")

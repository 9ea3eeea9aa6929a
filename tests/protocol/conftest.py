"""Hypothesis draws the same examples in each run, so that a red test means a change and not a draw.

HYPOTHESIS_PROFILE=fuzz draws many more, others each time.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("tallystick", derandomize=True, deadline=None, max_examples=100)
settings.register_profile("fuzz", deadline=None, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "tallystick"))

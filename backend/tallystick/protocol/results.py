"""Results on a grid: floats are rounded before they are hashed, and re-runs are compared within a tolerance (rule E5).

A batched and a single run of the same model are not equal bit for bit, so a hash of raw floats could never be checked.
"""

from __future__ import annotations

import math
from typing import Any, Final

from tallystick.protocol.canonical import has_one_reading

GRID_DECIMALS: Final = 4
"""Floats in results are written rounded to this many decimals."""

TOLERANCE: Final = 0.001
"""The most by which a number in a re-run may differ from the disclosed one (docs/SPEC.md gives the measurement)."""


def on_grid(value: Any) -> Any:
    """The same JSON value with every float rounded to the grid.

    Raises ValueError on NaN, on infinities and on floats that could not be read back from canonical JSON.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("a result holds a number that is not finite")
        if not has_one_reading(value):
            raise ValueError("a result holds a number beyond 2^53, where integers are not exact")
        # Adding zero turns -0.0 into 0.0, which RFC 8785 writes the same but a reader would wonder about.
        return round(value, GRID_DECIMALS) + 0.0
    if isinstance(value, dict):
        return {key: on_grid(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [on_grid(item) for item in value]
    return value


def differences(disclosed: Any, rerun: Any, path: str = "result") -> list[str]:
    """Where a re-run disagrees with the disclosed result, one sentence a place; empty if it agrees.

    Numbers agree within TOLERANCE; everything else must be equal. Entries that carry a label and a score are compared
    by label, since entries whose scores differ by less than the tolerance may come in another order.
    """
    if isinstance(disclosed, bool) or isinstance(rerun, bool):
        return [] if disclosed is rerun else [f"{path}: disclosed {disclosed!r}, re-run {rerun!r}"]
    if isinstance(disclosed, int | float) and isinstance(rerun, int | float):
        agree = abs(disclosed - rerun) <= TOLERANCE
        return [] if agree else [f"{path}: disclosed {disclosed!r}, re-run {rerun!r}, tolerance {TOLERANCE}"]
    if isinstance(disclosed, dict) and isinstance(rerun, dict):
        if disclosed.keys() != rerun.keys():
            return [f"{path}: disclosed keys {sorted(disclosed)}, re-run keys {sorted(rerun)}"]
        return [line for key in disclosed for line in differences(disclosed[key], rerun[key], f"{path}.{key}")]
    if isinstance(disclosed, list) and isinstance(rerun, list):
        if len(disclosed) != len(rerun):
            return [f"{path}: disclosed {len(disclosed)} entries, re-run {len(rerun)}"]
        if all(isinstance(entry, dict) and "label" in entry for entry in (*disclosed, *rerun)):
            disclosed, rerun = (
                sorted(entries, key=lambda entry: str(entry["label"])) for entries in (disclosed, rerun)
            )
        pairs = enumerate(zip(disclosed, rerun, strict=True))
        return [line for index, (one, two) in pairs for line in differences(one, two, f"{path}[{index}]")]
    return [] if disclosed == rerun else [f"{path}: disclosed {disclosed!r}, re-run {rerun!r}"]

"""The names of the places at which a crash test can kill."""

from __future__ import annotations

import pytest
from tallystick.metering.steps import Step, When, no_checkpoint, parse_point

POINTS = [(step, when) for step in Step for when in When]


@pytest.mark.parametrize(("step", "when"), POINTS)
def test_parse_point_reads_every_step_before_and_after(step: Step, when: When) -> None:
    assert parse_point(f"{step.value}:{when.value}") == (step, when)


@pytest.mark.parametrize(
    "text",
    ["", ":", "recorded", "recorded:", ":before", "recorded:now", "Recorded:before", "recorded:before:", "x:after"],
)
def test_parse_point_of_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a valid"):
        parse_point(text)


def test_steps_are_the_protocol_s_in_its_order() -> None:
    """docs/SPEC.md, "the steps of a call"."""
    assert [step.value for step in Step] == [
        *("received", "verified", "reserved", "inferred", "recorded"),
        *("replied", "queued", "posted", "confirmed", "finalised"),
    ]


def test_no_checkpoint_does_nothing_at_every_point() -> None:
    for step, when in POINTS:
        no_checkpoint(step, when)

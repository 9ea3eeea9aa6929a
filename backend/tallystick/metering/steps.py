"""The steps of a call, in order, with a place before and after each where a crash test can kill the process."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum


class Step(Enum):
    """Each step is durable, or without effect, when it ends."""

    RECEIVED = "received"
    VERIFIED = "verified"
    RESERVED = "reserved"
    INFERRED = "inferred"
    RECORDED = "recorded"
    REPLIED = "replied"
    QUEUED = "queued"
    POSTED = "posted"
    CONFIRMED = "confirmed"
    FINALISED = "finalised"


class When(Enum):
    BEFORE = "before"
    AFTER = "after"


Checkpoint = Callable[[Step, When], None]
"""Called around every step. In production it does nothing."""


def no_checkpoint(_step: Step, _when: When) -> None:
    """The production checkpoint."""


def parse_point(text: str) -> tuple[Step, When]:
    """`step:before` or `step:after`. Raises ValueError otherwise."""
    step, _, when = text.partition(":")
    return Step(step), When(when)

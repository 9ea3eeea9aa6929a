"""The seam between the oracle and a model. `TextClassifier` is the real runner, `NullRunner` the one without a model.

What a request may ask for is checked here, before payment is looked at; what it may cost at most is known exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tallystick.errors import EmptyText, InferenceFailed, InputTooLong, InvalidRequest
from tallystick.inference.manifest import Manifest
from tallystick.protocol.prices import Units
from tallystick.protocol.results import on_grid

TIME_LIMIT_MS: Final = 10_000
"""Longest run of one call in milliseconds, unless the runner is given another; also its worst case for the price."""

CHARACTERS_PER_TOKEN: Final = 64
"""Text of more than this many characters for each token allowed is refused before it is split into tokens."""


@dataclass(frozen=True)
class Inference:
    """What a run gave: `result` is JSON with its floats on the result grid, `units` what it consumed."""

    result: Any
    units: Units


class Runner(Protocol):
    """One loaded model. Its methods may be called from several threads at once."""

    @property
    def manifest(self) -> Manifest: ...

    @property
    def manifest_hash(self) -> bytes:
        """32 bytes; what the revision on chain must name."""
        ...

    def effective_parameters(self, requested: Mapping[str, Any]) -> dict[str, Any]:
        """What the model is run with: the request's parameters, the defaults, and what pins the numbers (D2).

        Raises InvalidRequest, naming the parameter, on one that is unknown or has a bad value.
        """
        ...

    def worst_case(self, input: Any, parameters: Mapping[str, Any]) -> Units:  # noqa: A002
        """The most that a run can consume; exact in tokens. `parameters` are the effective ones. Runs no model.

        Raises InvalidRequest, EmptyText or InputTooLong: input is never cut.
        """
        ...

    def run(self, input: Any, parameters: Mapping[str, Any]) -> Inference:  # noqa: A002
        """Run the model. Raises what `worst_case` raises, and InferenceFailed where there is no usable result."""
        ...


def classification_parameters(
    manifest: Manifest, requested: Mapping[str, Any], pinned: Mapping[str, str]
) -> dict[str, Any]:
    """The effective parameters of a text classifier: top_k, max_tokens, dtype and `pinned`. Raises InvalidRequest."""
    most = {"top_k": len(manifest.labels), "max_tokens": manifest.decoding_defaults.max_tokens}
    for name in requested:
        if name not in most:
            raise InvalidRequest(
                f"There is no parameter {name!r}. Known: {', '.join(most)}.", param=f"parameters.{name}"
            )
    effective: dict[str, Any] = {}
    for name, limit in most.items():
        value = requested.get(name, getattr(manifest.decoding_defaults, name))
        if type(value) is not int or not 1 <= value <= limit:
            raise InvalidRequest(f"{name} is a whole number from 1 to {limit}.", param=f"parameters.{name}")
        effective[name] = value
    return {**effective, "dtype": manifest.dtype, **pinned}


def checked_text(input: Any, parameters: Mapping[str, Any], count_tokens: Callable[[str], int], special: int) -> int:  # noqa: A002
    """The number of tokens of an input, the `special` ones included. The text is taken as it was sent, byte for byte.

    Raises InvalidRequest, EmptyText or InputTooLong.
    """
    if not isinstance(input, str):
        raise InvalidRequest("input is a text: send one string.", param="input")
    if "\0" in input:
        raise InvalidRequest("The input holds a NUL character; remove it.", param="input")
    try:
        input.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidRequest("The input holds half a surrogate pair; send valid Unicode.", param="input") from None
    if not input.strip():
        raise EmptyText("The input is empty. Send some text; nothing was charged.", param="input")
    limit = parameters["max_tokens"]
    if len(input) > limit * CHARACTERS_PER_TOKEN:
        raise InputTooLong(
            f"The input has {len(input)} characters; at most {limit * CHARACTERS_PER_TOKEN} are read. Shorten it.",
            param="input",
            actual=len(input),
            limit=limit * CHARACTERS_PER_TOKEN,
            unit="characters",
        )
    tokens = count_tokens(input)
    if tokens <= special:
        raise EmptyText(
            "The input holds nothing that the model can read. Send some text; nothing was charged.", param="input"
        )
    if tokens > limit:
        raise InputTooLong(
            f"The input has {tokens} tokens; the limit is {limit}. Shorten it, or raise max_tokens if the model allows it.",
            param="input",
            actual=tokens,
            limit=limit,
            unit="tokens",
        )
    return tokens


def classification_result(scores: Mapping[str, float], top_k: int) -> dict[str, Any]:
    """The result of a text classifier: the best label, and the `top_k` best with their shares on the result grid.

    Best first; entries that are equal on the grid stand in the order of their labels. Raises ValueError on NaN.
    """
    rounded = on_grid(dict(scores))
    best = sorted(rounded, key=lambda label: (-rounded[label], label))[:top_k]
    return {"label": best[0], "scores": [{"label": label, "score": rounded[label]} for label in best]}


def failed(error: Exception) -> InferenceFailed:
    """The refusal for an exception inside a model. Only its type is told: its message may quote the input."""
    return InferenceFailed(
        f"The model failed on this input ({type(error).__name__}). Nothing was charged; try another input or listing."
    )


def elapsed_ms(started: float, ended: float, limit_ms: int) -> int:
    """Whole milliseconds between two readings of a monotonic clock in seconds, rounded down in the payer's favour.

    Raises InferenceFailed past the limit, so that no call is charged for more than its worst case.
    """
    milliseconds = max(0, int((ended - started) * 1000))
    if milliseconds > limit_ms:
        raise InferenceFailed(
            f"The model took {milliseconds} ms, longer than the limit of {limit_ms} ms. Nothing was charged; try again later.",
            actual_ms=milliseconds,
            limit_ms=limit_ms,
        )
    return milliseconds

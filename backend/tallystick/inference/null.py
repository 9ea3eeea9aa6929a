"""A runner without a model: deterministic answers from a hash, for trying the service and for tests of everything else."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from tallystick.inference.manifest import BaseModel, DecodingDefaults, Manifest, ManifestFile, Metrics, Provenance
from tallystick.inference.runner import (
    TIME_LIMIT_MS,
    Inference,
    checked_text,
    classification_parameters,
    classification_result,
    elapsed_ms,
    failed,
)
from tallystick.protocol.prices import Units

_NOTHING: Final = hashlib.sha256(b"").hexdigest()
_SPECIAL_TOKENS: Final = 2


class NullRunner:
    """Scores from SHA-256 of the text; a token is a word, plus two as a BERT tokenizer adds.

    `before_run` is called at each run before anything else: raise in it to fail a run, sleep in it to make one slow.
    `runs` counts the runs begun.
    """

    def __init__(
        self,
        manifest: Manifest | None = None,
        *,
        time_limit_ms: int = TIME_LIMIT_MS,
        clock: Callable[[], float] = time.monotonic,
        before_run: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.manifest = manifest or null_manifest()
        self.manifest_hash = self.manifest.hash()
        self.runs = 0
        self._time_limit_ms = time_limit_ms
        self._clock = clock
        self._before_run = before_run

    def effective_parameters(self, requested: Mapping[str, Any]) -> dict[str, Any]:
        return classification_parameters(self.manifest, requested, {"device": "cpu", "engine": "null"})

    def worst_case(self, input: Any, parameters: Mapping[str, Any]) -> Units:  # noqa: A002
        tokens = checked_text(input, parameters, _count_tokens, _SPECIAL_TOKENS)
        return Units(tokens, 0, self._time_limit_ms)

    def run(self, input: Any, parameters: Mapping[str, Any]) -> Inference:  # noqa: A002
        tokens = self.worst_case(input, parameters).input_tokens
        self.runs += 1
        started = self._clock()
        try:
            self._before_run(input)
            result = classification_result(_scores(input, self.manifest.labels), parameters["top_k"])
        except Exception as error:
            raise failed(error) from None
        spent = elapsed_ms(started, self._clock(), self._time_limit_ms)
        return Inference(result, Units(tokens, 0, spent))


def null_manifest(labels: tuple[str, ...] = ("complaint", "praise", "question")) -> Manifest:
    """A valid manifest of a model that has no weights."""
    return Manifest(
        name="null",
        title="Null model",
        description="Answers from a hash of the text; there is no model behind it.",
        task="text-classification",
        labels=labels,
        base=BaseModel("none", "none", "MIT", _NOTHING),
        files=(ManifestFile("model.safetensors", 0, _NOTHING),),
        dtype="float32",
        decoding_defaults=DecodingDefaults(top_k=min(3, len(labels)), max_tokens=256),
        provenance=Provenance(_NOTHING, {}, 0, {}, _NOTHING),
        metrics=Metrics("0.0", "0.0", "0.0"),
        licence="MIT",
    )


def _count_tokens(text: str) -> int:
    return len(text.split()) + _SPECIAL_TOKENS


def _scores(text: str, labels: tuple[str, ...]) -> dict[str, float]:
    """A share for each label, together 1."""
    weights = {
        label: 1 + int.from_bytes(hashlib.sha256(f"{label}\0{text}".encode()).digest()[:4], "big") for label in labels
    }
    total = sum(weights.values())
    return {label: weight / total for label, weight in weights.items()}

"""How far single and batched runs of the customer-service model differ, over every message that it was made with.

    .venv/bin/python benchmarks/agreement.py

This is the measurement behind `protocol.results.TOLERANCE` (docs/SPEC.md, section 7). It asserts nothing.
"""

from __future__ import annotations

import json
from pathlib import Path

from tallystick.inference.loading import load_runner
from tallystick.protocol.results import TOLERANCE

FOLDER = Path(__file__).resolve().parent.parent / "models" / "customer-service"
BATCH = 32


def main() -> None:
    runner = load_runner(FOLDER / "artifacts" / "model", None)
    parameters = runner.effective_parameters({"top_k": len(runner.manifest.labels)})
    texts = [
        json.loads(line)["text"]
        for name in ("heldout", "train")
        for line in (FOLDER / "data" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    single = [runner.run(text, parameters).result for text in texts]
    batched = [
        inference.result
        for start in range(0, len(texts), BATCH)
        for inference in runner.run_batch([(text, parameters) for text in texts[start : start + BATCH]])
    ]
    labels = sum(one["label"] != other["label"] for one, other in zip(single, batched, strict=True))
    largest = max(
        abs(score - scores_of(other)[label])
        for one, other in zip(single, batched, strict=True)
        for label, score in scores_of(one).items()
    )
    print(
        f"{len(texts)} texts, singly and in batches of {BATCH}: largest difference {largest:.4f} (tolerance {TOLERANCE})"
    )
    print(f"labels that differ: {labels}")
    print(f"engine: {parameters['engine']}, {parameters['device']}, {parameters['dtype']}")


def scores_of(result: dict[str, object]) -> dict[str, float]:
    scores = result["scores"]
    assert isinstance(scores, list)  # noqa: S101
    return {entry["label"]: entry["score"] for entry in scores}


if __name__ == "__main__":
    main()

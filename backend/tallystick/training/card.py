"""The model card in a trained folder: README.md with the front matter that model hubs read."""

from __future__ import annotations

from collections.abc import Sequence

from tallystick.inference.manifest import BaseModel
from tallystick.training.evaluate import Evaluation
from tallystick.training.recipe import ModelSection
from tallystick.training.report import Mistake

_MOST_SHOWN = 10


def model_card(
    model: ModelSection, base: BaseModel, heldout: Evaluation, baseline: Evaluation, mistakes: Sequence[Mistake]
) -> str:
    """Markdown. The figures are the run's own, the examples of failure its own errors."""
    rows = "\n".join(
        f"| {score.label} | {score.precision:.3f} | {score.recall:.3f} | {score.f1:.3f} | {score.support} |"
        for score in heldout.labels
    )
    examples = "\n".join(
        f"- {_quoted(one.text)}: {one.predicted} instead of {one.label}" for one in mistakes[:_MOST_SHOWN]
    )
    return f"""---
license: {model.licence.lower()}
language: en
library_name: transformers
pipeline_tag: text-classification
base_model: {base.name}
metrics:
- accuracy
- f1
---

# {model.title}

{model.description}

Fine-tuned from {base.name} ({base.licence}). The architecture is a stock `BertForSequenceClassification`; its last layer
has uniform attention and computes the mean over the tokens that the base model was trained for.

## Figures

{heldout.rows} held-out texts, on which nothing was chosen: accuracy {heldout.accuracy:.4f}, macro-F1 {heldout.macro_f1:.4f}.
TF-IDF with logistic regression on the same data: accuracy {baseline.accuracy:.4f}.

| label | precision | recall | F1 | texts |
|---|---|---|---|---|
{rows}

## Where it fails

{examples or "It made no mistake on the held-out texts, which says more about their number than about the model."}
"""


def _quoted(text: str) -> str:
    """Text of the data as inline code, so that no markup in it takes effect."""
    return "`" + " ".join(text.replace("`", "'").split()) + "`"

"""From a recipe to a model folder: data, baseline, fine-tuning, held-out figures, export, self-check. In that order.

torch is imported only inside `train`, so that `is_current` answers at once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from tallystick.errors import DataInvalid, ModelError, ModelMalformed, RecipeInvalid
from tallystick.inference.folder import read_verified
from tallystick.inference.manifest import DecodingDefaults, Manifest, ManifestFile, Metrics, Provenance
from tallystick.training.fingerprint import data_hashes, fingerprint
from tallystick.training.recipe import Recipe, read_recipe

if TYPE_CHECKING:
    from tallystick.training.base import Base
    from tallystick.training.data import Row
    from tallystick.training.evaluate import Evaluation
    from tallystick.training.finetune import FineTuned
    from tallystick.training.report import TrainingReport

_SOFTWARE = ("safetensors", "scikit-learn", "tokenizers", "torch", "transformers")


def is_current(recipe_path: Path, output: Path) -> bool:
    """Whether `output` holds, unaltered, what this recipe, its data and this code make. Raises RecipeInvalid, DataInvalid."""
    recipe = read_recipe(recipe_path)
    wanted = fingerprint(recipe, data_hashes(recipe), recipe.base.sha256, recipe.training.seed)
    try:
        return read_verified(output, None).manifest.provenance.fingerprint == wanted
    except ModelError:
        return False


def train(
    recipe_path: Path,
    output: Path,
    base: str | None = None,
    console: Console | None = None,
    seed: int | None = None,
) -> TrainingReport:
    """Train and replace `output`. `base` and `seed` stand in for the recipe's; without a console nothing is shown.

    Raises RecipeInvalid, DataInvalid, or a ModelError of the base. Until all is done and checked, `output` is untouched.
    """
    from tallystick.training.base import load_base
    from tallystick.training.baseline import baseline_predictions
    from tallystick.training.card import model_card
    from tallystick.training.data import labels_of, read_rows, split_validation
    from tallystick.training.duplicates import without_near_duplicates
    from tallystick.training.encoder import stock_model
    from tallystick.training.evaluate import evaluate
    from tallystick.training.export import replacing, write_model
    from tallystick.training.report import Mistake, TrainingReport, show_report, write_report

    started = time.monotonic()
    console = console or Console(quiet=True)
    recipe = read_recipe(recipe_path)
    seed = recipe.training.seed if seed is None else seed
    if not 0 <= seed < 1 << 32:
        raise RecipeInvalid("The seed is a whole number from 0 to 4294967295.")
    hashes = data_hashes(recipe)

    heldout = read_rows(recipe.folder / recipe.data.heldout)
    rows, removed = without_near_duplicates(
        read_rows(recipe.folder / recipe.data.train), heldout, recipe.data.near_duplicate
    )
    labels = labels_of(rows, heldout)
    training, validation = split_validation(rows, recipe.data.validation_share, seed)
    console.print(
        f"{len(training)} texts to train on, {len(validation)} to choose by, {len(heldout)} held out; {len(labels)} labels; "
        f"{len(removed)} removed as near-duplicates of held-out ones"
    )

    truth = [row.label for row in heldout]
    baseline = evaluate(truth, baseline_predictions(training, validation, heldout), labels)
    encoder = load_base(recipe.base, base)
    tuned, tokenizer = _finetune(encoder, recipe, labels, training, validation, seed, console)
    model = stock_model(tuned.model, labels)
    predicted = _predictions(model, tokenizer, heldout, labels, recipe)
    measured = evaluate(truth, predicted, labels)
    mistakes = tuple(
        Mistake(row.text, row.label, guess) for row, guess in zip(heldout, predicted, strict=True) if guess != row.label
    )

    def manifest_for(files: tuple[ManifestFile, ...]) -> Manifest:
        mark = fingerprint(recipe, hashes, encoder.model.sha256, seed)
        software = {name: version(name) for name in _SOFTWARE}
        provenance = Provenance(recipe.sha256, hashes, seed, software, mark)
        return _manifest(recipe, encoder, labels, files, provenance, measured, baseline)

    settings = {"tokenizer_class": "BertTokenizer", "model_max_length": recipe.model.max_tokens, **_casing(tokenizer)}
    card = model_card(recipe.model, encoder.model, measured, baseline, mistakes)
    with replacing(output) as draft:
        manifest = write_model(draft, model, tokenizer, settings, card, manifest_for)
        _check(draft, manifest, heldout, predicted)

    report = TrainingReport(
        folder=output,
        manifest_hash=manifest.hash(),
        seed=seed,
        train_rows=len(training),
        validation_rows=len(validation),
        near_duplicates=removed,
        epochs=tuned.epochs,
        best_epoch=tuned.best.number,
        heldout=measured,
        baseline=baseline,
        mistakes=mistakes,
        seconds=time.monotonic() - started,
    )
    write_report(report)
    show_report(report, console)
    return report


def _finetune(
    base: Base,
    recipe: Recipe,
    labels: tuple[str, ...],
    training: Sequence[Row],
    validation: Sequence[Row],
    seed: int,
    console: Console,
) -> tuple[FineTuned, Any]:
    from tokenizers import Tokenizer

    from tallystick.training.batches import to_examples
    from tallystick.training.finetune import finetune
    from tallystick.training.progress import training_progress

    tokenizer = Tokenizer.from_str(base.tokenizer.decode())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    positions = base.config.get("max_position_embeddings", 512)
    if recipe.model.max_tokens > positions:
        raise RecipeInvalid(f"model.max_tokens is {recipe.model.max_tokens}; the base has {positions} positions.")
    if recipe.model.top_k > len(labels):
        raise DataInvalid(f"The data has {len(labels)} labels and model.top_k is {recipe.model.top_k}; lower it.")
    examples = [to_examples(rows, labels, tokenizer, recipe.model.max_tokens) for rows in (training, validation)]
    with training_progress(console) as (on_step, on_epoch):
        tuned = finetune(
            base,
            recipe.training,
            len(labels),
            *examples,
            seed=seed,
            padding_id=base.config.get("pad_token_id", 0),
            on_step=on_step,
            on_epoch=on_epoch,
        )
    return tuned, tokenizer


def _predictions(model: Any, tokenizer: Any, rows: Sequence[Row], labels: tuple[str, ...], recipe: Recipe) -> list[str]:
    import torch

    from tallystick.training.batches import batches_by_length, padded, to_examples

    examples = to_examples(rows, labels, tokenizer, recipe.model.max_tokens)
    predicted = [""] * len(rows)
    for chosen in batches_by_length([len(example.ids) for example in examples], 32):
        ids, mask = padded([examples[index].ids for index in chosen], model.config.pad_token_id or 0)
        with torch.inference_mode():
            best = model(input_ids=ids, attention_mask=mask).logits.argmax(dim=-1).tolist()
        for index, label in zip(chosen, best, strict=True):
            predicted[index] = labels[label]
    return predicted


def _casing(tokenizer: Any) -> dict[str, bool]:
    lowercase = getattr(tokenizer.normalizer, "lowercase", None)
    return {} if lowercase is None else {"do_lower_case": bool(lowercase)}


def _manifest(
    recipe: Recipe,
    base: Base,
    labels: tuple[str, ...],
    files: tuple[ManifestFile, ...],
    provenance: Provenance,
    measured: Evaluation,
    baseline: Evaluation,
) -> Manifest:
    return Manifest(
        name=recipe.model.name,
        title=recipe.model.title,
        description=recipe.model.description,
        task="text-classification",
        labels=labels,
        base=base.model,
        files=files,
        dtype="float32",
        decoding_defaults=DecodingDefaults(recipe.model.top_k, recipe.model.max_tokens),
        provenance=provenance,
        metrics=Metrics(f"{measured.accuracy:.4f}", f"{measured.macro_f1:.4f}", f"{baseline.accuracy:.4f}"),
        licence=recipe.model.licence,
    )


def _check(folder: Path, manifest: Manifest, rows: Sequence[Row], predicted: Sequence[str]) -> None:
    """The folder as an oracle reads it must answer as the model did that was measured."""
    from tallystick.inference.classifier import load_classifier

    runner = load_classifier(read_verified(folder, manifest.hash()))
    parameters = runner.effective_parameters({"top_k": 1})
    for start in range(0, len(rows), 32):
        answers = runner.run_batch([(row.text, parameters) for row in rows[start : start + 32]])
        for answer, expected in zip(answers, predicted[start : start + 32], strict=True):
            if answer.result["label"] != expected:
                raise ModelMalformed("The exported model answers otherwise than the trained one; report this as a bug.")

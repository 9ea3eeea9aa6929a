"""A whole training run on a tiny base: what it leaves behind, that it repeats itself, and what stops it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from tallystick.errors import (
    DataInvalid,
    ModelError,
    ModelFileAltered,
    ModelFileForbidden,
    ModelMalformed,
    ModelMissing,
    RecipeInvalid,
)
from tallystick.inference.folder import read_verified
from tallystick.inference.loading import load_runner
from tallystick.inference.manifest import read_manifest
from tallystick.training.export import replacing
from tallystick.training.report import report_path
from tallystick.training.train import is_current, train
from transformers import AutoTokenizer, pipeline

Edit = Callable[[str, str], None]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "artifacts" / "model"


def test_train_leaves_a_verified_model_a_report_and_nothing_else(recipe_path: Path, output: Path) -> None:
    report = train(recipe_path, output)
    manifest = read_verified(output, report.manifest_hash).manifest
    assert manifest.labels == ("complaint", "praise", "question")
    assert manifest.metrics.accuracy == f"{report.heldout.accuracy:.4f}"
    assert manifest.provenance.seed == 5
    assert sorted(path.name for path in output.parent.iterdir()) == ["model", "model.report.json"]
    written = json.loads(report_path(output).read_text())
    assert written["manifest_hash"] == "0x" + report.manifest_hash.hex()
    assert len(written["epochs"]) == len(report.epochs)
    assert str(output.parent) not in report_path(output).read_text() + (output / "manifest.json").read_text()


def test_train_learns(recipe_path: Path, output: Path) -> None:
    epochs = train(recipe_path, output).epochs
    assert epochs[-1].loss < epochs[0].loss * 0.8


def test_trained_folder_works_with_transformers_own_pipeline(recipe_path: Path, output: Path) -> None:
    train(recipe_path, output)
    runner = load_runner(output, None)
    classify = pipeline("text-classification", model=str(output), tokenizer=AutoTokenizer.from_pretrained(output))
    for text in ("the lamp is broken", "where is my cup"):
        answer = runner.run(text, runner.effective_parameters({"top_k": 1})).result
        theirs = classify(text)[0]
        assert answer["label"] == theirs["label"]
        assert answer["scores"][0]["score"] == pytest.approx(theirs["score"], abs=1e-3)


def test_same_seed_gives_the_same_weights_and_another_seed_others(recipe_path: Path, tmp_path: Path) -> None:
    weights = []
    for name, seed in (("one", None), ("two", 5), ("three", 6)):
        train(recipe_path, tmp_path / name, seed=seed)
        weights.append((tmp_path / name / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
    assert weights[0] != weights[2]
    assert read_manifest(tmp_path / "one").hash() == read_manifest(tmp_path / "two").hash()


def test_is_current_follows_recipe_data_seed_and_the_files_themselves(
    recipe_path: Path, output: Path, edit_recipe: Edit
) -> None:
    assert not is_current(recipe_path, output)
    train(recipe_path, output)
    assert is_current(recipe_path, output)
    edit_recipe("epochs = 4", "epochs = 3")
    assert not is_current(recipe_path, output)
    edit_recipe("epochs = 3", "epochs = 4")
    assert is_current(recipe_path, output)
    data = recipe_path.with_name("train.jsonl")
    before = data.read_text()
    data.write_text(before + '{"text": "a new row", "label": "praise"}\n')
    assert not is_current(recipe_path, output)
    data.write_text(before)
    (output / "config.json").write_text("{}")
    assert not is_current(recipe_path, output)


def test_is_current_is_false_for_a_model_of_another_seed_or_base(
    recipe_path: Path, output: Path, base_folder: Path
) -> None:
    train(recipe_path, output, seed=6)
    assert not is_current(recipe_path, output)
    from safetensors.torch import load_file, save_file

    weights = load_file(base_folder / "model.safetensors")
    weights["embeddings.word_embeddings.weight"] += 0.1
    other = base_folder.with_name("other")
    shutil.copytree(base_folder, other)
    save_file(weights, other / "model.safetensors")
    train(recipe_path, output, base=str(other))
    assert not is_current(recipe_path, output)
    assert read_manifest(output).base.source == "other"


def test_train_tells_its_story_and_the_figures(recipe_path: Path, output: Path) -> None:
    shown = StringIO()
    train(recipe_path, output, console=Console(file=shown, width=200))
    text = shown.getvalue()
    for part in ("6 held out", "validation accuracy", "complaint", "accuracy", "TF-IDF"):
        assert part in text


def test_near_duplicates_of_heldout_rows_are_not_trained_on(recipe_path: Path, output: Path) -> None:
    data = recipe_path.with_name("train.jsonl")
    data.write_text(data.read_text() + '{"text": "My chair is BROKEN!", "label": "complaint"}\n')
    report = train(recipe_path, output)
    pairs = [(one.row.text, one.heldout.text) for one in report.near_duplicates]
    assert pairs == [("My chair is BROKEN!", "my chair is broken")]
    assert report.train_rows + report.validation_rows == 18


def test_heldout_rows_choose_nothing(recipe_path: Path, tmp_path: Path) -> None:
    """Turning every held-out label round changes the figures and not one weight."""
    train(recipe_path, tmp_path / "one")
    heldout = recipe_path.with_name("heldout.jsonl")
    turned = {"complaint": "praise", "praise": "question", "question": "complaint"}
    rows = [json.loads(line) for line in heldout.read_text().splitlines()]
    heldout.write_text("".join(json.dumps({**row, "label": turned[row["label"]]}) + "\n" for row in rows))
    train(recipe_path, tmp_path / "two")
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]
    assert read_manifest(tmp_path / "one").metrics != read_manifest(tmp_path / "two").metrics


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("epochs = 4", "epochs = 0", RecipeInvalid),
        ("max_tokens = 32", "max_tokens = 64", RecipeInvalid),
        ("max_tokens = 32", "max_tokens = 8", DataInvalid),
        ("top_k = 2", "top_k = 4", DataInvalid),
        ("frozen_layers = 1", "frozen_layers = 3", ModelMalformed),
        ('train = "train.jsonl"', 'train = "absent.jsonl"', DataInvalid),
        ('source = "', 'source = "package:no_such_package_', ModelMissing),
        ('name = "tiny-base"', 'name = "tiny-base" # the same', None),
    ],
)
def test_refusal_leaves_the_model_that_was_there(
    recipe_path: Path, output: Path, edit_recipe: Edit, old: str, new: str, kind: type[ModelError] | None
) -> None:
    output.mkdir(parents=True)
    (output / "keep").write_text("me")
    edit_recipe(old, new)
    if kind is None:
        train(recipe_path, output)
        assert not (output / "keep").exists()
        return
    with pytest.raises(kind):
        train(recipe_path, output)
    assert [path.name for path in output.parent.rglob("*")] == ["model", "keep"]


def test_base_with_other_weights_than_the_recipe_names_is_refused(
    recipe_path: Path, output: Path, edit_recipe: Edit
) -> None:
    recipe = recipe_path.read_text()
    sha256 = recipe.split('sha256 = "')[1][:64]
    edit_recipe(sha256, "0" * 64)
    with pytest.raises(ModelFileAltered) as refusal:
        train(recipe_path, output)
    assert refusal.value.details["actual"] == sha256


def test_e13_base_that_is_a_pickle_is_refused(recipe_path: Path, output: Path, base_folder: Path) -> None:
    import pickle

    (base_folder / "model.safetensors").write_bytes(pickle.dumps({"weights": [1.0]}))
    with pytest.raises(ModelFileForbidden, match="pickle"):
        train(recipe_path, output, base=str(base_folder))


def test_base_that_no_hub_has_says_what_to_do(recipe_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelMissing, match="local folder"):
        train(recipe_path, output, base="nobody/no-such-model")


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, OSError])
def test_interrupted_export_leaves_the_model_that_was_there(tmp_path: Path, interruption: type[BaseException]) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "keep").write_text("me")

    def export() -> None:
        with replacing(folder) as draft:
            (draft / "half").write_text("a model")
            raise interruption

    with pytest.raises(interruption):
        export()
    assert [path.name for path in tmp_path.rglob("*")] == ["model", "keep"]


def test_finished_export_replaces_the_model_that_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "old").write_text("old")
    with replacing(folder) as draft:
        (draft / "new").write_text("new")
    assert [path.name for path in tmp_path.rglob("*")] == ["model", "new"]


def test_is_current_does_not_import_torch(recipe_path: Path, output: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from tallystick.training.train import is_current; "
        "assert not is_current(Path(sys.argv[1]), Path(sys.argv[2])); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(recipe_path), str(output)], check=True)

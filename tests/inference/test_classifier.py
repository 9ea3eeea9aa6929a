"""The real runner: loads only what fits together, computes what transformers computes, batches without a difference."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tallystick.errors import EmptyText, InferenceFailed, InvalidSetting, ModelMalformed
from tallystick.inference.classifier import ENGINE, TextClassifier, load_classifier
from tallystick.inference.folder import read_verified
from tallystick.inference.manifest import Manifest, read_manifest, write_manifest
from tallystick.protocol.results import differences
from tokenizers import Tokenizer
from transformers import BertForSequenceClassification

from tests.inference.tiny import LABELS

TEXTS = (
    "where is my order ?",
    "lovely lamp !",
    "thanks",
    "is my lamp broken ? where is my order ? is my lamp lovely ?",
)
Seal = Callable[[], Manifest]


@pytest.fixture
def classifier(model_folder: Path) -> TextClassifier:
    return load_classifier(read_verified(model_folder, None))


def load(folder: Path) -> TextClassifier:
    return load_classifier(read_verified(folder, None))


def change_weights(folder: Path, seal: Seal, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")
    seal()


def test_scores_are_those_of_transformers_own_loading(model_folder: Path, classifier: TextClassifier) -> None:
    reference = BertForSequenceClassification.from_pretrained(model_folder).eval()
    tokenizer = Tokenizer.from_file(str(model_folder / "tokenizer.json"))
    tokenizer.no_truncation()
    for text in TEXTS:
        with torch.inference_mode():
            shares = reference(input_ids=torch.tensor([tokenizer.encode(text).ids])).logits.softmax(-1)[0].tolist()
        result = classifier.run(text, classifier.effective_parameters({"top_k": 3})).result
        assert {entry["label"]: entry["score"] for entry in result["scores"]} == pytest.approx(
            dict(zip(LABELS, shares, strict=True)), abs=1e-4
        )


def test_engine_names_the_versions_that_run(classifier: TextClassifier) -> None:
    assert classifier.effective_parameters({})["engine"] == ENGINE
    assert torch.__version__.split("+")[0] in ENGINE


def test_e5_batch_agrees_with_single_runs(classifier: TextClassifier) -> None:
    parameters = classifier.effective_parameters({"top_k": 3})
    batch = classifier.run_batch([(text, parameters) for text in TEXTS])
    for text, together in zip(TEXTS, batch, strict=True):
        alone = classifier.run(text, parameters)
        assert differences(alone.result, together.result) == []
        assert alone.units.input_tokens == together.units.input_tokens


def test_run_batch_takes_parameters_of_each_request(classifier: TextClassifier) -> None:
    requests = [(TEXTS[0], classifier.effective_parameters({"top_k": top_k})) for top_k in (1, 3)]
    assert [len(inference.result["scores"]) for inference in classifier.run_batch(requests)] == [1, 3]


def test_run_batch_of_nothing_is_nothing(classifier: TextClassifier) -> None:
    assert classifier.run_batch([]) == []


def test_run_batch_shares_the_time_out_rounded_down(model_folder: Path) -> None:
    readings = iter((0.0, 0.0, 0.0, 0.1))
    classifier = load_classifier(read_verified(model_folder, None), clock=lambda: next(readings))
    parameters = classifier.effective_parameters({})
    list(map(next, (readings, readings)))
    assert [one.units.compute_ms for one in classifier.run_batch([(text, parameters) for text in TEXTS[:3]])] == [
        33
    ] * 3


def test_text_of_which_the_tokenizer_keeps_nothing_is_empty(classifier: TextClassifier) -> None:
    with pytest.raises(EmptyText, match="nothing that the model can read"):
        classifier.worst_case("\u200b\u200d", classifier.effective_parameters({}))


def test_truncation_stored_in_the_tokenizer_is_not_applied(classifier: TextClassifier) -> None:
    units = classifier.worst_case(TEXTS[3], classifier.effective_parameters({}))
    assert units.input_tokens == len(TEXTS[3].split()) + 2 > 8


def test_d5_output_that_is_not_finite_is_a_failure(classifier: TextClassifier) -> None:
    with torch.no_grad():
        classifier.model.classifier.bias.fill_(float("nan"))
    with pytest.raises(InferenceFailed):
        classifier.run(TEXTS[0], classifier.effective_parameters({}))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_malformed(model_folder: Path, seal: Seal, value: float) -> None:
    change_weights(model_folder, seal, lambda weights: weights["bert.pooler.dense.bias"].fill_(value))
    with pytest.raises(ModelMalformed, match="finite"):
        load(model_folder)


def test_missing_tensor_is_malformed(model_folder: Path, seal: Seal) -> None:
    change_weights(model_folder, seal, lambda weights: weights.pop("classifier.bias"))
    with pytest.raises(ModelMalformed, match=r"'classifier\.bias' is missing"):
        load(model_folder)


def test_tensor_too_many_is_malformed(model_folder: Path, seal: Seal) -> None:
    change_weights(model_folder, seal, lambda weights: weights.update(extra=torch.zeros(1)))
    with pytest.raises(ModelMalformed, match="'extra' does not belong"):
        load(model_folder)


@pytest.mark.parametrize(
    "tensor", [torch.zeros(4), torch.zeros(3, dtype=torch.float16), torch.zeros(3, dtype=torch.int32)]
)
def test_tensor_of_another_shape_or_dtype_is_malformed(model_folder: Path, seal: Seal, tensor: torch.Tensor) -> None:
    change_weights(model_folder, seal, lambda weights: weights.update({"classifier.bias": tensor}))
    with pytest.raises(ModelMalformed, match=r"classifier\.bias"):
        load(model_folder)


def test_configuration_larger_than_the_weights_allocates_nothing(
    model_folder: Path, edit_config: Callable[..., None]
) -> None:
    edit_config(vocab_size=1 << 21, hidden_size=1 << 14, num_attention_heads=1 << 8)
    with pytest.raises(ModelMalformed, match="configuration wants"):
        load(model_folder)


@pytest.mark.parametrize(
    "changes",
    [{"hidden_act": "no such function"}, {"num_attention_heads": 5}, {"hidden_dropout_prob": "x"}, {"id2label": 5}],
)
def test_configuration_that_gives_no_model_is_malformed(
    model_folder: Path, edit_config: Callable[..., None], changes: dict[str, object]
) -> None:
    edit_config(**changes)
    with pytest.raises(ModelMalformed, match=r"config\.json"):
        load(model_folder)


@pytest.mark.parametrize(
    "labels", [{"0": "praise", "1": "complaint", "2": "question"}, {"0": "complaint", "1": "praise"}, None]
)
def test_labels_other_than_the_manifests_are_malformed(
    model_folder: Path, edit_config: Callable[..., None], labels: dict[str, str] | None
) -> None:
    edit_config(id2label=labels, label2id=None)
    with pytest.raises(ModelMalformed, match="labels"):
        load(model_folder)


def test_tokenizer_that_cannot_be_built_is_malformed(model_folder: Path, seal: Seal) -> None:
    (model_folder / "tokenizer.json").write_text('{"model": {"type": "NoSuchModel"}}')
    seal()
    with pytest.raises(ModelMalformed, match="tokenizer"):
        load(model_folder)


def test_tokenizer_of_a_larger_vocabulary_is_malformed(model_folder: Path, seal: Seal) -> None:
    path = model_folder / "tokenizer.json"
    value = json.loads(path.read_text())
    value["model"]["vocab"]["stranger"] = 99
    path.write_text(json.dumps(value))
    seal()
    with pytest.raises(ModelMalformed, match="different models"):
        load(model_folder)


def test_tokenizer_that_adds_tokens_the_model_does_not_know_is_malformed(model_folder: Path, seal: Seal) -> None:
    path = model_folder / "tokenizer.json"
    value = json.loads(path.read_text())
    value["post_processor"]["special_tokens"]["[CLS]"]["ids"] = [99]
    path.write_text(json.dumps(value))
    seal()
    with pytest.raises(ModelMalformed, match="first run"):
        load(model_folder)


def test_max_tokens_beyond_the_models_positions_is_malformed(model_folder: Path) -> None:
    manifest = read_manifest(model_folder)
    defaults = dataclasses.replace(manifest.decoding_defaults, max_tokens=41)
    write_manifest(model_folder, dataclasses.replace(manifest, decoding_defaults=defaults))
    with pytest.raises(ModelMalformed, match="41 tokens and the model has 40"):
        load(model_folder)


@pytest.mark.parametrize("device", ["tpu", "", "cuda:x", "cpu:1"])
def test_unknown_device_is_an_invalid_setting(model_folder: Path, device: str) -> None:
    with pytest.raises(InvalidSetting, match="device"):
        load_classifier(read_verified(model_folder, None), device=device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_cuda_without_a_gpu_is_an_invalid_setting(model_folder: Path) -> None:
    with pytest.raises(InvalidSetting, match="cpu"):
        load_classifier(read_verified(model_folder, None), device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_cuda_agrees_with_cpu(model_folder: Path, classifier: TextClassifier) -> None:
    on_gpu = load_classifier(read_verified(model_folder, None), device="cuda")
    assert on_gpu.effective_parameters({})["device"] == "cuda"
    for text in TEXTS:
        parameters = classifier.effective_parameters({"top_k": 3})
        assert differences(classifier.run(text, parameters).result, on_gpu.run(text, parameters).result) == []


def test_swapping_files_after_the_check_changes_nothing(model_folder: Path) -> None:
    """D4: what was hashed is what is loaded."""
    verified = read_verified(model_folder, None)
    before = load_classifier(verified).run(TEXTS[0], load_classifier(verified).effective_parameters({})).result
    for path in model_folder.iterdir():
        path.write_bytes(b"something else")
    classifier = load_classifier(verified)
    assert classifier.run(TEXTS[0], classifier.effective_parameters({})).result == before


def test_seam_and_manifest_load_without_torch() -> None:
    import subprocess

    modules = ("manifest", "folder", "runner", "null", "loading", "finding")
    code = "import sys; " + "; ".join(f"import tallystick.inference.{name}" for name in modules)
    code += "; assert not {'torch', 'transformers', 'numpy'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)

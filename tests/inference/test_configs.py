"""config.json and the tokenizer's files: a closed list of keys, known architectures, nothing that names code (E13)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tallystick.errors import ModelFileForbidden, ModelMalformed
from tallystick.inference.folder import read_verified
from tallystick.inference.manifest import Manifest


@pytest.mark.parametrize(
    "changes",
    [
        {"auto_map": {"AutoModel": "modeling.Evil"}},
        {"trust_remote_code": True},
        {"attn_implementation": "someone/kernels"},
        {"_attn_implementation": "someone/kernels"},
        {"quantization_config": {"quant_method": "x"}},
        {"custom_pipelines": {}},
        {"architectures": ["EvilForSequenceClassification"]},
        {"architectures": ["BertForSequenceClassification", "BertModel"]},
        {"architectures": "BertForSequenceClassification"},
        {"architectures": None},
        {"id2label": {"0": {"auto_map": "x"}}},
    ],
)
def test_e13_config_that_could_name_code_is_forbidden(
    model_folder: Path, edit_config: Callable[..., None], changes: dict[str, Any]
) -> None:
    edit_config(**changes)
    with pytest.raises(ModelFileForbidden, match=r"config\.json"):
        read_verified(model_folder, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "roberta"},
        {"model_type": None},
        {"num_hidden_layers": 1 << 20},
        {"hidden_size": 1 << 30},
        {"vocab_size": -1},
        {"vocab_size": 1.5},
        {"max_position_embeddings": True},
    ],
)
def test_config_with_surprising_sizes_is_malformed(
    model_folder: Path, edit_config: Callable[..., None], changes: dict[str, Any]
) -> None:
    edit_config(**changes)
    with pytest.raises(ModelMalformed, match=r"config\.json"):
        read_verified(model_folder, None)


@pytest.mark.parametrize("name", ["tokenizer_config.json", "special_tokens_map.json"])
@pytest.mark.parametrize(
    "text",
    [
        '{"chat_template": "{{ cycler.__init__.__globals__ }}"}',
        '{"auto_map": {"AutoTokenizer": ["evil.Tokenizer", null]}}',
        '{"nested": [{"deep": {"trust_remote_code": true}}]}',
    ],
)
def test_e13_tokenizer_files_that_name_code_are_forbidden(
    model_folder: Path, seal: Callable[[], Manifest], name: str, text: str
) -> None:
    (model_folder / name).write_text(text)
    seal()
    with pytest.raises(ModelFileForbidden, match=name):
        read_verified(model_folder, None)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a":1,"a":2}', "[" * 100 + "]" * 100, "null", '{"a":NaN}'])
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"])
def test_json_that_two_parsers_could_read_differently_is_malformed(
    model_folder: Path, seal: Callable[[], Manifest], name: str, text: str
) -> None:
    (model_folder / name).write_text(text)
    seal()
    with pytest.raises(ModelMalformed, match=name):
        read_verified(model_folder, None)


def test_tokenizer_without_a_model_is_malformed(model_folder: Path, seal: Callable[[], Manifest]) -> None:
    (model_folder / "tokenizer.json").write_text('{"version": "1.0"}')
    seal()
    with pytest.raises(ModelMalformed, match="fast form"):
        read_verified(model_folder, None)


def test_token_named_like_a_forbidden_key_is_no_reason_to_refuse(
    model_folder: Path, seal: Callable[[], Manifest]
) -> None:
    path = model_folder / "tokenizer.json"
    path.write_text(path.read_text().replace('"lamp"', '"auto_map"'))
    seal()
    assert b"auto_map" in read_verified(model_folder, None).files["tokenizer.json"]

"""A tiny project to train: three labels, a base BERT of 2 layers and 32 dimensions with random weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel

TRAIN = {
    "complaint": [
        "the lamp is broken",
        "my cup arrived cracked",
        "this chair is bad",
        "broken again",
        "a bad smell",
        "so ugly",
    ],
    "praise": [
        "what a lovely lamp",
        "great cup, thanks",
        "i love this chair",
        "so lovely",
        "great work",
        "thanks for the cup",
    ],
    "question": [
        "where is my cup",
        "when does it arrive",
        "how tall is the chair",
        "where is it",
        "do you open",
        "how bright",
    ],
}
HELDOUT = {
    "complaint": ["my chair is broken", "bad lamp"],
    "praise": ["thanks, lovely chair", "great lamp"],
    "question": ["where is the lamp", "when do i get my cup"],
}
RECIPE = """
[model]
name = "tiny"
title = "Tiny"
description = "Three kinds of remarks."
licence = "MIT"
top_k = 2
max_tokens = 32

[base]
source = "BASE"
name = "tiny-base"
licence = "MIT"
sha256 = "SHA256"

[data]
train = "train.jsonl"
heldout = "heldout.jsonl"
validation_share = 0.2
near_duplicate = 0.7

[training]
seed = 5
epochs = 4
patience = 4
batch_size = 4
learning_rate = 3e-3
head_learning_rate = 3e-3
weight_decay = 0.01
warmup_share = 0.1
label_smoothing = 0.0
dropout = 0.1
gradient_clip = 1.0
frozen_layers = 1
"""


@pytest.fixture
def base_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    folder.mkdir()
    letters = sorted(
        {letter for texts in (*TRAIN.values(), *HELDOUT.values()) for text in texts for letter in text} - {" "}
    )
    words = sorted(
        {word.strip(",") for texts in TRAIN.values() for text in texts for word in text.split()} - set(letters)
    )
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words, *letters, *(f"##{letter}" for letter in letters)]
    tokenizer = Tokenizer(models.WordPiece({word: index for index, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_truncation(4)
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=48,
        initializer_range=0.2,
        architectures=["BertModel"],
    )
    save_file(BertModel(config).state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config.to_diff_dict()))
    return folder


@pytest.fixture
def recipe_path(tmp_path: Path, base_folder: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    write_rows(folder / "train.jsonl", TRAIN)
    write_rows(folder / "heldout.jsonl", HELDOUT)
    sha256 = hashlib.sha256((base_folder / "model.safetensors").read_bytes()).hexdigest()
    path = folder / "recipe.toml"
    path.write_text(RECIPE.replace("BASE", str(base_folder)).replace("SHA256", sha256))
    return path


@pytest.fixture
def edit_recipe(recipe_path: Path) -> Callable[[str, str], None]:
    """Replace one piece of the recipe's text, which must be there."""

    def edit(old: str, new: str) -> None:
        text = recipe_path.read_text()
        assert old in text
        recipe_path.write_text(text.replace(old, new))

    return edit


def write_rows(path: Path, rows: dict[str, list[str]]) -> None:
    lines = (json.dumps({"text": text, "label": label}) for label, texts in rows.items() for text in texts)
    path.write_text("\n".join(lines) + "\n")

"""A tiny BERT with random weights: 2 layers, 32 dimensions, 3 labels, 14 words."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tallystick.inference.folder import describe_files
from tallystick.inference.manifest import Manifest
from tallystick.inference.null import null_manifest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification

LABELS = ("complaint", "praise", "question")
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "where",
    "is",
    "my",
    "order",
    "broken",
    "lovely",
    "lamp",
    "thanks",
    "?",
    "!",
]


def write_tiny_model(folder: Path) -> None:
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=40,
        pad_token_id=0,
        id2label=dict(enumerate(LABELS)),
        label2id={label: index for index, label in enumerate(LABELS)},
        architectures=["BertForSequenceClassification"],
    )
    model = BertForSequenceClassification(config)
    torch.nn.init.normal_(model.classifier.weight, std=1.0)  # the usual start is so small that all labels tie
    save_file(model.state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config.to_diff_dict()))
    tiny_tokenizer().save(str(folder / "tokenizer.json"))


def tiny_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", WORDS.index("[CLS]")), ("[SEP]", WORDS.index("[SEP]"))]
    )
    tokenizer.enable_truncation(8)  # as found in published tokenizers; a runner must not cut all the same
    return tokenizer


def tiny_manifest(folder: Path) -> Manifest:
    known = null_manifest(LABELS)
    defaults = dataclasses.replace(known.decoding_defaults, top_k=2, max_tokens=32)
    return dataclasses.replace(known, name="tiny", files=describe_files(folder), decoding_defaults=defaults)

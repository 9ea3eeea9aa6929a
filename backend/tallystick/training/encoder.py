"""A BERT encoder with mean pooling and a classification head, and its form as a stock BertForSequenceClassification.

Sentence encoders are trained so that the *mean* of their token vectors carries the meaning, and transformers' BERT
classifier reads the first token only. Attention whose queries and keys are zero is uniform: it computes the mean. So the
pooling is written as one more BERT layer, and the saved model is an ordinary one with a layer more.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

import torch
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification, BertModel

from tallystick.errors import ModelMalformed
from tallystick.training.base import Base

MEAN_WEIGHT: Final = 32.0
"""Weight of the mean against the first token, which a BERT layer's residual connection adds to it."""

PROJECTION_START: Final = 0.3
"""The projection starts as this multiple of the identity, where tanh is almost linear."""


class SentenceClassifier(nn.Module):
    """Encoder, mean over the real tokens, layer norm, tanh projection, linear layer.

    The embeddings and the lowest `frozen_layers` layers never change; `frozen` computes them, once a row.
    """

    def __init__(self, base: Base, labels: int, *, frozen_layers: int, dropout: float) -> None:
        super().__init__()
        self.config = _encoder_config(base.config)
        if frozen_layers > self.config.num_hidden_layers:
            raise ModelMalformed(
                f"The base has {self.config.num_hidden_layers} layers; frozen_layers can't exceed that."
            )
        encoder = BertModel(self.config, add_pooling_layer=False)
        _load(encoder, base.weights)
        size = self.config.hidden_size
        self.embeddings = encoder.embeddings.requires_grad_(False)
        self.lower = encoder.encoder.layer[:frozen_layers].requires_grad_(False)
        self.upper = encoder.encoder.layer[frozen_layers:]
        self.norm = nn.LayerNorm(size, eps=self.config.layer_norm_eps)
        self.projection = nn.Linear(size, size)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(size, labels)
        with torch.no_grad():
            self.projection.weight.copy_(torch.eye(size) * PROJECTION_START)
            self.projection.bias.zero_()
            nn.init.normal_(self.classifier.weight, std=self.config.initializer_range)
            self.classifier.bias.zero_()

    def frozen(self, ids: Tensor, mask: Tensor) -> Tensor:
        """(batch, tokens) ids and mask to (batch, tokens, size) hidden states of the highest frozen layer."""
        with torch.no_grad():
            return _through(self.lower, self.embeddings(ids), mask)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """(batch, tokens, size) hidden states and (batch, tokens) mask to (batch, labels) logits."""
        hidden = _through(self.upper, hidden, mask)
        weights = mask.to(hidden.dtype).unsqueeze(-1)
        mean = (hidden * weights).sum(dim=1) / weights.sum(dim=1)
        pooled = torch.tanh(self.projection(self.norm(MEAN_WEIGHT * mean + hidden[:, 0])))
        logits: Tensor = self.classifier(self.dropout(pooled))
        return logits


def stock_model(trained: SentenceClassifier, labels: tuple[str, ...]) -> Any:
    """The same function as a stock BERT classifier: the encoder's layers, and one that pools."""
    config = copy.deepcopy(trained.config)
    config.num_hidden_layers += 1
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}
    config.architectures = ["BertForSequenceClassification"]
    model: Any = BertForSequenceClassification(config)
    layers = model.bert.encoder.layer
    with torch.no_grad():
        model.bert.embeddings.load_state_dict(trained.embeddings.state_dict())
        for layer, source in zip(layers[:-1], (*trained.lower, *trained.upper), strict=True):
            layer.load_state_dict(source.state_dict())
        for parameter in layers[-1].parameters():
            parameter.zero_()
        identity = torch.eye(config.hidden_size)
        layers[-1].attention.self.value.weight.copy_(identity)
        layers[-1].attention.output.dense.weight.copy_(identity * MEAN_WEIGHT)
        # The first norm is plain and the feed-forward part adds nothing, so that the second norm sees what it would alone.
        layers[-1].attention.output.LayerNorm.weight.fill_(1.0)
        layers[-1].output.LayerNorm.load_state_dict(trained.norm.state_dict())
        model.bert.pooler.dense.load_state_dict(trained.projection.state_dict())
        model.classifier.load_state_dict(trained.classifier.state_dict())
    return model.eval()


def _through(layers: nn.ModuleList, hidden: Tensor, mask: Tensor) -> Tensor:
    hidden_from = torch.finfo(hidden.dtype).min
    bias = (1.0 - mask.to(hidden.dtype))[:, None, None, :] * hidden_from
    for layer in layers:
        output = layer(hidden, attention_mask=bias)
        hidden = output[0] if isinstance(output, tuple) else output
    return hidden


def _encoder_config(values: Mapping[str, Any]) -> Any:
    """The base's sizes only, and no dropout inside the encoder: on so few steps it costs time and gains nothing."""
    wanted = (
        "hidden_act", "hidden_size", "initializer_range", "intermediate_size", "layer_norm_eps", "max_position_embeddings",
        "num_attention_heads", "num_hidden_layers", "pad_token_id", "type_vocab_size", "vocab_size",
    )  # fmt: skip
    known = {key: values[key] for key in wanted if key in values}
    config = BertConfig(**known, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    config._attn_implementation = "sdpa"
    return config


def _load(encoder: nn.Module, data: bytes) -> None:
    weights = {name.removeprefix("bert."): values for name, values in load_safetensors(data).items()}
    wanted = encoder.state_dict()
    for name, values in wanted.items():
        if name not in weights or weights[name].shape != values.shape:
            raise ModelMalformed(f"The base's weights don't fit its configuration at {name!r}; choose another base.")
    encoder.load_state_dict({name: weights[name].float() for name in wanted})

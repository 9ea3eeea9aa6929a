"""The JSON and text files of a model folder: parsed strictly, with no way to name code and no size that surprises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tallystick.errors import ModelFileForbidden, ModelMalformed, NotJson
from tallystick.protocol.canonical import parse_json

ARCHITECTURES: Final[Mapping[str, str]] = {
    "BertForSequenceClassification": "bert",
    "DistilBertForSequenceClassification": "distilbert",
    "RobertaForSequenceClassification": "roberta",
}
"""The architectures that are run, with the model_type that config.json must give for each."""

_SIZES: Final[Mapping[str, int]] = {
    "dim": 1 << 14,
    "hidden_dim": 1 << 16,
    "hidden_size": 1 << 14,
    "intermediate_size": 1 << 16,
    "max_position_embeddings": 1 << 16,
    "n_heads": 1 << 10,
    "n_layers": 1 << 8,
    "num_attention_heads": 1 << 10,
    "num_hidden_layers": 1 << 8,
    "num_labels": 1000,
    "type_vocab_size": 1 << 10,
    "vocab_size": 1 << 21,
}
_OTHER_KEYS: Final = frozenset(
    {
        "_name_or_path", "_num_labels", "activation", "add_cross_attention", "architectures", "attention_dropout",
        "attention_probs_dropout_prob", "bos_token_id", "chunk_size_feed_forward", "classifier_dropout", "dropout",
        "dtype", "eos_token_id", "finetuning_task", "gradient_checkpointing", "hidden_act", "hidden_dropout_prob",
        "id2label", "initializer_range", "is_decoder", "is_encoder_decoder", "label2id", "layer_norm_eps",
        "model_type", "output_attentions", "output_hidden_states", "output_past", "pad_token_id",
        "position_embedding_type", "problem_type", "qa_dropout", "return_dict", "seq_classif_dropout",
        "sinusoidal_pos_embds", "tie_weights_", "tie_word_embeddings", "torch_dtype", "transformers_version",
        "use_cache",
    }
)  # fmt: skip
_NAMING_CODE: Final = frozenset({"auto_map", "chat_template", "custom_pipelines", "trust_remote_code"})


def check_config(name: str, data: bytes) -> dict[str, Any]:
    """config.json: one of the known architectures, and no key that this list doesn't know.

    A closed list, because a configuration can also name code in ways that are not called auto_map: an attention kernel
    from a hub, a quantiser. Raises ModelFileForbidden, ModelMalformed.
    """
    config = check_json(name, data)
    unknown = config.keys() - _OTHER_KEYS - _SIZES.keys()
    if unknown:
        raise ModelFileForbidden(
            f"{name} has the key {min(unknown)!r}, which is not known to be safe; remove it.", file=name
        )
    architectures = config.get("architectures")
    if not isinstance(architectures, list) or len(architectures) != 1 or architectures[0] not in ARCHITECTURES:
        raise ModelFileForbidden(
            f"{name} names no architecture that is run here. Use one of {', '.join(sorted(ARCHITECTURES))}.", file=name
        )
    if config.get("model_type") != ARCHITECTURES[architectures[0]]:
        raise ModelMalformed(
            f"{name}: model_type does not belong to {architectures[0]}; export the model again.", file=name
        )
    for key, most in _SIZES.items():
        value = config.get(key, 1)
        if type(value) is not int or not 0 < value <= most:
            raise ModelMalformed(
                f"{name}: {key} is not a whole number from 1 to {most}; export the model again.", file=name
            )
    return config


def check_json(name: str, data: bytes) -> dict[str, Any]:
    """A JSON object in which nothing, at any depth, names code. Raises ModelFileForbidden, ModelMalformed."""
    value = _parse_object(name, data)
    for key in _keys(value):
        if key in _NAMING_CODE:
            raise ModelFileForbidden(
                f"{name} has the key {key!r}, which makes other software run code from the model; remove it.", file=name
            )
    return value


def check_tokenizer(name: str, data: bytes) -> dict[str, Any]:
    """tokenizer.json: an object with a model in it. The tokenizer itself is built only later, from these bytes.

    Keys at any depth are not searched here: most of them are the vocabulary.
    """
    value = _parse_object(name, data)
    if not isinstance(value.get("model"), dict):
        raise ModelMalformed(f"{name} has no tokenizer model; save the tokenizer in its fast form.", file=name)
    return value


def check_text(name: str, data: bytes) -> str:
    """UTF-8 text without NUL. Raises ModelMalformed."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise ModelMalformed(f"{name} is not UTF-8 text; export the model again.", file=name) from None
    if "\0" in text:
        raise ModelMalformed(f"{name} holds a NUL character; export the model again.", file=name)
    return text


def _parse_object(name: str, data: bytes) -> dict[str, Any]:
    try:
        value = parse_json(data)
    except NotJson:
        raise ModelMalformed(f"{name} is not JSON; export the model again.", file=name) from None
    if not isinstance(value, dict):
        raise ModelMalformed(f"{name} is not a JSON object; export the model again.", file=name)
    return value


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _keys(item)
    elif isinstance(value, list):
        for item in value:
            yield from _keys(item)

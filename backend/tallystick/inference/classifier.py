"""The real runner: a transformers text classifier built from verified bytes, and from nothing else.

No path reaches transformers or torch: the configuration comes from a parsed dict, the tokenizer and the weights from
memory, so that no file, hub or remote code can take part.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch
import transformers
from safetensors.torch import load as load_safetensors
from tokenizers import Tokenizer

from tallystick.errors import InvalidSetting, ModelMalformed
from tallystick.inference.configs import ARCHITECTURES, check_config
from tallystick.inference.folder import VerifiedModel
from tallystick.inference.manifest import Manifest
from tallystick.inference.runner import (
    TIME_LIMIT_MS,
    Inference,
    checked_text,
    classification_parameters,
    classification_result,
    elapsed_ms,
    failed,
)
from tallystick.inference.tensors import read_header
from tallystick.protocol.prices import Units

WEIGHTS: Final = "model.safetensors"
ENGINE: Final = f"torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}"

_CONFIGS: Final = {
    "BertForSequenceClassification": transformers.BertConfig,
    "DistilBertForSequenceClassification": transformers.DistilBertConfig,
    "RobertaForSequenceClassification": transformers.RobertaConfig,
}
_MODELS: Final = {name: getattr(transformers, name) for name in ARCHITECTURES}
_DEVICE: Final = re.compile(r"cpu|cuda(:[0-9]{1,3})?")


class TextClassifier:
    """A model in evaluation mode on one device. Build it with `load_classifier`."""

    def __init__(
        self,
        manifest: Manifest,
        model: torch.nn.Module,
        tokenizer: Tokenizer,
        *,
        device: str,
        padding_id: int,
        time_limit_ms: int,
        clock: Callable[[], float],
    ) -> None:
        self.manifest = manifest
        self.manifest_hash = manifest.hash()
        self.model = model
        self._tokenizer = tokenizer
        self._special_tokens = tokenizer.num_special_tokens_to_add(is_pair=False)
        self._device = device
        self._padding_id = padding_id
        self._time_limit_ms = time_limit_ms
        self._clock = clock
        self._lock = threading.Lock()

    def effective_parameters(self, requested: Mapping[str, Any]) -> dict[str, Any]:
        pinned = {"device": self._device.split(":")[0], "engine": ENGINE}
        return classification_parameters(self.manifest, requested, pinned)

    def worst_case(self, input: Any, parameters: Mapping[str, Any]) -> Units:  # noqa: A002
        tokens = checked_text(input, parameters, lambda text: len(self._tokens(text)), self._special_tokens)
        return Units(tokens, 0, self._time_limit_ms)

    def run(self, input: Any, parameters: Mapping[str, Any]) -> Inference:  # noqa: A002
        return self.run_batch([(input, parameters)])[0]

    def run_batch(self, requests: Sequence[tuple[Any, Mapping[str, Any]]]) -> list[Inference]:
        """Run several (input, effective parameters) in one pass; the time is shared out evenly, rounded down.

        Raises what `run` raises, for the whole batch.
        """
        if not requests:
            return []
        tokens = [self.worst_case(*request).input_tokens for request in requests]
        with self._lock:  # one pass at a time: two at once would bill each other's waiting as compute time
            started = self._clock()
            try:
                shares = self._shares([self._tokens(text) for text, _ in requests])
                results = [
                    classification_result(dict(zip(self.manifest.labels, row, strict=True)), parameters["top_k"])
                    for row, (_, parameters) in zip(shares, requests, strict=True)
                ]
            except Exception as error:
                raise failed(error) from None
            spent = elapsed_ms(started, self._clock(), self._time_limit_ms) // len(requests)
        return [Inference(result, Units(count, 0, spent)) for result, count in zip(results, tokens, strict=True)]

    def check(self) -> None:
        """Run the model once on one word, so that what can't run is known at the start. Raises ModelMalformed."""
        try:
            shares = self._shares([self._tokens("test")])
            classification_result(dict(zip(self.manifest.labels, shares[0], strict=True)), 1)
        except Exception as error:
            raise ModelMalformed(
                f"The model failed in its first run ({type(error).__name__}); train or export it again."
            ) from None

    def _tokens(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids

    def _shares(self, token_ids: Sequence[Sequence[int]]) -> list[list[float]]:
        """Softmax over the labels, one row a text."""
        longest = max(map(len, token_ids))
        ids = torch.tensor([[*row, *[self._padding_id] * (longest - len(row))] for row in token_ids])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in token_ids])
        with torch.inference_mode():
            logits = self.model(input_ids=ids.to(self._device), attention_mask=mask.to(self._device)).logits
            rows: list[list[float]] = logits.double().softmax(dim=-1).tolist()
        return rows


def load_classifier(
    verified: VerifiedModel,
    *,
    device: str = "cpu",
    torch_threads: int | None = None,
    time_limit_ms: int = TIME_LIMIT_MS,
    clock: Callable[[], float] = time.monotonic,
) -> TextClassifier:
    """Build the runner, and run it once. `device` is `cpu`, `cuda` or `cuda:N`; `torch_threads` is process-wide.

    Raises ModelMalformed where configuration, tokenizer, weights and manifest don't fit together, InvalidSetting where
    the device is unknown or absent.
    """
    _check_device(device)
    if torch_threads is not None:
        torch.set_num_threads(torch_threads)
    manifest = verified.manifest
    config = _config(manifest, verified.files["config.json"])
    model = _model(config, verified.files[WEIGHTS])
    tokenizer = _tokenizer(verified.files["tokenizer.json"], config)
    positions = _positions(config)
    if manifest.decoding_defaults.max_tokens > positions:
        raise ModelMalformed(
            f"The manifest allows {manifest.decoding_defaults.max_tokens} tokens and the model has {positions} positions; "
            "lower max_tokens and export the model again."
        )
    classifier = TextClassifier(
        manifest,
        model.to(device).eval(),
        tokenizer,
        device=device,
        padding_id=config.pad_token_id or 0,
        time_limit_ms=time_limit_ms,
        clock=clock,
    )
    classifier.check()
    return classifier


def _check_device(device: str) -> None:
    if not _DEVICE.fullmatch(device):
        raise InvalidSetting(f"The device {device!r} is unknown; use cpu, cuda or cuda:N.", setting="device")
    index = int(device.partition(":")[2] or 0)
    if device != "cpu" and index >= torch.cuda.device_count():
        raise InvalidSetting(
            f"There are {torch.cuda.device_count()} CUDA devices here, so {device} can't be used; use cpu.",
            setting="device",
        )


def _config(manifest: Manifest, data: bytes) -> Any:
    values = check_config("config.json", data)
    architecture = values["architectures"][0]
    try:
        config = _CONFIGS[architecture](**values)
        labels = tuple(config.id2label[index] for index in range(len(config.id2label)))
    except Exception as error:
        raise ModelMalformed(
            f"config.json gives no {architecture} ({type(error).__name__}); export the model again."
        ) from None
    if labels != manifest.labels:
        raise ModelMalformed("The labels in config.json are not those of the manifest; export the model again.")
    config._attn_implementation = "sdpa"
    return config


def _model(config: Any, data: bytes) -> torch.nn.Module:
    architecture = _MODELS[config.architectures[0]]
    try:
        with torch.device("meta"):  # shapes only: nothing is allocated before they are known to fit the file
            wanted = {name: tuple(tensor.shape) for name, tensor in architecture(config).state_dict().items()}
    except Exception as error:
        raise ModelMalformed(f"config.json gives no model ({type(error).__name__}); export the model again.") from None
    header = read_header(WEIGHTS, data)
    for name in sorted(wanted.keys() | header.keys()):
        tensor = header.get(name)
        if tensor is None or name not in wanted:
            where = "is missing from" if tensor is None else "does not belong in"
            raise ModelMalformed(f"Tensor {name!r} {where} {WEIGHTS}; export the model again.")
        if tensor.shape != wanted[name] or tensor.dtype != "F32":
            raise ModelMalformed(
                f"Tensor {name!r} is {tensor.dtype} {list(tensor.shape)}; the configuration wants F32 "
                f"{list(wanted[name])}. Export the model again."
            )
    weights = load_safetensors(data)
    for name, values in weights.items():
        if not torch.isfinite(values).all():
            raise ModelMalformed(f"Tensor {name!r} holds numbers that are not finite; train the model again.")
    model: torch.nn.Module = architecture(config)
    model.load_state_dict(weights, strict=True)
    return model


def _tokenizer(data: bytes, config: Any) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_str(data.decode())
    except Exception:  # tokenizers raises a bare Exception
        raise ModelMalformed("tokenizer.json gives no tokenizer; save the tokenizer again.") from None
    tokenizer.no_truncation()  # input is refused, never cut
    tokenizer.no_padding()
    highest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    if not 0 <= highest < config.vocab_size:
        raise ModelMalformed(
            f"The tokenizer's highest token is {highest} and the model knows {config.vocab_size} tokens; "
            "they belong to different models. Export both again."
        )
    return tokenizer


def _positions(config: Any) -> int:
    """How many tokens the model can place. RoBERTa counts its positions from the one after the padding token's id."""
    offset = config.pad_token_id + 1 if config.model_type == "roberta" else 0
    return int(config.max_position_embeddings) - offset

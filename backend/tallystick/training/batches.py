"""Texts to padded batches. Batches hold texts of similar length, so that little time goes into padding."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor

from tallystick.errors import DataInvalid
from tallystick.training.data import Row

_BATCHES_SORTED_TOGETHER = 8


@dataclass(frozen=True)
class Example:
    """A row as token ids, special tokens included, and the index of its label."""

    ids: tuple[int, ...]
    label: int


def to_examples(rows: Sequence[Row], labels: Sequence[str], tokenizer: Tokenizer, max_tokens: int) -> list[Example]:
    """Raises DataInvalid on a row that is longer than the model will take: rows are never cut."""
    index = {label: number for number, label in enumerate(labels)}
    encoded = tokenizer.encode_batch([row.text for row in rows])
    for row, tokens in zip(rows, encoded, strict=True):
        if len(tokens.ids) > max_tokens:
            raise DataInvalid(
                f"{row.place}: {len(tokens.ids)} tokens, more than max_tokens ({max_tokens}); shorten it."
            )
    return [Example(tuple(tokens.ids), index[row.label]) for row, tokens in zip(rows, encoded, strict=True)]


def padded(rows: Sequence[Sequence[int]], padding_id: int) -> tuple[Tensor, Tensor]:
    """(rows, longest) token ids and the mask of the real ones."""
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[padding_id] * (longest - len(row))] for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    return ids, mask


def padded_states(states: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Stack (tokens, size) hidden states to (rows, longest, size), with the mask of the real tokens."""
    hidden = torch.nn.utils.rnn.pad_sequence(list(states), batch_first=True)
    mask = torch.tensor([[1] * len(row) + [0] * (hidden.shape[1] - len(row)) for row in states])
    return hidden, mask


def shuffled_batches(lengths: Sequence[int], size: int, generator: random.Random) -> Iterator[list[int]]:
    """Every index once, in batches of similar length that come in random order."""
    order = list(range(len(lengths)))
    generator.shuffle(order)
    window = size * _BATCHES_SORTED_TOGETHER
    batches: list[list[int]] = []
    for start in range(0, len(order), window):
        together = sorted(order[start : start + window], key=lambda index: lengths[index])
        batches += [together[first : first + size] for first in range(0, len(together), size)]
    generator.shuffle(batches)
    yield from batches


def batches_by_length(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Every index once, shortest first: for passes in which the order doesn't matter."""
    order = sorted(range(len(lengths)), key=lambda index: lengths[index])
    for start in range(0, len(order), size):
        yield order[start : start + size]

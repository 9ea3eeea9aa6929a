"""Fine-tuning in plain torch: AdamW, linear warm-up and decay, clipping, early stopping on the validation loss.

The held-out rows never come near this module. On one machine and number of threads, a seed gives the same weights.
"""

from __future__ import annotations

import copy
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tallystick.errors import DataInvalid
from tallystick.training.base import Base
from tallystick.training.batches import Example, batches_by_length, padded, padded_states, shuffled_batches
from tallystick.training.encoder import SentenceClassifier
from tallystick.training.recipe import TrainingSection

_WIDE = 32


@dataclass(frozen=True)
class Epoch:
    """One pass: mean training loss, validation loss and accuracy (0 to 1), training rows per second."""

    number: int
    loss: float
    validation_loss: float
    validation_accuracy: float
    rows_per_second: float


@dataclass(frozen=True)
class Step:
    """Where the training is, for a progress bar: steps done of all, the last batch's loss."""

    done: int
    total: int
    loss: float


@dataclass(frozen=True)
class FineTuned:
    """The weights of the best epoch, and what every epoch gave."""

    model: SentenceClassifier
    epochs: tuple[Epoch, ...]
    best: Epoch


def finetune(
    base: Base,
    settings: TrainingSection,
    labels: int,
    train: Sequence[Example],
    validation: Sequence[Example],
    *,
    seed: int,
    padding_id: int,
    on_step: Callable[[Step], object] = lambda _: None,
    on_epoch: Callable[[Epoch], object] = lambda _: None,
) -> FineTuned:
    """Train until the epochs or the patience are used up. Raises DataInvalid where the loss stops being a number."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SentenceClassifier(base, labels, frozen_layers=settings.frozen_layers, dropout=settings.dropout)
        train_states = _frozen_states(model, train, padding_id)
        validation_states = _frozen_states(model, validation, padding_id)
        return _loop(model, settings, train, train_states, validation, validation_states, seed, on_step, on_epoch)


def _loop(
    model: SentenceClassifier,
    settings: TrainingSection,
    train: Sequence[Example],
    train_states: Sequence[Tensor],
    validation: Sequence[Example],
    validation_states: Sequence[Tensor],
    seed: int,
    on_step: Callable[[Step], object],
    on_epoch: Callable[[Epoch], object],
) -> FineTuned:
    total = math.ceil(len(train) / settings.batch_size) * settings.epochs
    optimiser = torch.optim.AdamW(_groups(model, settings), betas=(0.9, 0.98), eps=1e-6, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, total, settings.warmup_share))
    loss_of = nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    generator = random.Random(seed)  # noqa: S311 - a reproducible order, not a secret
    lengths = [len(states) for states in train_states]
    epochs: list[Epoch] = []
    best: Epoch | None = None
    weights = model.state_dict()
    done = 0
    for number in range(1, settings.epochs + 1):
        started, summed = time.monotonic(), 0.0
        model.train()
        for chosen in shuffled_batches(lengths, settings.batch_size, generator):
            logits = model(*padded_states([train_states[index] for index in chosen]))
            loss = loss_of(logits, torch.tensor([train[index].label for index in chosen]))
            if not torch.isfinite(loss):
                raise DataInvalid("The training loss is no number any more; lower learning_rate or head_learning_rate.")
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(trained, settings.gradient_clip)
            optimiser.step()
            schedule.step()
            done += 1
            summed += loss.item() * len(chosen)
            on_step(Step(done, total, loss.item()))
        seconds = max(time.monotonic() - started, 1e-9)
        epoch = Epoch(
            number, summed / len(train), *_validate(model, validation, validation_states), len(train) / seconds
        )
        epochs.append(epoch)
        on_epoch(epoch)
        if best is None or epoch.validation_loss < best.validation_loss:
            best, weights = epoch, copy.deepcopy(model.state_dict())
        elif number - best.number >= settings.patience:
            break
    if best is None:
        raise DataInvalid("The validation loss was never a number; lower learning_rate or head_learning_rate.")
    model.load_state_dict(weights)
    return FineTuned(model.eval(), tuple(epochs), best)


def _frozen_states(model: SentenceClassifier, examples: Sequence[Example], padding_id: int) -> list[Tensor]:
    """(tokens, size) hidden states of the highest frozen layer, one a row: they are the same in every epoch."""
    states: list[Tensor] = [torch.empty(0)] * len(examples)
    model.eval()
    for chosen in batches_by_length([len(example.ids) for example in examples], _WIDE):
        ids, mask = padded([examples[index].ids for index in chosen], padding_id)
        for index, hidden in zip(chosen, model.frozen(ids, mask), strict=True):
            states[index] = hidden[: len(examples[index].ids)].clone()
    return states


def _validate(model: SentenceClassifier, examples: Sequence[Example], states: Sequence[Tensor]) -> tuple[float, float]:
    """Mean cross-entropy and accuracy."""
    model.eval()
    loss, right = 0.0, 0
    for chosen in batches_by_length([len(state) for state in states], _WIDE):
        truth = torch.tensor([examples[index].label for index in chosen])
        with torch.no_grad():
            logits = model(*padded_states([states[index] for index in chosen]))
        loss += nn.functional.cross_entropy(logits, truth, reduction="sum").item()
        right += int((logits.argmax(dim=-1) == truth).sum())
    return loss / len(examples), right / len(examples)


def _groups(model: SentenceClassifier, settings: TrainingSection) -> list[dict[str, object]]:
    """Weight decay on matrices only, not on biases and norms; the new head has a rate of its own."""

    def parameters(*, upper: bool, decay: bool) -> Iterator[nn.Parameter]:
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and name.startswith("upper.") == upper and (parameter.dim() > 1) == decay:
                yield parameter

    return [
        {
            "params": list(parameters(upper=upper, decay=decay)),
            "lr": settings.learning_rate if upper else settings.head_learning_rate,
            "weight_decay": settings.weight_decay if decay else 0.0,
        }
        for upper in (True, False)
        for decay in (True, False)
    ]


def _rate(step: int, total: int, warmup_share: float) -> float:
    """The share of the peak rate: linear up over the warm-up, linear down to zero at the end."""
    warmup = warmup_share * total
    return min((step + 1) / max(1.0, warmup), max(0.0, (total - step) / max(1.0, total - warmup)))

"""The pooling layer: the saved stock model is the same function as the one that was trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tallystick.errors import ModelMalformed
from tallystick.training.base import Base, load_base
from tallystick.training.encoder import SentenceClassifier, stock_model
from tallystick.training.recipe import read_recipe

LABELS = ("a", "b", "c")


@pytest.fixture
def base(recipe_path: Path) -> Base:
    return load_base(read_recipe(recipe_path).base, None)


def trained(base: Base, frozen_layers: int) -> SentenceClassifier:
    torch.manual_seed(0)
    model = SentenceClassifier(base, len(LABELS), frozen_layers=frozen_layers, dropout=0.5).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return model


@pytest.mark.parametrize("frozen_layers", [0, 1, 2])
def test_stock_model_is_the_same_function_with_padding_and_without(base: Base, frozen_layers: int) -> None:
    model = trained(base, frozen_layers)
    stock = stock_model(model, LABELS)
    ids = torch.randint(4, 30, (3, 9))
    mask = torch.tensor([[1] * length + [0] * (9 - length) for length in (9, 5, 2)])
    with torch.inference_mode():
        expected = model(model.frozen(ids, mask), mask)
        assert torch.allclose(stock(input_ids=ids, attention_mask=mask).logits, expected, atol=1e-4)
        alone = stock(input_ids=ids[1:2, :5]).logits
    assert torch.allclose(alone, expected[1:2], atol=1e-4)
    assert expected.std() > 0.01


def test_stock_model_reads_every_token(base: Base) -> None:
    model = stock_model(trained(base, 0), LABELS)
    ids = torch.randint(4, 30, (1, 6))
    changed = ids.clone()
    changed[0, 4] += 1
    with torch.inference_mode():
        assert not torch.allclose(model(input_ids=ids).logits, model(input_ids=changed).logits, atol=1e-4)


def test_frozen_parts_take_no_gradient(base: Base) -> None:
    model = trained(base, 1)
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert frozen == {name for name, _ in model.named_parameters() if name.startswith(("embeddings.", "lower."))}


def test_more_frozen_layers_than_the_base_has_are_refused(base: Base) -> None:
    with pytest.raises(ModelMalformed, match="2 layers"):
        SentenceClassifier(base, 3, frozen_layers=3, dropout=0.0)

"""Recipes: every key known, every value in its range, every refusal with the key's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tallystick.errors import RecipeInvalid
from tallystick.training.recipe import read_recipe


def test_read_recipe_gives_the_values_of_the_file(recipe_path: Path) -> None:
    recipe = read_recipe(recipe_path)
    assert (recipe.model.name, recipe.training.epochs, recipe.training.learning_rate) == ("tiny", 4, 3e-3)
    assert recipe.folder == recipe_path.parent


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("epochs = 4", "epochs = 4\nepoch = 5", "training.epoch"),
        ("[training]", "[trainning]", "trainning"),
        ("epochs = 4", "", "training.epochs"),
        ("epochs = 4", "epochs = 0", "training.epochs"),
        ("epochs = 4", "epochs = 4.0", "training.epochs"),
        ("epochs = 4", "epochs = true", "training.epochs"),
        ("epochs = 4", 'epochs = "4"', "training.epochs"),
        ("learning_rate = 3e-3\nhead", "learning_rate = 5.0\nhead", "training.learning_rate"),
        ("dropout = 0.1", "dropout = nan", "training.dropout"),
        ("weight_decay = 0.01", "weight_decay = -0.01", "training.weight_decay"),
        ("validation_share = 0.2", "validation_share = 0.9", "data.validation_share"),
        ('name = "tiny"\n', 'name = "Tiny Model"\n', "model.name"),
        ('title = "Tiny"', 'title = ""', "model.title"),
        ('licence = "MIT"\ntop_k', "licence = 5\ntop_k", "model.licence"),
    ],
)
def test_read_recipe_refuses_by_name(
    recipe_path: Path, edit_recipe: Callable[[str, str], None], old: str, new: str, key: str
) -> None:
    edit_recipe(old, new)
    with pytest.raises(RecipeInvalid) as refusal:
        read_recipe(recipe_path)
    assert refusal.value.details["key"] == key
    assert key in refusal.value.message


def test_read_recipe_refuses_a_section_that_is_missing(recipe_path: Path) -> None:
    recipe_path.write_text('[model]\nname = "tiny"\n')
    with pytest.raises(RecipeInvalid, match=r"model\.title is missing"):
        read_recipe(recipe_path)


@pytest.mark.parametrize("data", [b"[model", b"\xff\xfe", b"a = 1\na = 2"])
def test_read_recipe_refuses_what_is_not_toml(recipe_path: Path, data: bytes) -> None:
    recipe_path.write_bytes(data)
    with pytest.raises(RecipeInvalid, match="not TOML"):
        read_recipe(recipe_path)


def test_read_recipe_without_a_file_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(RecipeInvalid, match=r"recipe\.toml"):
        read_recipe(tmp_path / "absent.toml")

import tomllib

import pytest

from chaincrf.errors import ConfigError
from chaincrf.training import Recipe, named_recipe, recipe_toml
from chaincrf.training.recipe import RECIPES, NamedRecipe


@pytest.mark.parametrize("name", RECIPES)
def test_the_file_is_the_recipe(name):
    text = recipe_toml(name)
    assert text.startswith(f"# chaincrf recipe {name}, version {RECIPES[name].version}\n")
    assert Recipe(**tomllib.loads(text)) == named_recipe(name)
    assert len(text.split("\n\n")) == len(Recipe.model_fields) + 1
    assert all(line.startswith("#") or " = " in line for line in text.splitlines() if line)


def test_a_task_is_trained_by_its_recipe(monkeypatch):
    monkeypatch.setitem(RECIPES, "pos", NamedRecipe(2, {"hidden": 77, "epochs": 3}))
    assert named_recipe("pos", epochs=4) == Recipe(task="pos", epochs=4)
    assert Recipe(task="pos").hidden == 77
    assert named_recipe("ner") == Recipe()
    assert Recipe().hidden != 77


def test_chunks_have_nothing_of_entities(monkeypatch):
    monkeypatch.setitem(RECIPES, "ner", NamedRecipe(2, {"hidden": 77, "epochs": 3}))
    monkeypatch.setitem(RECIPES, "chunk", NamedRecipe(2, {"epochs": 5}))
    assert named_recipe("ner").hidden == 77
    assert named_recipe("chunk").hidden == Recipe.model_fields["hidden"].default
    assert named_recipe("chunk").epochs == 5


def test_unknown_name():
    with pytest.raises(ConfigError, match="expected one of ner, pos, chunk, got 'srl'"):
        named_recipe("srl")

import pytest

from chaincrf.errors import ConfigError
from chaincrf.training import Recipe, named_recipe, recipe_toml
from chaincrf.training.named import read_toml
from chaincrf.training.recipe import RECIPES, NamedRecipe


@pytest.mark.parametrize("name", RECIPES)
def test_the_file_is_the_recipe(name, tmp_path):
    text = recipe_toml(name)
    assert text.startswith(f"# chaincrf recipe {name}, version {RECIPES[name].version}\n")
    (tmp_path / "recipe.toml").write_text(text, encoding="utf-8")
    assert Recipe(**read_toml(tmp_path / "recipe.toml")) == named_recipe(name)
    assert len(text.split("\n\n")) == len(Recipe.model_fields) + 1
    assert all(line.startswith("#") or " = " in line for line in text.splitlines() if line)


def test_a_recipe_is_named_or_plain(monkeypatch):
    monkeypatch.setitem(RECIPES, "pos", NamedRecipe(2, {"hidden": 77, "epochs": 3}))
    assert named_recipe("pos", epochs=4) == Recipe(task="pos", hidden=77, epochs=4)
    assert named_recipe("chunk").task == "ner"
    assert Recipe(task="pos").hidden != 77


def test_unknown_name():
    with pytest.raises(ConfigError, match="expected one of ner, pos, chunk or a TOML file, got 'srl'"):
        named_recipe("srl")

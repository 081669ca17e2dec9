import pytest

from chaincrf.cli.config import CompareConfig, TrainConfig, TuneConfig, load_config
from chaincrf.errors import ConfigError
from chaincrf.training import Recipe, named_recipe, recipe_toml
from chaincrf.training.recipe import RECIPES, NamedRecipe


@pytest.fixture(autouse=True)
def recipes(monkeypatch):
    for hidden, name in enumerate(RECIPES, start=77):
        monkeypatch.setitem(RECIPES, name, NamedRecipe(9, {"hidden": hidden}))


def hidden(model, path=None, **options):
    return load_config(model, path, options).hidden


def test_training_takes_the_recipe_of_its_task(tmp_path):
    assert hidden(TrainConfig, train="a.tsv") == 77
    assert hidden(TrainConfig, train="a.tsv", task="pos") == 78
    assert hidden(TrainConfig, corpus="ewt-pos") == 78
    assert hidden(TrainConfig, corpus="ncbi-disease", recipe="chunk") == 79
    assert hidden(TrainConfig, train="a.tsv", hidden=5) == 5
    (tmp_path / "c.toml").write_text('recipe = "chunk"\nhidden = 6\n')
    assert hidden(TrainConfig, tmp_path / "c.toml", train="a.tsv") == 6


def test_a_comparison_takes_one_that_is_named():
    plain = Recipe.model_fields["hidden"].default
    assert hidden(CompareConfig, corpus="ncbi-disease") == hidden(CompareConfig, train="a.tsv") == plain
    assert load_config(CompareConfig, None, {"corpus": "ewt-pos"}).task == "pos"
    assert hidden(CompareConfig, train="a.tsv", recipe="ner") == 77


@pytest.mark.parametrize("task", ["srl", ["ner"]])
def test_the_task_is_at_fault_not_its_recipe(task):
    with pytest.raises(ConfigError, match="task: "):
        load_config(TrainConfig, None, {"train": "a.tsv", "task": task})


def test_a_recipe_from_a_file(tmp_path):
    file = tmp_path / "best.toml"
    file.write_text(recipe_toml(named_recipe("pos", hidden=33)))
    found = load_config(TrainConfig, None, {"train": "a.tsv", "recipe": str(file), "epochs": 3})
    assert (found.task, found.hidden, found.epochs) == ("pos", 33, 3)
    (tmp_path / "c.toml").write_text(f"recipe = '{file}'\nhidden = 6\n")
    assert hidden(TrainConfig, tmp_path / "c.toml", train="a.tsv") == 6
    for content, problem in (
        ("hiden = 5", "best.toml: hiden: no setting of a recipe"),
        ("hidden = true", "best.toml: hidden: expected a number or a text, got true or false"),
        ("hidden = 0", "best.toml: hidden: Input should be greater than or equal to 1, got 0"),
        ("hidden = ", "best.toml: "),
    ):
        file.write_text(content)
        with pytest.raises(ConfigError, match=problem):
            hidden(TrainConfig, train="a.tsv", recipe=str(file))
    with pytest.raises(ConfigError, match=r"missing\.toml"):
        hidden(TrainConfig, train="a.tsv", recipe=str(tmp_path / "missing.toml"))


def test_a_search_starts_from_the_recipe_of_its_task():
    assert hidden(TuneConfig, corpus="ewt-pos") == 78
    with pytest.raises(ConfigError, match="--test: no such setting"):
        load_config(TuneConfig, None, {"train": "a.tsv", "test": "b.tsv"})
    with pytest.raises(ConfigError, match="--corpus brings its own development data"):
        load_config(TuneConfig, None, {"corpus": "ewt-pos", "dev": "b.tsv"})

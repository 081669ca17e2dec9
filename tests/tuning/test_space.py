import pytest

from chaincrf.errors import ConfigError
from chaincrf.training import Recipe, named_recipe
from chaincrf.training.recipe import RECIPES
from chaincrf.tuning import Range, default_space, read_space
from chaincrf.tuning.space import check_space, contains, rounded


@pytest.mark.parametrize(
    "recipe", [*map(named_recipe, RECIPES), Recipe(batch_tokens=500, hidden=1, dropout=0.7)]
)
def test_the_default_space_is_around_the_recipe(recipe):
    space = default_space(recipe)
    check_space(space, recipe)
    assert contains(space, recipe)
    assert ("batch_tokens" in space) == bool(recipe.batch_tokens)


def test_a_file(tmp_path):
    file = tmp_path / "space.toml"
    file.write_text(
        "hidden = [50, 100]\ndropout = { low = 0, high = 0.5 }\n"
        "learning_rate = {low = 1e-3, high = 0.1, log = true}\n"
        'optimizer = ["adam", "sgd"]\nfreeze_vectors = [true, false]\n'
    )
    space = read_space(file)
    assert space == {
        "hidden": (50, 100),
        "dropout": Range(0, 0.5),
        "learning_rate": Range(1e-3, 0.1, log=True),
        "optimizer": ("adam", "sgd"),
        "freeze_vectors": (True, False),
    }
    check_space(space, Recipe())
    assert contains(space, Recipe())
    assert not contains(space, Recipe(hidden=64))
    assert not contains(space, Recipe(dropout=0.6))


@pytest.mark.parametrize(
    "value",
    ["50", "[]", "[[1]]", "{low = 1}", '{low = "1", high = 2}', "{low = 1, high = 2, log = 1}"],
)
def test_neither_list_nor_range(tmp_path, value):
    file = tmp_path / "space.toml"
    file.write_text(f"hidden = {value}")
    with pytest.raises(ConfigError, match=r"space.toml: hidden: expected a list of values or \{ low"):
        read_space(file)


def test_no_toml(tmp_path):
    (tmp_path / "space.toml").write_text("hidden = [")
    with pytest.raises(ConfigError, match=r"space.toml: "):
        read_space(tmp_path / "space.toml")
    with pytest.raises(ConfigError, match=r"missing.toml"):
        read_space(tmp_path / "missing.toml")


@pytest.mark.parametrize(
    ("space", "problem"),
    [
        ({}, "at least one setting"),
        ({"hiden": (1, 2)}, "hiden: no such setting"),
        ({"seed": (1, 2)}, "seed: not to be searched"),
        ({"optimizer": Range(0, 1)}, "optimizer: expected a list of values, got a range"),
        ({"hidden": Range(9, 3)}, "hidden: expected a range from low to high, got 9 to 3"),
        ({"dropout": Range(0, 0.5, log=True)}, "dropout: expected a low above 0"),
        ({"dropout": Range(0.5, 1)}, "dropout: Input should be less than 1, got 1"),
        (
            {"optimizer": ("adam", "lbfgs")},
            "optimizer: Input should be 'adam', 'adamw' or 'sgd', got 'lbfgs'",
        ),
        ({"scheme": ("BIOES", "BIEO")}, "scheme: .*BIEO"),
    ],
    ids=str,
)
def test_a_space_that_does_not_fit(space, problem):
    with pytest.raises(ConfigError, match=problem):
        check_space(space, Recipe())


def test_rounding():
    assert rounded(0.00487362) == 0.00487
    assert rounded(123) == 123
    assert rounded("adam") == "adam"
    assert rounded(True) is True

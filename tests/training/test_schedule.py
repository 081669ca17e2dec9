import pytest

from chaincrf.training.schedule import rate
from corpora import SMALL


def rates(steps, change, scores=()):
    recipe = SMALL.model_copy(update=change)
    return [round(rate(recipe, step, 10, scores), 6) for step in steps]


def test_over_time():
    assert rates((0, 50), {"schedule": "constant"}) == [1, 1]
    inverse = {"schedule": "inverse-time", "decay": 0.5}
    assert rates((0, 9, 10, 20), inverse) == [1, 1, round(1 / 1.5, 6), 1 / 2]
    assert rates((0, 20, 40, 50), {"schedule": "cosine", "epochs": 4}) == [1, 0.5, 0, 0]


@pytest.mark.parametrize("schedule", ["constant", "inverse-time", "cosine", "plateau"])
def test_warm_up_is_linear_and_reaches_the_whole_rate(schedule):
    found = rates(range(7), {"schedule": schedule, "warmup": 0.5, "epochs": 4})
    assert found[:5] == [0.2, 0.4, 0.6, 0.8, 1]
    assert found[5] == 1


def test_after_the_warm_up_the_cosine_has_the_rest():
    assert rates((10, 20, 30), {"schedule": "cosine", "warmup": 1, "epochs": 3}) == [1, 0.5, 0]


@pytest.mark.parametrize(
    ("scores", "share"),
    [
        ([], 1),
        ([0.1, 0.2, 0.3], 1),
        ([0.3, 0.2], 1),
        ([0.3, 0.2, 0.3], 0.5),
        ([0.3, 0.2, 0.2, 0.2, 0.2], 0.25),
        ([0.3, 0.2, 0.2, 0.4, 0.4], 0.5),
    ],
)
def test_a_plateau_halves(scores, share):
    assert rates([0], {"schedule": "plateau", "plateau_patience": 2}, scores) == [share]

from dataclasses import replace

import numpy as np
import pytest

from chaincrf.compare.gate import compare_models
from chaincrf.errors import ArgumentError
from chaincrf.training import train
from corpora import SMALL, toy


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return toy(tmp_path_factory.mktemp("gate"))


@pytest.fixture(scope="module")
def taggers(corpus):
    good = train(corpus, corpus, SMALL)[0]
    bad = train(corpus, corpus, SMALL.model_copy(update={"epochs": 1, "scheme": "BIO"}))[0]
    return good, bad


def test_a_worse_model_is_found(corpus, taggers):
    good, bad = taggers
    gate = compare_models([good], [bad], corpus)
    assert (gate.old, gate.pairs, gate.metric) == (100.0, 1, "F1")
    assert gate.worse
    assert "significantly worse" in str(gate)
    assert gate.to_json()["worse"] is True
    assert not compare_models([bad], [good], corpus).worse


def test_a_model_against_itself_is_not_worse(corpus, taggers):
    gate = compare_models(taggers[:1], taggers[:1], corpus)
    assert (gate.effect.mean, gate.effect.p, gate.worse) == (0, 1, False)


def test_several_pairs_are_a_crossed_design(corpus, taggers):
    good, bad = taggers
    gate = compare_models([good, good, good], [bad, bad, bad], corpus)
    assert gate.pairs == 3
    assert "new trainings" in str(gate)
    assert np.isclose(gate.effect.mean, compare_models([good], [bad], corpus).effect.mean)


def test_numbers_and_tasks_must_fit(corpus, taggers):
    with pytest.raises(ArgumentError, match="as many new models as old ones, got 2 and 1"):
        compare_models(taggers[:1], taggers, corpus)
    pos = replace(corpus, report=replace(corpus.report, task="pos", scheme=None))
    with pytest.raises(ArgumentError, match="expected models for the task 'pos'"):
        compare_models(taggers[:1], taggers[1:], pos)

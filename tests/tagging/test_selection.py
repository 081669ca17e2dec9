from dataclasses import replace

import numpy as np
import pytest
import torch

from chaincrf.errors import ArgumentError
from chaincrf.tagging import Tagger
from chaincrf.tagging.record import Calibration
from chaincrf.tagging.selection import select
from chaincrf.training import build_model, prepare
from corpora import SMALL, toy

TEXTS = ["Ann saw Rome.", "", "far far", "Bob left. Ann saw Oslo and New York."]


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    corpus = toy(tmp_path_factory.mktemp("toy"))
    bundle = build_model(prepare(corpus, corpus, SMALL), SMALL)
    torch.manual_seed(0)
    for parameter in bundle.model.head.parameters():
        torch.nn.init.normal_(parameter)
    return Tagger(bundle)


def paths(tagger, tokens):
    """Every path with its probability, best first."""
    found = tagger.k_best(list(tokens), 20_000)
    assert sum(path.probability for path in found) == pytest.approx(1, abs=1e-4)
    return found


@pytest.mark.parametrize("temperature", [None, 2.5])
def test_by_enumeration(tagger, temperature):
    """Of the probabilities that the tagger tells, those of a calibrated one included."""
    calibration = None if temperature is None else Calibration(temperature=temperature)
    config = tagger.bundle.config.model_copy(update={"calibration": calibration})
    tagger = Tagger(replace(tagger.bundle, config=config))
    tokens = ["Ann", "saw", "Rome"]
    found = paths(tagger, tokens)
    p = np.array([path.probability for path in found])
    ((_, entropy, _),) = select(tagger, [tokens], by="entropy")
    assert entropy == pytest.approx(-(p * np.log(p)).sum(), rel=1e-3)
    ((_, margin, _),) = select(tagger, [tokens], by="margin")
    assert margin == pytest.approx(1 - (p[0] - p[1]), abs=1e-5)
    wrong = [sum(a != b for a, b in zip(path.tags, found[0].tags, strict=True)) for path in found]
    ((_, gain, _),) = select(tagger, [tokens], by="gain")
    assert gain == pytest.approx((p * wrong).sum(), rel=1e-3)


@pytest.mark.parametrize("by", ["entropy", "margin", "gain"])
def test_ranking(tagger, by):
    ranked = select(tagger, TEXTS, by=by)
    values = [one.value for one in ranked]
    assert values == sorted(values, reverse=True)
    assert sorted(one.number for one in ranked) == [0, 1, 2, 3]
    assert all(TEXTS[one.number] == one.text for one in ranked)
    assert ranked[-1].text == ""
    assert ranked[-1].value == 0
    assert select(tagger, TEXTS, by=by, count=2) == ranked[:2]
    assert select(tagger, [], by=by) == []


def test_sums_over_sentences_and_per_token(tagger):
    sentences = [["Bob", "left", "."], ["Ann", "saw", "Oslo"]]
    parts = {one.number: one.value for one in select(tagger, sentences)}
    ((_, whole, _),) = select(tagger, ["Bob left. Ann saw Oslo"])
    assert whole == pytest.approx(sum(parts.values()), rel=1e-4)
    ((_, mean, _),) = select(tagger, ["Bob left. Ann saw Oslo"], per_token=True)
    assert mean == pytest.approx(whole / 6, rel=1e-4)


def test_errors(tagger, unchecked):
    with pytest.raises(ArgumentError, match="by: expected one of entropy, margin, gain"):
        select(tagger, TEXTS, by="luck")
    with pytest.raises(ArgumentError, match="count: expected at least 1"):
        select(tagger, TEXTS, count=0)

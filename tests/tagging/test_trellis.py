"""The trellis against the enumeration of all paths."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chaincrf.crf import LinearChain
from chaincrf.errors import ArgumentError
from chaincrf.labels import constraints_from_tags, ill_formed_moves, scheme_tags
from chaincrf.nn import CRF, Softmax
from chaincrf.tagging import Tagger
from chaincrf.tagging.record import Calibration
from chaincrf.tagging.trellis import Edge, explain, trellis
from chaincrf.training import train
from corpora import SMALL, toy
from crf import oracle


def random_chain(T, K, seed, forbidden=0.0):
    g = torch.Generator().manual_seed(seed)
    emissions = torch.randn(1, T, K, generator=g, dtype=torch.float64) * 2
    transitions = torch.randn(K, K, generator=g, dtype=torch.float64)
    transitions[torch.rand(K, K, generator=g) < forbidden] = -torch.inf
    start, end = torch.randn(2, K, generator=g, dtype=torch.float64)
    return LinearChain(emissions, transitions, start, end), torch.rand(T, K, generator=g) < 0.7


@settings(max_examples=40)
@given(
    T=st.integers(1, 4), K=st.integers(1, 4), seed=st.integers(0, 10**6), k=st.integers(1, 5),
    forbidden=st.sampled_from([0.0, 0.3]), restrict=st.booleans(),
)  # fmt: skip
def test_equals_the_enumeration(T, K, seed, k, forbidden, restrict):
    chain, allowed = random_chain(T, K, seed, forbidden)
    allowed[~allowed.any(1)] = True
    found = trellis(chain, allowed if restrict else None, k=k, least=0.05)
    restricted = chain.restrict(allowed[None]) if restrict else chain
    paths, p = oracle.paths(restricted, 0), oracle.log_probabilities(restricted, 0).exp()
    assert found.marginals.shape == (T, K)
    for t in range(T):
        for j in range(K):
            assert float(found.marginals[t, j]) == pytest.approx(float(p[paths[:, t] == j].sum()), abs=1e-9)
    edges = [
        Edge(t, i, j, float(p[(paths[:, t - 1] == i) & (paths[:, t] == j)].sum()))
        for t in range(1, T)
        for i in range(K)
        for j in range(K)
    ]
    strong = [edge for edge in edges if edge.probability >= 0.05]
    assert [edge[:3] for edge in found.edges] == [edge[:3] for edge in strong]
    assert [edge[3] for edge in found.edges] == pytest.approx([edge[3] for edge in strong], abs=1e-9)
    scores = oracle.scores(restricted, 0)
    possible = sorted(scores[scores > -torch.inf].tolist(), reverse=True)
    assert [path.score for path in found.best] == pytest.approx(possible[:k])
    for path in found.best:
        (place,) = (paths == torch.tensor(path.tags)).all(1).nonzero()
        assert float(scores[place]) == pytest.approx(path.score)
        assert float(p[place]) == pytest.approx(path.probability)
    assert found.log_partition == pytest.approx(float(oracle.log_partition(restricted, 0)))
    (place,) = (paths == torch.tensor(found.independent.tags)).all(1).nonzero()
    assert float(scores[place]) == pytest.approx(found.independent.score)
    assert float(p[place].clamp(min=0)) == pytest.approx(found.independent.probability, abs=1e-12)
    best_alone = torch.where(found.allowed, chain.emissions[0], -torch.inf).argmax(1)
    assert found.independent.tags == tuple(best_alone.tolist())
    assert (found.independent.score == -torch.inf) == bool(found.broken)


@pytest.mark.parametrize("scheme", ["BIO", "BIOES"])
def test_broken_moves_are_those_of_the_scheme(scheme):
    tags = scheme_tags(["PER", "LOC"], scheme)
    legal = constraints_from_tags(tags, scheme)
    torch.manual_seed(0)
    for head in (CRF(len(tags)), CRF(len(tags), legal), Softmax(len(tags))):
        for _ in range(20):
            found = trellis(head.chain(torch.randn(1, 4, len(tags)), constrained=True), legal=legal)
            wrong = ill_formed_moves([tags[i] for i in found.independent.tags], scheme)
            assert found.broken == tuple(wrong)


def test_all_forbidden():
    chain = LinearChain(torch.zeros(1, 2, 2), torch.full((2, 2), -torch.inf))
    found = trellis(chain, k=3)
    assert found.best == ()
    assert found.log_partition == -torch.inf
    assert found.independent.probability == 0
    assert found.broken == (1,)
    assert not found.marginals.any()


def test_wrong_chains(unchecked):
    for chain in (
        LinearChain(torch.zeros(2, 2, 2), torch.zeros(2, 2)),
        LinearChain(torch.zeros(1, 2, 2), torch.zeros(1, 1, 2, 2)),
        LinearChain(torch.zeros(1, 2, 2), torch.zeros(2, 2), mask=torch.ones(1, 2, dtype=torch.bool)),
    ):
        with pytest.raises(ArgumentError, match="one sentence"):
            trellis(chain)
    with pytest.raises(ArgumentError, match="allowed"):
        trellis(LinearChain(torch.zeros(1, 2, 2), torch.zeros(2, 2)), torch.ones(3, 2, dtype=torch.bool))


def test_explained_is_what_the_tagger_decodes(tmp_path):
    """Also with a temperature, over several sentences, and with tags left out."""
    corpus = toy(tmp_path)
    bundle = train(corpus, corpus, SMALL.model_copy(update={"epochs": 2}))[0].bundle
    warm = bundle.config.model_copy(update={"calibration": Calibration(temperature=2.5)})
    text = "She went to New York. Bob Ray left Oslo."
    for tagger in (Tagger(bundle), Tagger(replace(bundle, config=warm))):
        for number, sentence in enumerate(tagger.tag(text).sentences):
            found = explain(tagger, text, number, k=2)
            assert (found.tokens, found.offsets) == (sentence.tokens, sentence.offsets)
            best = found.trellis.best[0]
            assert tuple(found.tags[tag] for tag in best.tags) == sentence.tags
            assert best.probability == pytest.approx(sentence.probability, abs=1e-6)
            paths = tagger.k_best(list(sentence.tokens), 2)
            assert [path.probability for path in found.trellis.best] == pytest.approx(
                [path.probability for path in paths], abs=1e-6
            )
    forced = explain(tagger, text, 1, allowed={0: ["O"], 1: ["S-PER", "O"]})
    assert found.tags[forced.trellis.best[0].tags[0]] == "O"
    for wrong in ({"sentence": 2}, {"allowed": {9: ["O"]}}, {"allowed": {0: ["X"]}}, {"max_cells": 5}):
        with pytest.raises(ArgumentError):
            explain(tagger, text, **wrong)

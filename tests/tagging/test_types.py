from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from chaincrf.data.batching import encode_tokens
from chaincrf.nn.fused_bilstm import FusedBiLSTM
from chaincrf.tagging.types import TypeVectors
from tagging.models import WORDS, random_bundle

SENTENCES = [["Ann", "saw", "Ann"], ["Romania", "Rome"], [], [*WORDS, "supercalifragilistic", "é"]]


@pytest.mark.parametrize("chars", ["cnn", "lstm"])
@pytest.mark.parametrize("most", [2, 1000])
@pytest.mark.parametrize("fused", [True, False])
def test_scores_are_those_of_the_model(chars, most, fused, monkeypatch):
    if not fused:
        monkeypatch.setattr(FusedBiLSTM, "serves", lambda encoder: False)
    bundle = random_bundle(chars=chars)
    vectors = TypeVectors(bundle, most)
    for sentences in (SENTENCES[:2], SENTENCES, SENTENCES[:1]):
        rows, table = vectors.look_up(sentences)
        for tokens, row in zip(sentences, rows, strict=True):
            if not tokens:
                assert len(row) == 0
                continue
            batch = encode_tokens([tokens], bundle.vocabulary).batch(np.array([0]))
            with torch.inference_mode():
                expected = bundle.model.emissions(**batch.inputs)
                found = vectors.score(table, torch.from_numpy(row)[None], batch.mask)
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_token_has_one_vector_and_is_computed_once(monkeypatch):
    bundle = random_bundle()
    vectors = TypeVectors(bundle)
    calls = []
    represent = bundle.model.represent
    monkeypatch.setattr(
        bundle.model, "represent", lambda *a, **k: calls.append(len(a[0])) or represent(*a, **k)
    )
    first, table = vectors.look_up(SENTENCES)
    again, same = vectors.look_up(SENTENCES[::-1])
    assert sum(calls) == len({token for tokens in SENTENCES for token in tokens})
    assert table is same
    assert [row.tolist() for row in first] == [row.tolist() for row in again[::-1]]
    assert (table[0] == 0).all()


def test_the_table_is_bounded():
    vectors = TypeVectors(random_bundle(), most=10)
    for n in range(50):
        rows, table = vectors.look_up([[f"w{n}", f"v{n}"]])
        assert len(table) <= 11
        assert len(set(rows[0].tolist())) == 2


def test_threads_may_share_a_table_that_grows_and_begins_anew():
    bundle = random_bundle()
    vectors = TypeVectors(bundle, most=20)
    sentences = [[f"w{n % 50}", f"v{n % 31}", "Rome"] for n in range(400)]

    def score(tokens):
        rows, table = vectors.look_up([tokens])
        return vectors.score(table, torch.from_numpy(rows[0])[None], torch.ones(1, 3, dtype=torch.bool))

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(score, sentences))
    for tokens, scores in zip(sentences, found, strict=True):
        torch.testing.assert_close(scores, score(tokens), rtol=1e-5, atol=1e-5)

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chaincrf.data import Sentence, Vocabulary
from chaincrf.data.batching import MAX_CHARS, encode, shares
from chaincrf.data.shapes import word_shape
from chaincrf.errors import DataError

words = st.lists(st.text("abcX1é", min_size=1, max_size=9), max_size=12)


def make(token_lists):
    sentences = [Sentence(tuple(tokens), ("O",) * len(tokens)) for tokens in token_lists]
    vocabulary = Vocabulary.build(sentences, ["O"])
    return sentences, vocabulary, encode(sentences, vocabulary, with_tags=True)


@given(st.lists(words, min_size=1, max_size=20), st.integers(1, 7), st.none() | st.integers(0, 9))
def test_batches_hold_every_token_once(token_lists, batch_size, seed):
    sentences, vocabulary, data = make(token_lists)
    generator = None if seed is None else np.random.default_rng(seed)
    seen = []
    for batch in data.batches(batch_size, generator=generator):
        assert len(batch.index) <= batch_size
        assert torch.equal(batch.mask, batch.tags != -100)
        assert (batch.words[~batch.mask] == 0).all()
        for row, number in enumerate(batch.index):
            tokens = sentences[number].tokens
            seen.append(int(number))
            assert batch.mask[row].sum() == len(tokens)
            assert batch.words[row, : len(tokens)].tolist() == [vocabulary.word(token) for token in tokens]
            for position, token in enumerate(tokens):
                spelling = batch.chars[batch.types[row, position]]
                assert spelling[spelling > 0].tolist() == [vocabulary.char(char) for char in token]
                assert batch.shapes[batch.types[row, position]] == word_shape(token)
    assert sorted(seen) == [i for i, tokens in enumerate(token_lists) if tokens]
    assert data.num_tokens == sum(map(len, token_lists))


def test_batches_are_of_similar_length_and_in_random_order():
    _, _, data = make([["w"] * (1 + i % 30) for i in range(300)])
    first = [batch.index.tolist() for batch in data.batches(10, generator=np.random.default_rng(1))]
    again = [batch.index.tolist() for batch in data.batches(10, generator=np.random.default_rng(1))]
    other = [batch.index.tolist() for batch in data.batches(10, generator=np.random.default_rng(2))]
    assert first == again != other
    padded = sum(batch.mask.numel() for batch in data.batches(10, generator=np.random.default_rng(1)))
    assert padded < 1.1 * data.num_tokens


@given(st.lists(st.integers(0, 30), max_size=60), st.integers(1, 60), st.none() | st.integers(0, 9))
def test_a_budget_of_tokens_is_kept(lengths, budget, seed):
    _, _, data = make([["w"] * length for length in lengths])
    generator = None if seed is None else np.random.default_rng(seed)
    plan = data.plan(1, tokens=budget, generator=generator)
    for index in plan:
        assert len(index) == 1 or len(index) * max(lengths[i] for i in index) <= budget
    assert sorted(i for index in plan for i in index.tolist()) == [i for i, n in enumerate(lengths) if n]


def test_a_budget_of_tokens_is_used():
    _, _, data = make([["w"] * 5] * 100)
    plan = data.plan(1, tokens=50, generator=np.random.default_rng(1))
    assert [len(index) for index in plan] == [10] * 10


@given(st.lists(st.integers(1, 30), min_size=1, max_size=9), st.integers(1, 4))
def test_shares_have_as_many_tokens(lengths, count):
    lengths = np.sort(lengths)
    parts = shares(lengths, count)
    assert len(parts) <= count
    assert np.concatenate(parts).tolist() == list(range(len(lengths)))
    largest = max(lengths[part].sum() for part in parts)
    assert largest <= lengths.sum() / count + lengths.max()
    if count == 2:
        halves = [(lengths[:i].sum(), lengths[i:].sum()) for i in range(len(lengths))]
        assert largest == min(map(max, halves))


def test_without_a_generator_the_longest_come_first():
    _, _, data = make([["w"], ["w"] * 5, ["w"] * 3])
    assert [batch.index.tolist() for batch in data.batches(2)] == [[1, 2], [0]]


def test_a_long_token_keeps_both_ends():
    token = "a" * 100 + "b" * 100
    _, vocabulary, data = make([[token]])
    (batch,) = data.batches(1)
    assert batch.chars.shape == (1, MAX_CHARS)
    assert batch.chars[0, 0] == vocabulary.char("a")
    assert batch.chars[0, -1] == vocabulary.char("b")


def test_gold_tags_must_be_there_and_known():
    vocabulary = Vocabulary.build([], ["O"])
    with pytest.raises(DataError, match="sentence 2: expected gold tags, found none"):
        encode([Sentence(("a",), ("O",)), Sentence(("a",))], vocabulary, with_tags=True)
    with pytest.raises(DataError, match="tag 'B-X' is not one of the model's tags"):
        encode([Sentence(("a",), ("B-X",))], vocabulary, with_tags=True)
    assert next(encode([Sentence(("a",))], vocabulary).batches(1)).tags is None

import json
import subprocess
import sys
from itertools import chain

import numpy as np
import pytest

from chaincrf.data import Vocabulary, open_shards, read_corpus, stream_corpus, write_shards
from chaincrf.data.batching import encode
from chaincrf.data.shards import WordCounts, is_sharded
from chaincrf.data.streaming import StreamedSentences
from chaincrf.errors import DataError
from corpora import toy_file

pytest.importorskip("pyarrow")
pytestmark = pytest.mark.slow


@pytest.fixture
def toy(tmp_path):
    file = toy_file(tmp_path / "toy.tsv", 5)
    return read_corpus(file), write_shards(stream_corpus(file, piece=4), tmp_path / "shards", shard_size=7)


def test_shards_hold_the_corpus(toy):
    corpus, shards = toy
    assert list(shards.sizes) == [7, 7, 7, 4]
    index = np.array([24, 0, 13, 7, 6])
    expected = [corpus.sentences[i] for i in index]
    assert [(tuple(a), tuple(b)) for a, b in shards.read(index)] == [(s.tokens, s.tags) for s in expected]
    assert shards.lengths(index).tolist() == [len(sentence) for sentence in expected]
    for name in ("sentences", "tokens", "labels", "scheme", "task"):
        assert getattr(shards.report, name) == getattr(corpus.report, name)
    assert shards.count_error == 0
    again = Vocabulary.from_counts(shards.words, shards.chars, shards.tags)
    assert again == Vocabulary.build(corpus.sentences, shards.tags)


def test_a_file_in_pieces_is_the_file(tmp_path):
    file = toy_file(tmp_path / "toy.tsv", 5)
    whole = read_corpus(file)
    for piece in (1, 5, 6, 25, 99):
        pieces = list(stream_corpus(file, piece=piece))
        assert sum((part.sentences for part in pieces), ()) == whole.sentences
        assert {part.report.scheme for part in pieces} == {"BIO"}


@pytest.mark.parametrize("tokens", [0, 20])
def test_a_window_over_all_gives_the_batches_of_memory(toy, tokens):
    corpus, shards = toy
    vocabulary = Vocabulary.build(corpus.sentences, shards.tags)
    memory = encode(corpus.sentences, vocabulary, with_tags=True)
    stream = StreamedSentences(shards, vocabulary, "BIO", window=25)
    plans = [data.plan(3, tokens=tokens, generator=np.random.default_rng(1)) for data in (memory, stream)]
    assert len(plans[0]) == len(plans[1])
    for ours, theirs in zip(*plans, strict=True):
        assert ours.tolist() == theirs.tolist()
        one, other = memory.batch(ours), stream.batch(theirs)
        for name, value in vars(one).items():
            assert value.tolist() == getattr(other, name).tolist(), name
        assert memory.words(ours).tolist() == stream.words(ours).tolist()


@pytest.mark.parametrize(("window", "tokens"), [(4, 0), (10, 0), (10, 20), (24, 9)])
def test_windows_hold_every_sentence_once(toy, window, tokens):
    corpus, shards = toy
    vocabulary = Vocabulary.build(corpus.sentences, shards.tags)
    stream = StreamedSentences(shards, vocabulary, "BIOES", window)
    generator = np.random.default_rng(1)
    epochs = []
    for _ in range(2):
        plan = stream.plan(3, tokens=tokens, generator=generator)
        batches = [part.tolist() for part in plan]
        assert len(plan) == len(batches)
        assert sorted(chain.from_iterable(batches)) == list(range(25))
        epochs.append(batches)
    assert epochs[0] != epochs[1]


def test_counts_are_bounded():
    words = WordCounts(bound=10)
    rng = np.random.default_rng(0)
    said = [f"w{int(number)}" for number in rng.zipf(1.5, 5000)]
    for start in range(0, len(said), 7):
        words.add(said[start : start + 7])
        assert len(words.counts) <= 17
    assert words.error > 0
    for word in ("w1", "w2"):
        assert said.count(word) - words.error <= words.counts[word] <= said.count(word)
    exact = WordCounts()
    exact.add(said)
    assert exact.error == 0
    assert exact.counts == {word: said.count(word) for word in dict.fromkeys(said)}


MEMORY = """
import sys, tracemalloc
import pyarrow
pyarrow.array([["a"]], pyarrow.list_(pyarrow.string()))  # imports what it wants, pandas too: not measured
from pathlib import Path
import numpy as np
from chaincrf.data import Vocabulary, read_corpus, stream_corpus, write_shards
from chaincrf.data.streaming import StreamedSentences

folder = Path(sys.argv[1])
file = folder / "large.tsv"
with file.open("w") as stream:
    for number in range(16_000):
        stream.write("".join(f"w{(number * 7 + i) % 997}\\tO\\n" for i in range(12)) + "Oslo\\tB-LOC\\n\\n")

def peak(function):
    tracemalloc.start()
    result = function()
    size = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return result, size

def epoch():
    vocabulary = Vocabulary.from_counts(shards.words, shards.chars, ["O", "B-LOC"])
    data = StreamedSentences(shards, vocabulary, "BIO", window=400)
    plan = data.plan(50, generator=np.random.default_rng(1))
    return sum(int(data.batch(index).mask.sum()) for index in plan)

pieces = stream_corpus(file, piece=200)
shards, converted = peak(lambda: write_shards(pieces, folder / "shards", shard_size=200))
tokens, streamed = peak(epoch)
assert tokens == shards.report.tokens == 208_000
corpus, whole = peak(lambda: read_corpus(file))
print(whole, converted, streamed)
"""


def test_memory_is_that_of_a_window(tmp_path):
    command = [sys.executable, "-c", MEMORY, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    whole, converted, streamed = map(int, result.stdout.split())
    assert converted < whole / 5
    assert streamed < whole / 5


def test_what_cannot_be_converted_or_opened(tmp_path, toy):
    _, shards = toy
    with pytest.raises(DataError, match="shards: expected no folder here, found one"):
        write_shards([], shards.folder)
    with pytest.raises(DataError, match="expected sentences, found none"):
        write_shards([], tmp_path / "other")
    assert not (tmp_path / "other").exists()
    (tmp_path / "pos.tsv").write_text("a\tX\n")
    with pytest.raises(DataError, match=r"expected the scheme BIO of .*toy.tsv, found None"):
        write_shards(
            [read_corpus(tmp_path / "toy.tsv"), read_corpus(tmp_path / "pos.tsv", task="pos")],
            tmp_path / "other",
        )
    assert is_sharded(shards.folder)
    index = shards.folder / "corpus.json"
    content = json.loads(index.read_text())
    for change, message in (
        ({"version": 2}, "expected chaincrf-shards, version 1"),
        ({"shards": [25]}, "expected"),
        ({"labels": None, "sentences": "x"}, "expected"),
        ({"shards": "x"}, "damaged"),
    ):
        index.write_text(json.dumps(content | change))
        if change == {"shards": [25]}:
            (shards.folder / "shard-00000.arrow").unlink()
        with pytest.raises(DataError, match=message):
            open_shards(shards.folder)
    index.write_text("{")
    with pytest.raises(DataError, match="damaged"):
        open_shards(shards.folder)

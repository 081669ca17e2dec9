"""Small corpora for the tests: a toy one that is learned in a second, and pieces of the built-in ones."""

from dataclasses import replace
from pathlib import Path

from chaincrf.data import Corpus, get_corpus, read_corpus
from chaincrf.training import Recipe

SMALL = Recipe(
    vectors="none",
    word_dim=16,
    hidden=16,
    char_filters=8,
    epochs=12,
    batch_size=4,
    dropout=0.1,
    learning_rate=0.02,
    device="cpu",
)
"""A recipe that learns the toy corpus in a second."""

SENTENCES = [
    ["Ann/B-PER saw/O Bob/B-PER Ray/I-PER in/O Rome/B-LOC ./O"],
    ["She/O went/O to/O New/B-LOC York/I-LOC ./O"],
    ["Bob/B-PER Ray/I-PER left/O Oslo/B-LOC ./O"],
    ["New/B-LOC York/I-LOC is/O far/O ./O"],
    ["Ann/B-PER Ray/I-PER saw/O Oslo/B-LOC and/O Rome/B-LOC ./O"],
]


def toy_file(path: Path, copies: int = 4) -> Path:
    """Write the toy corpus in columns."""
    blocks = ["\n".join(pair.replace("/", "\t") for pair in line.split()) for (line,) in SENTENCES]
    path.write_text("\n\n".join(blocks * copies) + "\n", encoding="utf-8")
    return path


def toy(path: Path, copies: int = 4) -> Corpus:
    """The toy corpus, read."""
    return read_corpus(toy_file(path / "toy.tsv", copies))


def piece(name: str, split: str, sentences: int) -> Corpus:
    """The first sentences of a built-in corpus."""
    builtin = get_corpus(name)
    corpus = read_corpus(builtin.splits[split], task=builtin.task)
    return replace(corpus, sentences=corpus.sentences[:sentences])

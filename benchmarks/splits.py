"""The corpora that accuracy is measured on: what is trained on, chosen by, and tested on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from itertools import chain
from pathlib import Path

from chaincrf.data import Corpus, Sentence, get_corpus, hold_out, read_corpus

__all__ = ["CORPORA", "TAGGING", "VECTORS", "splits", "tuning_splits"]

Splits = tuple[Corpus, Corpus, Corpus]
VECTORS = Path("glove") / "glove.6B.100d.f16.safetensors"


def of(corpus: Corpus, sentences: Sequence[Sentence]) -> Corpus:
    """Other sentences under a corpus's report."""
    tokens = sum(map(len, sentences))
    report = replace(corpus.report, sentences=len(sentences), tokens=tokens)
    return Corpus(tuple(sentences), report)


def together(*corpora: Corpus) -> Corpus:
    """One corpus after the other."""
    assert len({corpus.report.scheme for corpus in corpora}) == 1
    return of(corpora[0], [*chain.from_iterable(corpus.sentences for corpus in corpora)])


def _ncbi(data: Path) -> Splits:
    train, dev, test = (read_corpus(data / "ncbi-disease" / f"{s}.tsv") for s in ("train", "devel", "test"))
    return train, dev, test


def _ncbi_2500(data: Path) -> Splits:
    train, dev, test = _ncbi(data)
    return of(train, train.sentences[:2500]), dev, test


def _politics(data: Path) -> Splits:
    folder = data / "crossner" / "politics"
    train, dev, test = (read_corpus(folder / f"{split}.txt") for split in ("train", "dev", "test"))
    return *hold_out(together(train, dev)), test


def _wikigold(data: Path) -> Splits:
    """75, 5 and 20 hundredths, in order."""
    whole = read_corpus(data / "wikigold" / "wikigold.conll.txt")
    sentences = [sentence for sentence in whole.sentences if sentence.tokens]
    first, second = (round(len(sentences) * share) for share in (0.75, 0.8))
    return of(whole, sentences[:first]), of(whole, sentences[first:second]), of(whole, sentences[second:])


def _ewt(data: Path) -> Splits:
    folder = data / "uner-english-ewt"
    dev, test = (read_corpus(folder / f"en_ewt-ud-{split}.iob2") for split in ("dev", "test"))
    return *hold_out(dev), test


def _ewt_pos(data: Path) -> Splits:
    """In the package."""
    train, dev, test = (read_corpus(path, task="pos") for path in get_corpus("ewt-pos").splits.values())
    return train, dev, test


CORPORA: dict[str, Callable[[Path], Splits]] = {
    "ncbi-2500": _ncbi_2500,
    "ncbi": _ncbi,
    "politics": _politics,
    "wikigold": _wikigold,
    "ewt": _ewt,
}
"""NCBI-disease, its first 2,500 sentences and all; CrossNER politics, a tenth of train and dev held out;
Wikigold; UNER-EWT, trained on its dev, a tenth held out."""
TAGGING: dict[str, Callable[[Path], Splits]] = {"ewt-pos": _ewt_pos}
"""Parts of speech: a sixth of UD English-EWT, as it is in the package."""


@cache
def splits(name: str, data: Path) -> Splits:
    """Training, development and test data."""
    return (CORPORA | TAGGING)[name](data)


@cache
def tuning_splits(name: str, data: Path) -> tuple[Corpus, Corpus]:
    """Training and development data to choose a recipe by: no test sentence is among them.

    Where little is held out, the last quarter is: some 80 sentences would choose by chance.
    """
    train, dev, _ = splits(name, data)
    if len(dev.sentences) >= 500:
        return train, dev
    return hold_out(together(train, dev), 0.25)

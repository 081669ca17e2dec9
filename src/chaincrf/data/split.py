"""Development data where a corpus brings none."""

from __future__ import annotations

from dataclasses import replace

from ..errors import ArgumentError, DataError
from .corpus import Corpus, counts
from .sentence import Sentence

__all__ = ["hold_out"]


def hold_out(corpus: Corpus, share: float = 0.1) -> tuple[Corpus, Corpus]:
    """Split the end of a corpus off.

    The end, not a random sample: neighbouring sentences are of one document, and a document on both sides
    would flatter the score.

    Args:
        corpus: at least two sentences.
        share: the part that goes to the second corpus, between 0 and 1; both get at least one sentence.

    Raises:
        ArgumentError: if the share is not between 0 and 1.
        DataError: if there are fewer than two sentences.
    """
    if not 0 < share < 1:
        raise ArgumentError(f"share: expected a number between 0 and 1, got {share}")
    sentences = corpus.sentences
    if len(sentences) < 2:
        raise DataError(
            f"expected at least two sentences to hold some out, found {len(sentences)}",
            path=corpus.report.path,
        )
    border = min(max(1, round((1 - share) * len(sentences))), len(sentences) - 1)
    first, second = _part(corpus, sentences[:border]), _part(corpus, sentences[border:])
    # What was repaired and skipped in the file is counted once, with the first part.
    report = replace(second.report, skipped=(), repaired_sentences=0, repaired_moves=0)
    return first, replace(second, report=report)


def _part(corpus: Corpus, sentences: tuple[Sentence, ...]) -> Corpus:
    report = corpus.report
    report = replace(report, **counts(sentences, report.scheme, partial=report.unknown > 0))
    return Corpus(sentences, report)

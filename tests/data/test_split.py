from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincrf.data import Corpus, ReadReport, Sentence, hold_out
from chaincrf.errors import ArgumentError, DataError


def corpus(length: int) -> Corpus:
    sentences = tuple(Sentence((f"w{i}",), ("B-X" if i % 3 else "O",)) for i in range(length))
    report = ReadReport(
        Path("a.tsv"), "conll", "ner", "BIO", (), length, length, {}, (), "conlleval", 3, 4, "0"
    )
    return Corpus(sentences, report)


@given(st.integers(2, 40), st.floats(0.01, 0.99))
def test_the_end_is_split_off(length, share):
    whole = corpus(length)
    first, second = hold_out(whole, share)
    assert first.sentences + second.sentences == whole.sentences
    assert len(second.sentences) == pytest.approx(share * length, abs=1)
    assert first.sentences
    assert second.sentences
    for part in (first, second):
        assert part.report.sentences == part.report.tokens == len(part.sentences)
        assert part.report.labels.get("X", 0) == sum(s.tags == ("B-X",) for s in part.sentences)
    assert first.report.repaired_moves + second.report.repaired_moves == 4


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, 2.0])
def test_a_share_is_a_part(share):
    with pytest.raises(ArgumentError, match="share: expected a number between 0 and 1"):
        hold_out(corpus(5), share)


def test_one_sentence_cannot_be_split():
    with pytest.raises(DataError, match=r"a.tsv: expected at least two sentences to hold some out, found 1"):
        hold_out(replace(corpus(1)))

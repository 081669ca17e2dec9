import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincrf.errors import LabelError
from chaincrf.labels import SCHEMES, detect_scheme, ill_formed_moves, spans_to_tags
from strategies import scheme_names, span_lists, tag_sequences


def corpus(*lines):
    return [line.split() for line in lines]


@pytest.mark.parametrize("name", SCHEMES)
@given(data=st.data())
def test_a_well_formed_corpus_has_a_scheme_that_explains_it(name, data):
    drawn = data.draw(st.lists(span_lists(touching=name != "IO"), max_size=4))
    detection = detect_scheme([spans_to_tags(spans, length, name) for spans, length in drawn])
    assert detection.ill_formed[detection.scheme.name] == 0
    if any(spans for spans, _ in drawn):
        assert detection.scheme.name == ("IOB1" if name == "IO" else name)


@given(st.lists(scheme_names.flatmap(tag_sequences), max_size=3))
def test_the_counts_are_those_of_ill_formed_moves(sentences):
    prefixes = {tag.partition("-")[0] for tags in sentences for tag in tags} - {"O"}
    fitting = [scheme for scheme in SCHEMES.values() if prefixes <= set(scheme.prefixes)]
    if not fitting:
        with pytest.raises(LabelError, match="expected the prefixes of one of"):
            detect_scheme(sentences)
        return
    detection = detect_scheme(iter(sentences))
    counts = {
        scheme.name: sum(len(ill_formed_moves(tags, scheme)) for tags in sentences) for scheme in fitting
    }
    assert detection.ill_formed == counts
    assert detection.scheme.name == next(name for name in SCHEMES if counts.get(name) == min(counts.values()))


def test_few_spans_of_several_tokens():
    assert detect_scheme(corpus("O B-X O", "B-Y", "O O B-X")).scheme.name == "BIO"
    assert detect_scheme(corpus("O S-X O", "S-Y")).scheme.name == "BIOES"
    assert detect_scheme(corpus("O U-X O", "U-Y")).scheme.name == "BILOU"


def test_inside_alone_is_iob1_and_the_reason_says_why():
    detection = detect_scheme(corpus("O I-X I-X O I-Y", "I-X O"))
    assert detection.scheme.name == "IOB1"
    assert detection.ill_formed["IOB1"] == detection.ill_formed["IO"] == 0
    assert "IOB1 and IO alike" in detection.reason


def test_a_few_stray_insides_leave_a_corpus_bio():
    detection = detect_scheme(corpus("B-X I-X O B-Y", "O I-X O", "B-X O I-Y", "B-Y I-Y I-Y O"))
    assert detection.scheme.name == "BIO"
    assert detection.ill_formed["BIO"] == 2
    assert "2 in BIO, 4 in IOB1" in detection.reason


def test_iob1_with_a_rare_begin():
    assert detect_scheme(corpus("I-X I-X B-X O", "O I-Y", "I-X O")).scheme.name == "IOB1"


def test_a_tie_goes_to_the_first_scheme():
    detection = detect_scheme(corpus("O I-X", "O B-X"))
    assert detection.ill_formed["BIO"] == detection.ill_formed["IOB1"] == 1
    assert detection.scheme.name == "BIO"


def test_an_end_decides_whatever_the_rest_looks_like():
    detection = detect_scheme(corpus("B-X I-X O", "B-X O", "B-X E-X"))
    assert (detection.scheme.name, detection.ill_formed) == ("BIOES", {"BIOES": 2})
    assert "the one scheme with these prefixes" in detection.reason


@pytest.mark.parametrize("sentences", [[], [[]], [["O", "O"], ["O"]]])
def test_without_spans_bio(sentences):
    detection = detect_scheme(sentences)
    assert detection.scheme.name == "BIO"
    assert detection.ill_formed == dict.fromkeys(SCHEMES, 0)
    assert "no tag but O" in detection.reason


@pytest.mark.parametrize("tag", ["NOUN", "X-PER", "B-", "o"])
def test_what_is_no_tag_is_named_with_its_sentence(tag):
    with pytest.raises(LabelError, match=f"^sentence 1: tag '{tag}': expected"):
        detect_scheme([["O"], ["O", tag]])


def test_prefixes_that_no_scheme_has_together():
    with pytest.raises(LabelError, match="BIO, IOB1, BIOES, BILOU, IO, got B, E, U"):
        detect_scheme(corpus("B-X E-X", "U-X"))

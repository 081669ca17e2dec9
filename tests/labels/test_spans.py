from itertools import pairwise, product

import iobes
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval import scheme as seqeval_scheme
from seqeval.metrics.sequence_labeling import get_entities

from chaincrf.errors import ArgumentError, LabelError
from chaincrf.labels import (
    REPAIRS,
    SCHEMES,
    Span,
    check_tags,
    convert_tags,
    get_scheme,
    ill_formed_moves,
    repair_tags,
    scheme_tags,
    spans_to_tags,
    tags_to_spans,
)
from strategies import scheme_names, span_lists, tag_sequences, tagged

all_schemes = pytest.mark.parametrize("name", SCHEMES)


def every_sequence(name, length):
    """All sequences of that many tags over two labels, well-formed or not."""
    return map(list, product(scheme_tags(["X", "Y"], name), repeat=length))


def every_span_list(length, start=0):
    """All sets of spans over two labels in a sentence of that length."""
    yield []
    for i in range(start, length):
        for j in range(i + 1, length + 1):
            for label in "XY":
                for rest in every_span_list(length, j):
                    yield [Span(i, j, label), *rest]


def touch(spans):
    return any(a.end == b.start and a.label == b.label for a, b in pairwise(spans))


# Spans to tags and back.


@all_schemes
def test_the_well_formed_sequences_are_those_that_spans_make(name):
    for length in range(5):
        well_formed = [tags for tags in every_sequence(name, length) if not ill_formed_moves(tags, name)]
        spans = [spans for spans in every_span_list(length) if name != "IO" or not touch(spans)]
        assert sorted(well_formed) == sorted(spans_to_tags(each, length, name) for each in spans)


@all_schemes
@given(data=st.data())
def test_spans_survive_the_round_trip(name, data):
    spans, length = data.draw(span_lists(touching=name != "IO"))
    tags = spans_to_tags(spans, length, name)
    assert len(tags) == length
    assert ill_formed_moves(tags, name) == []
    for repair in REPAIRS:
        assert tags_to_spans(tags, name, repair) == spans


@all_schemes
@given(data=st.data())
def test_spans_survive_conversion(name, data):
    target = data.draw(scheme_names)
    spans, length = data.draw(span_lists(touching="IO" not in (name, target)))
    tags = spans_to_tags(spans, length, name)
    converted = convert_tags(tags, name, target)
    assert converted == spans_to_tags(spans, length, target)
    assert convert_tags(converted, target, name) == tags


@given(span_lists())
def test_io_refuses_exactly_touching_spans_of_one_label(drawn):
    spans, length = drawn
    if touch(spans):
        with pytest.raises(LabelError, match="IO cannot tell them from one span"):
            spans_to_tags(spans, length, "IO")
    else:
        assert tags_to_spans(spans_to_tags(spans, length, "IO"), "IO") == spans


@given(span_lists(), st.randoms(use_true_random=False))
def test_the_order_of_the_spans_does_not_matter(drawn, random):
    spans, length = drawn
    shuffled = random.sample(spans, len(spans))
    assert spans_to_tags(shuffled, length, "BIOES") == spans_to_tags(spans, length, "BIOES")


def test_each_scheme_writes_its_own_tags():
    spans = [Span(0, 1, "X"), Span(1, 4, "X"), Span(4, 6, "Y"), Span(7, 8, "Y")]
    written = {name: " ".join(spans_to_tags(spans, 8, name)) for name in ("BIO", "IOB1", "BIOES", "BILOU")}
    assert written == {
        "BIO": "B-X B-X I-X I-X B-Y I-Y O B-Y",
        "IOB1": "I-X B-X I-X I-X I-Y I-Y O I-Y",
        "BIOES": "S-X B-X I-X E-X B-Y E-Y O S-Y",
        "BILOU": "U-X B-X I-X L-X B-Y L-Y O U-Y",
    }


# The readings of ill-formed tags. The oracles are seqeval and iobes.


def seqeval_default(tags):
    return [Span(start, end + 1, label) for label, start, end in get_entities(tags)]


def seqeval_strict(tags, scheme):
    entities = seqeval_scheme.Tokens(tags, scheme).entities
    return [Span(entity.start, entity.end, entity.tag) for entity in entities]


def iobes_reading(tags, parse):
    return [Span(span.start, span.end, span.type) for span in parse(tags)]


def bilou_to_bioes(tags):
    return [{"L-": "E-", "U-": "S-"}.get(tag[:2], tag[:2]) + tag[2:] for tag in tags]


@pytest.mark.parametrize("name", ["BIO", "IOB1", "BIOES"])
def test_conlleval_is_seqeval_without_a_mode_on_every_short_sequence(name):
    for length in range(5):
        for tags in every_sequence(name, length):
            assert tags_to_spans(tags, name) == seqeval_default(tags)


@given(tagged)
def test_conlleval_is_seqeval_without_a_mode(drawn):
    tags, name = drawn
    assert tags_to_spans(tags, name) == seqeval_default(bilou_to_bioes(tags))


IOBES_PARSERS = {
    "BIO": iobes.parse_spans_bio,
    "IOB1": iobes.parse_spans_iob,
    "BIOES": iobes.parse_spans_iobes,
    "BILOU": iobes.parse_spans_bilou,
}


@pytest.mark.parametrize("name", IOBES_PARSERS)
@given(data=st.data())
def test_conlleval_is_the_reading_of_iobes(name, data):
    tags = data.draw(tag_sequences(name))
    assert tags_to_spans(tags, name) == iobes_reading(tags, IOBES_PARSERS[name])


SEQEVAL_SCHEMES = {"BIO": seqeval_scheme.IOB2, "BIOES": seqeval_scheme.IOBES, "BILOU": seqeval_scheme.BILOU}


@pytest.mark.parametrize("name", SEQEVAL_SCHEMES)
def test_strict_is_seqeval_strict_on_every_short_sequence(name):
    for length in range(4):
        for tags in every_sequence(name, length):
            assert tags_to_spans(tags, name, "strict") == seqeval_strict(tags, SEQEVAL_SCHEMES[name])


@pytest.mark.parametrize("name", SEQEVAL_SCHEMES)
@given(data=st.data())
def test_strict_is_seqeval_strict(name, data):
    tags = data.draw(tag_sequences(name))
    assert tags_to_spans(tags, name, "strict") == seqeval_strict(tags, SEQEVAL_SCHEMES[name])


def test_strict_is_seqeval_strict_in_iob1_but_for_a_misplaced_b():
    compared = 0
    for length in range(5):
        for tags in every_sequence("IOB1", length):
            padded = ["O", *tags, "O"]
            misplaced = [i for i in ill_formed_moves(tags, "IOB1") if i < length]  # in IOB1, always a B
            begins_a_span = any(padded[i + 2] == f"I-{tags[i][2:]}" for i in misplaced)
            follows_a_b = any(padded[i].startswith("B-") for i in misplaced)
            if not begins_a_span and not follows_a_b:
                compared += 1
                assert tags_to_spans(tags, "IOB1", "strict") == seqeval_strict(tags, seqeval_scheme.IOB1)
    assert compared > 400


@pytest.mark.parametrize(
    ("tags", "theirs", "ours"),
    [
        ("O B-X I-X", [Span(2, 3, "X")], []),
        ("I-X B-X B-Y", [Span(0, 1, "X")], [Span(0, 1, "X"), Span(1, 2, "X")]),
    ],
)
def test_where_seqeval_is_inconsistent_in_iob1(tags, theirs, ours):
    assert seqeval_strict(tags.split(), seqeval_scheme.IOB1) == theirs
    assert tags_to_spans(tags.split(), "IOB1", "strict") == ours


@given(tagged)
def test_drop_leaves_out_exactly_the_spans_at_ill_formed_moves(drawn):
    tags, name = drawn
    ill_formed = ill_formed_moves(tags, name)
    expected = [s for s in tags_to_spans(tags, name) if not any(s.start <= i <= s.end for i in ill_formed)]
    assert tags_to_spans(tags, name, "drop") == expected


@given(tagged)
def test_strict_leaves_out_exactly_the_spans_that_the_scheme_does_not_write(drawn):
    # What the scheme writes: the span alone, and in IOB1 the span after another of its label.
    tags, name = drawn
    expected = []
    for span in tags_to_spans(tags, name):
        own, size = tags[span.start : span.end], span.end - span.start
        before = tags[span.start - 1] if span.start else "O"
        forms = [spans_to_tags([Span(0, size, span.label)], size, name)]
        if name == "IOB1" and before in (f"B-{span.label}", f"I-{span.label}"):
            forms.append([f"B-{span.label}", *own[1:]])
        if own in forms:
            expected.append(span)
    assert tags_to_spans(tags, name, "strict") == expected


@given(tagged)
def test_drop_is_part_of_strict_is_part_of_conlleval(drawn):
    tags, name = drawn
    conlleval, strict, drop = (set(tags_to_spans(tags, name, repair)) for repair in REPAIRS)
    assert drop <= strict <= conlleval
    if not ill_formed_moves(tags, name):
        assert drop == conlleval


@given(tagged)
def test_no_ill_formed_move_is_inside_a_span(drawn):
    tags, name = drawn
    ill_formed = ill_formed_moves(tags, name)
    assert not any(span.start < i < span.end for span in tags_to_spans(tags, name) for i in ill_formed)


@pytest.mark.parametrize(
    ("name", "tags", "conlleval", "strict", "drop"),
    [
        ("BIO", "B-PER I-LOC", [(0, 1, "PER"), (1, 2, "LOC")], [(0, 1, "PER")], []),
        ("BIO", "O I-X B-X", [(1, 2, "X"), (2, 3, "X")], [(2, 3, "X")], [(2, 3, "X")]),
        ("BIOES", "B-X S-Y", [(0, 1, "X"), (1, 2, "Y")], [(1, 2, "Y")], []),
        ("BIOES", "B-X I-X", [(0, 2, "X")], [], []),
        ("BILOU", "U-X L-X", [(0, 1, "X"), (1, 2, "X")], [(0, 1, "X")], []),
        ("IOB1", "B-X B-X", [(0, 1, "X"), (1, 2, "X")], [(1, 2, "X")], [(1, 2, "X")]),
        ("IO", "I-X I-Y", [(0, 1, "X"), (1, 2, "Y")], [(0, 1, "X"), (1, 2, "Y")], [(0, 1, "X"), (1, 2, "Y")]),
    ],
)
def test_the_readings_by_example(name, tags, conlleval, strict, drop):
    for repair, spans in zip(REPAIRS, (conlleval, strict, drop), strict=True):
        assert tags_to_spans(tags.split(), name, repair) == spans


# Defects of others.


@all_schemes
@pytest.mark.parametrize("label", ["B-EU-ORG", "EU-ORG", "I-B-x", "B-", "-", "O", "x-I-"])
def test_a_label_that_looks_like_a_prefix_survives(name, label):
    tags = spans_to_tags([Span(0, 2, label)], 3, "BIOES")
    assert tags == [f"B-{label}", f"E-{label}", "O"]
    converted = convert_tags(tags, "BIOES", name)
    assert tags_to_spans(converted, name) == [Span(0, 2, label)]
    assert convert_tags(converted, name, "BIOES") == tags


@pytest.mark.parametrize("tags", [["B-X", "E-X", "B-X", "E-X"], ["B-X", "L-X", "B-X", "L-X"]])
@pytest.mark.parametrize("repair", REPAIRS)
def test_an_end_followed_by_a_begin_is_two_spans(tags, repair):
    scheme = "BIOES" if "E-X" in tags else "BILOU"
    assert tags_to_spans(tags, scheme, repair) == [Span(0, 2, "X"), Span(2, 4, "X")]


@pytest.mark.parametrize("repair", REPAIRS)
def test_touching_units_are_two_spans(repair):
    assert tags_to_spans(["U-X", "U-X"], "BILOU", repair) == [Span(0, 1, "X"), Span(1, 2, "X")]


# Ill-formed moves, repair, conversion, errors.


@given(tagged)
def test_ill_formed_moves_are_those_that_the_scheme_does_not_allow(drawn):
    tags, name = drawn
    found = []
    previous = None
    for i, tag in enumerate(tags):
        if not get_scheme(name).allows(previous, tag):
            found.append(i)
        previous = tag
    if tags and not get_scheme(name).allows(tags[-1], None):
        found.append(len(tags))
    assert ill_formed_moves(tags, name) == found


@given(tagged, st.sampled_from(REPAIRS))
def test_repaired_tags_are_well_formed_and_mean_what_was_read(drawn, repair):
    tags, name = drawn
    repaired = repair_tags(tags, name, repair)
    assert len(repaired) == len(tags)
    assert ill_formed_moves(repaired, name) == []
    assert tags_to_spans(repaired, name) == tags_to_spans(tags, name, repair)
    assert repair_tags(repaired, name, repair) == repaired
    if not ill_formed_moves(tags, name):
        assert repaired == tags


@given(tagged)
def test_check_and_conversion_refuse_exactly_ill_formed_tags(drawn):
    tags, name = drawn
    ill_formed = ill_formed_moves(tags, name)
    if ill_formed:
        for refuse in (lambda: check_tags(tags, name), lambda: convert_tags(tags, name, "BIO")):
            with pytest.raises(LabelError, match=f"^token {ill_formed[0]}: {name} does not allow "):
                refuse()
    else:
        check_tags(tags, name)
        assert convert_tags(tags, name, name) == tags


@pytest.mark.parametrize(
    ("name", "tags", "message"),
    [
        ("BIO", "I-X", "token 0: BIO does not allow 'I-X' after the start of the sentence"),
        ("BIO", "B-X I-Y", "token 1: BIO does not allow 'I-Y' after 'B-X'"),
        ("BIOES", "O B-X", "token 2: BIOES does not allow the end of the sentence after 'B-X'"),
        ("BIO", "E-X", "tag 'E-X': expected 'O' or one of the prefixes B, I of BIO"),
    ],
)
def test_the_message_names_place_and_tags(name, tags, message):
    with pytest.raises(LabelError) as caught:
        convert_tags(tags.split(), name, "BIO")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([Span(0, 0, "X")], "0 <= start < end <= 4"),
        ([Span(2, 1, "X")], "0 <= start < end <= 4"),
        ([Span(-1, 1, "X")], "0 <= start < end <= 4"),
        ([Span(3, 5, "X")], "0 <= start < end <= 4"),
        ([Span(0, 1, "")], "and a label"),
        ([Span(0, 2, "X"), Span(1, 3, "Y")], "do not overlap"),
        ([Span(0, 3, "X"), Span(1, 2, "X")], "do not overlap"),
        ([Span(0, 1, "X"), Span(0, 1, "X")], "do not overlap"),
    ],
)
@all_schemes
def test_spans_that_cannot_be_written(name, spans, message):
    with pytest.raises(LabelError, match=message):
        spans_to_tags(spans, 4, name)


@pytest.mark.parametrize("function", [tags_to_spans, repair_tags])
def test_an_unknown_repair_policy_lists_the_names(function):
    with pytest.raises(
        ArgumentError, match=r"^repair: expected one of conlleval, strict, drop, got 'lenient'$"
    ):
        function(["O"], "BIO", "lenient")


@pytest.mark.parametrize("repair", REPAIRS)
@pytest.mark.parametrize("tags", [["O", "E-X"], ["E-X"], ["NOUN"], ["B-X", "B"]])
def test_tags_of_another_scheme_are_refused(tags, repair):
    with pytest.raises(LabelError, match=f"tag '{tags[-1]}'"):
        tags_to_spans(tags, "BIO", repair)
    with pytest.raises(LabelError, match=f"tag '{tags[-1]}'"):
        ill_formed_moves(tags, get_scheme("BIO"))

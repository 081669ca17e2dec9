import json

import pytest

from chaincrf.data import Sentence, Vocabulary
from chaincrf.data.vocabulary import PADDING, UNKNOWN, normalise_word
from chaincrf.errors import DataError, ModelError

SENTENCES = [Sentence(("The", "cat", "saw", "the", "cat", "in", "1987")), Sentence(("Dog", "."))]


def build(**options) -> Vocabulary:
    return Vocabulary.build(SENTENCES, ["O", "B-X"], **options)


def test_lookup_falls_back():
    vocabulary = build(pretrained=["paris", "Rome"])
    assert vocabulary.word("THE") == vocabulary.word("the") > UNKNOWN
    assert vocabulary.word("2024") == vocabulary.word("1987")
    assert vocabulary.word("Paris") == vocabulary.word("paris") >= vocabulary.num_trained
    assert vocabulary.words[vocabulary.word("Rome")] == "Rome"
    assert vocabulary.word("zebra") == UNKNOWN
    assert vocabulary.char("T") > UNKNOWN
    assert vocabulary.char("é") == UNKNOWN


def test_rare_words_are_unknown_unless_pretrained():
    vocabulary = build(min_count=2, pretrained=["dog"])
    assert set(vocabulary.words[2 : vocabulary.num_trained]) == {"the", "cat", "dog"}
    assert vocabulary.word("saw") == UNKNOWN
    assert len(vocabulary.words) == vocabulary.num_trained


def test_frozen_words_follow_the_trained_ones():
    vocabulary = build(pretrained=["dog", "paris", "the", "rome"], max_pretrained=1, freeze=True)
    assert set(vocabulary.words[2 : vocabulary.num_trained]) == {"cat", "saw", "in", "0000", "."}
    assert vocabulary.words[vocabulary.num_trained :] == ("the", "dog", "paris")


def test_unknown_tag_is_named():
    assert build().tag("B-X") == 1
    with pytest.raises(DataError, match="tag 'I-Y' is not one of the model's tags: O, B-X"):
        build().tag("I-Y")


def test_normalise():
    assert normalise_word("BRCA2-1990") == "brca0-0000"


def test_json_round_trip():
    vocabulary = build(pretrained=["paris"])
    again = Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json())))
    assert again == vocabulary
    assert again.word("cat") == vocabulary.word("cat")
    assert PADDING != UNKNOWN


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"words": "abc"}, "words: expected a list of strings"),
        ({"tags": [1]}, "tags: expected a list of strings"),
        ({"chars": ["a", "a"]}, "chars: expected distinct ones, 1 repeat"),
        ({"num_trained": 1}, "num_trained: expected 2 to "),
        ({"num_trained": 10**9}, "num_trained: expected 2 to "),
        ({"num_trained": "7"}, "num_trained: expected an integer"),
    ],
)
def test_damaged_json(change, message):
    with pytest.raises(ModelError, match=message):
        Vocabulary.from_json(build().to_json() | {"words": ["a"], "chars": ["a"], "tags": ["O"]} | change)
    with pytest.raises(ModelError, match="expected a JSON object, got list"):
        Vocabulary.from_json([])


def test_a_token_that_looks_reserved_is_a_word():
    vocabulary = Vocabulary.build([Sentence(("<unknown>", "<padding>", "x"))], ["O"])
    assert len({vocabulary.word(token) for token in ("<unknown>", "<padding>", "x", "y")}) == 4
    assert Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json()))) == vocabulary


def test_training_counts_the_form_that_the_table_has():
    """So the row that a training word is looked up in is one that training changes."""
    vocabulary = Vocabulary.build(SENTENCES, ["O"], pretrained=["Dog", "1987", "cat", "Rome", "Oslo"])
    for sentence in SENTENCES:
        assert all(UNKNOWN < vocabulary.word(token) < vocabulary.num_trained for token in sentence.tokens)
    assert vocabulary.words[vocabulary.word("1987")] == "1987"
    assert vocabulary.word("Rome") >= vocabulary.num_trained
    fewer = Vocabulary.build(SENTENCES, ["O"], pretrained=["Dog", "Rome", "Oslo"], max_pretrained=1)
    assert fewer.words[fewer.num_trained :] == ("Rome",)

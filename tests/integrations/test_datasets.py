import pytest

from corpora import SENTENCES

datasets = pytest.importorskip("datasets")

from chaincrf.errors import DataError
from chaincrf.integrations.datasets import corpora_from_datasets, corpus_from_dataset, tag_dataset

pytestmark = pytest.mark.slow
TOKENS = [[pair.split("/")[0] for pair in line.split()] for (line,) in SENTENCES]
TAGS = [[pair.split("/")[1] for pair in line.split()] for (line,) in SENTENCES]
NAMES = sorted({tag for tags in TAGS for tag in tags})


@pytest.fixture
def dataset():
    numbers = [[NAMES.index(tag) for tag in tags] for tags in TAGS]
    features = datasets.Features(
        {
            "tokens": datasets.List(datasets.Value("string")),
            "ner_tags": datasets.List(datasets.ClassLabel(names=NAMES)),
        }
    )
    return datasets.Dataset.from_dict({"tokens": TOKENS, "ner_tags": numbers}, features=features)


def test_read(dataset):
    both = datasets.DatasetDict({"train": dataset, "test": dataset.select([0])})
    corpora = corpora_from_datasets(both)
    assert [list(s.tokens) for s in corpora["train"].sentences] == TOKENS
    assert [list(s.tags) for s in corpora["train"].sentences] == TAGS
    assert corpora["train"].report.scheme == "BIO"
    assert len(corpora["test"].sentences) == 1
    assert corpora["test"].report.sha256 != corpora["train"].report.sha256
    words = dataset.remove_columns("ner_tags").add_column("upos", TAGS)
    assert corpus_from_dataset(words, task="pos").report.task == "pos"


def test_predictions_written_back(dataset, tagger):
    tagged = tag_dataset(tagger, dataset)
    feature = tagged.features["predicted_tags"].feature
    assert feature.names == list(tagger.bundle.vocabulary.tags)
    for row, tokens in zip(tagged, TOKENS, strict=True):
        wanted = tagger.tag(tokens)
        assert [feature.int2str(tag) for tag in row["predicted_tags"]] == list(wanted.tags)
        assert [span["label"] for span in row["predicted_spans"]] == [span.label for span in wanted.spans]
    texts = datasets.Dataset.from_dict({"text": ["Ann saw Bob Ray in Rome.", ""]})
    row, empty = tag_dataset(tagger, texts, tokens="text", prefix="")
    assert row["tokens"] == ["Ann", "saw", "Bob", "Ray", "in", "Rome", "."]
    assert [span["text"] for span in row["spans"]] == ["Ann", "Bob Ray", "Rome"]
    assert empty["tags"] == []


def test_errors(dataset, tagger):
    with pytest.raises(DataError, match="expected the column 'words', found the columns tokens, ner_tags"):
        corpus_from_dataset(dataset, tokens="words")
    with pytest.raises(DataError, match="expected the column 'text'"):
        tag_dataset(tagger, dataset, tokens="text")
    bare = datasets.Dataset.from_dict({"tokens": [["a"], ["b"]], "tags": [[0], [1]]})
    with pytest.raises(DataError, match=r"dataset:1: tags: expected strings or a ClassLabel"):
        corpus_from_dataset(bare)
    ragged = datasets.Dataset.from_dict({"tokens": [["a"], ["b"]], "tags": [["O"], ["O", "O"]]})
    with pytest.raises(DataError, match=r"dataset:2: tags: expected one for each of the 1 tokens"):
        corpus_from_dataset(ragged)

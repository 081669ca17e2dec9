"""What comes with the package: complete, licensed, and readable."""

from functools import cache

import pytest
from safetensors.numpy import load_file

from chaincrf.data.corpora import builtin_vectors, export_corpus, get_corpus, list_corpora
from chaincrf.data.readers import read_corpus
from chaincrf.errors import ArgumentError, DataError

COUNTS = {
    "ncbi-disease": {"train": (2_500, 62_734), "dev": (923, 23_969), "test": (940, 24_497)},
    "ewt-pos": {"train": (2_065, 32_586), "dev": (538, 6_857), "test": (664, 8_384)},
}


@cache
def read(name, split):
    corpus = get_corpus(name)
    return read_corpus(corpus.splits[split], task=corpus.task)


@pytest.mark.parametrize("name", COUNTS)
def test_every_split_is_read_without_a_defect(name):
    reports = {split: read(name, split).report for split in get_corpus(name).splits}
    assert {split: (report.sentences, report.tokens) for split, report in reports.items()} == COUNTS[name]
    assert not any(report.skipped or report.repaired_moves for report in reports.values())


def test_all_are_listed():
    assert {corpus.name: corpus.task for corpus in list_corpora()} == {
        "ncbi-disease": "ner",
        "ewt-pos": "pos",
    }


@pytest.mark.parametrize("corpus", list_corpora(), ids=lambda corpus: corpus.name)
def test_licence_and_origin_are_beside_the_files(corpus):
    folder = corpus.splits["train"].parent
    assert (folder / "LICENSE").stat().st_size > 500
    assert corpus.origin == (folder / "ORIGIN").read_text(encoding="utf-8")
    assert sum(file.stat().st_size for file in folder.iterdir()) < 1_500_000


def test_the_labels():
    assert set(read("ncbi-disease", "train").report.labels) == {"Disease"}
    assert read("ncbi-disease", "train").report.scheme == "BIO"
    assert len(read("ewt-pos", "train").report.labels) == 17
    assert (
        len(read_corpus(get_corpus("ewt-pos").splits["test"], task="pos", tagset="xpos").report.labels) > 40
    )


def test_unknown_names():
    with pytest.raises(
        ArgumentError, match=r"ncbi-disease, ewt-pos.*'NCBI_disease'; did you mean 'ncbi-disease'"
    ):
        get_corpus("NCBI_disease")
    with pytest.raises(ArgumentError, match=r"got 'zzz'$"):
        get_corpus("zzz")


def test_export(tmp_path):
    folder = tmp_path / "a" / "b"
    files = export_corpus("ewt-pos", folder)
    assert {file.name for file in files} == {"LICENSE", "ORIGIN", "train.conllu", "dev.conllu", "test.conllu"}
    source = get_corpus("ewt-pos").splits["dev"]
    assert (folder / "dev.conllu").read_bytes() == source.read_bytes()
    (folder / "dev.conllu").write_text("mine")
    with pytest.raises(DataError, match="overwrite=True would replace"):
        export_corpus("ewt-pos", folder)
    assert (folder / "dev.conllu").read_text() == "mine"
    export_corpus("ewt-pos", folder, overwrite=True)
    assert (folder / "dev.conllu").read_bytes() == source.read_bytes()
    with pytest.raises(DataError, match="cannot be written"):
        export_corpus("ewt-pos", folder / "dev.conllu")


def test_vectors():
    vectors_path, words_path = builtin_vectors()
    vectors = load_file(vectors_path)["vectors"]
    words = words_path.read_bytes().decode("utf-8").split("\n")
    assert words.pop() == ""
    assert vectors.shape == (23_000, 100)
    assert vectors.dtype == "float16"
    assert len(words) == len(set(words)) == 23_000
    assert words[:3] == ["the", ",", "."]
    assert sum(file.stat().st_size for file in vectors_path.parent.iterdir()) < 5_000_000
    assert "Public Domain Dedication" in (vectors_path.parent / "LICENSE").read_text()
    # The nearest word to a very frequent one is a sign that rows and words still belong together.
    table = vectors[:5_000].astype("float32")
    table /= (table**2).sum(1, keepdims=True) ** 0.5
    nearest = (table @ table[words.index("france")]).argsort()[-3:]
    assert {"france", "french"} <= {words[i] for i in nearest}


@pytest.mark.parametrize(("name", "share"), [("ncbi-disease", 0.9), ("ewt-pos", 0.95)])
def test_vectors_know_the_corpora(name, share):
    words = set(builtin_vectors()[1].read_text(encoding="utf-8").split("\n"))
    tokens = [token for sentence in read(name, "test").sentences for token in sentence.tokens]
    assert sum(token.lower() in words for token in tokens) > share * len(tokens)

import pytest
import torch
from safetensors.torch import save_file

from chaincrf.data import read_corpus
from chaincrf.errors import ConfigError, DataError
from chaincrf.training import Recipe, build_model, in_scheme, prepare, setup
from chaincrf.training.setup import _read_vectors
from corpora import piece, toy


def test_the_tag_set_is_closed_under_the_scheme(tmp_path):
    corpus = toy(tmp_path)
    prepared = prepare(corpus, corpus, Recipe(vectors="none", scheme="BIOES"))
    assert prepared.scheme == "BIOES"
    assert set(prepared.vocabulary.tags) == {"O"} | {
        f"{p}-{label}" for p in "BIES" for label in ("PER", "LOC")
    }
    assert prepared.dev.tags is None
    assert prepared.dev_tags[0][0] == "S-PER"


def test_in_scheme_converts_and_leaves_out_empty_sentences(tmp_path):
    sentence = in_scheme(toy(tmp_path), "IO")[0]
    assert sentence.tags == ("I-PER", "O", "I-PER", "I-PER", "O", "I-LOC", "O")


def test_pos_has_no_scheme():
    corpus = piece("ewt-pos", "dev", 20)
    prepared = prepare(corpus, corpus, Recipe(task="pos", vectors="none"))
    assert prepared.scheme is None
    assert "NOUN" in prepared.vocabulary.tags
    assert not build_model(prepared, Recipe(task="pos", vectors="none")).config.constrained


def test_pretrained_vectors_reach_the_table(tmp_path):
    corpus = toy(tmp_path)
    recipe = Recipe()
    prepared = prepare(corpus, corpus, recipe)
    bundle = build_model(prepared, recipe)
    vocabulary = bundle.vocabulary
    assert bundle.config.architecture.word_dim == 100
    assert vocabulary.word("paris") >= vocabulary.num_trained  # training never saw it, the table has it
    bundle.model.eval()
    rows, vectors = prepared.vectors
    seen = (rows == vocabulary.word("she")).nonzero().item()
    output = bundle.model.words(torch.tensor([[vocabulary.word("she")]]))[0, 0]
    torch.testing.assert_close(output, vectors[seen].float())


def test_frozen_vectors_are_no_parameters(tmp_path):
    corpus = toy(tmp_path)
    recipe = Recipe(freeze_vectors=True)
    prepared = prepare(corpus, corpus, recipe)
    model = build_model(prepared, recipe).model
    vocabulary = prepared.vocabulary
    she = vocabulary.word("she")
    assert she >= vocabulary.num_trained == len(model.words.weight)
    rows, vectors = prepared.vectors
    output = model.words(torch.tensor([[she]]))[0, 0]
    torch.testing.assert_close(output, vectors[(rows == she).nonzero().item()].float())


def test_a_seed_decides_the_weights(tmp_path):
    corpus = toy(tmp_path)
    weights = [
        build_model(prepare(corpus, corpus, r), r).model.projection.weight
        for r in (
            Recipe(seed=1, vectors="none"),
            Recipe(seed=1, vectors="none"),
            Recipe(seed=2, vectors="none"),
        )
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_data_that_cannot_be_trained_on(tmp_path):
    (tmp_path / "o.tsv").write_text("a\tO\nb\tO\n\nc\tO\n")
    empty = read_corpus(tmp_path / "o.tsv", scheme="BIO")
    with pytest.raises(DataError, match=r"o.tsv: expected spans, found only the tag O"):
        prepare(empty, empty, Recipe(vectors="none"))
    untagged = read_corpus(tmp_path / "o.tsv", tagged=False)
    with pytest.raises(DataError, match="expected tagged sentences"):
        prepare(untagged, untagged, Recipe(vectors="none"))


def test_a_development_set_without_spans_cannot_select_an_epoch(tmp_path):
    (tmp_path / "o.tsv").write_text("a\tO\n")
    with pytest.raises(DataError, match=r"o.tsv: expected spans, found only the tag O"):
        prepare(toy(tmp_path), read_corpus(tmp_path / "o.tsv", scheme="BIO"), Recipe(vectors="none"))


def test_data_of_another_task():
    corpus = piece("ewt-pos", "dev", 5)
    with pytest.raises(
        DataError, match=r"dev.conllu: expected data for the task 'ner', found it read for 'pos'"
    ):
        prepare(corpus, corpus, Recipe())


def test_spans_that_a_scheme_cannot_write(tmp_path):
    (tmp_path / "t.tsv").write_text("a\tO\n\nb\tB-X\nc\tB-X\n")
    with pytest.raises(DataError, match=r"t.tsv: sentence 2: .*IO"):
        in_scheme(read_corpus(tmp_path / "t.tsv", scheme="BIO"), "IO")


def test_tables_side_by_side(tmp_path):
    (tmp_path / "a.txt").write_text("she 1 2\nOslo 3 4\nzebra 5 6\n")
    (tmp_path / "b.vec").write_text("2 1\nShe 7\nyak 8\n")
    corpus = toy(tmp_path)
    recipe = Recipe(vectors=[str(tmp_path / "a.txt"), str(tmp_path / "b.vec")])
    bundle = build_model(prepare(corpus, corpus, recipe), recipe)
    table, vocabulary = bundle.model.words.eval(), bundle.vocabulary
    assert bundle.config.architecture.word_dim == 3

    def vector(word):
        return table(torch.tensor([[vocabulary.word(word)]]))[0, 0].tolist()

    assert vector("She") == [1, 2, 7]
    assert vector("Oslo") == [3, 4, 0]
    assert [vector("zebra"), vector("yak")] == [[5, 6, 0], [0, 0, 8]]
    assert vocabulary.word("Oslo") < vocabulary.num_trained <= vocabulary.word("zebra")
    few = prepare(corpus, corpus, recipe.model_copy(update={"pretrained_words": 0})).vocabulary
    assert len(few.words) == few.num_trained


@pytest.mark.parametrize("number", [1e6, float("nan")])
def test_numbers_that_half_precision_cannot_hold(tmp_path, number):
    save_file({"vectors": torch.tensor([[0.5], [number]])}, tmp_path / "v.safetensors")
    (tmp_path / "words.txt").write_text("she\nzebra\n")
    corpus = toy(tmp_path)
    with pytest.raises(DataError, match="expected numbers that half precision can hold"):
        prepare(corpus, corpus, Recipe(vectors=str(tmp_path / "v.safetensors")))


def test_a_table_that_is_not_there_is_named_with_what_could_be():
    with pytest.raises(ConfigError, match="expected 'builtin', 'none' or a file, got 'bultin'"):
        _read_vectors(Recipe(vectors="bultin"))


def test_more_tags_or_words_than_a_model_may_have(tmp_path, monkeypatch):
    file = tmp_path / "many.tsv"
    file.write_text("".join(f"word\ttag{number}\n\n" for number in range(5_001)))
    corpus = read_corpus(file, task="pos")
    recipe = Recipe(task="pos", vectors="none")
    with pytest.raises(DataError, match=r"many.tsv: expected at most 5,000 tags in a model, found 5,001"):
        prepare(corpus, corpus, recipe)
    monkeypatch.setattr(setup, "MAX_WORDS", 5)
    corpus = toy(tmp_path)
    with pytest.raises(DataError, match=r"toy.tsv: expected at most 5 words in a model, found \d+"):
        prepare(corpus, corpus, Recipe(vectors="none"))

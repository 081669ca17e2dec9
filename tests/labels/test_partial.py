"""Partial labels, from the file to the trained tagger."""

import json

import numpy as np
import pytest
import torch

from chaincrf.data import Vocabulary, hold_out, read_corpus, write_shards
from chaincrf.data.batching import encode
from chaincrf.errors import DataError
from chaincrf.labels import UNKNOWN_TAG, completed, convert_tags, rewritten
from chaincrf.training import train
from chaincrf.training.setup import build_model, in_scheme, prepare
from cli.commands import SMALL as SMALL_OPTIONS
from cli.commands import run
from corpora import SMALL, toy, toy_file
from crf import oracle

COLUMNS = "Ann\tB-PER\nRay\tI-PER\nsaw\t?\nRome\t?\n.\tO\n\nOslo\tI-LOC\nis\tO\nfar\t?\n"


@pytest.fixture
def partial(tmp_path):
    (tmp_path / "partial.tsv").write_text(COLUMNS)
    return read_corpus(tmp_path / "partial.tsv", partial=True)


def test_marked_spans_are_whole_and_unknown_tags_stay_unknown():
    tags = ["?", "B-PER", "?", "B-LOC", "I-LOC", "O"]
    assert completed(tags) == ["O", "B-PER", "O", "B-LOC", "I-LOC", "O"]
    assert rewritten(tags, lambda known: convert_tags(known, "BIO", "BIOES")) == (
        *("?", "S-PER", "?", "B-LOC", "E-LOC", "O"),
    )


def test_columns_are_read_counted_and_repaired(partial):
    report = partial.report
    assert (report.unknown, dict(report.labels), report.repaired_moves) == (3, {"PER": 1, "LOC": 1}, 1)
    assert "the tags of 3 tokens are not known" in report.describe()
    assert [s.tags for s in partial.sentences] == [
        ("B-PER", "I-PER", "?", "?", "O"),
        ("B-LOC", "O", "?"),
    ]
    assert [s.tags for s in in_scheme(partial, "BIOES")] == [
        ("B-PER", "E-PER", "?", "?", "O"),
        ("S-LOC", "O", "?"),
    ]
    assert [part.report.unknown for part in hold_out(partial, 0.5)] == [2, 1]


def test_json_lines_say_what_is_outside_of_spans(tmp_path):
    record = {"text": "Ann Ray saw Rome .", "spans": [[0, 7, "PER"], [8, 11, "O"]]}
    (tmp_path / "partial.jsonl").write_text(json.dumps(record))
    corpus = read_corpus(tmp_path / "partial.jsonl", partial=True)
    assert corpus.sentences[0].tags == ("B-PER", "I-PER", "O", "?", "?")
    assert dict(corpus.report.labels) == {"PER": 1}


def test_parts_of_speech_may_have_a_tag_of_this_name(tmp_path):
    (tmp_path / "pos.tsv").write_text("Ann\tNOUN\nwho\tPRON\n?\t?\n")
    vocabularies = []
    for partial in (False, True):
        corpus = read_corpus(tmp_path / "pos.tsv", task="pos", partial=partial)
        assert corpus.report.unknown == partial
        assert (UNKNOWN_TAG in corpus.report.labels) is not partial
        sentences = in_scheme(corpus, None)
        vocabularies.append(Vocabulary.build(sentences, sorted(corpus.report.labels)))
        (tags,) = encode(sentences, vocabularies[-1], with_tags=True, partial=partial).tags or ()
        assert tags.tolist() == ([0, 1, -100] if partial else [1, 2, 0])


def test_the_loss_sums_over_what_is_not_known(partial, tmp_path):
    recipe = SMALL.model_copy(update={"scheme": "BIO"})
    prepared = prepare(partial, toy(tmp_path), recipe)
    model = build_model(prepared, recipe).model.double().eval()
    batch = prepared.train.batch(np.arange(2))
    for parameter in model.head.parameters():
        torch.nn.init.normal_(parameter)
    chain = model.head.chain(model.emissions(**batch.inputs), batch.mask)
    expected = [oracle.log_likelihood(chain, row, batch.tags) for row in range(2)]
    torch.testing.assert_close(model(**batch.inputs, tags=batch.tags), -torch.stack(expected).mean())


@pytest.mark.parametrize("head", ["crf", "softmax"])
def test_a_tagger_learns_from_them(tmp_path, head):
    lines, rng, hidden = [], np.random.default_rng(1), False
    for line in toy_file(tmp_path / "train.tsv", 8).read_text().splitlines():
        token, _, tag = line.partition("\t")
        hidden = hidden if tag.startswith("I-") else rng.random() < 0.4  # spans are hidden as a whole
        lines.append(f"{token}\t?" if token and hidden else line)
    (tmp_path / "train.tsv").write_text("\n".join(lines) + "\n")
    corpus = read_corpus(tmp_path / "train.tsv", partial=True)
    assert corpus.report.unknown > 50
    assert corpus.report.repaired_moves == 0
    tagger, record = train(corpus, toy(tmp_path), SMALL.model_copy(update={"head": head}))
    assert record.kept[""].score > 0.95
    assert [s.text for s in tagger.tag("Bob Ray left Oslo .").spans] == ["Bob Ray", "Oslo"]


def test_where_all_tags_must_be_known_it_is_said(partial, tmp_path):
    from chaincrf.compare import compare

    with pytest.raises(DataError, match=r"partial.tsv:3.* found '\?', which partial labels alone may hold"):
        read_corpus(tmp_path / "partial.tsv")
    with pytest.raises(DataError, match="development data with all tags known, found 3"):
        prepare(toy(tmp_path), partial, SMALL)
    complete = toy(tmp_path)
    for data in ((partial, complete, complete), (complete, complete, partial)):
        with pytest.raises(DataError, match=r"partial.tsv: expected data with all tags known"):
            compare(*data, SMALL)
    pytest.importorskip("pyarrow")
    with pytest.raises(DataError, match="shards hold no partial labels"):
        write_shards([partial], tmp_path / "shards")


def test_a_question_mark_is_a_tag_in_partial_labels_alone(tmp_path):
    (tmp_path / "notes.tsv").write_text("Ann\tB-PER\t?\nleft\tO\t?\n")
    assert read_corpus(tmp_path / "notes.tsv").sentences[0].tags == ("B-PER", "O")
    for name, separator in (("four.txt", " "), ("four.tsv", "\t")):
        rows = [row.replace(" ", separator) for row in ("a NN x O", "b NN x B-PER")]
        (tmp_path / name).write_text("\n".join(["# Who knows ?", *rows]) + "\n")
        for partial in (False, True):
            assert read_corpus(tmp_path / name, partial=partial).sentences[0].tokens == ("a", "b")
    (tmp_path / "hash.tsv").write_text("#\t?\nAnn\tB-PER\n")
    assert read_corpus(tmp_path / "hash.tsv", partial=True).sentences[0].tokens == ("#", "Ann")
    (tmp_path / "o.jsonl").write_text('{"text": "Ann left", "spans": [[4, 8, "O"]]}')
    with pytest.raises(DataError, match="found 'O', which partial labels alone may hold"):
        read_corpus(tmp_path / "o.jsonl")


def test_parts_of_speech_are_chosen_by_complete_data(tmp_path):
    (tmp_path / "pos.tsv").write_text("Ann\tNOUN\nwho\tPRON\nleft\t?\n")
    train, dev = (read_corpus(tmp_path / "pos.tsv", task="pos", partial=partial) for partial in (True, False))
    with pytest.raises(DataError, match="development data with all tags known, found 1"):
        prepare(train, dev, SMALL.model_copy(update={"task": "pos"}))


def test_the_command(tmp_path):
    (tmp_path / "train.tsv").write_text(COLUMNS)
    dev = toy_file(tmp_path / "dev.tsv")
    command = ["train", "--train", tmp_path / "train.tsv", "--out", tmp_path / "model", *SMALL_OPTIONS]
    assert "which partial labels alone may hold" in run(*command, "--dev", dev, status=1)[1]
    assert "say --dev FILE" in run(*command, "--partial", status=2)[1]
    assert "the tags of 3 tokens are not known" in run(*command, "--dev", dev, "--partial")[1]
    card = (tmp_path / "model.run" / "README.md").read_text()
    assert "The tags of 3 tokens of the train data were not known." in card


def test_the_same_file_read_otherwise_is_other_data(tmp_path):
    record = {"text": "Ann Ray saw Rome .", "spans": [[0, 7, "PER"]]}
    for split in ("train", "dev"):
        (tmp_path / f"{split}.jsonl").write_text(json.dumps(record))
    command = ["train", "--train", tmp_path / "train.jsonl", "--dev", tmp_path / "dev.jsonl"]
    command += ["--out", tmp_path / "model", *SMALL_OPTIONS]
    run(*command)
    assert "other data" in run(*command, "--partial", "--resume", status=1)[1]

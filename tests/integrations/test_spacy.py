import pytest

spacy = pytest.importorskip("spacy")

from spacy.tokens import DocBin, Span

from chaincrf.errors import ArgumentError, LabelError, ModelError
from chaincrf.integrations.spacy import corpus_from_docbin, make_component, sentences_from_doc
from chaincrf.labels import tags_to_spans

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
TEXTS = ["Ann saw Bob Ray in Rome.", "", "   ", "She went to New York. Bob Ray left Oslo.\n"]


@pytest.fixture
def nlp(model):
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.add_pipe("chaincrf", config={"model": str(model)})
    return nlp


def test_entities_with_probabilities(nlp, tagger):
    docs = list(nlp.pipe(TEXTS, batch_size=2))
    assert [[(e.text, e.label_) for e in doc.ents] for doc in docs] == [
        [("Ann", "PER"), ("Bob Ray", "PER"), ("Rome", "LOC")],
        [],
        [],
        [("New York", "LOC"), ("Bob Ray", "PER"), ("Oslo", "LOC")],
    ]
    found = [span.probability for span in tagger.tag([token.text for token in docs[0]]).spans]
    assert [entity._.probability for entity in docs[0].ents] == pytest.approx(found, abs=1e-5)
    assert all(0.5 < p <= 1 for p in found)
    alone = nlp(TEXTS[3])
    together = [entity._.probability for entity in docs[3].ents]
    assert [entity._.probability for entity in alone.ents] == pytest.approx(together, abs=1e-5)


def test_threshold(model):
    nlp = spacy.blank("en")
    nlp.add_pipe("chaincrf", config={"model": str(model), "threshold": 1.0})
    assert nlp(TEXTS[0]).ents == ()


def test_saved_with_the_pipeline(nlp, tmp_path):
    nlp.to_disk(tmp_path / "pipeline")
    config = tmp_path / "pipeline" / "config.cfg"
    config.write_text(config.read_text().replace(str(nlp.get_pipe("chaincrf").model), "no-such-folder"))
    again = spacy.load(tmp_path / "pipeline")
    assert [e.text for e in again(TEXTS[0]).ents] == [e.text for e in nlp(TEXTS[0]).ents]


def test_training_data_from_docbin(nlp, tmp_path):
    DocBin(docs=nlp.pipe(TEXTS)).to_disk(tmp_path / "train.spacy")
    corpus = corpus_from_docbin(tmp_path / "train.spacy")
    assert corpus.report.scheme == "BIO"
    assert corpus.report.labels == {"PER": 3, "LOC": 3}
    assert [sentence.tokens[0] for sentence in corpus.sentences] == ["Ann", "She", "Bob"]
    assert [s.label for s in tags_to_spans(corpus.sentences[0].tags, "BIO")] == ["PER", "PER", "LOC"]


def test_white_space_is_no_token():
    doc = spacy.blank("en")("Ann  left\n\nNew  York")
    doc.ents = [Span(doc, len(doc) - 3, len(doc), "LOC")]
    (sentence,) = sentences_from_doc(doc, "BIOES")
    assert sentence.tokens == ("Ann", "left", "New", "York")
    assert sentence.tags == ("O", "O", "B-LOC", "E-LOC")


def test_errors(tmp_path):
    with pytest.raises(ArgumentError, match="expected a model folder"):
        spacy.blank("en").add_pipe("chaincrf") and make_component(None, "x").tagger
    with pytest.raises(ModelError, match="missing"):
        make_component(None, "x", model=str(tmp_path)).tagger  # noqa: B018
    doc = spacy.blank("en")("Ann Ray . Bob")
    doc.ents = [Span(doc, 1, 4, "PER")]
    doc[3].is_sent_start = True
    with pytest.raises(LabelError, match="within a sentence"):
        sentences_from_doc(doc)

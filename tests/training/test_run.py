import json

from chaincrf import Tagger, train
from corpora import SMALL, toy


def test_train_save_load_tag(tmp_path):
    corpus = toy(tmp_path)
    tagger, record = train(corpus, corpus, SMALL)
    assert len(record.epochs) <= 12
    tagger.save(tmp_path / "model")
    again = Tagger.load(tmp_path / "model")
    tagged = again.tag("She went to New York .")
    assert [(span.label, span.text) for span in tagged.spans] == [("LOC", "New York")]
    training = json.loads((tmp_path / "model" / "config.json").read_text())["training"]
    assert training["recipe"]["hidden"] == 16
    assert training["data"]["train"]["sha256"] == corpus.report.sha256
    assert training["environment"]["torch"]

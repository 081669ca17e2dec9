from chaincrf.evaluation import evaluate_tags, invalid_sequences, measure, token_accuracy
from chaincrf.labels import REPAIRS

GOLD = [("B-X", "I-X", "O"), ("O", "B-Y", "O")]
SAID = [("B-X", "I-Y", "O"), ("O", "I-Y", "O")]


def test_spans():
    found = measure(GOLD, SAID, "BIO")
    assert found.scores == {repair: evaluate_tags(GOLD, SAID, "BIO", repair).overall.f1 for repair in REPAIRS}
    assert found.accuracy == token_accuracy(GOLD, SAID)
    assert found.invalid == invalid_sequences(SAID, "BIO")
    assert list(found.per_label) == ["X", "Y"]
    assert found.per_label["Y"].predicted == 2


def test_plain_tags():
    found = measure([("A", "B")], [("A", "A")], None)
    assert found.scores == {"accuracy": 0.5}
    assert found.invalid is None
    assert found.per_label["A"].predicted == 2

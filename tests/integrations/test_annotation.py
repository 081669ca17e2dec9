import json

import pytest

from chaincrf.errors import ArgumentError, DataError
from chaincrf.integrations.annotation import preannotate, read_annotations, write_annotations

pytestmark = pytest.mark.slow  # it trains a tagger
TEXT = "Ann saw Bob Ray. She left New York."
SPANS = [(0, 3, "PER"), (8, 15, "PER"), (26, 34, "LOC")]


def label_studio(spans, **more):
    result = [
        {"type": "labels", "from_name": "label", "value": {"start": s, "end": e, "labels": [x]}}
        for s, e, x in spans
    ]
    return {"id": 1, "data": {"text": TEXT}, "annotations": [{"result": result, **more}]}


EXPORTS = {
    "label-studio": lambda spans: json.dumps([label_studio(spans)]),
    "label-studio min": lambda spans: json.dumps(
        [{"text": TEXT, "label": [{"start": s, "end": e, "labels": [x]} for s, e, x in spans]}]
    ),
    "doccano": lambda spans: json.dumps({"text": TEXT, "label": [list(span) for span in spans]}),
    "doccano relations": lambda spans: json.dumps(
        {"text": TEXT, "entities": [{"label": x, "start_offset": s, "end_offset": e} for s, e, x in spans]}
    ),
    "prodigy": lambda spans: json.dumps(
        {"text": TEXT, "spans": [{"start": s, "end": e, "label": x} for s, e, x in spans], "answer": "accept"}
    ),
}


@pytest.mark.parametrize("kind", EXPORTS)
def test_every_export(tmp_path, kind):
    file = tmp_path / "export"
    file.write_text(EXPORTS[kind](SPANS) + "\n", encoding="utf-8")
    annotated = read_annotations(file)
    assert annotated.corpus.report.format == kind.split()[0]
    assert annotated.misfits == ()
    assert [(s.tokens, s.tags) for s in annotated.corpus.sentences] == [
        (("Ann", "saw", "Bob", "Ray", "."), ("B-PER", "O", "B-PER", "I-PER", "O")),
        (("She", "left", "New", "York", "."), ("O", "O", "B-LOC", "I-LOC", "O")),
    ]


def test_misfits_are_reported(tmp_path):
    file = tmp_path / "export.jsonl"
    spans = [(0, 3, "PER"), (7, 11, "LOC"), (8, 15, "PER"), (25, 34, "LOC")]  # blanks do not matter
    file.write_text(EXPORTS["doccano"](spans), encoding="utf-8")
    annotated = read_annotations(file)
    assert [(m.task, m.text, m.tokens, m.reason) for m in annotated.misfits] == [
        (1, "Bob Ray", ("Bob", "Ray"), "overlap")
    ]
    assert [s.tokens[0] for s in annotated.corpus.sentences] == ["She"]
    file.write_text(EXPORTS["doccano"]([(9, 15, "PER"), (26, 34, "LOC")]), encoding="utf-8")
    widened = read_annotations(file, misfits="widen")
    (misfit,) = widened.misfits
    assert (misfit.task, misfit.text, misfit.tokens, misfit.reason) == (
        1,
        "ob Ray",
        ("Bob", "Ray"),
        "borders",
    )
    assert "task 1: PER 'ob Ray' (9, 15): borders" in str(misfit)
    assert widened.corpus.sentences[0].tags == ("O", "O", "B-PER", "I-PER", "O")


def test_a_span_keeps_its_sentence_whole(tmp_path):
    file = tmp_path / "export.jsonl"
    file.write_text(EXPORTS["doccano"]([(8, 20, "PER")]), encoding="utf-8")
    (sentence,) = read_annotations(file).corpus.sentences
    assert len(sentence) == 10


def test_what_was_not_accepted_is_skipped(tmp_path):
    file = tmp_path / "export.json"
    empty = {"data": {"text": TEXT}, "annotations": []}
    rejected = [label_studio(SPANS), label_studio([], was_cancelled=True), empty]
    file.write_text(json.dumps(rejected), encoding="utf-8")
    annotated = read_annotations(file)
    assert (len(annotated.corpus.sentences), annotated.skipped) == (2, 2)
    lines = [{"text": TEXT, "spans": [], "answer": answer} for answer in ("accept", "reject", "ignore")]
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    assert read_annotations(file).skipped == 2


@pytest.mark.parametrize("tool", ["label-studio", "doccano", "prodigy"])
def test_there_and_back(tagger, tmp_path, tool):
    texts = ["Ann saw Bob Ray in Rome.", "It rained."]
    file = tmp_path / "tasks.json"
    assert write_annotations(tagger, texts, file, tool) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["tasks.json"]
    content = file.read_text(encoding="utf-8")
    if tool == "label-studio":  # annotators accept the predictions
        tasks = json.loads(content)
        result = tasks[0]["predictions"][0]["result"]
        assert all(0 < one["score"] <= 1 for one in result)
        for task in tasks:
            task["annotations"] = task.pop("predictions")
        file.write_text(json.dumps(tasks), encoding="utf-8")
    corpus = read_annotations(file, tool).corpus
    assert [list(s.tags) for s in corpus.sentences] == [
        ["B-PER", "O", "B-PER", "I-PER", "O", "B-LOC", "O"],
        ["O", "O", "O"],
    ]


def test_prodigy_tokens_are_inclusive(tagger):
    task = preannotate(tagger.tag("Ann saw Bob Ray in Rome."), "prodigy")
    for span in task["spans"]:
        first, last = task["tokens"][span["token_start"]], task["tokens"][span["token_end"]]
        assert (first["start"], last["end"]) == (span["start"], span["end"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"export:1: expected JSON"),
        ('{"text": "a"}\n', "expected an export of label-studio, doccano, prodigy, .* the keys text"),
        (
            '{"text": "a", "label": [[0, 9, "X"]]}',
            r"export:1: .* of doccano, found one with the span",
        ),
        ('{"text": "a", "label": [[0]]}', r"export:1: expected a task of doccano"),
        ('[{"data": {}, "annotations": [{"result": []}]}]', r"export:1: .* no 'text'"),
        ("", "found tasks with the keys none"),
    ],
)
def test_malformed(tmp_path, content, message):
    file = tmp_path / "export"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_annotations(file)


def test_wrong_arguments(tmp_path, tagger, unchecked):
    file = tmp_path / "export"
    file.write_text(EXPORTS["doccano"](SPANS), encoding="utf-8")
    with pytest.raises(ArgumentError, match="misfits: expected skip or widen"):
        read_annotations(file, misfits="guess")
    with pytest.raises(ArgumentError, match="tool: expected one of"):
        read_annotations(file, "brat")
    with pytest.raises(ArgumentError, match="tool: expected one of"):
        write_annotations(tagger, ["a"], file, "brat")
    with pytest.raises(DataError, match="expected a readable file"):
        read_annotations(tmp_path / "none")

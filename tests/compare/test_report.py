import io
import json
import unicodedata
from pathlib import Path

import pytest
from rich.console import Console

from chaincrf.compare import page
from chaincrf.compare.report import markdown_report, read_report, table, text_report, write_report
from chaincrf.compare.verdict import verdict
from chaincrf.errors import DataError

from .examples import GAIN, NER_EXAMPLE, make_comparison

ONE = {name: {repair: values[:1] for repair, values in scores.items()} for name, scores in GAIN.items()}
CASES = pytest.mark.parametrize(
    "comparison",
    [make_comparison(), make_comparison(ONE), make_comparison(task="pos")],
    ids=["ner", "one seed", "pos"],
)


def printed(comparison, width=100):
    stream = io.StringIO()
    Console(file=stream, width=width, no_color=True, _environ={}).print(table(comparison))
    return stream.getvalue()


@CASES
def test_table_has_the_numbers_of_the_comparison(comparison):
    lines = printed(comparison).splitlines()
    for variant in comparison.variants:
        (line,) = [line for line in lines if line.startswith(f"{variant.title}  ")]
        for repair in comparison.repairs:
            deviation = variant.deviation(repair)
            tail = "" if deviation is None else f"±{100 * deviation:.1f}"
            assert f" {100 * variant.mean(repair):.1f}{tail} " in line


@pytest.mark.parametrize("render", [printed, text_report])
@CASES
def test_terminal_text_is_plain_and_fits_100_columns(render, comparison):
    text = render(comparison)
    assert max(map(len, text.splitlines())) <= 100
    assert not [c for c in text if c != "\n" and unicodedata.category(c).startswith("C")]
    assert set(text) <= set(map(chr, range(128))) | {"±"}


def test_table_keeps_every_digit_when_narrow():
    lines = [line.split() for line in printed(make_comparison(), width=80).splitlines()]
    (row,) = [line for line in lines if line[:1] == ["CRF"]]
    assert row == ["CRF", "79.7±0.3", "79.8±0.3", "79.8±0.3", "0.7±0.1", "63.0±1.0", "79.0±0.2", "400±0"]


@CASES
def test_text_report_says_verdict_figures_differences_and_data(comparison):
    text = text_report(comparison)
    assert verdict(comparison) in " ".join(text.split())
    assert "crf - softmax" in text
    assert "train: corpora/ncbi-disease/train.conll, 2,500 sentences, 62,500 tokens" in text


def test_text_report_of_one_variant_has_no_differences():
    text = text_report(make_comparison({"crf": GAIN["crf"]}))
    assert "exploratory" not in text
    assert "No verdict" in text


def test_markup_in_names_is_text():
    comparison = make_comparison()
    variant = comparison.variants[0].model_copy(update={"title": "[red]soft[/red] | max"})
    comparison = comparison.model_copy(update={"variants": [variant, *comparison.variants[1:]]})
    assert "[red]soft[/red] | max" in " ".join(text_report(comparison).split())
    assert "| [red]soft[/red] \\| max |" in markdown_report(comparison)


@CASES
def test_markdown_tables_are_regular(comparison):
    lines = markdown_report(comparison).splitlines()
    assert verdict(comparison) in lines
    tables = "\n".join(line if line.startswith("|") else "" for line in lines).split("\n\n")
    tables = [block.strip().splitlines() for block in tables if block.strip()]
    assert len(tables) == 2
    for rows in tables:
        assert len({row.count("|") for row in rows}) == 1
        assert set(rows[1]) <= set("|-: ")


@CASES
def test_report_json_round_trip(comparison, tmp_path):
    returned = write_report(comparison, tmp_path / "new" / "folder")
    assert returned == tmp_path / "new" / "folder" / "report.html"
    assert sorted(p.name for p in returned.parent.iterdir()) == ["report.html", "report.json", "report.md"]
    assert read_report(returned.parent) == comparison
    assert read_report(returned.with_name("report.json")) == comparison
    assert read_report(returned.with_name("report.json")).repairs[0] == comparison.repairs[0]


def test_report_json_is_sorted_and_readable(tmp_path):
    example = {**NER_EXAMPLE, "tokens": ["Zürich", *NER_EXAMPLE["tokens"][1:]]}
    write_report(make_comparison(example=[example]), tmp_path)
    text = (tmp_path / "report.json").read_text(encoding="utf-8")
    keys = [key for key, _ in json.loads(text, object_pairs_hook=list)]
    assert keys == sorted(keys)
    assert "Zürich" in text
    assert text.count("\n") > 100


def test_a_lone_surrogate_in_the_data_loses_no_report(tmp_path):
    example = {**NER_EXAMPLE, "tokens": ["\ud800", *NER_EXAMPLE["tokens"][1:]]}
    comparison = make_comparison(example=[example])
    write_report(comparison, tmp_path)
    assert read_report(tmp_path) == comparison


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1,\n "b": }', r"report.json:2:7: expected JSON"),
        (b"", r"report.json:1:1: expected JSON"),
        (b"\xff\xfe", r"report.json: expected UTF-8, .* at byte 0"),
        (b"[1, 2]", r"report.json: expected the report of a comparison, but the file:"),
        (b'{"format_version": 1}', r"report.json: expected the report of a comparison, but format_version:"),
    ],
)
def test_a_damaged_report_is_refused_by_name(tmp_path, content, message):
    (tmp_path / "report.json").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_report(tmp_path)


def test_a_missing_report_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match=r"nowhere.json: expected a report.json, No such file"):
        read_report(tmp_path / "nowhere.json")


def test_writing_is_atomic(tmp_path, monkeypatch):
    write_report(make_comparison(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    seen = []

    def fail(self, target):
        seen.append((self.parent, Path(target).read_bytes()))
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(make_comparison(ONE), tmp_path)
    assert seen == [(tmp_path, before["report.json"])]  # the new file lay complete beside the old one
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_figures_are_saved_before_anything_is_drawn(tmp_path, monkeypatch):
    def fail(comparison):
        raise RuntimeError("no picture")

    monkeypatch.setattr(page, "html_report", fail)
    with pytest.raises(RuntimeError, match="no picture"):
        write_report(make_comparison(), tmp_path)
    assert read_report(tmp_path) == make_comparison()


def test_files_are_as_readable_as_any_other(tmp_path):
    (tmp_path / "plain").touch()
    write_report(make_comparison(task="pos"), tmp_path)
    assert len({path.stat().st_mode for path in tmp_path.iterdir()}) == 1

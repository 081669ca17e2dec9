"""The page across corpora: what it says follows from the reports beside it."""

import math
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from chaincrf.compare.report import write_report
from compare.examples import GAIN, make_comparison

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
from results_page import Point, leave_one_out, write_index

sys.path.pop(0)


def points(*rows):
    return [Point(str(i), family, effect, {"x": x}) for i, (family, effect, x) in enumerate(rows)]


def test_a_perfect_predictor_is_found():
    rows = points(("a", 1.0, 0.1), ("b", 2.0, 0.2), ("c", 3.0, 0.3), ("d", 4.0, 0.4))
    predictions, correlation = leave_one_out(rows, "x")
    assert predictions == pytest.approx([1, 2, 3, 4])
    assert correlation == pytest.approx(1)


def test_related_corpora_are_left_out_together():
    rows = points(("a", 1.0, 0.1), ("a", 1.0, 0.1), ("b", 5.0, 0.9), ("c", 5.0, 0.9))
    predictions, _ = leave_one_out(rows, "x")
    assert predictions[:2] == [5, 5]  # its twin does not tell


def test_a_figure_that_does_not_vary_has_no_correlation():
    rows = points(("a", 1.0, 0.1), ("b", 1.0, 0.1), ("c", 1.0, 0.1))
    assert math.isnan(leave_one_out(rows, "x")[1])


def test_the_page_is_made_of_the_reports(tmp_path):
    five = {n: {r: [*v, v[0] + 0.001, v[1] - 0.001] for r, v in t.items()} for n, t in GAIN.items()}
    for name in ("ncbi-disease", "wnut17", "uner-danish"):
        write_report(make_comparison(five), tmp_path / name)
    write_report(make_comparison(task="pos"), tmp_path / "ewt-pos")
    text = write_index(tmp_path).read_text()
    assert text.count("](wnut17/report.html)") == 1
    assert "On 3 of 3 corpora of named entities a CRF scores significantly above a greedy softmax" in text
    gain = make_comparison(five).effect("crf", "softmax").mean
    assert f"(below on 0), by {gain:+.1f} F1" in " ".join(text.split())
    assert "3 corpora, 3 families" in text
    assert "[ewt-pos](ewt-pos/report.html)" in text
    assert "somebody & others" in text
    picture = (tmp_path / "effects.svg").read_text()
    ElementTree.fromstring(picture)
    assert "](effects.svg)" in text
    assert picture.count("<circle") == 4 + 3 * 4 + 1  # a legend, three corpora of spans, one of tags


def test_one_seed_has_no_interval_to_draw(tmp_path):
    one = {name: {repair: values[:1] for repair, values in table.items()} for name, table in GAIN.items()}
    write_report(make_comparison(one), tmp_path / "wnut17")
    write_index(tmp_path)
    assert (tmp_path / "effects.svg").read_text().count("<circle") == 4


def test_without_reports_nothing_is_said(tmp_path):
    assert "No report is here yet" in write_index(tmp_path).read_text()

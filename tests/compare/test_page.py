import re
from html.parser import HTMLParser
from statistics import stdev

import pytest

from chaincrf.compare.page import html_report
from chaincrf.compare.verdict import plus_minus, signed, verdict

from .examples import GAIN, NER_EXAMPLE, make_comparison

VOID = {"meta", "br", "link", "img", "input", "hr"}
ONE = {name: {repair: values[:1] for repair, values in scores.items()} for name, scores in GAIN.items()}
CASES = {
    "ner": make_comparison(example=[NER_EXAMPLE] * 6),
    "one seed": make_comparison(ONE),
    "pos": make_comparison(task="pos"),
    "one variant": make_comparison({"crf": GAIN["crf"]}, example=[]),
}


class Page(HTMLParser):
    """Text, elements and table rows of a page that must be well-formed."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.text = [], [], []
        self.rows = []
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute twice in <{tag}>"
        self.elements.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> without <{tag}>"
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        if not {"style", "title"} & set(self.open):
            self.text.append(data)
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    def row(self, *start):
        """The first row that begins so."""
        clean = [[" ".join(cell.split()) for cell in row] for row in self.rows]
        return next(row for row in clean if tuple(row[: len(start)]) == start)

    @property
    def words(self):
        return " ".join("".join(self.text).split())


@pytest.fixture(scope="module")
def pages():
    return {name: html_report(comparison) for name, comparison in CASES.items()}


@pytest.mark.parametrize("name", CASES)
def test_page_is_well_formed_and_has_unique_ids(pages, name):
    page = Page(pages[name])
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    used = {
        target
        for _, attributes in page.elements
        for value in attributes.values()
        for target in re.findall(r"^#(\S+)|url\(#([^)]+)\)", value or "")
    }
    assert {one or other for one, other in used} <= set(ids)


@pytest.mark.parametrize("name", CASES)
def test_page_loads_nothing(pages, name):
    page = Page(pages[name])
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "img", "object", "embed", "base", "form"}
    for _, attributes in page.elements:
        for attribute in ("src", "href", "xlink:href", "srcset", "action", "data"):
            assert (attributes.get(attribute) or "#").startswith("#")
        assert not any(attribute.startswith("on") for attribute in attributes)
    assert "@import" not in pages[name]
    assert not re.search(r"url\((?!#)", pages[name])


@pytest.mark.parametrize("name", CASES)
def test_page_is_accessible(pages, name):
    page = Page(pages[name])
    count = {
        tag: sum(tag == other for other, _ in page.elements) for tag in ("table", "caption", "h1", "main")
    }
    assert count["h1"] == count["main"] == 1
    assert ("html", {"lang": "en"}) in page.elements
    for tag, attributes in page.elements:
        if tag == "th":
            assert attributes["scope"] in ("row", "col", "rowgroup")
        if tag == "svg":
            assert attributes["role"] == "img"
            assert re.search(r"\d", attributes["aria-label"])
        if attributes.get("role") == "region":
            assert attributes["aria-label"]
            assert attributes["tabindex"] == "0"
    assert count["caption"] == count["table"] > 0


@pytest.mark.parametrize("name", CASES)
def test_page_begins_with_the_question_and_the_verdict(pages, name):
    words = Page(pages[name]).words
    assert words.startswith(f"Does a CRF layer pay on this data? {verdict(CASES[name])}")


def test_page_has_the_numbers_of_the_comparison(pages):
    page, comparison = Page(pages["ner"]), CASES["ner"]
    for variant in comparison.variants:
        cells = page.row(f"{variant.title}{variant.description}")[1:4]
        assert cells == [
            f"{100 * variant.mean(repair):.1f} ± {100 * stdev(variant.values(repair)):.1f}"
            for repair in ("conlleval", "drop", "strict")
        ]
        for run in variant.runs:
            row = page.row(variant.title, str(run.seed))
            assert row[2:5] == [
                f"{100 * run.test_scores[name]:.1f}" for name in ("conlleval", "drop", "strict")
            ]
            assert row[5:] == [
                f"{100 * run.dev_score:.1f}",
                f"{run.invalid_sentences}",
                f"{run.invalid_moves}",
                f"{run.epochs}",
                f"{run.best_epoch}",
                f"{run.train_seconds:.1f}",
                f"{run.train_tokens_per_second:,.0f}",
                f"{run.tag_tokens_per_second:,.0f}",
            ]
    effect = comparison.effect("crf", "softmax")
    low, high = signed(effect.low), signed(effect.high)
    assert page.row("CRFminus softmax, greedy")[1:3] == [f"+4.6{low} to {high}", "–"]
    assert "exploratory" in page.row("CRF, constrainedminus softmax, constrained; exploratory")[0]


def test_page_has_measures_slices_moves_and_how_to_measure_again(pages):
    page = Page(pages["ner"])
    assert page.row("CRF, constrained", "79.9 ± 0.4")[5] == "–"  # a gold sequence is impossible for it
    assert page.row("seen")[1:3] == ["60", "83.3"]
    assert page.row("softmax, greedy", "O I-<b> 260.0")
    assert page.row("ambiguoustokens whose type has more than one tag")[1] == "0.250"
    assert "Learned scores of moves" in pages["ner"]
    assert "chaincrf compare --corpus <x>" in page.words
    assert "somebody & others, CC BY 4.0" in page.words


def test_a_p_is_shown_with_five_seeds_for_declared_contrasts_alone():
    five = {n: {r: [*v, v[0] + 0.001, v[1] - 0.001] for r, v in t.items()} for n, t in GAIN.items()}
    comparison = make_comparison(five)
    page = Page(html_report(comparison))
    assert page.row("CRFminus softmax, greedy")[2].startswith("<")
    assert page.row("CRF, constrainedminus softmax, constrained; exploratory")[2].startswith("(")
    assert plus_minus(comparison.effect("crf", "softmax"), absolute=True) in page.words


def test_labels_are_ranked_by_support_with_mean_f1(pages):
    page, comparison = Page(pages["ner"]), CASES["ner"]
    f1 = [
        sum(100 * 2 * run.labels[0].correct / 1000 for run in variant.runs) / 3
        for variant in comparison.variants
    ]
    assert page.row("Disease") == ["Disease", "500", *(f"{value:.1f}" for value in f1)]
    assert pages["ner"].index(">Disease<") < pages["ner"].index("Gene &amp; &lt;i&gt;protein&lt;/i&gt;")


def test_a_label_never_predicted_nor_seen_has_f1_zero():
    comparison = make_comparison({"crf": GAIN["crf"]})
    runs = comparison.variants[0].runs
    ghost = runs[0].labels[0].model_copy(update={"label": "Ghost", "correct": 0, "predicted": 0, "gold": 0})
    runs = [runs[0].model_copy(update={"labels": [ghost]}), *runs[1:]]
    variant = comparison.variants[0].model_copy(update={"runs": runs})
    page = Page(html_report(comparison.model_copy(update={"variants": [variant]})))
    assert page.row("Ghost") == ["Ghost", "0", "0.0"]


def test_text_from_the_data_is_escaped(pages):
    for html in pages.values():
        assert "<script" not in html
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in pages["ner"]
    assert "<script>alert('x')</script> gene in ovarian" in Page(pages["ner"]).words
    assert "&lt;b&gt;" in pages["pos"]
    evil = '"><script>x</script>'
    comparison = make_comparison(task="pos", labels=(evil,))
    part = comparison.corpus[0].model_copy(update={"path": evil})
    variant = comparison.variants[0].model_copy(update={"title": evil, "description": evil})
    comparison = comparison.model_copy(
        update={
            "corpus": [part],
            "variants": [variant, *comparison.variants[1:]],
            "recipe": {evil: evil},
            "environment": {evil: evil},
            "tags": [evil],
        }
    )
    html = html_report(comparison)
    assert "<script" not in html
    assert Page(html).words.count(evil) >= 8


def test_examples_mark_what_is_wrong_and_what_is_forbidden(pages):
    page = Page(pages["ner"])
    assert page.row("gene")[1:3] == ["O", "✗ forbidden move to O"]
    assert page.row("cancer") == [
        "cancer",
        "E-Disease",
        "I-Disease (not gold)",
        "E-Disease",
        "S-Disease (not gold)",
        "E-Disease",
    ]
    with pytest.raises(StopIteration):
        page.row("Loss")  # nobody tags it
    assert "2 more" in page.words


def test_a_forbidden_end_of_the_sentence_is_shown():
    example = {
        "tokens": ["ovarian", "cancer"],
        "gold": ["B-Disease", "E-Disease"],
        "tags": {"softmax": ["B-Disease", "I-Disease"], "crf": ["B-Disease", "E-Disease"]},
        "invalid": {"softmax": [2], "crf": []},
    }
    page = Page(html_report(make_comparison(example=[example])))
    assert page.row("end of sentence") == ["end of sentence", "", "✗ forbidden move to", ""]


def test_pos_examples_show_only_what_is_wrong(pages):
    page = Page(pages["pos"])
    assert page.row("saw") == ["saw", "VERB", "NOUN (not gold)", "VERB"]
    assert page.row("duck") == ["duck", "VERB", "NOUN (not gold)", "NOUN (not gold)"]
    with pytest.raises(StopIteration):
        page.row("They")


def test_pos_page_speaks_of_accuracy_and_not_of_spans(pages):
    page = Page(pages["pos"])
    assert "invalid sentences %" not in page.words
    assert "Constrained decoding" not in page.words
    assert page.row("softmax, greedythe variant softmax")[1] == "90.5 ± 0.1"


def test_page_tells_the_data_the_configuration_and_the_machine(pages):
    page = Page(pages["ner"])
    assert page.row("train")[2:] == ["2,500", "62,500", "2,500", "3"]
    assert "c" * 64 in page.words
    assert page.row("dropout") == ["dropout", "0.5"]
    assert page.row("vectors") == ["vectors", "null"]
    assert page.row("extra") == ["extra", '{"a": [1, 2]}']
    assert page.row("machine") == ["machine", "x86_64, 2 cores"]
    assert "2026-05-04 10:11 UTC with chaincrf 0.1.0" in page.words

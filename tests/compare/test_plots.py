import re
import subprocess
import sys
from xml.etree import ElementTree

import matplotlib
import pytest

from chaincrf.compare.charts import charts, heat_map
from chaincrf.compare.plots import save_png, svg_pictures
from chaincrf.compare.summary import difference_rows

from .examples import GAIN, make_comparison


def seeds_of(count):
    """The made-up gain over any number of seeds."""
    return {
        name: {repair: [values[i % 3] + i / 1e4 for i in range(count)] for repair, values in table.items()}
        for name, table in GAIN.items()
    }


CASES = {
    "ner": make_comparison(),
    "one seed": make_comparison(seeds_of(1)),
    "twenty seeds": make_comparison(seeds_of(20)),
    "pos": make_comparison(task="pos"),
    "one variant": make_comparison({"crf": GAIN["crf"]}),
    "no spread": make_comparison({name: {key: [0.5, 0.5] for key in GAIN["crf"]} for name in GAIN}),
}


def declared(comparison):
    return [item for row in difference_rows(comparison) if row[0].declared for item in row]


def test_charts_and_heat_map():
    comparison = CASES["ner"]
    cost, reliability = charts(comparison)
    assert "CRF, constrained 60.0 s, 79.9" in cost.alternative
    assert {"softmax", "crf-constrained"} <= set(texts(cost.svg))
    assert "softmax, greedy 5.0" in reliability.alternative
    drawn = heat_map(comparison)
    assert drawn is not None
    assert texts(drawn.svg).count("×") == sum(not x for row in comparison.transitions.allowed for x in row)
    assert "B-Disease" in texts(drawn.svg)
    assert heat_map(CASES["pos"]) is None
    assert [chart.name for chart in charts(CASES["one variant"])] == ["reliability"]


@pytest.fixture(scope="module")
def pictures():
    return {name: svg_pictures(comparison) for name, comparison in CASES.items()}


def texts(svg):
    return [
        "".join(element.itertext())
        for element in ElementTree.fromstring(svg).iter()
        if element.tag.endswith("text")
    ]


def test_panels(pictures):
    names = {name: [picture.name for picture in panels] for name, panels in pictures.items()}
    assert names["ner"] == names["twenty seeds"] == ["conlleval", "drop", "invalid", "differences"]
    assert names["pos"] == ["accuracy", "differences"]
    assert names["one variant"] == ["conlleval", "drop", "invalid"]


@pytest.mark.parametrize("name", CASES)
def test_panels_show_the_means_of_the_comparison(pictures, name):
    comparison = CASES[name]
    for picture in pictures[name]:
        shown = texts(picture.svg)
        assert picture.title in shown
        if picture.name in comparison.repairs:
            means = [f"{100 * variant.mean(picture.name):.1f}" for variant in comparison.variants]
            assert [text for text in shown if text in means][-len(means) :] == means
            for variant, mean in zip(comparison.variants, means, strict=True):
                assert f"{variant.title} {mean}" in picture.alternative
        if picture.name == "differences":
            for item in declared(comparison):
                text = f"{item.mean:+.1f}".replace("-", "\N{MINUS SIGN}")
                assert text in shown or abs(item.mean) < 0.05


@pytest.mark.parametrize("name", CASES)
def test_one_dot_a_run(pictures, name):
    comparison = CASES[name]
    runs = sum(len(variant.runs) for variant in comparison.variants)
    pairs = sum(len(item.differences) for item in declared(comparison))
    for picture in pictures[name]:
        markers = re.findall(r'<use [^>]*xlink:href="#[^"]+"', picture.svg)
        assert len(markers) == (pairs if picture.name == "differences" else runs)


@pytest.mark.parametrize("name", CASES)
def test_svg_stands_in_any_page(pictures, name):
    everything = "".join(picture.svg for picture in pictures[name])
    ids = re.findall(r'\bid="([^"]+)"', everything)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:url\(|href=")#([^)"]+)', everything)) <= set(ids)
    assert "<style" not in everything
    assert "font-family: " not in everything
    assert "currentColor" in everything
    assert "#000000" not in everything
    for picture in pictures[name]:
        root = ElementTree.fromstring(picture.svg)
        assert root.get("role") == "img"
        assert root.get("aria-label") == f"{picture.title}. {picture.alternative}"
        assert root.get("width") is None
        assert len(root.attrib["viewBox"].split()) == 4


def test_the_two_readings_share_one_scale(pictures):
    repaired, dropped = pictures["ner"][:2]
    ticks = [
        [text for text in texts(svg) if re.fullmatch(r"\d+", text)] for svg in (repaired.svg, dropped.svg)
    ]
    assert ticks[0] == ticks[1] != []


def test_drawing_is_repeatable_and_ignores_the_users_style(pictures):
    before = dict(matplotlib.rcParams)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path"}):
        assert svg_pictures(CASES["ner"]) == pictures["ner"]
        assert matplotlib.rcParams["font.size"] == 30
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(("name", "rows"), [("ner", 2), ("pos", 1), ("one variant", 2), ("twenty seeds", 2)])
def test_save_png(tmp_path, name, rows):
    path = tmp_path / "picture.png"
    save_png(CASES[name], path, dpi=50)
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG")
    width, height = (int.from_bytes(content[place : place + 4], "big") for place in (16, 20))
    assert (width, height) == (450, 170 * rows)


def test_matplotlib_is_loaded_late_and_pyplot_never(tmp_path):
    path = tmp_path / "report.json"
    path.write_text(CASES["ner"].model_dump_json(), encoding="utf-8")
    code = (
        "import sys, lightning_fabric\n"  # which loads torchmetrics, if that is there, and that loads both
        "others = set(sys.modules)\n"
        "import chaincrf.compare.plots as plots, chaincrf.compare.page\n"
        "from chaincrf.compare.report import read_report\n"
        "assert not {'matplotlib', 'jinja2'} & (set(sys.modules) - others)\n"
        "import matplotlib\n"
        "comparison = read_report(sys.argv[1])\n"
        "before = dict.__getitem__(matplotlib.rcParams, 'backend')\n"
        "plots.svg_pictures(comparison); plots.save_png(comparison, sys.argv[1] + '.png')\n"
        "assert 'matplotlib.pyplot' not in set(sys.modules) - others\n"
        "assert dict.__getitem__(matplotlib.rcParams, 'backend') is before\n"
    )
    subprocess.run([sys.executable, "-c", code, path], check=True)

from statistics import fmean, stdev

from chaincrf.compare.summary import (
    difference_cell,
    difference_rows,
    difference_titles,
    note,
    score_columns,
    summary_cells,
    summary_columns,
)
from chaincrf.compare.verdict import plus_minus

from .examples import GAIN, make_comparison


def cells_of(comparison):
    columns = summary_columns(comparison)
    titles = [column.title for column in columns]
    return {
        variant.name: dict(zip(titles, summary_cells(comparison, variant, columns), strict=True))
        for variant in comparison.variants
    }


def test_cells_are_mean_and_deviation_of_the_comparison():
    comparison = make_comparison()
    cells = cells_of(comparison)
    for variant in comparison.variants:
        for repair, title in (("conlleval", "repaired"), ("drop", "dropped"), ("strict", "strict")):
            expected = f"{100 * variant.mean(repair):.1f} ± {100 * stdev(variant.values(repair)):.1f}"
            assert cells[variant.name][f"F1 {title}"] == expected
        rates = [100 * run.invalid_sentences / run.sentences for run in variant.runs]
        assert cells[variant.name]["invalid sentences %"] == f"{fmean(rates):.1f} ± {stdev(rates):.1f}"
        speeds = [run.tag_tokens_per_second / 1000 for run in variant.runs]
        assert cells[variant.name]["tagging, 1000 tokens/s"] == f"{fmean(speeds):.1f} ± {stdev(speeds):.1f}"
    assert cells["crf"]["training s"] == "63.0 ± 1.0"


def test_training_of_both_softmax_decoders_is_told_once():
    comparison = make_comparison()
    cells = cells_of(comparison)
    assert cells["softmax"]["training s"] == "47.0 ± 1.0"
    assert cells["softmax-constrained"]["training s"] == "same"
    assert note(comparison) == (
        "Mean ± standard deviation over 3 seeds. Both softmax rows are one training, decoded in two ways."
    )
    alone = make_comparison({"softmax-constrained": GAIN["softmax-constrained"]})
    assert cells_of(alone)["softmax-constrained"]["training s"] == "47.0 ± 1.0"
    assert note(alone) == "Mean ± standard deviation over 3 seeds."


def test_strict_has_a_column_only_where_it_differs():
    assert [c.title for c in score_columns(make_comparison())] == ["F1 repaired", "F1 dropped", "F1 strict"]
    same = {name: {**table, "strict": table["conlleval"]} for name, table in GAIN.items()}
    assert [c.title for c in score_columns(make_comparison(same))] == ["F1 repaired", "F1 dropped"]


def test_one_seed_has_no_deviation():
    one = {name: {repair: values[:1] for repair, values in table.items()} for name, table in GAIN.items()}
    comparison = make_comparison(one)
    assert cells_of(comparison)["softmax"]["F1 repaired"] == "75.1"
    assert note(comparison).startswith("One seed.")


def test_pos_has_accuracy_and_no_invalid_sequences():
    comparison = make_comparison(task="pos")
    titles = [column.title for column in summary_columns(comparison)]
    assert titles == ["accuracy", "training s", "tagging, 1000 tokens/s", "peak memory, MB"]
    assert cells_of(comparison)["crf"]["accuracy"] == "90.8 ± 0.1"


def test_difference_cells():
    rows = difference_rows(make_comparison())
    assert difference_titles(rows) == ["points, repaired", "points, dropped"]
    assert [difference_cell(item) for item in rows[2]] == [plus_minus(item) for item in rows[2]]
    one = {name: {repair: values[:1] for repair, values in table.items()} for name, table in GAIN.items()}
    assert [difference_cell(item) for item in difference_rows(make_comparison(one))[2]] == ["+4.6", "+1.4"]
    five = {n: {r: [*v, v[0] + 0.001, v[1] - 0.001] for r, v in t.items()} for n, t in GAIN.items()}
    cells = [[difference_cell(item) for item in row] for row in difference_rows(make_comparison(five))]
    assert [cell.endswith("(p < .001)") for cell in cells[2]] == [True, False]
    assert difference_titles(difference_rows(make_comparison(task="pos"))) == ["points"]
    assert difference_titles([]) == []


def test_what_was_not_measured_is_said():
    comparison = make_comparison()
    busy = [
        v.model_copy(update={"runs": [r.model_copy(update={"alone": False}) for r in v.runs]})
        for v in comparison.variants
    ]
    cells = cells_of(comparison.model_copy(update={"variants": busy}))
    assert cells["crf"]["training s"] == "not measured"
    assert "peak memory, MB" not in cells["crf"]

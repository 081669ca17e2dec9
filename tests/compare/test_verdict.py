import re

import pytest

from chaincrf.compare.verdict import judge, p_text, plus_minus, readings, signed, training_ratio, verdict

from .examples import GAIN, POS_GAIN, make_comparison

FIVE = {
    name: {repair: [*values, values[0] + 0.001, values[1] - 0.001] for repair, values in table.items()}
    for name, table in GAIN.items()
}
NO_GAIN = [0.80, 0.81, 0.79, 0.80, 0.82]
SAME = {
    name: {
        repair: [0.80, 0.81, 0.79, 0.80, 0.82][i:] + [0.80, 0.81, 0.79, 0.80, 0.82][:i] for repair in table
    }
    for i, (name, table) in enumerate(GAIN.items())
}


def test_a_gain_with_five_seeds():
    comparison = make_comparison(FIVE)
    effect = comparison.effect("crf", "softmax")
    text = verdict(comparison)
    assert text.startswith(
        f"On this data the CRF adds {plus_minus(effect, absolute=True)} F1 over softmax (p < .001)"
    )
    decoding = comparison.effect("softmax-constrained", "softmax")
    assert f"constrained decoding alone gives {plus_minus(decoding)} (p " in text
    assert "exploratory" in text
    assert "Softmax leaves invalid sequences in" in text
    assert re.search(
        r"An epoch of the CRF took \d+% more time than one of softmax \(mean of 5 timed runs", text
    )


def test_decoding_alone_without_a_shown_effect_is_called_so():
    comparison = make_comparison(FIVE | {"softmax-constrained": FIVE["softmax"]})
    alone = plus_minus(comparison.effect("softmax-constrained", "softmax"))
    assert f"constrained decoding alone is not shown to change it: {alone}" in verdict(comparison)


def test_a_loss_is_said():
    turned = {**FIVE, "crf": FIVE["softmax"], "softmax": FIVE["crf"]}
    assert judge(make_comparison(turned)).headline.startswith("On this data the CRF costs")


def test_no_difference_is_not_called_equality():
    text = verdict(make_comparison(SAME))
    assert text.startswith("On this data no difference between the CRF and softmax is shown (p = ")
    assert "adds" not in text


@pytest.mark.parametrize("count", [1, 2, 4])
def test_below_five_seeds_nothing_is_claimed(count):
    few = {name: {r: values[:count] for r, values in table.items()} for name, table in FIVE.items()}
    text = verdict(make_comparison(few))
    assert "nothing is claimed" in text
    assert "p <" not in text
    assert "p =" not in text
    assert not re.search(r"adds|significant", text)


def test_pos_speaks_of_accuracy():
    text = verdict(make_comparison(POS_GAIN, task="pos"))
    assert "points of accuracy" in text
    assert "invalid" not in text
    assert "constrained" not in text


def test_without_the_two_variants_there_is_no_verdict():
    assert verdict(make_comparison({"crf": GAIN["crf"]})).startswith("No verdict")


def test_times_of_runs_side_by_side_are_not_compared():
    comparison = make_comparison(FIVE)
    busy = [
        v.model_copy(update={"runs": [r.model_copy(update={"alone": False}) for r in v.runs]})
        for v in comparison.variants
    ]
    comparison = comparison.model_copy(update={"variants": busy})
    assert training_ratio(comparison.variant("crf"), comparison.variant("softmax")) is None
    assert "Times were not measured" in verdict(comparison)


def test_readings():
    assert readings(make_comparison()) == ["conlleval", "drop"]
    assert readings(make_comparison(task="pos")) == ["accuracy"]


@pytest.mark.parametrize(
    ("p", "text"), [(None, "no claim"), (0.0001, "p < .001"), (0.042, "p = .042"), (1.0, "p = 1.000")]
)
def test_p_text(p, text):
    assert p_text(p) == text


@pytest.mark.parametrize(("points", "text"), [(1.25, "+1.2"), (-0.04, "0.0"), (0.0, "0.0"), (-3.0, "-3.0")])
def test_signed(points, text):
    assert signed(points) == text

import math
import re
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincrf.compare.contrasts import Verdict, contrast, contrasts, judge, readings, signed, verdict
from chaincrf.errors import ArgumentError

from .examples import GAIN, POS_GAIN, Scores, make_comparison

READINGS = ("conlleval", "strict", "drop")
pairs_of_scores = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=7)


def flat(**columns: list[float]) -> Scores:
    """Scores by variant that are the same under every reading."""
    return {
        name.replace("_", "-"): dict(zip(READINGS, [values] * 3, strict=True))
        for name, values in columns.items()
    }


@given(pairs_of_scores)
def test_contrast_is_the_mean_of_paired_differences(pairs):
    crf, softmax = (list(column) for column in zip(*pairs, strict=True))
    comparison = make_comparison(flat(softmax=softmax, crf=crf))
    result = contrast(comparison, "crf", "softmax", "conlleval")
    differences = [100 * one - 100 * other for one, other in pairs]
    assert list(result.differences) == comparison.seeds
    assert list(result.differences.values()) == differences
    assert math.isclose(result.mean, fmean(differences), abs_tol=1e-9)
    assert result.wins == sum(difference > 0 for difference in differences)


@given(pairs_of_scores)
def test_outcome_follows_its_three_conditions(pairs):
    crf, softmax = (list(column) for column in zip(*pairs, strict=True))
    result = contrast(make_comparison(flat(softmax=softmax, crf=crf)), "crf", "softmax", "drop")
    values = list(result.differences.values())
    agree = min(values) > 0 or max(values) < 0
    spread = max(stdev(100 * x for x in crf), stdev(100 * x for x in softmax)) if len(pairs) > 1 else math.inf
    if abs(abs(result.mean) - spread) > 1e-9:  # a tie of the two sides is decided by rounding
        separated = agree and abs(result.mean) >= spread and abs(result.mean) >= 0.05
        assert (result.outcome != "unclear") == separated
    assert result.outcome == "unclear" or (result.outcome == "higher") == (result.mean > 0)


@given(pairs_of_scores)
def test_contrast_is_antisymmetric(pairs):
    crf, softmax = (list(column) for column in zip(*pairs, strict=True))
    comparison = make_comparison(flat(softmax=softmax, crf=crf))
    one = contrast(comparison, "crf", "softmax", "conlleval")
    other = contrast(comparison, "softmax", "crf", "conlleval")
    assert one.mean == pytest.approx(-other.mean)
    mirror = {"higher": "lower", "lower": "higher", "unclear": "unclear"}
    assert other.outcome == mirror[one.outcome]


def with_runs(comparison, name, runs):
    variants = [v.model_copy(update={"runs": runs}) if v.name == name else v for v in comparison.variants]
    return comparison.model_copy(update={"variants": variants})


def test_runs_are_paired_by_seed_and_not_by_place():
    comparison = make_comparison()
    turned = with_runs(comparison, "crf", comparison.variant("crf").runs[::-1])
    expected = contrast(comparison, "crf", "softmax", "drop")
    assert contrast(turned, "crf", "softmax", "drop") == expected


def test_a_seed_that_one_variant_lacks_does_not_count():
    comparison = make_comparison()
    shorter = with_runs(comparison, "crf", comparison.variant("crf").runs[1:])
    result = contrast(shorter, "crf", "softmax", "drop")
    assert result.differences == pytest.approx({2: 100 * (0.7951 - 0.7788), 3: 100 * (0.8012 - 0.7860)})
    assert "2 paired seeds" in verdict(shorter)


def test_no_seed_in_common_is_refused():
    comparison = make_comparison()
    lonely = with_runs(comparison, "crf", comparison.variant("crf").runs[:1])
    lonely = with_runs(lonely, "softmax", comparison.variant("softmax").runs[1:])
    with pytest.raises(ArgumentError, match="'crf' and 'softmax' to have a seed in common"):
        contrast(lonely, "crf", "softmax", "drop")
    assert ("crf", "softmax") not in {(items[0].first, items[0].second) for items in contrasts(lonely)}
    assert verdict(lonely).startswith("No verdict: it takes the variants 'softmax' and 'crf'")


def test_contrasts_are_those_of_the_variants_present():
    found = [(items[0].first, items[0].second) for items in contrasts(make_comparison())]
    assert found == [
        ("crf", "softmax"),
        ("softmax-constrained", "softmax"),
        ("crf", "softmax-constrained"),
        ("crf-constrained", "softmax-constrained"),
    ]
    pos = make_comparison(task="pos")
    assert [(item.first, item.second, item.repair) for (item,) in contrasts(pos)] == [
        ("crf", "softmax", "accuracy")
    ]
    assert readings(pos) == ["accuracy"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(4.56, "+4.6"), (-0.34, "-0.3"), (0.0, "0.0"), (0.04, "0.0"), (-0.04, "0.0"), (-0.06, "-0.1")],
)
def test_signed(value, text):
    assert signed(value) == text


def headline_of(result: Verdict) -> str:
    """The headline of a few seeds, without the words that say that they are few."""
    few, text = re.fullmatch(r"(In these [2-4] seeds, )?(.*)", result.headline).groups()
    assert bool(few) == ("2 paired" in result.figures or "3 paired" in result.figures)
    return text[0].upper() + text[1:]


def test_verdict_of_a_gain():
    assert verdict(make_comparison()) == (
        "In these 3 seeds, the CRF scores above softmax, and above softmax with constrained decoding: "
        "CRF minus softmax is +4.6 points of F1 with ill-formed spans repaired and +1.5 with them dropped, "
        "the mean over 3 paired seeds; constrained decoding alone gives softmax +4.1 and +1.0, "
        "and against that the CRF is +0.5 either way. "
        "Softmax leaves invalid sequences in 14.5% of the test sentences and the CRF in 0.7%, "
        "training the CRF takes 1.3 times as long, and 3 seeds support no claim of significance."
    )


def test_verdict_of_a_gain_that_constrained_decoding_has_too():
    scores = {**GAIN, "softmax-constrained": GAIN["crf-constrained"]}
    headline = headline_of(judge(make_comparison(scores)))
    assert headline == (
        "The CRF scores above softmax, but the data do not separate it from softmax with constrained decoding"
    )


def test_verdict_of_a_gain_under_one_reading_only():
    scores = {**GAIN, "softmax": {**GAIN["softmax"], "drop": GAIN["crf"]["drop"]}}
    headline = headline_of(judge(make_comparison(scores)))
    assert headline == (
        "With ill-formed spans repaired the CRF scores above softmax, but with them dropped "
        "the data do not separate the two; it scores above softmax with constrained decoding"
    )


def test_verdict_of_a_loss():
    scores = flat(softmax=[0.8, 0.81], softmax_constrained=[0.82, 0.83], crf=[0.75, 0.76])
    result = judge(make_comparison(scores))
    assert headline_of(result) == (
        "The CRF scores below softmax, and below softmax with constrained decoding"
    )
    assert "is -5.0 points of F1 with ill-formed spans repaired and -5.0 with them dropped" in result.figures
    assert "2 seeds support no claim of significance" in result.limits


@pytest.mark.parametrize(
    ("softmax", "crf"),
    [
        ([0.80, 0.80, 0.80], [0.80, 0.80, 0.80]),  # the same
        ([0.80, 0.81, 0.80], [0.85, 0.80, 0.85]),  # the signs disagree
        ([0.70, 0.75, 0.80], [0.71, 0.76, 0.81]),  # less than the spread between seeds
    ],
)
def test_verdict_of_a_tie(softmax, crf):
    alone = judge(make_comparison(flat(softmax=softmax, crf=crf)))
    assert headline_of(alone) == "The data do not separate the CRF from softmax"
    both = judge(make_comparison(flat(softmax=softmax, softmax_constrained=softmax, crf=crf)))
    assert headline_of(both) == f"{headline_of(alone)}, nor from softmax with constrained decoding"


def test_verdict_where_only_constrained_decoding_differs():
    scores = flat(softmax=[0.80, 0.81], softmax_constrained=[0.9, 0.91], crf=[0.805, 0.806])
    assert headline_of(judge(make_comparison(scores))) == (
        "The data do not separate the CRF from softmax, but it scores below softmax with constrained decoding"
    )


def test_verdict_where_the_readings_disagree_on_constrained_decoding():
    crf = {"conlleval": [0.90, 0.91], "strict": [0.85, 0.86], "drop": [0.85, 0.86]}
    scores = {**flat(softmax=[0.70, 0.71], softmax_constrained=[0.85, 0.86]), "crf": crf}
    assert headline_of(judge(make_comparison(scores))) == (
        "The CRF scores above softmax; against softmax with constrained decoding the two readings disagree"
    )


def test_verdict_of_one_seed_claims_nothing():
    one = {name: {repair: values[:1] for repair, values in table.items()} for name, table in GAIN.items()}
    text = verdict(make_comparison(one))
    assert text.startswith("One seed cannot separate the CRF from softmax: CRF minus softmax is +4.6 points")
    assert "seed 1 alone" in text
    assert text.endswith("and one seed supports no claim of significance.")


def test_verdict_of_many_seeds_says_that_nothing_was_tested():
    scores = flat(softmax=[0.7, 0.701, 0.702, 0.703, 0.704], crf=[0.8, 0.801, 0.802, 0.803, 0.804])
    result = judge(make_comparison(scores))
    assert headline_of(result) == "The CRF scores above softmax"
    assert result.limits.endswith("5 seeds without a significance test support no claim of significance")


def test_verdict_of_pos_speaks_of_accuracy_and_not_of_spans():
    text = verdict(make_comparison(task="pos"))
    assert text == (
        "In these 3 seeds, the CRF scores above softmax: CRF minus softmax is +0.3 points of accuracy, "
        "the mean over 3 paired seeds. Training the CRF takes 1.3 times as long, "
        "and 3 seeds support no claim of significance."
    )
    tie = make_comparison({"softmax": POS_GAIN["softmax"], "crf": POS_GAIN["softmax"]}, task="pos")
    assert verdict(tie).startswith(
        "In these 3 seeds, the data do not separate the CRF from softmax: CRF minus softmax is 0.0 points"
    )


def test_training_time_is_a_ratio_of_means_and_is_left_out_when_unknown():
    comparison = make_comparison()
    slow = [run.model_copy(update={"train_seconds": 141.0}) for run in comparison.variant("crf").runs]
    assert "takes 3.0 times as long" in verdict(with_runs(comparison, "crf", slow))
    none = [run.model_copy(update={"train_seconds": 0.0}) for run in comparison.variant("softmax").runs]
    assert "times as long" not in verdict(with_runs(comparison, "softmax", none))

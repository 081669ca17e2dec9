import numpy as np
import pytest

from chaincrf.compare.effects import DECLARED, documents_of, effects_of
from chaincrf.evaluation import crossed_effect, holm, ratio_contributions

NAMES = ("softmax", "softmax-constrained", "crf", "crf-constrained")


def counts(seeds, names=NAMES, sentences=60):
    generator = np.random.default_rng(0)
    gold = generator.poisson(2, sentences)
    return {
        repair: {
            name: {
                seed: np.stack([2 * (right := generator.binomial(gold, 0.6 + 0.05 * i)), right + gold])
                for seed in range(1, seeds + 1)
            }
            for i, name in enumerate(names)
        }
        for repair in ("conlleval", "drop")
    }


def test_declared_contrasts_come_first_and_alone_are_adjusted():
    table = counts(5)
    effects = effects_of(table)
    declared = [e for e in effects if e.declared]
    assert [(e.first, e.second) for e in declared] == list(DECLARED)
    assert {e.repair for e in declared} == {"conlleval"}
    assert [e.p_adjusted for e in declared] == holm([e.p for e in declared])
    assert all(e.p_adjusted is None and not e.significant for e in effects if not e.declared)


def test_an_effect_is_that_of_the_crossed_design():
    table = counts(5)
    first, second = (np.stack(list(table["drop"][n].values())) for n in ("crf", "softmax"))
    differences = 100 * (
        ratio_contributions(first[:, 0], first[:, 1]) - ratio_contributions(second[:, 0], second[:, 1])
    )
    (effect,) = [e for e in effects_of(table) if (e.first, e.second, e.repair) == ("crf", "softmax", "drop")]
    known = crossed_effect(differences, comparisons=3)
    assert (effect.mean, effect.p, effect.low) == pytest.approx((known.mean, known.p, known.low))
    f1 = [100 * t[:, 0].sum(1) / t[:, 1].sum(1) for t in (first, second)]
    assert list(effect.differences.values()) == pytest.approx(list(f1[0] - f1[1]))


@pytest.mark.parametrize(("seeds", "error"), [(1, False), (2, True), (4, True)])
def test_below_five_seeds_there_is_no_p(seeds, error):
    for effect in effects_of(counts(seeds)):
        assert effect.p is None
        assert effect.p_adjusted is None
        assert (effect.standard_error is not None) == error


def test_a_further_scheme_declares_nothing():
    assert not any(effect.declared for effect in effects_of(counts(5), declare=False))


def test_a_variant_without_seeds_stands_against_every_seed():
    table = counts(5, ("crf", "feature-crf"))
    for variants in table.values():
        variants["feature-crf"] = {1: variants["feature-crf"][1]}
    effect = effects_of(table)[0]
    assert (effect.first, effect.second) == ("crf", "feature-crf")
    assert list(effect.differences) == [1, 2, 3, 4, 5]


def test_documents_are_the_units_where_they_are_known():
    units = documents_of([f"d{i // 6}" for i in range(60)])
    assert effects_of(counts(5), units)[0].units == 10
    assert documents_of(["a", None]) is None
    assert documents_of(["a", "a"]) is None
    assert documents_of(["b", "a", "b"]) == [0, 1, 0]

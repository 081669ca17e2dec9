"""Comparisons made up for the tests: figures of a likely size, no training behind them."""

from __future__ import annotations

from statistics import fmean, stdev
from typing import Any, Literal

from scipy import stats

from chaincrf.compare.effects import DECLARED
from chaincrf.compare.predictor import PREDICTORS
from chaincrf.compare.results import (
    Calibration,
    Comparison,
    CorpusSummary,
    Effect,
    LabelScore,
    Move,
    ReliabilityBin,
    Run,
    Transitions,
    VariantResult,
)
from chaincrf.evaluation import holm

SPLITS: list[tuple[Literal["train", "dev", "test"], str, int]] = [
    ("train", "a", 2500),
    ("dev", "b", 923),
    ("test", "c", 940),
]
TITLES = {
    "softmax": "softmax, greedy",
    "softmax-constrained": "softmax, constrained",
    "crf": "CRF",
    "crf-constrained": "CRF, constrained",
}

# Scores by variant, then by repair policy, one a seed.
Scores = dict[str, dict[str, list[float]]]

GAIN: Scores = {
    "softmax": {
        "conlleval": [0.7512, 0.7461, 0.7558],
        "strict": [0.7790, 0.7741, 0.7822],
        "drop": [0.7831, 0.7788, 0.7860],
    },
    "softmax-constrained": {name: [0.7911, 0.7893, 0.7968] for name in ("conlleval", "strict", "drop")},
    "crf": {
        "conlleval": [0.7969, 0.7942, 0.8010],
        "strict": [0.7970, 0.7951, 0.8012],
        "drop": [0.7971, 0.7951, 0.8012],
    },
    "crf-constrained": {name: [0.7990, 0.7951, 0.8031] for name in ("conlleval", "strict", "drop")},
}

POS_GAIN: Scores = {
    "softmax": {"accuracy": [0.9051, 0.9043, 0.9060]},
    "crf": {"accuracy": [0.9080, 0.9071, 0.9094]},
}

INVALID = {"softmax": (134, 260), "softmax-constrained": (0, 0), "crf": (5, 6), "crf-constrained": (0, 0)}
SECONDS = {"softmax": 45.0, "softmax-constrained": 45.0, "crf": 61.0, "crf-constrained": 58.0}

NER_EXAMPLE: dict[str, Any] = {
    "tokens": ["Loss", "of", "the", "<script>alert('x')</script>", "gene", "in", "ovarian", "cancer", "."],
    "gold": ["O", "O", "O", "O", "O", "O", "B-Disease", "E-Disease", "O"],
    "tags": {
        "softmax": ["O", "O", "O", "B-Disease", "O", "O", "B-Disease", "I-Disease", "O"],
        "softmax-constrained": ["O", "O", "O", "O", "O", "O", "B-Disease", "E-Disease", "O"],
        "crf": ["O", "O", "O", "O", "O", "O", "O", "S-Disease", "O"],
        "crf-constrained": ["O", "O", "O", "O", "O", "O", "B-Disease", "E-Disease", "O"],
    },
    "invalid": {"softmax": [4, 8], "softmax-constrained": [], "crf": [], "crf-constrained": []},
}

POS_EXAMPLE: dict[str, Any] = {
    "tokens": ["They", "saw", "<b>", "her", "duck", "."],
    "gold": ["PRON", "VERB", "SYM", "PRON", "VERB", "PUNCT"],
    "tags": {
        "softmax": ["PRON", "NOUN", "SYM", "PRON", "NOUN", "PUNCT"],
        "crf": ["PRON", "VERB", "SYM", "PRON", "NOUN", "PUNCT"],
    },
    "invalid": {"softmax": [], "crf": []},
}


def make_comparison(
    scores: Scores | None = None,
    *,
    task: Literal["ner", "pos"] = "ner",
    labels: tuple[str, ...] = ("Disease", "Gene & <i>protein</i>"),
    example: list[dict[str, Any]] | None = None,
) -> Comparison:
    """A comparison with these test scores (default: a gain), seeds 1, 2, ..."""
    if scores is None:
        scores = GAIN if task == "ner" else POS_GAIN
    count = len(next(iter(next(iter(scores.values())).values())))
    if example is None:
        example = [NER_EXAMPLE if task == "ner" else POS_EXAMPLE]
    return Comparison(
        chaincrf_version="0.1.0",
        created="2026-05-04T10:11:12+00:00",
        task=task,
        corpus=[
            CorpusSummary(
                split=split,
                path=f"corpora/ncbi-disease/{split}.conll",
                sha256=character * 64,
                sentences=size,
                tokens=25 * size,
                spans=size if task == "ner" else None,
                repaired_sentences=3 if split == "train" else 0,
            )
            for split, character, size in SPLITS
        ],
        scheme="BIOES" if task == "ner" else None,
        tags=["O", "B-Disease", "I-Disease", "E-Disease", "S-Disease"] if task == "ner" else ["NOUN", "VERB"],
        seeds=list(range(1, count + 1)),
        unit="sentence",
        effects=make_effects(scores),
        transitions=Transitions(
            variant="crf",
            scores=[[0.1 * (i - j) for j in range(5)] for i in range(5)],
            allowed=[[(i + j) % 3 > 0 for j in range(5)] for i in range(5)],
        )
        if task == "ner" and "crf" in scores
        else None,
        predictors=dict.fromkeys(PREDICTORS, 0.5) | {"ambiguous": 0.25},
        command="chaincrf compare --corpus <x>",
        attribution="somebody & others, CC BY 4.0",
        recipe={
            "hidden_size": 200,
            "dropout": 0.5,
            "optimizer": "sgd",
            "vectors": None,
            "extra": {"a": [1, 2]},
        },
        environment={"python": "3.12.3", "torch": "2.13.0", "machine": "x86_64, 2 cores"},
        variants=[
            VariantResult(
                name=name,
                title=TITLES[name],
                description=f"the variant {name}",
                runs=[_run(name, seed, table, task, labels) for seed in range(1, count + 1)],
            )
            for name, table in scores.items()
        ],
        example=example,
    )


def make_effects(scores: Scores) -> list[Effect]:
    """Paired differences with the interval and p of a t-test over the seeds: likely figures, not ours."""
    effects = []
    for first, second in (*DECLARED, ("crf-constrained", "softmax-constrained")):
        if first not in scores or second not in scores:
            continue
        for repair in scores[first]:
            pairs = zip(scores[first][repair], scores[second][repair], strict=True)
            values = [100 * (one - other) for one, other in pairs]
            n, mean = len(values), fmean(values)
            error = max(stdev(values) / n**0.5, 1e-6) if n > 1 else None
            width = error and error * float(stats.t.ppf(0.975, n - 1))
            p = 2 * float(stats.t.sf(abs(mean) / error, n - 1)) if error and n >= 5 else None
            effects.append(
                Effect(
                    first=first,
                    second=second,
                    repair=repair,
                    declared=(first, second) in DECLARED and repair == next(iter(scores[first])),
                    differences=dict(enumerate(values, start=1)),
                    mean=mean,
                    units=940,
                    standard_error=error,
                    df=error and n - 1.0,
                    low=width and mean - width,
                    high=width and mean + width,
                    p=p,
                    p_adjusted=None,
                    detectable=error and 3 * error,
                )
            )
    declared = [i for i, effect in enumerate(effects) if effect.declared and effect.p is not None]
    for i, p in zip(declared, holm([effects[i].p or 0.0 for i in declared]), strict=True):
        effects[i] = effects[i].model_copy(update={"p_adjusted": p})
    return effects


def _run(
    name: str, seed: int, table: dict[str, list[float]], task: Literal["ner", "pos"], labels: tuple[str, ...]
) -> Run:
    scores = {repair: values[seed - 1] for repair, values in table.items()}
    sentences, moves = INVALID[name] if task == "ner" else (0, 0)
    right = round(500 * next(iter(scores.values())))
    return Run(
        seed=seed,
        dev_score=next(iter(scores.values())) - 0.01,
        test_scores=scores,
        precision=scores if task == "ner" else {},
        recall=scores if task == "ner" else {},
        token_accuracy=0.95,
        exact_sentences=0.6,
        log_likelihood=None if name == "crf-constrained" else -2.5,
        calibration=Calibration(
            error=0.05,
            bins=[
                ReliabilityBin(count=20, confidence=0.55, accuracy=0.5),
                ReliabilityBin(count=80, confidence=0.95, accuracy=0.9),
            ],
        ),
        slices={"span in training": {"seen": (50, 60, 60), "unseen": (20, 40, 40)}},
        worst_moves=[Move(before="O", after="I-<b>", count=moves)] if moves else [],
        alone=True,
        peak_memory=400_000_000,
        joules=None,
        labels=[
            LabelScore(label=label, correct=right // (i + 1), predicted=500 // (i + 1), gold=500 // (i + 1))
            for i, label in enumerate(labels)
        ],
        sentences=940,
        invalid_sentences=sentences + seed if sentences else 0,
        moves=24000,
        invalid_moves=moves,
        epochs=18 + seed,
        best_epoch=12 + seed,
        train_seconds=SECONDS[name] + seed,
        train_tokens_per_second=21000.0 + 100 * seed,
        tag_tokens_per_second=78500.0 + 250 * seed,
    )

"""What each step of tagging costs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from chaincrf.crf import backend
from chaincrf.data import get_corpus, read_corpus
from chaincrf.labels import tags_to_spans
from chaincrf.tagging.inference import BATCH_TOKENS, emissions_of
from chaincrf.tagging.span_probability import span_log_probability
from chaincrf.training import Recipe, build_model, prepare

__all__ = ["steps"]


def steps(data: Path | None, *, rounds: int = 7) -> Iterator[dict[str, Any]]:
    """Steps of tagging, microseconds a token: an untrained model of default size, gold spans, a thread."""
    del data
    splits = {name: read_corpus(path) for name, path in get_corpus("ncbi-disease").splits.items()}
    recipe = Recipe()
    bundle = build_model(prepare(splits["train"], splits["dev"], recipe), recipe)
    bundle.model.eval()
    test = splits["test"].sentences
    words = [sentence.tokens for sentence in test]
    with torch.inference_mode():
        batches = list(emissions_of(bundle, words, batch_tokens=BATCH_TOKENS))
        chains = [bundle.model.head.chain(b.emissions, b.mask, constrained=True) for b in batches]
    gold = [tags_to_spans(sentence.tags or (), splits["test"].report.scheme or "BIO") for sentence in test]
    spans = [[gold[row] for row in batch.rows] for batch in batches]
    pairs = list(zip(chains, spans, strict=True))
    tags, scheme = bundle.vocabulary.tags, bundle.config.scheme or ""

    def span_probabilities() -> None:
        for chain, found in pairs:
            span_log_probability(chain, found, tags, scheme)

    def span_probabilities_of_the_reference() -> None:
        with backend("reference"):
            span_probabilities()

    contestants: dict[str, Callable[[], object]] = {
        "encoder, with look-up": lambda: list(emissions_of(bundle, words, batch_tokens=BATCH_TOKENS)),
        "Viterbi": lambda: [chain.viterbi() for chain in chains],
        "marginals": lambda: [chain.marginals() for chain in chains],
        "5 best paths": lambda: [chain.k_best(5) for chain in chains],
        "span probabilities": span_probabilities,
        "span probabilities, reference": span_probabilities_of_the_reference,
    }
    times: dict[str, list[float]] = {name: [] for name in contestants}
    torch.set_num_threads(1)
    with torch.inference_mode():
        for number in range(rounds + 1):  # one to warm up
            for name, run in contestants.items():
                start = time.perf_counter()
                run()
                if number:
                    times[name].append(time.perf_counter() - start)
    tokens = sum(map(len, words))
    medians = {name: round(1e6 * statistics.median(found) / tokens, 3) for name, found in times.items()}
    yield {
        "tokens": tokens,
        "spans": sum(map(len, gold)),
        "tags": len(tags),
        "us a token": medians,
    }

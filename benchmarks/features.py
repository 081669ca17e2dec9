"""The CRF over sparse features beside CRFsuite: the same features, penalties and number of steps.

Time is that of the processor, on one thread: both compute on one, and other work of the machine counts less.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

SENTENCES = int(os.environ.get("CHAINCRF_BENCHMARK_SENTENCES", "0")) or None  # fewer, to try it


def features(data: Path | None, *, done: Sequence[dict[str, Any]] = ()) -> Iterator[dict[str, Any]]:
    """The CRF over sparse features beside CRFsuite, accuracy and time, on the built-in corpora; goes on."""
    import sklearn_crfsuite
    import torch

    from chaincrf.data import get_corpus, read_corpus
    from chaincrf.evaluation import evaluate_tags, token_accuracy
    from chaincrf.linear import word_features
    from chaincrf.sklearn_crfsuite import CRF

    del data
    torch.set_num_threads(1)
    yield from done
    there = {(row["corpus"], row["package"], row["c1"], row["c2"]) for row in done}
    for name, task in (("ncbi-disease", "ner"), ("ewt-pos", "pos")):
        splits = get_corpus(name).splits
        X, y = {}, {}
        for split in ("train", "test"):
            sentences = read_corpus(splits[split], task=task).sentences[:SENTENCES]
            X[split] = [word_features(sentence.tokens) for sentence in sentences]
            y[split] = [list(sentence.tags or ()) for sentence in sentences]
        for c1, c2 in ((0.0, 0.1), (0.1, 0.1)):
            contestants = {"chaincrf": CRF, "CRFsuite": sklearn_crfsuite.CRF}
            CRF("lbfgs", max_iterations=1).fit(X["train"][:50], y["train"][:50])  # compiled, before the clock
            for package, kind in contestants.items():
                if (name, package, c1, c2) in there:
                    continue
                model = kind("lbfgs", c1=c1, c2=c2, max_iterations=100)
                start = time.process_time()
                model.fit(X["train"], y["train"])
                trained = time.process_time()
                predicted = model.predict(X["test"])
                tagged = time.process_time()
                metric = "F1" if task == "ner" else "accuracy"
                score = (
                    evaluate_tags(y["test"], predicted, "BIO").overall.f1
                    if task == "ner"
                    else token_accuracy(y["test"], predicted).accuracy
                )
                yield {
                    "corpus": name,
                    "package": package,
                    "c1": c1,
                    "c2": c2,
                    f"test {metric}": round(score, 4),
                    "attributes kept": model.num_attributes_,
                    "train, processor s": round(trained - start, 2),
                    "tag, processor s": round(tagged - trained, 2),
                }

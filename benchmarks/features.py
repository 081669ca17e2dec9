"""The CRF over sparse features beside CRFsuite: the same features, penalties and number of steps."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SENTENCES = int(os.environ.get("CHAINCRF_BENCHMARK_SENTENCES", "0")) or None  # fewer, to try it


def features(data: Path | None) -> Iterator[dict[str, Any]]:
    """The CRF over sparse features beside CRFsuite, accuracy and time, on the two built-in corpora."""
    import sklearn_crfsuite

    from chaincrf.data import get_corpus, read_corpus
    from chaincrf.evaluation import evaluate_tags, token_accuracy
    from chaincrf.linear import word_features
    from chaincrf.sklearn_crfsuite import CRF

    del data
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
                model = kind("lbfgs", c1=c1, c2=c2, max_iterations=100)
                start = time.perf_counter()
                model.fit(X["train"], y["train"])
                trained = time.perf_counter()
                predicted = model.predict(X["test"])
                tagged = time.perf_counter()
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
                    "train seconds": round(trained - start, 2),
                    "tag seconds": round(tagged - trained, 2),
                }

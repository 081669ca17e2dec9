"""The work behind the requests: all that the server asks of a :class:`~chaincrf.tagging.Tagger`."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any, NamedTuple

from ..tagging import Constraint, Tagger
from ..tagging.trellis import Explanation, Path, explain
from .models import Served
from .schemas import ExplainRequest, ModelInfo

__all__ = ["Explaining", "Tagging", "answer", "describe"]


class Tagging(NamedTuple):
    """Texts with these options are computed together; an item is a text with its constraints."""

    served: Served
    probabilities: bool
    threshold: float | str | None
    k_best: int


class Explaining(NamedTuple):
    """An item is a request; each is computed by itself."""

    served: Served
    max_cells: int


def answer(kind: Tagging | Explaining, items: Sequence[Any]) -> list[dict[str, Any]]:
    """Compute a batch: a result an item, as plain values for JSON.

    Raises:
        ArgumentError: something in a text or an option that does not fit the model.
    """
    tagger = kind.served.tagger
    if isinstance(kind, Explaining):
        return [_explained(tagger, request, kind.max_cells) for request in items]
    return _tagged(tagger, kind, items)


def describe(served: Served) -> ModelInfo:
    """What a model is."""
    config = served.tagger.bundle.config
    return ModelInfo(
        name=served.name,
        version=served.version,
        task=config.task,
        scheme=config.scheme,
        head=config.architecture.head,
        constrained=config.constrained,
        labels=list(served.tagger.labels),
        tags=list(served.tagger.bundle.vocabulary.tags),
    )


def _tagged(
    tagger: Tagger, kind: Tagging, items: Sequence[tuple[Any, tuple[Constraint, ...]]]
) -> list[dict[str, Any]]:
    constrained = any(constraints for _, constraints in items)
    found = tagger.tag_all(
        [text for text, _ in items],
        threshold=kind.threshold,
        probabilities=kind.probabilities,
        constraints=[constraints for _, constraints in items] if constrained else None,
    )
    contents = [tagged.to_json() for tagged in found]
    if kind.k_best:
        for content, (text, constraints) in zip(contents, items, strict=True):
            paths = tagger.k_best(text, kind.k_best, constraints=constraints)
            content["k_best"] = [
                {
                    "tags": list(path.tags),
                    "spans": [
                        {key: value for key, value in span._asdict().items() if value is not None}
                        for span in path.spans
                    ],
                    "probability": path.probability,
                }
                for path in paths
            ]
    return contents


def _explained(tagger: Tagger, request: ExplainRequest, max_cells: int) -> dict[str, Any]:
    found = explain(
        tagger,
        request.text,
        sentence=request.sentence,
        allowed={known.token: known.tags for known in request.allowed},
        k=request.k_best,
        max_cells=max_cells,
    )
    trellis = found.trellis
    return {
        "sentence": request.sentence,
        "sentences": found.sentences,
        "tokens": found.tokens,
        "offsets": found.offsets,
        "tags": found.tags,
        "emissions": _scores(trellis.emissions.tolist()),
        "transitions": _scores(trellis.transitions.tolist()),
        "start_transitions": _scores(trellis.start_transitions.tolist()),
        "end_transitions": _scores(trellis.end_transitions.tolist()),
        "legal": _legal(found),
        "allowed": trellis.allowed.tolist(),
        "marginals": trellis.marginals.tolist(),
        "edges": trellis.edges,
        "log_partition": _scores(trellis.log_partition),
        "best": [_path(path) for path in trellis.best],
        "independent": _path(trellis.independent),
        "broken": trellis.broken,
    }


def _legal(found: Explanation) -> list[list[bool]]:
    K = len(found.tags)
    return [[True] * K] * K if found.legal is None else [list(row) for row in found.legal.transitions]


def _path(path: Path) -> dict[str, Any]:
    return {"tags": path.tags, "score": _scores(path.score), "probability": path.probability}


def _scores(values: Any) -> Any:
    """JSON has no infinity: null."""
    if isinstance(values, list):
        return [_scores(value) for value in values]
    return values if isfinite(values) else None

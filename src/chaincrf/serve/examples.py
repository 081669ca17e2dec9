"""What the OpenAPI document shows as answers; the trellis is that of its own scores."""

from __future__ import annotations

from typing import Any

__all__ = ["EXPLAINED", "METRICS", "MODEL", "TAGGED", "refused", "shown"]

MODEL: dict[str, Any] = {
    "name": "people",
    "version": "0123456789ab",
    "task": "ner",
    "scheme": "BIO",
    "head": "crf",
    "constrained": True,
    "labels": ["PER"],
    "tags": ["O", "B-PER", "I-PER"],
}
_OF = {"model": MODEL["name"], "version": MODEL["version"]}
_SPAN = {"start": 0, "end": 3, "label": "PER", "text": "Ann", "token_start": 0, "token_end": 1}
TAGGED: dict[str, Any] = _OF | {
    "results": [
        {
            "text": "Ann left",
            "tokens": ["Ann", "left"],
            "tags": ["B-PER", "O"],
            "offsets": [[0, 3], [4, 8]],
            "spans": [_SPAN | {"probability": 0.4943}],
            "sentences": [[0, 2]],
            "token_probabilities": [0.6911, 0.7942],
            "sentence_probabilities": [0.4943],
        }
    ]
}
EXPLAINED: dict[str, Any] = _OF | {
    "sentence": 0,
    "sentences": [[0, 8]],
    "tokens": ["Ann", "left"],
    "offsets": [[0, 3], [4, 8]],
    "tags": MODEL["tags"],
    "emissions": [[1.0, 2.0, 1.5], [2.0, 0.0, 0.5]],
    "transitions": [[1.0, 0.0, None], [0.0, -1.0, 1.0], [0.0, -1.0, 0.5]],
    "start_transitions": [0.0, 0.5, None],
    "end_transitions": [0.5, 0.0, 0.0],
    "legal": [[True, True, False], [True, True, True], [True, True, True]],
    "allowed": [[True, True, True], [True, True, True]],
    "marginals": [[0.3089, 0.6911, 0.0], [0.7942, 0.0240, 0.1819]],
    "edges": [[1, 0, 0, 0.2998], [1, 1, 0, 0.4943], [1, 1, 1, 0.0149], [1, 1, 2, 0.1819]],
    "log_partition": 5.7045,
    "best": [{"tags": [1, 0], "score": 5.0, "probability": 0.4943}],
    "independent": {"tags": [1, 0], "score": 5.0, "probability": 0.4943},
    "broken": [],
}
METRICS = 'chaincrf_requests_total{path="/v1/tag",status="200"} 20.0\n'


def shown(value: Any, media: str = "application/json") -> dict[str, Any]:
    """A response with its example."""
    return {"content": {media: {"example": value}}}


def refused(*loc: str | int, msg: str, kind: str) -> dict[str, Any]:
    """The example of a refusal."""
    return shown({"detail": [{"loc": list(loc), "msg": msg, "type": kind}]})

"""A model card: what a model is, what it was trained on and how well it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["model_card"]


def model_card(name: str, record: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """The card in Markdown, with the header that model hubs read.

    Args:
        name: of the model.
        record: recipe, data and environment, see :func:`chaincrf.training.run_record`.
        result: ``best_epoch``, ``epochs``, ``dev_score`` and ``train_seconds``; ``test`` if there was one.
    """
    recipe, environment = record["recipe"], record["environment"]
    pos = recipe["task"] == "pos"
    metric = "accuracy" if pos else "span F1"
    scores = [f"| development, {metric} | {100 * result['dev_score']:.2f} |"]
    if "test" in result:
        found = result["test"]["accuracy"] if pos else result["test"]["spans"]["conlleval"]["f1"]
        scores.append(f"| test, {metric} | {100 * found:.2f} |")
    open_tags = [
        f"The tags of {part['unknown']:,} tokens of the {split} data were not known.\n"
        for split, part in record["data"].items()
        if "unknown" in part
    ]
    data = [f"| {split} | `{part['path']}` | `{part['sha256']}` |" for split, part in record["data"].items()]
    settings = [f"| {field} | {value} |" for field, value in recipe.items()]
    versions = ", ".join(f"{field} {value}" for field, value in environment.items())
    return "\n".join(
        [
            "---",
            "library_name: chaincrf",
            "pipeline_tag: token-classification",
            "---",
            "",
            f"# {name}",
            "",
            f"A BiLSTM with a {recipe['head']} head for "
            + ("parts of speech." if pos else f"spans, in the scheme {recipe['scheme']}."),
            f"Tag with it: `chaincrf tag {name} TEXT.txt`.",
            "",
            "| score | % |",
            "| --- | ---: |",
            *scores,
            "",
            f"Epoch {result['best_epoch']} of {result['epochs']}, by development score; "
            f"{result['train_seconds']:.0f} s of training. It knows what its training data shows: on texts "
            "of another kind, measure before you rely on it.",
            "",
            "![learning curve](learning-curve.svg)",
            "",
            "| data | file | SHA-256 |",
            "| --- | --- | --- |",
            *data,
            "",
            *open_tags,
            "| setting | value |",
            "| --- | --- |",
            *settings,
            "",
            f"Made with {versions}.",
            "",
        ]
    )

"""``chaincrf eval``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .config import MAX_THREADS, FormatConfig
from .options import configured

if TYPE_CHECKING:
    from ..data import Corpus
    from ..tagging import Tagger

__all__ = ["evaluate", "measure", "print_measure"]


@configured(FormatConfig, Reading=FormatConfig)
def evaluate(
    config: FormatConfig,
    model: Annotated[Path, typer.Argument(help="a model folder")],
    file: Annotated[Path, typer.Argument(help="tagged data")],
    json: Annotated[bool, typer.Option("--json", help="print the result as JSON on standard output")] = False,
    threads: Annotated[int, typer.Option(min=1, max=MAX_THREADS, help="CPU threads")] = 1,
) -> None:
    """Measure a model on tagged data: span F1 a label and a repair policy, or accuracy for POS.

    For example: `chaincrf eval model test.tsv`
    """
    from ..tagging import Tagger
    from .console import print_json, use_threads
    from .files import read_file

    use_threads(threads)
    tagger = Tagger.load(model)
    measured = measure(tagger, read_file(file, config, tagger.bundle.config.task))
    if json:
        print_json(measured)
    else:
        print_measure(measured)


def measure(tagger: Tagger, corpus: Corpus) -> dict[str, Any]:
    """Scores of a tagger on a corpus, as plain values."""
    from .. import evaluation
    from ..training import in_scheme

    scheme = tagger.bundle.config.scheme
    sentences = in_scheme(corpus, scheme)
    gold = [sentence.tags or () for sentence in sentences]
    found = evaluation.measure(gold, tagger.tag_sentences(sentences), scheme)
    result: dict[str, Any] = {
        "sentences": len(sentences),
        "tokens": found.accuracy.total,
        "accuracy": found.accuracy.accuracy,
        "per_label" if scheme else "per_tag": {
            name: _plain(score) for name, score in found.per_label.items()
        },
    }
    if found.invalid is not None:
        result["scheme"] = scheme
        result["spans"] = {repair: _plain(scores.overall) for repair, scores in found.spans.items()}
        result["invalid_sentences"] = found.invalid.invalid_sentences
        result["invalid_sentence_rate"] = found.invalid.sentence_rate
    return result


def _plain(score: Any) -> dict[str, float | int]:
    return {
        "precision": score.precision,
        "recall": score.recall,
        "f1": score.f1,
        "correct": score.correct,
        "predicted": score.predicted,
        "gold": score.gold,
    }


def print_measure(measured: dict[str, Any]) -> None:
    """The scores as a table on standard output."""
    from rich.table import Table
    from rich.text import Text

    from .console import stdout

    per_label: dict[str, Any] = measured.get("per_label") or measured.get("per_tag") or {}
    table = Table("", "precision", "recall", "F1", "gold", "predicted", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    overall = {f"all ({repair})": score for repair, score in measured.get("spans", {}).items()}
    for name, score in (*per_label.items(), *overall.items()):
        values = (f"{100 * score[key]:.2f}" for key in ("precision", "recall", "f1"))
        table.add_row(Text(name), *values, str(score["gold"]), str(score["predicted"]))
    console = stdout()
    console.print(table)
    line = f"{measured['sentences']} sentences, {measured['tokens']} tokens, "
    line += f"accuracy {100 * measured['accuracy']:.2f}"
    if "invalid_sentences" in measured:
        line += (
            f", {measured['invalid_sentences']} sentences ({100 * measured['invalid_sentence_rate']:.1f} %) "
            f"with a move that {measured['scheme']} forbids"
        )
    console.print(line)

"""``chaincrf select``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["select"]


def select(
    model: Annotated[Path, typer.Argument(help="a model folder")],
    file: Annotated[Path, typer.Argument(help="texts that nobody has annotated, one a line")],
    by: Annotated[
        Literal["entropy", "margin", "gain"],
        typer.Option(help="entropy of the paths, closeness of the second best, or expected corrections"),
    ] = "entropy",
    count: Annotated[int, typer.Option(min=1, help="texts to select")] = 100,
    per_token: Annotated[bool, typer.Option(help="divide by the length: else long texts come first")] = False,
    output_format: Annotated[
        Literal["text", "jsonl", "label-studio", "doccano", "prodigy"],
        typer.Option(help="texts with their values, JSON lines, or tasks of a tool, with the model's spans"),
    ] = "text",
    output: Annotated[Path | None, typer.Option(help="the file of the tasks of a tool")] = None,
) -> None:
    """Rank texts by how much their annotation would teach the model, the first one first.

    For example:

    `chaincrf select model unlabelled.txt --by gain --count 50`

    `chaincrf select model unlabelled.txt --output-format label-studio --output tasks.json`
    """
    import json

    from ..data.readers.lines import open_lines
    from ..errors import ConfigError, DataError
    from ..integrations.annotation import write_annotations
    from ..tagging import Tagger
    from ..tagging.selection import select as ranked
    from .console import note

    tool = None if output_format in ("text", "jsonl") else output_format
    if (tool is None) != (output is None):
        raise ConfigError("--output: expected together with --output-format of an annotation tool")
    tagger = Tagger.load(model)
    texts = []
    with open_lines(file, head=0) as lines:
        for line in lines:
            if line.problem:
                raise line.problem
            if line.text.strip():
                texts.append(line.text)
    if not texts:
        raise DataError("expected texts, one a line, found none", path=file)
    chosen = ranked(tagger, texts, by=by, count=count, per_token=per_token)
    if tool is not None and output is not None:
        number = write_annotations(tagger, [str(one.text) for one in chosen], output, tool)
        note(f"{number} of {len(texts)} texts in {output}")
        return
    for one in chosen:
        content = {"line": one.index + 1, by: one.value, "text": one.text}
        plain = f"{one.value:.4f}\t{one.text}"
        print(plain if output_format == "text" else json.dumps(content, ensure_ascii=False))  # noqa: T201

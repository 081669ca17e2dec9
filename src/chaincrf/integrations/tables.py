"""Texts in a column of a table of pandas, polars or Arrow, tagged; the same kind of table comes back."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from .._lazy import require
from ..errors import ArgumentError
from ..tagging import Tagged, Tagger

__all__ = ["span_table", "tag_table"]

_FIELDS = ("start", "end", "label", "text", "probability")


def tag_table(tagger: Tagger, table: Any, column: str, *, name: str = "spans", **options: Any) -> Any:
    """The table with a column of spans: for each text a list of start, end, label, text and probability.

    Args:
        tagger: the tagger; of parts of speech, the column holds tokens and tags instead.
        table: a ``pandas.DataFrame``, ``polars.DataFrame`` or ``pyarrow.Table``.
        column: the column of the texts (or of lists of tokens); a missing text gives a missing list.
        name: of the new column.
        **options: of :meth:`chaincrf.Tagger.tag_all`, such as ``threshold``.

    Raises:
        ArgumentError: another kind of table, or no such column.
    """
    kind, texts = _texts(table, column)
    spanned = tagger.bundle.config.scheme is not None
    rows = [None if one is None else _content(one, spanned) for one in _tagged(tagger, texts, options)]
    if kind == "pandas":
        import pandas

        return table.assign(**{name: pandas.Series(rows, index=table.index, dtype=object)})
    if kind == "polars":
        import polars

        return table.with_columns(polars.from_arrow(_array(rows, spanned)).alias(name))  # type: ignore[union-attr]
    return table.append_column(name, _array(rows, spanned))


def span_table(tagger: Tagger, table: Any, column: str, *, key: str | None = None, **options: Any) -> Any:
    """A table with a row for each span: the text's key, start, end, label, text and probability.

    Args:
        tagger: a tagger of spans.
        table, column, options: as :func:`tag_table`.
        key: a column that names the texts; None: their number, from 0.

    Raises:
        ArgumentError: another kind of table, no such column, or a tagger of parts of speech.
    """
    if tagger.bundle.config.scheme is None:
        raise ArgumentError("tagger: expected one of spans, got one of parts of speech")
    kind, texts = _texts(table, column)
    keys = range(len(texts)) if key is None else _texts(table, key)[1]
    columns: dict[str, list[Any]] = {key or "row": [], **{field: [] for field in _FIELDS}}
    for own, one in zip(keys, _tagged(tagger, texts, options), strict=True):
        for span in () if one is None else one.spans:
            columns[key or "row"].append(own)
            for field in _FIELDS:
                columns[field].append(getattr(span, field))
    if kind == "pandas":
        import pandas

        return pandas.DataFrame(columns)
    if kind == "polars":
        import polars

        return polars.DataFrame(columns)
    import pyarrow

    return pyarrow.table(columns)


def _texts(table: Any, column: str) -> tuple[str, list[Any]]:
    """What kind of table it is, and the values of a column, None where missing."""
    kinds = {"pandas": "DataFrame", "polars": "DataFrame", "pyarrow": "Table"}
    for kind, name in kinds.items():
        module = sys.modules.get(kind)  # a table's library has been imported by whoever made it
        if module is None or not isinstance(table, getattr(module, name)):
            continue
        names = table.column_names if kind == "pyarrow" else list(table.columns)
        if column not in names:
            raise ArgumentError(f"column: expected one of {', '.join(map(str, names))}, got {column!r}")
        values = table[column].to_list() if kind != "pyarrow" else table[column].to_pylist()
        if kind == "pandas":
            missing = table[column].isna().to_list()
            values = [None if gone else value for value, gone in zip(values, missing, strict=True)]
        return kind, values
    found = f"{type(table).__module__}.{type(table).__name__}"
    raise ArgumentError(f"table: expected one of pandas, polars or pyarrow, got {found}")


def _tagged(tagger: Tagger, texts: Sequence[Any], options: dict[str, Any]) -> Iterable[Tagged | None]:
    found = tagger.tag_all((text for text in texts if text is not None), **options)
    for text in texts:
        yield None if text is None else next(found)


def _content(one: Tagged, spanned: bool) -> list[dict[str, Any]]:
    if spanned:
        return [{field: getattr(span, field) for field in _FIELDS} for span in one.spans]
    return [{"token": token, "tag": tag} for token, tag in zip(one.tokens, one.tags, strict=True)]


def _array(rows: Sequence[Any], spanned: bool) -> Any:
    pyarrow = require("pyarrow", "datasets")
    text, number = pyarrow.string(), pyarrow.int64()
    kinds = {"start": number, "end": number, "label": text, "text": text, "probability": pyarrow.float64()}
    fields = [(name, kinds[name]) for name in _FIELDS] if spanned else [("token", text), ("tag", text)]
    return pyarrow.array(rows, pyarrow.list_(pyarrow.struct(fields)))

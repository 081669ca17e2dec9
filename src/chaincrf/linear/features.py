"""Dictionaries of features, one a token, to the rows of a sparse matrix."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from ..errors import ArgumentError

__all__ = ["FeatureMap", "Token", "word_features"]

Token = Mapping[str, Any] | Iterable[str]
"""The features of one token: names with values, or names alone."""


def word_features(tokens: Sequence[str]) -> list[dict[str, Any]]:
    """The usual features of each token of a sentence: word, ends, case, and its neighbours'."""
    own = [
        {
            "lower": token.lower(),
            "suffix3": token[-3:],
            "suffix2": token[-2:],
            "prefix3": token[:3],
            "title": token.istitle(),
            "upper": token.isupper(),
            "digit": any(character.isdigit() for character in token),
            "hyphen": "-" in token,
        }
        for token in tokens
    ]
    kept = ("lower", "suffix3", "title", "upper")
    rows = []
    for i, features in enumerate(own):
        row = {"bias": True, **features}
        for shift in (-2, -1, 1, 2):
            if 0 <= i + shift < len(own):
                row |= {
                    f"{shift:+d}:{name}": own[i + shift][name] for name in kept[: 4 if abs(shift) == 1 else 1]
                }
            else:
                row[f"{shift:+d}:border"] = True
        rows.append(row)
    return rows


class FeatureMap:
    """Columns of the matrix: a name each, or ``2^k`` buckets that names are hashed into.

    The features of a token are a mapping from names to values, or names alone: a text ``v`` of name ``n`` is
    the feature ``n:v`` with value 1; a number or a truth value is the value of feature ``n`` (a 0 is there,
    too: it shows the feature with the tag); what a mapping or a collection under ``n`` holds has names that
    begin with ``n:``. So do CRFsuite's.

    Args:
        buckets: a power of two to hash into; None: a column for each name that was seen in fitting.

    Attributes:
        names: the name of each column; None where hashed.

    Raises:
        ArgumentError: ``buckets`` is no power of two.
    """

    def __init__(self, buckets: int | None = None) -> None:
        if buckets is not None and (buckets < 1 or buckets & (buckets - 1) or buckets > 2**30):
            raise ArgumentError(f"buckets: expected a power of two up to 2^30, got {buckets}")
        self.buckets = buckets
        self._columns: dict[str, int] = {}

    @property
    def names(self) -> list[str] | None:
        """The name of each column; None where hashed."""
        return None if self.buckets else list(self._columns)

    def __len__(self) -> int:
        """Count the columns."""
        return self.buckets or len(self._columns)

    def matrix(self, sentences: Iterable[Sequence[Token]], *, fit: bool = False) -> csr_array:
        """The features of all tokens, a row each, ``(N, F)`` float64; unknown names are left out.

        Args:
            sentences: the features of their tokens.
            fit: give names not yet seen a column.

        Raises:
            ArgumentError: a feature that is no text, number or collection of them; names sentence and token.

        Cost: a step in Python for each feature of each token.
        """
        columns, values, rows = [], [], [0]
        known, buckets = self._columns, self.buckets
        for number, sentence in enumerate(sentences, start=1):
            for place, token in enumerate(sentence, start=1):
                try:
                    for name, value in _named(token):
                        if buckets:
                            column = zlib.crc32(name.encode("utf-8", "surrogatepass")) & (buckets - 1)
                        elif fit:
                            column = known.setdefault(name, len(known))
                        else:
                            column = known.get(name, -1)
                        if column >= 0:
                            columns.append(column)
                            values.append(value)
                except (TypeError, ValueError) as error:
                    raise ArgumentError(f"X: sentence {number}, token {place}: {error}") from None
                rows.append(len(columns))
        matrix = csr_array(
            (np.array(values, dtype=np.float64), np.array(columns, dtype=np.int32), np.array(rows)),
            shape=(len(rows) - 1, len(self)),
        )
        matrix.sum_duplicates()  # two features of a token in one bucket, or a name said twice
        return matrix

    def keep(self, columns: np.ndarray) -> None:
        """Keep only these columns, in this order; for a map of names."""
        names = list(self._columns)
        self._columns = {names[column]: i for i, column in enumerate(columns.tolist())}


def _named(token: Any, prefix: str = "") -> Iterator[tuple[str, float]]:
    """The features of a token as names with values."""
    if isinstance(token, str):
        yield prefix + token, 1.0
    elif isinstance(token, Mapping):
        for name, value in token.items():
            full = f"{prefix}{name}"
            if isinstance(value, str):
                yield f"{full}:{value}", 1.0
            elif isinstance(value, (bool, int, float, np.number, np.bool_)):
                if not np.isfinite(value):
                    raise ValueError(f"feature {full!r}: expected a finite number, got {value}")
                yield full, float(value)
            else:
                yield from _named(value, f"{full}:")
    elif isinstance(token, Iterable):
        for part in token:
            yield from _named(part, prefix)
    else:
        kind = type(token).__name__
        raise TypeError(
            f"feature {prefix.rstrip(':')!r}: expected a text, a number or a collection, got {kind}"
        )

from pathlib import Path

import pytest

from chaincrf import errors


def test_one_root():
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), errors.ChainCRFError)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({}, "bad"),
        ({"path": "a.tsv"}, "a.tsv: bad"),
        ({"path": Path("a.tsv"), "line": 3}, "a.tsv:3: bad"),
        ({"path": "a.tsv", "line": 3, "column": 2}, "a.tsv:3:2: bad"),
    ],
)
def test_data_errors_begin_with_the_place(place, message):
    error = errors.DataError("bad", **place)
    assert str(error) == message
    assert error.line == place.get("line")

import pytest

from chaincrf.errors import ArgumentError
from chaincrf.integrations.tables import span_table, tag_table

pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")
pyarrow = pytest.importorskip("pyarrow")

pytestmark = pytest.mark.slow
COLUMNS = {"id": ["a", "b", "c"], "text": ["Ann saw Bob Ray in Rome.", None, "It rained."]}
MAKE = {"pandas": pandas.DataFrame, "polars": polars.DataFrame, "pyarrow": pyarrow.table}


def rows(table):
    if isinstance(table, pandas.DataFrame):
        return table.to_dict("records")
    return table.to_dicts() if isinstance(table, polars.DataFrame) else table.to_pylist()


@pytest.mark.parametrize("kind", MAKE)
def test_in_and_out(tagger, kind):
    table = MAKE[kind](COLUMNS)
    if kind == "pandas":
        table.index = [7, 8, 9]
    tagged = tag_table(tagger, table, "text")
    assert type(tagged) is type(table)
    first, missing, none = (row["spans"] for row in rows(tagged))
    found = [(span["start"], span["end"], span["label"], span["text"]) for span in first]
    assert found == [(0, 3, "PER", "Ann"), (8, 15, "PER", "Bob Ray"), (19, 23, "LOC", "Rome")]
    assert all(0 < span["probability"] <= 1 for span in first)
    assert missing is None
    assert none == []
    if kind == "pandas":
        assert tagged.index.tolist() == [7, 8, 9]
    found = span_table(tagger, table, "text", key="id")
    assert type(found) is type(table)
    assert [(row["id"], row["text"]) for row in rows(found)] == [
        ("a", "Ann"),
        ("a", "Bob Ray"),
        ("a", "Rome"),
    ]
    assert [row["row"] for row in rows(span_table(tagger, table, "text"))] == [0, 0, 0]
    assert rows(span_table(tagger, table, "text", threshold=1.0)) == []


@pytest.mark.parametrize("kind", MAKE)
def test_errors(tagger, kind):
    with pytest.raises(ArgumentError, match="column: expected one of id, text, got 'body'"):
        tag_table(tagger, MAKE[kind](COLUMNS), "body")
    with pytest.raises(ArgumentError, match="table: expected one of pandas"):
        tag_table(tagger, COLUMNS, "text")

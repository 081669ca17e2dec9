import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincrf.data.vector_formats import MAX_DIM, read_binary, read_text
from chaincrf.errors import DataError

numbers = st.floats(-100, 100, width=16)
word = st.text("ab Ä1.\xa0", min_size=1, max_size=5).filter(lambda text: text.strip(" ") == text)
tables = st.integers(1, 3).flatmap(
    lambda dim: st.dictionaries(word, st.lists(numbers, min_size=dim, max_size=dim), min_size=1, max_size=6)
)


def as_text(table, header):
    lines = [" ".join([word, *map(repr, row)]) for word, row in table.items()]
    dim = len(next(iter(table.values())))
    return "".join(f"{line}\n" for line in ([f"{len(table)} {dim}"] if header else []) + lines).encode()


def as_binary(table, end=b"\n"):
    dim = len(next(iter(table.values())))
    entries = (word.encode() + b" " + struct.pack(f"<{dim}f", *row) + end for word, row in table.items())
    return f"{len(table)} {dim}\n".encode() + b"".join(entries)


def equal(found, table):
    words, vectors, _ = found
    return dict(zip(words, vectors.tolist(), strict=True)) == table


@given(tables, st.booleans())
def test_text(tmp_path_factory, table, zipped):
    file = tmp_path_factory.mktemp("v") / "v.vec"
    content = as_text(table, header=True)
    file.write_bytes(gzip.compress(content) if zipped else content)
    assert equal(read_text(file), table)


def test_text_without_a_header(tmp_path):
    file = tmp_path / "glove.txt"
    file.write_text("the 0.5 -1\n. . . 2 3e0\nthe 7 7\n")
    assert equal(read_text(file), {"the": [0.5, -1], ". . .": [2, 3]})
    assert equal(read_text(file, limit=1, dtype=np.float16), {"the": [0.5, -1]})


@given(tables, st.sampled_from([b"", b"\n"]))
def test_binary(tmp_path_factory, table, end):
    file = tmp_path_factory.mktemp("v") / "v.bin"
    table = {word.replace(" ", "_"): row for word, row in table.items()}
    file.write_bytes(as_binary(table, end))
    assert equal(read_binary(file), table)
    assert len(read_binary(file, limit=1)[0]) == 1


def test_a_row_without_a_word_is_left_out(tmp_path):
    (tmp_path / "v.txt").write_text("the 1 2\n 3 4\n  5 6\nof 7 8\n")
    words, _, nameless = read_text(tmp_path / "v.txt")
    assert (words, nameless) == (("the", "of"), 2)
    (tmp_path / "v.bin").write_bytes(as_binary({"": [1.0], "the": [2.0]}))
    words, vectors, nameless = read_binary(tmp_path / "v.bin")
    assert (words, vectors.tolist(), nameless) == (("the",), [[2.0]], 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "v.txt: expected word vectors, found nothing"),
        (b"the\n", "v.txt:1: expected a word and 1 to 4,096 numbers"),
        (b"the 1 2\nof 1\n", "v.txt:2: expected a word and 2 numbers, found 1"),
        (b"the 1 2\nof 1 x\n", "v.txt:2: .*'x'"),
        (b"the 1 2\nof 1 nan\n", "v.txt:2: expected numbers up to .*, found nan"),
        (b"the 1 2\nof 1 1e300\n", r"v.txt:2: expected numbers up to .*, found 1e\+300"),
        (b"the 1 2\n" + b"x" * 1001 + b" 1 2\n", "v.txt:2: expected a word of 1 to 1,000 characters"),
        (b"the 1 2\n\xff 1 2\n", "v.txt:2:1: expected UTF-8"),
        (b"3 2\nthe 1 2\n", "v.txt: expected 3 words, as the header says, found 1"),
        (b"3 9999999\nthe 1 2\n", "v.txt:1: expected 1 to 50,000,000 words of 1 to 4,096 numbers"),
        (b"the" + b" 1" * (MAX_DIM + 1), "v.txt:1: expected a word and 1 to 4,096 numbers"),
    ],
)
def test_malformed_text(tmp_path, content, message):
    (tmp_path / "v.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_text(tmp_path / "v.txt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"the 1 2", "v.bin:1: expected a first line with the numbers"),
        ((793712314).to_bytes(4, "little") + b"\x0c", "v.bin: .*fastText model: take its .vec"),
        (as_binary({"a": [1.0, 2.0]})[:-3], "v.bin: word 1: expected it and 2 numbers"),
        (b"2 2\n" + as_binary({"a": [1.0, 2.0]})[4:], "v.bin: word 2: expected it"),
        (as_binary({"a": [float("nan")]}), "v.bin: word 1: expected numbers up to"),
        (b"1 1\n\xff 0000", "v.bin: word 1: expected UTF-8"),
        (b"1 1\n" + b"x" * 10_000, "v.bin: word 1: expected it"),
        (b"\x1f\x8bno", "v.bin: the file cannot be read"),
    ],
)
def test_malformed_binary(tmp_path, content, message):
    (tmp_path / "v.bin").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_binary(tmp_path / "v.bin")

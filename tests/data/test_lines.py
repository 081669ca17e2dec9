"""Files as lines: in bounded memory, with defects as values."""

import gzip
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincrf.data.readers import lines as module
from chaincrf.data.readers.lines import Line, blocks, open_lines
from chaincrf.errors import DataError


def read(path):
    with open_lines(path) as lines:
        return list(lines), lines.sha256


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("lines") / "file"


characters = st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"])


@given(
    texts=st.lists(st.text(characters, max_size=8), min_size=1, max_size=9),
    end=st.sampled_from(["\n", "\r\n"]),
    bom=st.booleans(),
    zipped=st.booleans(),
)
def test_lines_come_back(path, texts, end, bom, zipped):
    content = (b"\xef\xbb\xbf" if bom else b"") + end.join(texts).encode()
    path.write_bytes(gzip.compress(content) if zipped else content)
    found, sha256 = read(path)
    texts[0] = texts[0] if bom else texts[0].removeprefix("\ufeff")
    if found[len(texts) - 1 :] == []:  # after the last line end there is no line
        assert texts.pop() == ""
    assert [line.text for line in found] == texts
    assert [line.number for line in found] == list(range(1, len(texts) + 1))
    assert sha256 == hashlib.sha256(content).hexdigest()


def test_reading_ahead_loses_nothing(path):
    path.write_text("".join(f"{i}\n" for i in range(5_000)))
    with open_lines(path) as lines:
        assert len(lines.head) == 2_000
        assert [line.text for line in lines] == [str(i) for i in range(5_000)]


@pytest.mark.parametrize(
    ("content", "line", "column", "message"),
    [
        (b"ok\nna\xc3\xafve \xe9t\xe9\n", 2, 7, "expected UTF-8, found the byte 0xe9 at character 7"),
        (b"\xff\xfea\0", 1, 1, r"is the file UTF-16\?"),
        (b"a\nb\0c\n", 2, 2, "found a NUL at character 2"),
        (b"ok\n" + b"x" * (2**20 + 2) + b"\nok\n", 2, None, "at most 1,048,576 bytes"),
    ],
)
def test_bad_lines_are_named(path, content, line, column, message):
    path.write_bytes(content)
    (problem,) = [found.problem for found in read(path)[0] if found.problem]
    assert (problem.path, problem.line, problem.column) == (str(path), line, column)
    with pytest.raises(DataError, match=message):
        raise problem


def test_lines_after_a_bad_one_are_read(path):
    path.write_bytes(b"a\n\xff\n" + b"x" * (3 * 2**20) + b"\nb")
    found, _ = read(path)
    assert [(line.number, line.text, line.problem is None) for line in found] == [
        (1, "a", True),
        (2, "", False),
        (3, "", False),
        (4, "b", True),
    ]


def test_files_that_cannot_be_opened(tmp_path):
    (tmp_path / "train.tsv").touch()
    for path, message in [
        (tmp_path, "expected a file, found a directory"),
        (tmp_path / "trian.tsv", "no such file; there is train.tsv"),
        (tmp_path / "no" / "train.tsv", "nor is there a directory"),
        (tmp_path / ("x" * 5_000), "cannot be opened"),
        (tmp_path / "a\0b", "cannot be opened"),
    ]:
        with pytest.raises(DataError, match=message):
            read(path)


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: data[:20] + b"????" + data[24:]])
def test_damaged_gzip(path, damage):
    path.write_bytes(damage(gzip.compress(bytes(range(1, 250)))))
    with pytest.raises(DataError, match="the file cannot be read"):
        read(path)


def test_blocks_are_what_stands_between_borders(path):
    path.write_text("\n\na\nb\n \t\nc\n\n")
    with open_lines(path) as lines:
        found = list(blocks(lines, lambda text: not text.strip()))
    assert found == [[Line(3, "a"), Line(4, "b")], [Line(6, "c")]]


def test_a_block_without_end_is_bounded(path, monkeypatch):
    monkeypatch.setattr(module, "MAX_SENTENCE", 20)
    path.write_text("a O\n" * 1_000 + "\nb O\n")
    with open_lines(path) as lines:
        first, second = blocks(lines, lambda text: not text)
    assert len(first) == 6
    assert "expected a blank line between sentences" in str(first[-1].problem)
    assert [line.text for line in second] == ["b O"]

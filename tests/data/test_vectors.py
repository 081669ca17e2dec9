import zipfile

import pytest
import torch
from safetensors.torch import save_file

from chaincrf.data.vectors import WordVectors, convert_vectors, load_vectors
from chaincrf.errors import DataError


@pytest.fixture
def table(tmp_path):
    save_file({"vectors": torch.arange(6.0).reshape(3, 2)}, tmp_path / "v.safetensors")
    (tmp_path / "words.txt").write_text("the\nof\ncafé\n", encoding="utf-8")
    return tmp_path / "v.safetensors", tmp_path / "words.txt"


def test_rows_by_word(table):
    vectors = load_vectors(*table)
    assert vectors.vectors[vectors.row("café")].tolist() == [4, 5]
    assert vectors.row("zebra") is None


def test_damage_is_named(table, tmp_path):
    path, words = table
    words.write_text("the\nof\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"a row for each of the 2 words of words.txt, found shape \(3, 2\)"):
        load_vectors(path, words)
    with pytest.raises(DataError, match="cannot read word vectors"):
        load_vectors(path, tmp_path / "missing.txt")
    path.write_bytes(b"not a table")
    with pytest.raises(DataError, match="not a safetensors file"):
        load_vectors(path, words)
    save_file({"other": torch.zeros(1)}, path)
    with pytest.raises(DataError, match=r"expected a tensor named 'vectors', found \['other'\]"):
        load_vectors(path, words)


def test_lookup_falls_back():
    table = WordVectors(("paris", "Rome", "0000", "1987", "Rome"), torch.zeros(5, 1))
    words = ("Paris", "Rome", "ROME", "2024", "1987")
    assert [table.row(word) for word in words] == [0, 1, None, 2, 3]


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_converted_table_is_the_table(tmp_path, dtype):
    (tmp_path / "v.txt").write_text("the 0.5 -1.25\ncafé 3 4\nof 5 6\n", encoding="utf-8")
    target = tmp_path / "v.safetensors"
    convert_vectors(tmp_path / "v.txt", target, limit=2, dtype=dtype)
    table = load_vectors(target)
    assert table.words == ("the", "café")
    assert table.vectors.tolist() == [[0.5, -1.25], [3, 4]]
    assert table.vectors.dtype == getattr(torch, dtype)
    assert target.stat().st_mode == (tmp_path / "v.txt").stat().st_mode
    assert sorted(path.name for path in tmp_path.iterdir()) == ["v.safetensors", "v.txt"]


def test_a_table_with_its_words_beside_it_becomes_one_file(table, tmp_path):
    convert_vectors(table[0], tmp_path / "one.safetensors", dtype="float32")
    (tmp_path / "words.txt").unlink()
    assert load_vectors(tmp_path / "one.safetensors").vectors.tolist() == [[0, 1], [2, 3], [4, 5]]


def test_written_whole_or_not_at_all(tmp_path, monkeypatch):
    source, target = tmp_path / "v.txt", tmp_path / "v.safetensors"
    source.write_text("the 1e5\n")
    with pytest.raises(DataError, match=r"v\.txt: expected numbers that float16 can hold"):
        convert_vectors(source, target)
    convert_vectors(source, target, dtype="float32")
    with pytest.raises(DataError, match=r"v\.safetensors: expected no file here"):
        convert_vectors(source, target)
    before = target.read_bytes()
    with pytest.raises(DataError, match=r"expected a name that ends in \.safetensors"):
        convert_vectors(source, tmp_path / "v.bin")

    def full(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr("chaincrf.data.vectors.save_file", full)
    with pytest.raises(DataError, match="no space left"):
        convert_vectors(source, target, dtype="float32", overwrite=True)
    assert target.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["v.safetensors", "v.txt"]


def test_an_archive_is_to_be_unzipped(tmp_path):
    with zipfile.ZipFile(tmp_path / "glove.zip", "w") as archive:
        archive.writestr("glove.6B.100d.txt", "the 1 2")
    with pytest.raises(DataError, match=r"a zip archive: unzip it, it holds glove.6B.100d.txt"):
        load_vectors(tmp_path / "glove.zip")


def test_the_folder_of_a_converted_table_is_made(tmp_path):
    (tmp_path / "v.txt").write_text("the 1 2\n 3 4\n")
    table = convert_vectors(tmp_path / "v.txt", tmp_path / "a" / "b" / "v.safetensors")
    assert table.nameless == 1
    assert load_vectors(tmp_path / "a" / "b" / "v.safetensors").words == ("the",)

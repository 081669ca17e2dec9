import pytest
import torch
from safetensors.torch import save_file

from chaincrf.data.vectors import load_vectors
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

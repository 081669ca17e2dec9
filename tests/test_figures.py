"""The figures of the documentation are those that the code draws, of the example on the page."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
from chain_figures import EMISSIONS, FOLDER, TAGS, TRANSITIONS, WORDS, figures

sys.path.pop(0)


@pytest.mark.parametrize("name", figures())
def test_the_files_are_drawn_by_the_code(name):
    assert (FOLDER / name).read_text(encoding="utf-8") == figures()[name], (
        "run: python scripts/chain_figures.py"
    )
    assert f"images/{name}" in (ROOT / "docs" / "tutorials" / "linear-chain.md").read_text(encoding="utf-8")


def test_the_example_is_that_of_the_page():
    page = (ROOT / "docs" / "tutorials" / "linear-chain.md").read_text(encoding="utf-8")
    for numbers in (EMISSIONS, TRANSITIONS):
        assert str(numbers) in page
    assert f"words, tags = {WORDS}, {TAGS}".replace("'", '"') in page

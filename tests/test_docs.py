"""What the documentation shows works: its Python runs, its commands exist, its figures were measured."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from chaincrf.cli.main import app
from cli.commands import LIGHT

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def needed(page: Path) -> list[str]:
    """The libraries of extras that a page says it needs: ``<!-- needs: sklearn pandas -->``."""
    return " ".join(
        re.findall(r"^<!-- needs: ([\w. ]+) -->", page.read_text(encoding="utf-8"), re.MULTILINE)
    ).split()


with_python = [
    pytest.param(page, marks=[pytest.mark.slow] if needed(page) else [], id=page.name)
    for page in PAGES
    if "```python" in page.read_text(encoding="utf-8")
]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


@pytest.mark.parametrize("page", with_python)
def test_python_runs(page, tmp_path):
    """All blocks of a page, one after the other, in a fresh interpreter, as a reader would."""
    for module in needed(page):
        pytest.importorskip(module)
    code = "\n".join(blocks(page, "python"))
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | ({} if needed(page) else LIGHT)
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_all_python_runs():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert text.count("```py") == text.count("```python\n"), page


def commands() -> list[tuple[str, list[str]]]:
    found = []
    for page in PAGES:
        for block in blocks(page, "(?:console|bash|sh)"):
            for line in block.replace("\\\n", " ").splitlines():
                for part in line.split("|"):
                    words = shlex.split(part.split(">")[0].removeprefix("$ "), comments=True)
                    if words[:1] == ["chaincrf"]:
                        found.append((page.name, words[1:]))
    return found


@pytest.mark.parametrize(("page", "words"), commands(), ids=str)
def test_commands_exist(page, words):
    command = get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    assert {word for word in words if word.startswith("--")} <= known, page


def test_makefile_targets_of_the_readme_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)`", (ROOT / "README.md").read_text())) <= targets


def test_commands_of_measurements_exist():
    """Of the documentation and of the results themselves; and their help, which once met a percent sign."""
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    texts += [path.read_text(encoding="utf-8") for path in (ROOT / "benchmarks" / "results").glob("*.json")]
    found = re.findall(r"python benchmarks/run\.py ([^`\n\"]+)", "\n".join(texts))
    assert len(found) > 20
    code = (
        "import shlex, sys\n"
        "from run import options\n"
        "print(options().format_help())\n"
        "for line in sys.stdin:\n"
        "    words = shlex.split(line.replace(chr(92), ''), comments=True)\n"
        "    if words != ['--help']: options().parse_args(words)\n"
    )
    subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "benchmarks", input="\n".join(found), text=True, check=True
    )


def test_tables_are_the_measured_ones():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        from tables import PAGES, TABLES, fill
    finally:
        sys.path.pop(0)
    found = set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert fill(text) == text, "run: python benchmarks/tables.py"
        found |= set(re.findall(r"<!-- table: (\w+) -->", text))
    assert found == set(TABLES)

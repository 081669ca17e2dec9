"""Dependencies point down, and what says it is light is light."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import chaincrf
from chaincrf._lazy import require
from chaincrf.errors import MissingExtra
from chaincrf.training.named import read_toml

ROOT = Path(chaincrf.__file__).parent
FLOORS = [
    {"errors"},
    {"labels", "crf"},
    {"nn", "data", "evaluation", "torchcrf", "linear"},
    {"tagging"},
    {"training"},
    {"compare", "tuning"},
    {"serve", "integrations", "sklearn_crfsuite"},
    {"cli"},
]
HEAVY = {
    *("conllu", "jinja2", "lightning_fabric", "matplotlib", "numba", "numpy"),
    *("pydantic", "tokenizers", "torch", "triton", "typer"),
}
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def imported_rooms(file: Path) -> set[str]:
    """The rooms of the package that a file imports."""
    package = ["chaincrf", *file.relative_to(ROOT).parts[:-1]]
    modules = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, node.module or ""]).strip(".")
            modules |= {f"{stem}.{alias.name}" for alias in node.names}
    return {module.split(".")[1] for module in modules if module.startswith("chaincrf.")} & set(FLOOR)


@pytest.mark.parametrize(
    "file", [file for file in ROOT.rglob("*.py") if file.parent != ROOT or file.stem in FLOOR], ids=str
)
def test_imports_point_down(file):
    room = file.relative_to(ROOT).parts[0].removesuffix(".py")
    assert room in FLOOR, f"{room} has no floor: say in FLOORS where it stands"
    wrong = {other for other in imported_rooms(file) if other != room and FLOOR[other] >= FLOOR[room]}
    assert not wrong, f"{file} may not import {wrong}"


def test_the_rule_can_fail(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    file = tmp_path / "labels" / "bad.py"
    file.parent.mkdir()
    file.write_text("from ..training.loop import fit\nfrom .. import cli\nimport chaincrf.nn\n")
    assert imported_rooms(file) == {"training", "cli", "nn"}


def heavy_modules_after(code: str) -> set[str]:
    """Which heavy libraries a fresh interpreter holds after running some code."""
    code += f"\nimport sys; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


@pytest.mark.parametrize("module", ["chaincrf", "chaincrf.errors", "chaincrf.labels"])
def test_light_imports(module):
    assert heavy_modules_after(f"import {module}") == set()


def test_the_layer_does_not_load_the_trainer():
    assert not heavy_modules_after("from chaincrf import CRF, LinearChain") & {
        "lightning_fabric",
        "typer",
        "matplotlib",
        "tokenizers",
        "numba",
        "triton",
    }


@pytest.mark.parametrize("name", chaincrf.__all__)
def test_public_names_resolve(name):
    assert getattr(chaincrf, name).__doc__
    assert name in dir(chaincrf)


def test_every_module_says_what_is_public():
    for file in sorted(ROOT.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        names = {
            node.id for statement in tree.body for node in ast.walk(statement) if isinstance(node, ast.Name)
        }
        assert "__all__" in names or len(tree.body) == 1, file
        assert ast.get_docstring(tree), file


def test_a_missing_library_says_how_to_install_it():
    with pytest.raises(MissingExtra, match=r"no_such_library .* pip install 'chaincrf\[tune\]'") as caught:
        require("no_such_library", "tune")
    assert caught.value.name == "no_such_library"
    assert isinstance(caught.value, ImportError)


def test_every_extra_that_is_asked_for_is_named():
    """An error that names an extra which pyproject.toml lacks would send its reader astray."""
    project = read_toml(ROOT.parents[1] / "pyproject.toml")["project"]
    asked = {
        extra
        for file in ROOT.rglob("*.py")
        for extra in re.findall(r'require\(\s*"[\w.]+",\s*"(\w+)"', file.read_text(encoding="utf-8"))
    }
    assert asked
    assert asked <= set(project["optional-dependencies"])


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        chaincrf.nothing  # noqa: B018

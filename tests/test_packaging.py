"""What is shipped holds all it needs, and works with the core requirements alone."""

import os
import subprocess
import sys
import tarfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

import chaincrf
from corpora import toy_file

ROOT = Path(__file__).parent.parent
SOURCE = Path(chaincrf.__file__).parent


def test_importing_the_package_costs_next_to_nothing():
    """Under 50 ms of computing beside PyTorch's seconds; the least of several, as a machine may be busy."""
    code = """
import sys, time
import torch
times = []
for _ in range(7):
    for name in [name for name in sys.modules if name.partition(".")[0] == "chaincrf"]:
        del sys.modules[name]
    start = time.thread_time()
    import chaincrf
    times.append(time.thread_time() - start)
print(min(times))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(result.stdout) < 0.05


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with the sdist, the wheel that is made of it, and the site where it is installed."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(folder), "-t"]
    subprocess.run([*build, "sdist"], cwd=ROOT, check=True, capture_output=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as sdist:
        sdist.extractall(folder / "sdist", filter="data")
    (unpacked,) = (folder / "sdist").iterdir()
    subprocess.run([*build, "wheel"], cwd=unpacked, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*install, "--target", str(folder / "site"), str(wheel)], check=True, capture_output=True)
    return folder


@pytest.mark.slow
def test_what_the_wheel_holds(built):
    site = built / "site"
    files = {path.relative_to(SOURCE) for path in SOURCE.rglob("*") if path.is_file()}
    files = {path for path in files if path.suffix not in (".pyc", ".nbi", ".nbc")}
    shipped = {
        path.relative_to(site / "chaincrf") for path in (site / "chaincrf").rglob("*") if path.is_file()
    }
    assert shipped == files
    assert {Path("py.typed"), Path("serve/page/main.js"), Path("data/builtin/glove/LICENSE")} <= shipped
    (information,) = site.glob("*.dist-info")
    metadata = HeaderParser().parsestr((information / "METADATA").read_text(encoding="utf-8"))
    assert metadata["Name"] == "chaincrf"
    assert metadata["Version"] == chaincrf.__version__
    assert metadata["Requires-Python"] == ">=3.10"
    assert "# chaincrf" in metadata.get_payload()
    assert (information / "licenses" / "LICENSE").exists()
    assert {path.name for path in site.iterdir()} == {"bin", "chaincrf", information.name}
    unpacked = next((built / "sdist").iterdir())
    assert {"tests", "docs", "benchmarks", "Makefile", "constraints.txt"} <= {
        p.name for p in unpacked.iterdir()
    }


CORE_ONLY = """
import sys
from importlib import metadata
from importlib.machinery import PathFinder
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

def required(name, found):
    try:
        requirements = map(Requirement, metadata.requires(name) or ())
    except metadata.PackageNotFoundError:
        return
    for one in requirements:
        key = canonicalize_name(one.name)
        if key not in found and (one.marker is None or one.marker.evaluate({"extra": ""})):
            found.add(key)
            required(one.name, found)

core = {"chaincrf"}
required("chaincrf", core)
assert "numba" in core and "optuna" not in core, core
others = {
    module for module, owners in metadata.packages_distributions().items()
    if not core & {canonicalize_name(owner) for owner in owners}
}

class CoreOnly(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in others else super().find_spec(name, path, target)

    @staticmethod
    def find_distributions(*context):
        found = PathFinder.find_distributions(*context)
        return (one for one in found if canonicalize_name(one.name) in core)

sys.meta_path[sys.meta_path.index(PathFinder)] = CoreOnly
import chaincrf
assert chaincrf.__file__.startswith(sys.argv[1]), chaincrf.__file__
from typer.main import get_command
from chaincrf.cli.main import app
from chaincrf.crf import backend

def command(*words):
    get_command(app).main(list(words), standalone_mode=False)

command("--help")
small = ["--vectors", "none", "--epochs", "1", "--hidden", "8", "--device", "cpu"]
with backend("reference"):  # compiling is tested elsewhere
    command("train", "--train", "toy.tsv", "--dev", "toy.tsv", "--out", "model", *small)
    command("tag", "model", "toy.tsv", "--output", "tagged.jsonl")
    command("corpus", "list")
print(*sorted(others))
"""


@pytest.mark.slow
def test_works_with_the_core_requirements_alone(built, tmp_path):
    """Every library that a core requirement does not bring is hidden."""
    toy_file(tmp_path / "toy.tsv")
    environment = os.environ | {"PYTHONPATH": str(built / "site"), "OMP_NUM_THREADS": "1"}
    script = [str(built / "site" / "bin" / "chaincrf"), "--version"]
    version = subprocess.run(script, env=environment, capture_output=True, text=True, check=True).stdout
    assert version == f"chaincrf {chaincrf.__version__}\n"
    result = subprocess.run(
        [sys.executable, "-c", CORE_ONLY, str(built / "site")],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "Sequence labelling with BiLSTM-CRF taggers" in result.stdout
    assert "Serve models" in result.stdout
    assert {"optuna", "sklearn", "pyarrow"} <= set(result.stdout.splitlines()[-1].split())
    assert (tmp_path / "tagged.jsonl").read_text(encoding="utf-8").count("\n") == 20


@pytest.mark.slow
def test_spacy_finds_the_component_by_itself(built, tmp_path):
    pytest.importorskip("spacy")
    code = 'import spacy; print(type(spacy.blank("en").add_pipe("chaincrf")).__name__)'
    environment = os.environ | {"PYTHONPATH": str(built / "site")}
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout == "TaggerComponent\n", result.stderr

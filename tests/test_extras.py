"""What an extra brings and is missing is named with the line that installs it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from chaincrf.training.named import read_toml

ROOT = Path(__file__).parent.parent
WITHOUT = {
    "crfsuite": ("sklearn_crfsuite", "from chaincrf.compare.features import FeatureCRF; FeatureCRF()"),
    "datasets": (
        "datasets pyarrow",
        "from chaincrf.data import stream_corpus, write_shards; "
        "write_shards(stream_corpus(toy, piece=1), Path('shards'))",
    ),
    "gpu": ("triton", "from chaincrf.crf import backend; backend('triton').__enter__()"),
    "mlflow": ("mlflow", "from chaincrf.integrations.mlflow import save_model; save_model(None, 'model')"),
    "onnx": (
        "onnx onnxruntime onnxscript",
        "from chaincrf.tagging.export import export_onnx; export_onnx(None, Path('onnx'))",
    ),
    "ray": (
        "ray",
        "from chaincrf.compare.runs import on_ray; next(on_ray([], None, print, address='local'))",
    ),
    "serve": ("fastapi uvicorn prometheus_client", "command('serve', 'model')"),
    "sklearn": ("sklearn", "import chaincrf.integrations.sklearn"),
    "spacy": ("spacy", "import chaincrf.integrations.spacy"),
    "tensorboard": (
        "tensorboard",
        "from chaincrf.training.loggers import make_logger; make_logger('tensorboard', Path(), 'run')",
    ),
    "transformers": ("transformers accelerate", "import chaincrf.integrations.transformers"),
    "tune": ("optuna", "command('tune', '--train', toy)"),
    "wandb": (
        "wandb",
        "from chaincrf.training.loggers import make_logger; make_logger('wandb', Path(), 'run')",
    ),
}
SCRIPT = """
import json, sys
from pathlib import Path
from typer.main import get_command
from chaincrf.cli.main import app

def command(*words):
    get_command(app).main(list(words), standalone_mode=False)

without, toy, messages = json.loads(sys.argv[1]), sys.argv[2], {}
for modules, _ in without.values():
    sys.modules.update(dict.fromkeys(modules.split()))  # None: as if it were not installed
from chaincrf.crf import backends
backends.installed = lambda package: package not in sys.modules or sys.modules[package] is not None
for extra, (_, code) in without.items():
    try:
        exec(code)
    except Exception as error:
        messages[extra] = f"{type(error).__name__}: {error}"
print(json.dumps(messages))
"""


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("extras")
    (folder / "toy.tsv").write_text("Ann\tB-PER\nleft\tO\n")
    command = [sys.executable, "-c", SCRIPT, json.dumps(WITHOUT), "toy.tsv"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize("extra", WITHOUT)
def test_a_missing_extra_says_how_to_install_it(messages, extra):
    kind = "ArgumentError" if extra == "gpu" else "MissingExtra"
    assert re.match(rf"{kind}: .*say: pip install 'chaincrf\[{extra}\]'$", messages[extra]), messages[extra]


def test_none_is_forgotten():
    project = read_toml(ROOT / "pyproject.toml")["project"]
    for_developing = {"all", "test", "test-all", "bench", "check", "docs"}
    assert set(WITHOUT) == set(project["optional-dependencies"]) - for_developing

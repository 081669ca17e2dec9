"""Run measurements and keep their results.

    python benchmarks/run.py crf
    python benchmarks/run.py accuracy --data FOLDER --corpora ewt-pos

Every figure in the documentation was printed by one of these and lies in ``benchmarks/results``.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import platform
import sys
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

from registry import BENCHMARKS

RESULTS = Path(__file__).parent / "results"
PACKAGES = ["chaincrf", "torch", "numpy", "numba", "llvmlite", "triton", "lightning-fabric"]
PACKAGES += ["pytorch-crf", "TorchCRF", "torch-struct", "scipy", "sklearn-crfsuite"]
PACKAGES += ["fastapi", "uvicorn", "onnxruntime", "ray", "spacy", "tokenizers"]
PATHS = {"flair": "PYTHON", "spacy": "FOLDER"}


def processor() -> str:
    """The processor's own name, where the system tells it."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.exists() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{name or platform.machine()}, {os.cpu_count()} cores"


def versions() -> dict[str, str]:
    """What was measured with what."""
    found = {"python": platform.python_version(), "threads": str(torch.get_num_threads())}
    found["processor"] = processor()
    found["instructions"] = torch.backends.cpu.get_cpu_capability()
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def options() -> argparse.ArgumentParser:
    """The command line: a measurement, and what it needs."""
    listing = [
        f"  {name}: {(run.__doc__ or '').partition('.')[0].strip()}." for name, run in BENCHMARKS.items()
    ]
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="\n".join(["measurements:", *listing]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=BENCHMARKS, metavar="NAME", help="the measurement, see below")
    parser.add_argument("--data", type=Path, help="a folder of data that the measurement needs")
    parser.add_argument("--threads", type=int, help="threads of PyTorch; all cores by default")
    parser.add_argument("--save", metavar="NAME", help="the result's name, to keep that of another machine")
    extra = parser.add_argument_group("of some measurements")
    extra.add_argument("--rounds", type=int, help="turns of each contestant")
    extra.add_argument("--flair", type=Path, help="the Python of an environment that has Flair")
    extra.add_argument("--spacy", type=Path, help="the folder of spaCy's model, if it is not installed")
    extra.add_argument("--corpora", nargs="+", help="the corpora to train on")
    extra.add_argument("--variants", nargs="+", help="what to train")
    extra.add_argument("--seeds", type=int, help="training runs of each")
    extra.add_argument("--jobs", type=int, help="training runs at a time, a thread each")
    return parser


def main() -> None:
    """Run one measurement, print its rows and write them to ``benchmarks/results``."""
    parser = options()
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    name, data, threads = given.pop("name"), given.pop("data", None), given.pop("threads", None)
    command = f"python benchmarks/run.py {name}{' --data FOLDER' if data else ''}"
    command += f" --threads {threads}" if threads else ""
    saved = given.pop("save", None)
    command += f" --save {saved}" if saved else ""
    for option, value in given.items():
        said = PATHS.get(option) or " ".join(map(str, as_list(value)))
        command += f" --{option} {said}"
    takes = inspect.signature(BENCHMARKS[name]).parameters
    if unknown := given.keys() - takes.keys():
        parser.error(f"{name} has no option --{', --'.join(sorted(unknown))}")
    if threads:
        torch.set_num_threads(threads)
    path = RESULTS / f"{saved or name}.json"
    if "done" in takes:  # a long one: every row is kept at once, and is not measured again
        given["done"] = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    rows = []
    for row in BENCHMARKS[name](data, **given):
        print(json.dumps(row), flush=True)
        rows.append(row)
        if "done" in takes:
            write(path, command, rows)
    write(path, command, rows)
    print(f"written: {path}")


def as_list(value: object) -> list[object]:
    """Something, or the list that it is."""
    return value if isinstance(value, list) else [value]


def write(path: Path, command: str, rows: list[dict[str, object]]) -> None:
    """Write the result, whole or not at all."""
    path.parent.mkdir(exist_ok=True)
    result = {
        "command": command,
        "measured": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": versions(),
        "rows": rows,
    }
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


if __name__ == "__main__":
    main()

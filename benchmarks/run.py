"""Run measurements and keep their results.

    python benchmarks/run.py crf
    python benchmarks/run.py pos --data FOLDER

Every figure in the documentation was printed by one of these and lies in ``benchmarks/results``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

from registry import BENCHMARKS

RESULTS = Path(__file__).parent / "results"
PACKAGES = ["chaincrf", "torch", "numpy", "numba", "llvmlite", "lightning-fabric"]
PACKAGES += ["pytorch-crf", "TorchCRF", "torch-struct"]


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


def main() -> None:
    """Run one measurement, print its rows and write them to ``benchmarks/results``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    listing = "; ".join(f"{name}: {(run.__doc__ or '').strip()}" for name, run in BENCHMARKS.items())
    parser.add_argument("name", choices=BENCHMARKS, help=listing)
    parser.add_argument("--data", type=Path, help="a folder of data that the measurement needs")
    parser.add_argument("--threads", type=int, help="threads of PyTorch; all cores by default")
    parser.add_argument("--save", metavar="NAME", help="the result's name, to keep that of another machine")
    parser.add_argument("--only", action="append", help="of `compare`: one corpus; may be said again")
    parser.add_argument("--seeds", type=int, help="of `compare`: training runs of each variant, 5 by default")
    parser.add_argument("--jobs", type=int, help="of `compare`: processes at a time, 2 by default")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    given = {"names": arguments.only, "seeds": arguments.seeds, "jobs": arguments.jobs}
    options = {name: value for name, value in given.items() if value is not None}
    if options and arguments.name != "compare":
        parser.error("--only, --seeds and --jobs belong to compare")
    rows = []
    for row in BENCHMARKS[arguments.name](arguments.data, **options):
        print(json.dumps(row), flush=True)
        rows.append(row)
    RESULTS.mkdir(exist_ok=True)
    data = " --data FOLDER" if arguments.data else ""
    data += f" --threads {arguments.threads}" if arguments.threads else ""
    data += f" --save {arguments.save}" if arguments.save else ""
    result = {
        "command": f"python benchmarks/run.py {arguments.name}{data}",
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "rows": rows,
    }
    path = RESULTS / f"{arguments.save or arguments.name}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"written: {path}")


if __name__ == "__main__":
    main()

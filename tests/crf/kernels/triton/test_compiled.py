"""Triton's kernels compile for devices that are not there, of capability 8.0 and 9.0, and fit others."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

KERNELS = {
    *("weigh", "forward_backward", "products", "boundaries", "forward_backward_tile"),
    *("finish", "weighted", "best_paths"),
}


@pytest.mark.slow
def test_to_machine_code(tmp_path: Path) -> None:
    """The fullest variant of each, and that with sizes of 1; ``compiling.py`` without its option does all."""
    pytest.importorskip("triton")
    environment = os.environ | {"TRITON_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("TRITON_INTERPRET", None)
    command = [sys.executable, Path(__file__).with_name("compiling.py"), "--quick"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    names = Counter(line.split()[0] for line in done.stdout.splitlines())
    assert names == dict.fromkeys(KERNELS, 2)

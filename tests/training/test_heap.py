"""In processes of their own: the setting holds for good."""

import os
import platform
import subprocess
import sys

import pytest

COUNT = """
import resource
import torch
from chaincrf.training.heap import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        held = [torch.ones(5_000_000) for _ in range(4)]  # 20 MB each
        del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

keep_freed_memory()
faults()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
@pytest.mark.parametrize("own", [{}, {"MALLOC_TRIM_THRESHOLD_": "100000"}], ids=["ours", "own setting"])
def test_pages_are_fetched_once(own):
    """Unless the environment says otherwise. Skipped where the C library is another than glibc.

    Others have no such setting, and are left alone.
    """
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("MALLOC", "GLIBC", "THP"))
    }
    command = [sys.executable, "-c", COUNT]
    run = subprocess.run(command, env=inherited | own, check=True, capture_output=True, text=True)
    faults = int(run.stdout)
    assert (faults > 10_000) if own else (faults < 2_000)  # huge pages: 40,000 in place of 400,000

"""Which code computes, and that it says so."""

import subprocess
import sys

import pytest
import torch

from chaincrf.crf import LinearChain, backends
from chaincrf.crf.backends import backend, kernels_for
from chaincrf.errors import ArgumentError


def test_auto_takes_the_kernels_on_a_cpu() -> None:
    cpu, meta = torch.zeros(1), torch.zeros(1, device="meta")
    assert kernels_for(cpu) is not None
    assert kernels_for(meta) is None
    with backend("reference"):
        assert kernels_for(cpu) is None
        with backend("numba"):
            assert kernels_for(cpu) is not None
        assert kernels_for(cpu) is None
    assert kernels_for(cpu) is not None


def test_a_backend_asked_for_by_name_that_cannot_serve_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pytest.raises(ArgumentError, match='"numba" computes on CPUs, got emissions on meta'),
        backend("numba"),
    ):
        LinearChain(torch.zeros(1, 2, 3, device="meta"), torch.zeros(3, 3, device="meta")).viterbi()
    monkeypatch.setattr(backends, "installed", lambda package: False)
    with pytest.raises(ArgumentError, match="numba, which is not installed"), backend("numba"):
        pass


def test_an_unknown_backend(unchecked: None) -> None:
    with (
        pytest.raises(ArgumentError, match='must be "auto", "reference", "numba" or "triton", got \'cuda\''),
        backend("cuda"),
    ):
        pass


def test_without_numba_the_reference_serves_with_one_warning() -> None:
    code = """
import importlib.util, sys, warnings
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "numba" else find(name, *more)
import torch, chaincrf
crf = chaincrf.CRF(3)
emissions, tags = torch.zeros(2, 4, 3), torch.zeros(2, 4, dtype=torch.int64)
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    for _ in range(2):
        loss = crf(emissions, tags)
        loss.backward()
        crf.decode(emissions)
assert abs(float(loss) - 4 * 1.0986122886681098) < 1e-5, loss
assert ["numba is not installed" in str(w.message) for w in seen] == [True], seen
assert not any(name.partition(".")[0] == "numba" for name in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_importing_the_package_does_not_import_numba() -> None:
    code = "import sys, chaincrf; chaincrf.CRF(3); assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

"""What every test shares."""

import os
from importlib.util import find_spec

import jaxtyping
import pytest
import torch
from hypothesis import settings

settings.register_profile("chaincrf", deadline=None)  # a busy machine is no defect
settings.load_profile("chaincrf")
os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's workers step back: beside other tests, for minutes


def pytest_sessionstart():
    """Two workers that begin together compile the kernels once: each those of one type."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker in ("gw0", "gw1") and find_spec("numba"):
        from chaincrf.crf.kernels import numba_cpu as cpu

        for kernel in (cpu.weigh, cpu.forward_backward, cpu.log_space, cpu.viterbi_):
            kernel.run.of(torch.float32 if worker == "gw0" else torch.float64)
        if worker == "gw1":
            from chaincrf.nn import lstm_kernel

            lstm_kernel.run.of(torch.float32)


@pytest.fixture(autouse=True)
def _one_thread():
    """Tests run side by side, a process a core: more threads would only wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture
def unchecked():
    """Call functions with arguments of a wrong type, as users without a type checker do."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)

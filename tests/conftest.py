"""What every test shares."""

import jaxtyping
import pytest
import torch
from hypothesis import settings

settings.register_profile("chaincrf", deadline=None)  # a busy machine is no defect
settings.load_profile("chaincrf")


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

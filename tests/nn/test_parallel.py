"""The layer in several processes, and in several threads of one."""

import copy
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from chaincrf import CRF

SCRIPT = """
import torch
from torch.nn.parallel import DistributedDataParallel
from chaincrf import CRF
from chaincrf.crf import backend

class Tagger(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.crf = CRF.from_labels(["PER", "LOC"], scheme="BIO")
        self.projection = torch.nn.Linear(6, self.crf.num_tags)

    def forward(self, vectors, tags, mask):
        return self.crf(self.projection(vectors), tags, mask)

torch.distributed.init_process_group("gloo")
rank = torch.distributed.get_rank()
torch.manual_seed(0)
vectors, tags, model = torch.randn(6, 5, 6), torch.zeros(6, 5, dtype=torch.long), Tagger()
mask = torch.rand(6, 5) < 0.8
with backend("reference"):
    model(vectors, tags, mask).backward()
    whole = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    own = slice(3 * rank, 3 * rank + 3)
    parallel = DistributedDataParallel(model)
    parallel(vectors[own], tags[own], mask[own]).backward()
for parameter, expected in zip(model.parameters(), whole, strict=True):
    torch.testing.assert_close(parameter.grad, expected)
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_have_the_gradient_of_the_whole_batch(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    result = subprocess.run(
        [*command, str(tmp_path / "script.py")],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr


def test_two_threads_have_the_losses_of_the_whole_batch():
    """What ``nn.DataParallel`` does with two devices: a copy and a thread for each, then one backward."""
    torch.manual_seed(0)
    whole = CRF.from_labels(["PER", "LOC"], scheme="BIO")
    emissions, tags = torch.randn(6, 5, 5), torch.zeros(6, 5, dtype=torch.long)
    mask = torch.rand(6, 5) < 0.8

    def losses(crf: CRF, part: slice) -> torch.Tensor:
        return crf(emissions[part], tags[part], mask[part], reduction="none")

    copies = [copy.deepcopy(whole) for _ in range(2)]
    with ThreadPoolExecutor(2) as threads:
        parts = torch.cat(list(threads.map(losses, copies, [slice(3), slice(3, 6)])))
    parts.mean().backward()
    together = losses(whole, slice(6))
    together.mean().backward()
    torch.testing.assert_close(parts, together)
    for one, first, second in zip(*(crf.parameters() for crf in (whole, *copies)), strict=True):
        torch.testing.assert_close(first.grad + second.grad, one.grad)


def test_data_parallel():
    """Without a GPU it calls the model as it is; with some it splits the batch."""
    torch.manual_seed(0)
    crf = CRF(3)
    emissions, tags = torch.randn(4, 5, 3), torch.zeros(4, 5, dtype=torch.long)
    expected = crf(emissions, tags, reduction="none")
    found = torch.nn.DataParallel(crf)(emissions, tags, reduction="none")
    torch.testing.assert_close(found.cpu(), expected)

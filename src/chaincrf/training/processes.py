"""The processes that train one model together: which device each has, and what they tell each other.

``torchrun`` (and ``fabric run``, which calls it) starts the processes and says in the environment how many
there are. All of them read the same data, make the same plan of batches, and take their share of every batch;
the sum of their gradients is the gradient of the whole batch. All of it goes in one message a step, of word
vectors only what the batch has read, and on one machine through memory, see :mod:`.shared_memory`. PyTorch's
DistributedDataParallel sends several, with the whole table, while the backward pass goes on, which gains
nothing where that pass keeps every core busy. (On GPUs neither has been measured.)
"""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor, distributed, nn

from ..data.batching import shares
from ..errors import ConfigError, DataError
from .recipe import Recipe
from .shared_memory import SharedMemory

__all__ = ["Processes", "launch", "leave"]


def leave() -> None:
    """Part from the other processes, at the end."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def launch(recipe: Recipe) -> Fabric:
    """The devices of the recipe, in all processes.

    Raises:
        ConfigError: if the device is not there, or cannot compute in the recipe's precision.
    """
    if recipe.precision == "16-mixed" and recipe.device == "auto" and not torch.accelerator.is_available():
        raise ConfigError("precision: 16-mixed needs a GPU; on the CPU take bf16-mixed or 32-true")
    world, local = (int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    strategy = "auto" if world == 1 else _Unwrapped()
    if os.environ.get("LT_STRATEGY") == "ddp":  # of ``fabric run``: it is what we do
        del os.environ["LT_STRATEGY"]
    nodes: dict[str, Any] = {"devices": local, "num_nodes": world // local} if world > 1 else {"devices": 1}
    try:
        fabric = Fabric(accelerator=recipe.device, strategy=strategy, precision=recipe.precision, **nodes)
    except (RuntimeError, ValueError, MisconfigurationException) as error:
        problem = f"device: expected one that this machine has, got {recipe.device!r}: {error}"
        raise ConfigError(problem) from None
    if "LT_CLI_USED" not in os.environ:  # ``fabric run`` has launched it
        fabric.launch()
    if recipe.precision == "bf16-mixed" and fabric.device.type == "cpu":
        _check_half(fabric, recipe.hidden)
    return fabric


class _Unwrapped(DDPStrategy):
    """A process a device; the gradients are summed by :class:`Processes`, not in the model."""

    def setup_module(self, module: nn.Module) -> nn.Module:  # pyright: ignore[reportIncompatibleMethodOverride]
        return module


def _check_half(fabric: Fabric, hidden: int) -> None:
    """Not every processor computes an LSTM in 16 bits, and there is no asking but by trying."""
    try:
        with fabric.autocast():
            nn.LSTM(hidden, hidden, bias=True)(torch.zeros(2, 1, hidden))[0].sum().backward()
    except RuntimeError as error:
        reason = str(error).partition(".")[0]
        problem = f"precision: this processor computes no LSTM in bf16-mixed ({reason}); take 32-true"
        raise ConfigError(problem) from None


class Processes:
    """What the processes of a run share and exchange; all call a method but :meth:`share` at once.

    Args:
        fabric: launched.
    """

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric
        self.number, self.count = fabric.global_rank, fabric.world_size
        self._memory: SharedMemory | None = None  # what is summed to open it goes by gloo
        self._memory = self._share_memory()

    def seed(self, seed: int) -> None:
        """Seed PyTorch, differently in every process, so that dropout differs."""
        torch.manual_seed(seed + (self.number << 32))

    def align(self, model: nn.Module) -> None:
        """Give the model the first process's parameters: another processor may have drawn other last bits.

        Raises:
            DataError: if the models are not alike, because the processes have read other files.
        """
        if self.count > 1:
            self.check(str([(name, tuple(value.shape)) for name, value in model.state_dict().items()]))
            for parameter in model.parameters():
                distributed.broadcast(parameter.detach(), src=0)

    def check(self, read: str) -> None:
        """Make sure that all processes have read the same.

        Raises:
            DataError: if not.
        """
        digest = hashlib.sha256(read.encode()).digest()
        if not self.agree([int.from_bytes(digest[:7], "big")]):
            raise DataError(
                "expected the same recipe, data and vectors in all processes, found others in one"
            )

    def share(
        self, index: Int[np.ndarray, " B"], lengths: Callable[[np.ndarray], np.ndarray]
    ) -> Int[np.ndarray, " S"]:
        """This process's sentences of a batch, about as much work as every other's; there may be none.

        Args:
            index: the sentences, sorted by length.
            lengths: gives the number of tokens of some sentences.
        """
        if self.count == 1:
            return index
        parts = shares(lengths(index), self.count)
        return index[parts[self.number]] if self.number < len(parts) else index[:0]

    def add_up(self, values: Sequence[Tensor]) -> None:
        """Give all tensors, of one dtype, their sums over several processes, in place and in one message."""
        if self._memory is not None:
            self._memory.add_up(values)
            return
        message = torch.cat([value.flatten() for value in values])
        distributed.all_reduce(message)
        for value, part in zip(values, message.split([value.numel() for value in values]), strict=True):
            value.copy_(part.view_as(value))

    def total(self, counts: Sequence[int]) -> list[int]:
        """The sums over the processes."""
        if self.count == 1:
            return list(counts)
        numbers = torch.tensor(counts, dtype=torch.int64, device=self._fabric.device)
        self.add_up([numbers])
        return numbers.tolist()

    def any(self, flag: bool) -> bool:
        """Whether it holds in some process."""
        return self.total([int(flag)])[0] > 0

    def agree(self, values: Sequence[int]) -> bool:
        """Whether all processes have the same numbers."""
        rows = self.gather(torch.tensor(values, device=self._fabric.device))
        return bool((rows == rows[0]).all())

    def gather(self, value: Tensor) -> Tensor:
        """The tensors of all processes, stacked, in the processor's memory."""
        if self.count == 1:
            return value[None]
        value = value.to(self._fabric.device)
        parts = [torch.empty_like(value) for _ in range(self.count)]
        distributed.all_gather(parts, value)
        return torch.stack(parts).cpu()

    def _share_memory(self) -> SharedMemory | None:
        """Memory of all processes, where they are on one machine and it has a core for each.

        On processors that may show one process's writes to another in another order, gloo sums.
        """
        here = int(os.environ.get("LOCAL_WORLD_SIZE", "0")) == self.count <= (os.cpu_count() or 1)
        ordered = platform.machine() == "x86_64" and platform.system() == "Linux"
        if self.count == 1 or not here or not ordered or self._fabric.device.type != "cpu":
            return None
        name = torch.tensor([secrets.randbits(62)])
        distributed.broadcast(name, src=0)
        file, memory = Path(f"/dev/shm/chaincrf-{name.item():x}"), None
        try:
            with suppress(OSError):
                if self.number == 0:
                    SharedMemory.create(file, self.count)
            distributed.barrier()
            with suppress(OSError):
                memory = SharedMemory(file, self.number, self.count)
            if self.any(memory is None):  # too little memory for shared files, as in some containers
                memory = None
        finally:
            if self.number == 0:
                file.unlink(missing_ok=True)
        return memory

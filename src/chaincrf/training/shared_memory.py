"""Sums over the processes of one machine, in memory that they share.

A message through gloo, PyTorch's way between processors, passes sockets and two more threads in each process,
which sleep and have to be woken: four to six milliseconds of a step of 35. Here every process writes into
memory that all see, says so, and looks until the others have said so too. Two processes then sum both
messages each for itself. Of more each sums a part, waits again, and reads the sums of all: two passes over a
message, however many there are.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

__all__ = ["SharedMemory"]

_SIZE = 1 << 21  # bytes of a message; a longer one goes in parts
_LINE = 64  # bytes that processors exchange at once: a process's flags have theirs
_PATIENCE = 0.02  # seconds to look without a pause


class SharedMemory:
    """Memory that several processes of one machine share; all call :meth:`add_up` at once.

    Every process has a flag, the number of times that it has waited for the others, and two places for
    messages, used in turn: a place is written again only when all have read what was there.

    Args:
        file: of :meth:`create`, which one process calls before the others come.
        number: of this process, from 0.
        count: of processes.

    Raises:
        OSError: if the file is not there.
    """

    def __init__(self, file: Path, number: int, count: int) -> None:
        memory = np.memmap(file, np.uint8, "r+", shape=(count, _LINE + 2 * _SIZE))
        self._flags = memory[:, :16].view(np.int64)  # times waited, process identifier
        self._places = torch.from_numpy(memory[:, _LINE:]).view(count, 2, _SIZE).transpose(0, 1)
        self._number, self._count, self._turn = number, count, 0
        self._broken = False
        self._flags[number] = 0, os.getpid()

    @staticmethod
    def create(file: Path, count: int) -> None:
        """Make the file, which can be removed as soon as all processes have opened it.

        Raises:
            OSError: if the memory is not there.
        """
        handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            os.posix_fallocate(handle, 0, count * (_LINE + 2 * _SIZE))
        except OSError:
            file.unlink()
            raise
        finally:
            os.close(handle)

    def add_up(self, values: Sequence[Tensor]) -> None:
        """Give tensors, of one dtype and contiguous, their sums over the processes: the same bits in all.

        Raises:
            ConnectionError: if another process has ended, or an earlier sum was interrupted.
        """
        if self._broken:
            raise ConnectionError("a sum over the processes was interrupted; there can be no other")
        dtype, flat = values[0].dtype, [value.view(-1) for value in values]
        self._broken = True  # until it is done
        for pieces in _messages(flat, _SIZE // dtype.itemsize):
            self._turn += 1
            sizes = [len(piece) for piece in pieces]
            rows = self._places[self._turn % 2].view(dtype)[:, : sum(sizes)]
            torch.cat(pieces, out=rows[self._number])
            self._wait()
            if self._count > 2:
                size = ceil(sum(sizes) / self._count)
                mine = slice(self._number * size, (self._number + 1) * size)
                rows[0, mine] = rows[:, mine].sum(0)
                self._wait()
                rows = rows[:1]
            for piece, parts in zip(pieces, rows.split(sizes, dim=1), strict=True):
                piece.copy_(parts[0])
                for other in parts[1:]:  # twice as fast as a sum over the rows
                    piece.add_(other)
        self._broken = False

    def _wait(self) -> None:
        """Go on when all processes have come here as often as this one."""
        times, identifiers = self._flags.T
        times[self._number] += 1
        soon = time.perf_counter() + _PATIENCE
        while times.min() < times[self._number]:
            if time.perf_counter() < soon:
                os.sched_yield()
                continue
            time.sleep(0.001)
            for number, identifier in enumerate(identifiers.tolist()):
                if _ended(identifier) and times[number] < times[self._number]:
                    raise ConnectionError(f"process {number} of {self._count} has ended before its work")


def _messages(values: Sequence[Tensor], size: int) -> Iterator[list[Tensor]]:
    """Vectors one after the other, cut into lists of pieces with no more than so many numbers together."""
    pieces, room = [], size
    for value in values:
        rest = value
        while len(rest) > room:
            yield [*pieces, rest[:room]]
            rest, pieces, room = rest[room:], [], size
        pieces.append(rest)
        room -= len(rest)
    yield pieces


def _ended(identifier: int) -> bool:
    """Whether there is no such process, or only what its parent has to be told of it."""
    try:
        stat = Path(f"/proc/{identifier}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"

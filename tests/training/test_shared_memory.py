"""Threads stand in for processes: the memory is as much theirs. ``test_processes.py`` has real ones."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chaincrf.training import shared_memory
from chaincrf.training.shared_memory import SharedMemory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such files in memory")


@pytest.fixture(autouse=True, scope="module")
def short():
    """Small places, so that messages go in parts, and threads that let each other in."""
    interval = sys.getswitchinterval()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared_memory, "_SIZE", 64)
        sys.setswitchinterval(1e-5)
        yield
    sys.setswitchinterval(interval)


def opened(folder, count):
    file = folder / "memory"
    SharedMemory.create(file, count)
    memories = [SharedMemory(file, number, count) for number in range(count)]
    file.unlink()
    return memories


SHAPES = st.lists(st.lists(st.integers(0, 6), max_size=2).map(tuple), min_size=1, max_size=4)


@given(st.integers(1, 5), SHAPES, st.booleans())
def test_sums_of_several_tensors(tmp_path_factory, count, shapes, double):
    """More than a place holds, fewer numbers than processes, none at all; one sum after the other."""
    memories = opened(tmp_path_factory.mktemp("shm"), count)
    dtype = torch.float64 if double else torch.float32
    values = [[torch.randn(shape, dtype=dtype) for shape in shapes] for _ in range(count)]
    expected = [2 * torch.stack(parts).sum(0) for parts in zip(*values, strict=True)]

    def twice(memory, mine):
        memory.add_up(mine)
        for value in mine:
            value.mul_(2 / count)
        memory.add_up(mine)

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(twice, memories, values, timeout=60))
    for mine in values:
        for value, total, first in zip(mine, expected, values[0], strict=True):
            torch.testing.assert_close(value, total)
            assert torch.equal(value, first)


@pytest.mark.parametrize("told", [False, True])
def test_a_process_that_has_ended(tmp_path, told):
    """Whether or not the one that started it has been told; another sum is refused."""
    first, second = opened(tmp_path, 2)
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as process:
        process.stdout.read()
        if told:
            process.wait()
        second._flags[1, 1] = process.pid
        with pytest.raises(ConnectionError, match="process 1 of 2 has ended"):
            first.add_up([torch.ones(3)])
    with pytest.raises(ConnectionError, match="interrupted"):
        first.add_up([torch.ones(3)])


def test_a_process_that_is_late(tmp_path):
    """The first one stops looking all the time, and finds the other nevertheless."""
    memories = opened(tmp_path, 2)
    values = [[torch.ones(3)], [torch.ones(3)]]
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(memories[0].add_up, values[0])
        assert not wait([waiting], timeout=0.2).done
        memories[1].add_up(values[1])
        waiting.result(timeout=60)
    assert values[0][0].tolist() == values[1][0].tolist() == [2, 2, 2]


def test_a_file_is_made_whole_or_not_at_all(tmp_path, monkeypatch):
    SharedMemory.create(tmp_path / "one", 2)
    with pytest.raises(FileExistsError):
        SharedMemory.create(tmp_path / "one", 2)
    assert (tmp_path / "one").stat().st_mode & 0o77 == 0

    def full(*args):
        raise OSError("no space left")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="no space left"):
        SharedMemory.create(tmp_path / "two", 2)
    with pytest.raises(FileNotFoundError):
        SharedMemory(tmp_path / "two", 0, 2)

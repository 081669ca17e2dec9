"""The batcher: what arrives together is computed together, and nobody pays for another."""

import asyncio
import threading
import time

import pytest
import torch

from chaincrf.serve.batcher import Batcher, Full


def make(run, **options):
    defaults = {"size": 4, "weight": 1000, "wait": 0.0, "room": 100, "room_weight": 10**6}
    return Batcher(run, **defaults | options)


class Recorder:
    """Doubles numbers; remembers the batches; holds the thread until told."""

    def __init__(self, held=False):
        self.batches = []
        self.go = threading.Event()
        if not held:
            self.go.set()

    def __call__(self, kind, items):
        self.go.wait(10)
        self.batches.append((kind, list(items)))
        if "bad" in items:
            raise ValueError("bad")
        return [item * 2 for item in items]


async def started(batcher, work):
    batcher.start()
    try:
        return await work()
    finally:
        await batcher.stop()


def test_everybody_gets_their_own(run_async):
    recorder = Recorder()
    batcher = make(recorder, wait=0.001)

    async def work():
        tasks = [batcher.submit("a", [n, n + 0.5], [1, 1]) for n in range(50)]
        return await asyncio.gather(*tasks)

    assert run_async(started(batcher, work)) == [[2 * n, 2 * n + 1] for n in range(50)]
    assert max(len(items) for _, items in recorder.batches) == 4
    assert len(recorder.batches) == 25


def test_kinds_are_not_mixed_and_keep_their_order(run_async):
    recorder = Recorder(held=True)
    batcher = make(recorder, size=10)

    async def work():
        first = asyncio.create_task(batcher.submit("x", [0], [1]))
        await asyncio.sleep(0.05)  # it is being computed
        rest = [asyncio.create_task(batcher.submit("ab"[n % 2], [n], [1])) for n in range(6)]
        await asyncio.sleep(0.05)
        recorder.go.set()
        await asyncio.gather(first, *rest)

    run_async(started(batcher, work))
    assert recorder.batches == [("x", [0]), ("a", [0, 2, 4]), ("b", [1, 3, 5])]


def test_a_heavy_item_goes_alone(run_async):
    recorder = Recorder(held=True)
    batcher = make(recorder, size=10, weight=10)

    async def work():
        first = asyncio.create_task(batcher.submit("a", [0], [1]))
        await asyncio.sleep(0.05)
        rest = asyncio.create_task(batcher.submit("a", [1, 2, 3, 4], [4, 4, 50, 1]))
        await asyncio.sleep(0.05)
        recorder.go.set()
        await asyncio.gather(first, rest)

    run_async(started(batcher, work))
    assert [items for _, items in recorder.batches] == [[0], [1, 2], [3], [4]]


def test_a_failure_stays_with_its_item(run_async):
    batcher = make(Recorder())
    (one, bad, two) = run_async(started(batcher, lambda: batcher.submit("a", [1, "bad", 2], [1, 1, 1])))
    assert (one, two) == (2, 4)
    assert isinstance(bad, ValueError)


@pytest.mark.parametrize("limit", [{"room": 3}, {"room_weight": 3}])
def test_past_the_room_it_says_when_to_come_back(run_async, limit):
    recorder = Recorder(held=True)
    batcher = make(recorder, **limit)

    async def work():
        running = asyncio.create_task(batcher.submit("a", [0], [1]))
        await asyncio.sleep(0.05)
        waiting = asyncio.create_task(batcher.submit("a", [1, 2, 3], [1, 1, 1]))
        await asyncio.sleep(0)
        assert len(batcher) == 3
        with pytest.raises(Full) as full:
            await batcher.submit("a", [4], [1])
        assert full.value.retry_after >= 1
        recorder.go.set()
        return await asyncio.gather(running, waiting)

    assert run_async(started(batcher, work)) == [[0], [2, 4, 6]]


def test_what_nobody_waits_for_is_not_computed(run_async):
    recorder = Recorder(held=True)
    batcher = make(recorder)

    async def work():
        first = asyncio.create_task(batcher.submit("a", [0], [1]))
        await asyncio.sleep(0.05)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(batcher.submit("a", [1], [1]), 0.05)
        last = asyncio.create_task(batcher.submit("a", [2], [1]))
        await asyncio.sleep(0)
        recorder.go.set()
        await asyncio.gather(first, last)

    run_async(started(batcher, work))
    assert recorder.batches == [("a", [0]), ("a", [2])]


def test_stopping_finishes_what_was_accepted(run_async):
    def slow(kind, items):
        time.sleep(0.02)
        return items

    batcher = make(slow, size=1)

    async def work():
        batcher.start()
        tasks = [asyncio.create_task(batcher.submit("a", [n], [1])) for n in range(10)]
        await asyncio.sleep(0)
        await batcher.stop()
        return [task.result() for task in await asyncio.wait_for(_done(tasks), 5)]

    assert run_async(work()) == [[n] for n in range(10)]


async def _done(tasks):
    await asyncio.gather(*tasks)
    return tasks


def test_an_idle_batcher_waits_for_company(run_async):
    recorder = Recorder()
    batcher = make(recorder, wait=0.2)

    async def work():
        first = asyncio.create_task(batcher.submit("a", [1], [1]))
        await asyncio.sleep(0.02)
        return await asyncio.gather(first, batcher.submit("a", [2], [1]))

    assert run_async(started(batcher, work)) == [[2], [4]]
    assert recorder.batches == [("a", [1, 2])]


def test_products_in_its_thread_are_those_of_the_caller():
    """The same bits only if MKL uses as many threads there as here, which PyTorch does not see to."""
    torch.manual_seed(0)
    many, weights = [torch.randn(n, 128) for n in range(1, 40)], torch.randn(128, 512)
    expected = [x @ weights for x in many]
    batcher = make(lambda _, items: [x @ weights for x in items])
    found = asyncio.run(started(batcher, lambda: batcher.submit("products", many, [1] * len(many))))
    assert all(x.equal(y) for x, y in zip(found, expected, strict=True))

"""Work that arrives together is computed together, in one thread, from one bounded queue."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["Batcher", "Full"]


class Full(Exception):  # noqa: N818 (a state, not a fault)
    """The queue has no room for this work now.

    Attributes:
        retry_after: seconds until there may be.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__("the queue is full")
        self.retry_after = retry_after


@dataclass(eq=False, slots=True)
class _Waiting:
    kind: Hashable
    item: Any
    weight: int
    future: asyncio.Future[Any]


class Batcher:
    """One thread that computes, and the queue before it.

    While a batch is computed the next one gathers, so a busy server batches by itself; an idle one waits
    ``wait`` seconds for company. A batch holds work of one kind, in the order of arrival. If a batch fails,
    each of its items is tried alone: nobody gets an error for what somebody else sent.

    Args:
        run: ``run(kind, items)`` gives a result an item, in their order; it is called in the thread.
        size: items in a batch, at most.
        weight: weight of a batch, at most; an item that is heavier is a batch of its own.
        wait: seconds that an idle thread waits for more.
        room: items that may wait; ``room_weight``: what they may weigh.
    """

    def __init__(
        self,
        run: Callable[[Any, list[Any]], Sequence[Any]],
        *,
        size: int,
        weight: int,
        wait: float,
        room: int,
        room_weight: int,
    ) -> None:
        self._run = run
        self._size, self._weight, self._wait = size, weight, wait
        self._room, self._room_weight = room, room_weight
        self._queue: deque[_Waiting] = deque()
        self._waiting_weight = 0
        self._pace = 0.01  # seconds an item takes, a running mean
        self._arrived = asyncio.Event()
        # In a thread of its own the matrix products of MKL know nothing of PyTorch's number of threads.
        own = {"initializer": torch.set_num_threads, "initargs": (torch.get_num_threads(),)}
        self._thread = ThreadPoolExecutor(1, "compute", **own)
        self._task: asyncio.Task[None] | None = None
        self._ending = False

    def __len__(self) -> int:
        """Count what waits."""
        return len(self._queue)

    def start(self) -> None:
        """Begin to work; call it in the event loop."""
        self._task = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """Finish what was accepted, then end."""
        self._ending = True
        self._arrived.set()
        if self._task is not None:
            await self._task
        self._thread.shutdown()

    async def submit(self, kind: Hashable, items: Sequence[Any], weights: Sequence[int]) -> list[Any]:
        """Wait for the results of some items; where ``run`` raised, the result is the exception.

        If the caller is cancelled, what was not begun leaves the queue; what was begun is computed in vain.

        Raises:
            Full: there is no room for all of them.
        """
        total = sum(weights)
        occupied = len(self._queue) + len(items), self._waiting_weight + total
        # An empty queue takes anything that the limits of a request let through.
        if self._queue and (occupied[0] > self._room or occupied[1] > self._room_weight):
            raise Full(max(1, round(self._pace * len(self._queue))))
        loop = asyncio.get_running_loop()
        work = [
            _Waiting(kind, item, weight, loop.create_future())
            for item, weight in zip(items, weights, strict=True)
        ]
        self._queue.extend(work)
        self._waiting_weight += total
        self._arrived.set()
        try:
            return await asyncio.gather(*(one.future for one in work))
        except asyncio.CancelledError:
            self._queue = deque(one for one in self._queue if not one.future.done())
            self._waiting_weight = sum(one.weight for one in self._queue)
            raise

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue or not self._ending:
            if not self._queue:
                self._arrived.clear()
                await self._arrived.wait()
                if self._wait and len(self._queue) < self._size:
                    await asyncio.sleep(self._wait)
            batch = self._next()
            if not batch:
                continue
            start = time.perf_counter()
            results = await loop.run_in_executor(
                self._thread, self._attempt, batch[0].kind, [one.item for one in batch]
            )
            self._pace += 0.1 * ((time.perf_counter() - start) / len(batch) - self._pace)
            for one, result in zip(batch, results, strict=True):
                if not one.future.done():
                    one.future.set_result(result)

    def _next(self) -> list[_Waiting]:
        """The next batch: work of the kind that has waited longest."""
        batch: list[_Waiting] = []
        others: list[_Waiting] = []
        weight = 0
        while self._queue and len(batch) < self._size:
            one = self._queue[0]
            if not one.future.done():  # nobody waits for it any more
                if batch and one.kind == batch[0].kind and weight + one.weight > self._weight:
                    break
                if batch and one.kind != batch[0].kind:
                    others.append(one)
                else:
                    batch.append(one)
                    weight += one.weight
            self._queue.popleft()
            self._waiting_weight -= one.weight
        self._queue.extendleft(reversed(others))
        self._waiting_weight += sum(one.weight for one in others)
        return batch

    def _attempt(self, kind: Hashable, items: list[Any]) -> Sequence[Any]:
        try:
            return self._run(kind, items)
        except Exception as error:
            if len(items) == 1:
                return [error]
        return [result for item in items for result in self._attempt(kind, [item])]

"""Load on a server: clients that keep their connection, as cheap as they can be, in one process.

    python benchmarks/load.py PORT TEXTS CLIENTS SECONDS RATE LIMIT

TEXTS is a JSON file; RATE 0 asks as fast as answers come, else so many requests a second are due, and a
request's time counts from when it was due; LIMIT ends it after so many requests. Prints one line of JSON.

Why not a public tool: the clients share two cores with the server, so they must cost next to nothing; half of
the load is offered at a fixed rate, and what a late server makes wait is counted; and after SIGTERM an answer
that was cut off is told from a connection that was refused. Locust and molotov, which pip installs, ask with
an HTTP client in Python that has its answer before it asks again; wrk2, vegeta, oha and k6 are not on PyPI.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path


class Load:
    """What the clients share: what is due, and what was seen."""

    def __init__(self, port: int, bodies: list[bytes], seconds: float, rate: float, limit: int) -> None:
        self.port, self.bodies, self.rate, self.limit = port, bodies, rate, limit
        self.sent = 0
        self.times: list[float] = []
        self.statuses: dict[str, int] = {}
        self.lost = 0
        self.begun = time.perf_counter()
        self.end = self.begun + seconds

    async def client(self) -> None:
        """Ask until the time is over, or nobody listens any more."""
        while time.perf_counter() < self.end:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                return
            try:
                await self.talk(reader, writer)
            finally:
                writer.close()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Ask over one connection until it is closed."""
        while time.perf_counter() < self.end and self.sent < self.limit:
            number = self.sent
            self.sent += 1
            due = time.perf_counter()
            if self.rate:
                due = self.begun + number / self.rate
                await asyncio.sleep(due - time.perf_counter())
            try:
                writer.write(self.bodies[number % len(self.bodies)])
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.lower().split(b"\r\n")
                length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
                await reader.readexactly(length)
            except (OSError, asyncio.IncompleteReadError):
                self.lost += 1
                return
            self.times.append(time.perf_counter() - due)
            status = lines[0].split()[1].decode()
            self.statuses[status] = self.statuses.get(status, 0) + 1
            if b"connection: close" in lines:
                return
        self.end = min(self.end, time.perf_counter()) if self.sent >= self.limit else self.end


async def run(port: int, texts: list[str], clients: int, seconds: float, rate: float, limit: int) -> dict:
    """All clients; what they saw."""
    bodies = []
    for text in texts:
        body = json.dumps({"text": text}).encode()
        head = "POST /v1/tag HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: "
        bodies.append(f"{head}{len(body)}\r\n\r\n".encode() + body)
    load = Load(port, bodies, seconds, rate, limit)
    await asyncio.gather(*(load.client() for _ in range(clients)))
    passed = time.perf_counter() - load.begun
    times = sorted(load.times) or [0.0]
    return {
        "requests": len(load.times),
        "requests a second": round(len(load.times) / passed, 1),
        "p50, ms": round(1000 * times[len(times) // 2], 2),
        "p99, ms": round(1000 * times[int(0.99 * len(times))], 2),
        "statuses": load.statuses,
        "lost": load.lost,
    }


if __name__ == "__main__":
    port, file, clients, seconds, rate, limit = sys.argv[1:]
    found = run(
        int(port),
        json.loads(Path(file).read_text(encoding="utf-8")),
        int(clients),
        float(seconds),
        float(rate),
        int(limit) or 10**12,
    )
    print(json.dumps(asyncio.run(found)))

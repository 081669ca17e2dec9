"""The server under load, beside a naive one in the same run."""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["serve"]

HERE = Path(__file__).parent
CLIENTS = 50
SECONDS = float(os.environ.get("BENCH_SECONDS", "10"))
REQUESTS = int(os.environ.get("BENCH_REQUESTS", "100000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))


def serve(data: Path | None) -> Iterator[dict[str, Any]]:
    """The server at 50 clients, against one forward a request; at half its load; memory; SIGTERM.

    BENCH_SECONDS, BENCH_ROUNDS and BENCH_REQUESTS make it smaller.
    """
    from chaincrf.data import get_corpus, read_corpus
    from chaincrf.training import Recipe, train

    del data
    splits = {name: read_corpus(path) for name, path in get_corpus("ncbi-disease").splits.items()}
    tagger, _ = train(splits["train"], splits["dev"], Recipe(epochs=2))
    with tempfile.TemporaryDirectory() as place:
        model, texts = Path(place) / "model", Path(place) / "texts.json"
        tagger.save(model)
        sentences = splits["test"].sentences
        texts.write_text(json.dumps([" ".join(sentence.tokens) for sentence in sentences]), encoding="utf-8")
        tokens = splits["test"].report.tokens / len(sentences)
        most = yield from _side_by_side(model, texts, tokens)
        with _server(model) as (process, port):
            half = most / 2
            yield {"measured": "at half of that load", "rate": round(half), **_load(port, texts, rate=half)}
            before, begun = _memory(process.pid), _load(port, texts, seconds=10**6, limit=REQUESTS // 10)
            early = _memory(process.pid)
            rest = _load(port, texts, seconds=10**6, limit=REQUESTS - begun["requests"])
            yield {
                "measured": "memory",
                "requests": begun["requests"] + rest["requests"],
                "MB at first": round(before, 1),
                "MB after a tenth": round(early, 1),
                "MB at last": round(_memory(process.pid), 1),
            }
        with _server(model) as (process, port):
            asking = subprocess.Popen(
                _command(port, texts, seconds=SECONDS), stdout=subprocess.PIPE, text=True
            )
            time.sleep(SECONDS / 2)
            process.terminate()
            seen = json.loads(asking.communicate()[0])
            yield {"measured": "SIGTERM under load", "exit status": process.wait(60), **seen}


def _side_by_side(model: Path, texts: Path, tokens: float) -> Iterator[dict[str, Any]]:
    """Both at 50 clients, in turns; gives the most that ours answered a second."""
    seen: dict[str, list[dict[str, Any]]] = {}
    with _server(model) as (_, ours), _server(model, naive=True) as (_, theirs):
        for _ in range(ROUNDS):
            for name, port in (("chaincrf serve", ours), ("one forward a request", theirs)):
                _load(port, texts, seconds=1)
                seen.setdefault(name, []).append(_load(port, texts))
    speeds = {}
    for name, rounds in seen.items():
        speeds[name] = statistics.median(one["requests a second"] for one in rounds)
        yield {
            "measured": f"{CLIENTS} clients: {name}",
            "requests a second": speeds[name],
            "tokens a second": round(tokens * speeds[name]),
            **{key: statistics.median(one[key] for one in rounds) for key in ("p50, ms", "p99, ms")},
            "statuses": [one["statuses"] for one in rounds],
        }
    yield {"measured": "ratio", "ratio": round(speeds["chaincrf serve"] / speeds["one forward a request"], 2)}
    return speeds["chaincrf serve"]


def _command(
    port: int, texts: Path, *, seconds: float = SECONDS, rate: float = 0, limit: int = 0
) -> list[str]:
    return [sys.executable, str(HERE / "load.py"), *map(str, (port, texts, CLIENTS, seconds, rate, limit))]


def _load(port: int, texts: Path, **options: Any) -> dict[str, Any]:
    result = subprocess.run(
        _command(port, texts, **options), stdout=subprocess.PIPE, text=True, check=True, timeout=7200
    )
    return json.loads(result.stdout)


@contextmanager
def _server(model: Path, *, naive: bool = False) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """One of both, answering, in a process of its own with one thread to compute."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "chaincrf", "serve", str(model), "--port", str(port)]
    if naive:
        command = [sys.executable, str(HERE / "naive_server.py"), str(model), str(port)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/openapi.json", timeout=5).close()
                break
            except OSError:
                time.sleep(0.2)
        yield process, port
    finally:
        process.terminate()
        process.wait(60)


def _memory(process: int) -> float:
    """Resident memory in MB."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))

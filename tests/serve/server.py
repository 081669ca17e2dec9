"""A server in a process of its own, as users run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "COLUMNS": "120", "TERM": "dumb"}


class Running:
    """``chaincrf serve`` at a free port; ``events`` are its log."""

    def __init__(self, *arguments: Any, workers: int = 1) -> None:
        command = [sys.executable, "-m", "chaincrf", "serve", *map(str, arguments), "--port", "0"]
        command += ["--workers", str(workers)]
        self.process = subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            env=os.environ | ENVIRONMENT,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.wait_for("listening", count=workers)
        self.url = self.of("listening")[0]["url"].rstrip("/")

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in list(self.lines) if line.startswith("{")]

    def of(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        return [one for one in self.events if one["event"] == event and fields.items() <= one.items()]

    def wait_for(self, event: str, count: int = 1, seconds: float = 240, **fields: Any) -> dict[str, Any]:
        """The last of ``count`` events of a kind with these fields."""
        end = time.monotonic() + seconds
        while len(found := self.of(event, **fields)) < count:
            assert self.process.poll() is None, "".join(self.lines)
            assert time.monotonic() < end, f"no {event!r} with {fields} in {''.join(self.lines[-20:])}"
            time.sleep(0.05)
        return found[-1]

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        status = self.process.wait(200)
        self._reader.join(10)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return status

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def memory(process: int) -> float:
    """The resident memory of a process, in MB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))

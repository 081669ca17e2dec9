"""The processes of the server: sockets, signals, and an end that loses nothing."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import multiprocessing
import os
import signal
import socket
import struct
import sys
import tempfile
import threading
import time
from asyncio import AbstractEventLoop, TimerHandle, get_running_loop
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..errors import ArgumentError, ChainCRFError
from .gate import Status, read_tokens
from .logs import log, start_logging
from .settings import ServeConfig

__all__ = ["make_server", "serve"]

_LAST_CALL = 0.1  # seconds for what is on its way when the server stops to listen
_ATTACH_FILTER = 26  # Linux's SO_ATTACH_FILTER, which Python does not name
_GAVE_UP = 3  # the exit status of a worker that could not start


def serve(config: ServeConfig, folders: Mapping[str, Path]) -> None:
    """Serve until SIGTERM or SIGINT; then finish what was accepted.

    Raises:
        ModelError: a folder that is missing or damaged.
        ConfigError: a token file that cannot be used.
        ArgumentError: an address that cannot be listened on.
    """
    read_tokens(config.token_file)
    listening = _bind(config)
    start_logging()
    if config.workers == 1:
        _work(config, folders, listening)
        return
    with tempfile.TemporaryDirectory(prefix="chaincrf-metrics-") as metrics:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics  # read by the workers when they import its client
        _Supervisor(config, folders, listening).run()


def _bind(config: ServeConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((config.host, config.port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise ArgumentError(f"--host, --port: {config.host}:{config.port}: {error}") from None
    return listening


def _work(config: ServeConfig, folders: Mapping[str, Path], listening: socket.socket) -> None:
    """One process that serves."""
    # oneDNN keeps what it makes for every shape of batch, and a server sees them all: memory would grow.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
    import torch

    torch.set_num_threads(config.threads)
    sys.setswitchinterval(0.001)  # the event loop answers while a batch is computed in another thread
    server = make_server(config, folders)
    address = listening.getsockname()
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    log("listening", url=f"http://{host}:{address[1]}/", models=list(folders), process=os.getpid())
    server.run(sockets=[listening])


def make_server(config: ServeConfig, folders: Mapping[str, Path]) -> uvicorn.Server:
    """A server with its models loaded; run it on a socket that listens."""
    from .app import create_app

    status = Status()
    settings = uvicorn.Config(
        create_app(config, folders, status),
        http=_protocol(config.timeout_seconds, status),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=round(config.timeout_seconds) + 1,
    )
    return _Server(settings, status, config.drain_seconds, alone=config.workers == 1)


class _Server(uvicorn.Server):
    """A server that drains before it ends.

    After the first signal it says 'not ready' and closes each connection with its answer, so that clients go
    elsewhere; only then does it stop to listen, and it ends when the last answer is out. A second signal cuts
    the wait short.
    """

    def __init__(self, config: uvicorn.Config, status: Status, drain: float, *, alone: bool) -> None:
        super().__init__(config)
        self._status, self._drain, self._alone = status, drain, alone
        self._loop: AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = get_running_loop()
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._loop is None or not self._drain or self._status.draining:
            self.force_exit = self.should_exit and self._status.draining
            self.should_exit = True
            return
        self._status.draining = True
        log("draining", signal=signal.Signals(sig).name, seconds=self._drain)
        self._loop.call_soon_threadsafe(self._loop.call_later, self._drain, self._end)

    def _end(self) -> None:
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take in who has connected already, and what they are sending, before connections are closed."""
        if self._alone:  # else others listen at the same socket, and the supervisor does it
            for listening in sockets or []:
                _take_no_more(listening)
        await asyncio.sleep(_LAST_CALL)
        for server in self.servers:
            server.close()
        await asyncio.sleep(_LAST_CALL)
        await super().shutdown(sockets)


def _take_no_more(listening: socket.socket) -> None:
    """Who comes now is not taken in: one that the system had taken in, and we not yet, would be dropped.

    On Linux a filter drops packets that ask for a connection (SYN, a bit of byte 13 of TCP's head); who sent
    one asks again, and is refused by then. Elsewhere the system's queue is made as short as it can be.
    """
    if sys.platform == "linux":
        load, jump_if_set, give = 0x30, 0x45, 0x06  # of the classic BPF: code, two jumps, a number
        steps = [(load, 0, 0, 13), (jump_if_set, 0, 1, 2), (give, 0, 0, 0), (give, 0, 0, 2**32 - 1)]
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
        program = struct.pack("HP", len(steps), ctypes.addressof(code))
        with suppress(OSError):  # a system that only looks like Linux
            listening.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, program)
            return
    listening.listen(0)


def _protocol(seconds: float, status: Status) -> type[H11Protocol]:
    """Uvicorn's protocol, with a limit on how long a client may take to send a head, or to take an answer.

    It is that of h11, whatever else is installed: h11 bounds the head of a request.
    """

    class Timed(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            status.connections += 1
            transport.set_write_buffer_limits(0)  # writing pauses while there is anything that was not taken
            self.timers: dict[str, TimerHandle] = {}
            self._limit("head")

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is None or self.cycle.response_complete:
                self._limit("head")
            else:
                self._free("head")  # a request began: its body and its answer have limits of their own

        def pause_writing(self) -> None:
            super().pause_writing()
            self._limit("answer")

        def resume_writing(self) -> None:
            super().resume_writing()
            self._free("answer")

        def connection_lost(self, exc: Exception | None) -> None:
            status.connections -= 1
            for what in list(self.timers):
                self._free(what)
            super().connection_lost(exc)

        def _limit(self, what: str) -> None:
            if what not in self.timers:
                self.timers[what] = self.loop.call_later(seconds, self.transport.abort)

        def _free(self, what: str) -> None:
            if what in self.timers:
                self.timers.pop(what).cancel()

    return Timed


def _worker(config: ServeConfig, folders: Mapping[str, Path], listening: socket.socket) -> None:
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches the whole group; the supervisor passes it on
    start_logging()
    threading.Thread(target=_end_with_supervisor, daemon=True).start()
    try:
        _work(config, folders, listening)
    except ChainCRFError as error:
        log("worker could not start", level=logging.ERROR, reason=str(error))
        sys.exit(_GAVE_UP)


def _end_with_supervisor() -> None:
    """A worker without one would hold the port for ever."""
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        supervisor.join()
        os.kill(os.getpid(), signal.SIGTERM)


class _Supervisor:
    """Keeps so many workers alive, all at one socket, until a signal says to end."""

    def __init__(self, config: ServeConfig, folders: Mapping[str, Path], listening: socket.socket) -> None:
        self._arguments = config, dict(folders), listening
        self._context = multiprocessing.get_context("spawn")
        self._ending = False

    def run(self) -> None:
        """Serve; raises SystemExit if workers cannot start."""
        for sig in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sig, self._end)
        first = workers = [self._start() for _ in range(self._arguments[0].workers)]
        while not self._ending:
            time.sleep(0.1)
            if any(worker.exitcode == _GAVE_UP for worker in first):
                break
            workers = [worker if worker.exitcode is None else self._replace(worker) for worker in workers]
        for worker in workers:
            worker.terminate()
        config, _, listening = self._arguments
        drained = time.monotonic() + config.drain_seconds
        while time.monotonic() < drained and any(worker.exitcode is None for worker in workers):
            time.sleep(0.05)
        _take_no_more(listening)
        listening.close()  # the workers have it too, and stop to listen a moment later
        for worker in workers:
            worker.join()
        if any(worker.exitcode == _GAVE_UP for worker in first):
            sys.exit(1)

    def _replace(self, worker: SpawnProcess) -> SpawnProcess:
        """Another worker for one that died; the others serve on, even if it cannot start."""
        from prometheus_client.multiprocess import mark_process_dead

        log("worker died", level=logging.ERROR, process=worker.pid, exit=worker.exitcode)
        mark_process_dead(worker.pid)  # what waited in its queue waits no more
        if worker.exitcode == _GAVE_UP:
            time.sleep(1)  # a folder is damaged, or being written
        return self._start()

    def _start(self) -> SpawnProcess:
        worker = self._context.Process(target=_worker, args=self._arguments)
        worker.start()
        return worker

    def _end(self, sig: int, frame: FrameType | None) -> None:
        self._ending = True

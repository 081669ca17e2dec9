"""A server whose model fails or takes too long, and clients that do little or nothing: over a socket."""

import asyncio
import io
import json
import logging
import socket
import threading
import time
from contextlib import contextmanager, suppress
from importlib import import_module

import pytest

httpx = pytest.importorskip("httpx")
pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
pytestmark = pytest.mark.slow

from chaincrf.crf.kernels.numba_cpu import compiled
from chaincrf.serve import ServeConfig, app, gate
from chaincrf.serve.logs import JsonLines
from chaincrf.serve.metrics import Metrics
from chaincrf.serve.models import Models
from chaincrf.serve.server import make_server
from chaincrf.tagging.trellis import explain

HEAD = b"POST /v1/tag HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
GOOD = "Bob Ray left Oslo."
SECRET = "Xyzzy"


class Here:
    """A server in a thread: its model fails at SECRET, and waits at 'Hold 1' until ``go[1]``, and so on."""

    def __init__(self, folder, monkeypatch, **settings):
        self.go = [threading.Event(), threading.Event()]
        self.batches = []
        monkeypatch.setattr(app, "answer", self._answer(app.answer))
        defaults = {"timeout_seconds": 0.5, "drain_seconds": 0, "watch_seconds": 0, "batch_wait_ms": 0}
        self.server = make_server(ServeConfig(**(defaults | settings)), {"names": folder})
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # the system takes little for us
        self.port = self.listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = io.StringIO()
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listening]})

    def _answer(self, answer):
        def faulty(kind, items):
            texts = [text for text, _ in items]
            self.batches.append(texts)
            for number, go in enumerate(self.go):
                if f"Hold {number}" in texts:
                    assert go.wait(20)
            if any(SECRET in text for text in texts):
                raise RuntimeError(f"cannot tag {texts}")
            return answer(kind, items)

        return faulty

    def tag(self, text, **options):
        return httpx.post(f"{self.url}/v1/tag", json={"text": text}, timeout=30, **options)

    def later(self, text):
        """Ask in a thread; the answer's status comes into the list."""
        found = []
        thread = threading.Thread(target=lambda: found.append(self.tag(text).status_code))
        thread.start()
        return thread, found

    def queued(self):
        found = httpx.get(f"{self.url}/metrics").text
        return float(found.partition('chaincrf_queue_texts{model="names"} ')[2].split()[0])

    def connect(self, *pieces, receive=None):
        connection = socket.socket()
        if receive:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        connection.connect(("127.0.0.1", self.port))
        for piece in pieces:
            connection.sendall(piece)
        return connection

    def stop(self):
        begun = time.monotonic()
        for go in self.go:
            go.set()
        self.server.should_exit = True
        self.thread.join(30)
        assert not self.thread.is_alive()
        return time.monotonic() - begun


def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def here(folders, monkeypatch):
    """Start such a server with these settings; all that is logged anywhere goes to its ``log``."""

    @contextmanager
    def started(**settings):
        server = Here(folders["names"], monkeypatch, **settings)
        handler = logging.StreamHandler(server.log)
        handler.setFormatter(JsonLines())
        root, own = logging.getLogger(), logging.getLogger("chaincrf.serve")
        level = own.level
        root.addHandler(handler)
        own.setLevel(logging.INFO)
        server.thread.start()
        try:
            until(lambda: httpx.get(f"{server.url}/readyz").status_code == 200)
            yield server
        finally:
            server.stop()
            root.removeHandler(handler)
            own.setLevel(level)

    return started


def test_what_fails_says_nothing_of_the_text(here):
    with here(timeout_seconds=20) as server:
        holding, held = server.later("Hold 0")
        until(lambda: server.batches)
        failing, failed = server.later(f"{SECRET} left Oslo.")
        other, answered = server.later(GOOD)
        until(lambda: server.queued() == 3)
        server.go[0].set()
        for thread in (holding, failing, other):
            thread.join()
        assert (held, failed, answered) == ([200], [500], [200])
        assert len(server.batches[1]) == 2, "they were computed together at first"
        answer = server.tag(SECRET)
        assert answer.status_code == 500
        assert answer.json()["detail"] == [{"loc": [], "msg": "internal error", "type": "internal_error"}]
        assert SECRET not in answer.text + str(answer.headers)
    lines = server.log.getvalue()
    assert lines.count('"exception": "RuntimeError"') == 2
    assert SECRET not in lines
    assert "cannot tag" not in lines
    assert all(json.loads(line) for line in lines.splitlines())


def test_asyncio_quotes_no_text_either():
    record = logging.LogRecord("asyncio", 40, "", 0, f"never retrieved\nfuture: <{SECRET}>", (), None)
    assert json.loads(JsonLines().format(record))["event"] == "never retrieved"


def test_past_its_time_one_is_told_and_the_others_of_the_batch_get_their_answer(here):
    with here(timeout_seconds=2) as server:
        first, answered = server.later("Hold 0")
        until(lambda: server.batches)
        late, told = server.later("Hold 1")
        until(lambda: server.queued() == 2)
        time.sleep(1)
        other, got = server.later(GOOD)
        until(lambda: server.queued() == 3)
        server.go[0].set()
        first.join()
        until(lambda: len(server.batches) == 2)
        assert sorted(server.batches[1]) == [GOOD, "Hold 1"]
        late.join()
        server.go[1].set()
        other.join()
        assert (answered, told, got) == ([200], [504], [200])
        assert server.tag(GOOD).json()["results"][0]["text"] == GOOD, "nobody gets what was left over"
        assert server.queued() == 0


def test_the_work_of_a_client_that_went_away_is_left_out(here):
    body = b'{"text": "Gone."}'
    with here(timeout_seconds=20, queue_texts=2) as server:
        first, answered = server.later("Hold 0")
        until(lambda: server.batches)
        waiting = [server.connect(HEAD % len(body), body) for _ in range(2)]
        until(lambda: server.queued() == 3)
        full = server.tag(GOOD)
        assert (full.status_code, full.headers["retry-after"].isdigit()) == (503, True)
        for connection in waiting:
            connection.close()
        until(lambda: server.queued() == 1)
        other, got = server.later(GOOD)  # there is room again
        until(lambda: server.queued() == 2)
        server.go[0].set()
        for thread in (first, other):
            thread.join()
        assert (answered, got) == ([200], [200])
        assert server.batches == [["Hold 0"], [GOOD]]
        assert server.queued() == 0
    assert server.log.getvalue().count('"status": 499') == 2


def test_a_client_that_left_a_batch_that_had_begun(here):
    with here(timeout_seconds=20) as server:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{server.url}/v1/tag", json={"text": "Hold 0"}, timeout=0.3)
        until(lambda: server.queued() == 0)
        server.go[0].set()
        assert server.tag(GOOD).json()["results"][0]["text"] == GOOD


def test_past_the_connections_there_is_a_503(here):
    with here(timeout_seconds=20, max_connections=3) as server:
        idle = [server.connect() for _ in range(3)]
        refused = []

        def told():
            refused.append(server.tag(GOOD))
            return refused[-1].status_code == 503

        until(told)
        assert refused[-1].headers["retry-after"] == "1"
        assert refused[-1].headers["connection"] == "close"
        assert refused[-1].json()["detail"][0]["type"] == "overloaded"
        for path in ("/healthz", "/readyz", "/metrics"):
            assert httpx.get(f"{server.url}{path}").status_code == 200
        for connection in idle:
            connection.close()
        until(lambda: server.tag(GOOD).status_code == 200)


def test_idle_and_slow_clients_block_neither_others_nor_the_end(here):
    with here(timeout_seconds=1) as server:
        begun = time.monotonic()
        silent = server.connect()
        trickling = [server.connect(start) for start in (b"GET /", HEAD % 1000)]
        assert server.tag(GOOD).status_code == 200
        given_up = []
        while len(given_up) < 3 and time.monotonic() < begun + 15:
            for connection in [one for one in (silent, *trickling) if one not in given_up]:
                with suppress(ConnectionError, TimeoutError):
                    if connection is not silent:
                        connection.send(b"x")
                connection.settimeout(0.05)
                try:
                    if connection.recv(4096)[:12] in (b"", b"HTTP/1.1 408", b"HTTP/1.1 400"):
                        given_up.append(connection)
                except TimeoutError:
                    continue
                except ConnectionError:
                    given_up.append(connection)
        assert len(given_up) == 3
        for connection in given_up:
            connection.close()
        held = [server.connect(), server.connect(b"GET /"), server.connect(HEAD % 1000)]
        assert server.tag(GOOD).status_code == 200
        assert server.stop() < 6
        for connection in held:
            connection.close()


def test_who_does_not_take_the_answer_is_cut_off(here):
    body = json.dumps({"text": "Ann left Oslo. " * 1000}).encode()
    whole = HEAD % len(body) + body
    with here(timeout_seconds=3) as server:
        connections = server.server.server_state.connections
        full = server.connect(whole, receive=4096)  # and never reads
        until(lambda: '"path": "/v1/tag", "status": 200' in server.log.getvalue())
        assert connections, "it is not taken yet"
        begun = time.monotonic()
        assert server.tag(GOOD).status_code == 200
        until(lambda: not connections)
        assert time.monotonic() - begun < 8
        full.close()
        again = server.connect(whole, receive=4096)
        until(lambda: server.log.getvalue().count('"path": "/v1/tag", "status": 200') == 3)
        assert server.stop() < 8
        again.close()


def test_a_million_characters(here, names):
    text = ("Bob Ray left Oslo, \u05e9\u05dc\u05d5\u05dd \U0001f642. " * 50_000)[:1_000_000]
    assert len(text) == 1_000_000
    with here(max_chars=10**6, max_body=2**24, timeout_seconds=250) as server:
        result = httpx.post(f"{server.url}/v1/tag", json={"text": text, "probabilities": False}, timeout=280)
        (found,) = result.json()["results"]
        wanted = names.tag(text, probabilities=False)
        assert found["tags"] == list(wanted.tags)
        assert all(text[one["start"] : one["end"]] == one["text"] for one in found["spans"])
        too_long = server.tag(text + "x")
        assert (too_long.status_code, too_long.json()["detail"][0]["loc"]) == (422, ["body", "text"])


def test_every_token_is_compared_in_constant_time(monkeypatch):
    compared = []

    def digest(one, other):
        compared.append((one, other))
        return one == other

    async def behind(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    monkeypatch.setattr(gate.hmac, "compare_digest", digest)
    tokens = (b"first", b"second", b"third")
    options = {
        "max_body": 9,
        "max_connections": 9,
        "seconds": 9.0,
        "metrics": Metrics(),
        "status": gate.Status(),
    }
    guard = gate.Gate(behind, tokens=tokens, **options)
    for given, status in ((b"first", 200), (b"third", 200), (b"firsT", 401), (b"", 401)):
        sent = []

        async def send(message, sent=sent):
            sent.append(message)

        compared.clear()
        headers = [(b"authorization", b"Bearer " + given)]
        scope = {"type": "http", "path": "/v1/tag", "method": "POST", "headers": headers}
        asyncio.run(guard(scope, receive, send))
        assert (sent[0]["status"], compared) == (status, [(given, token) for token in tokens])


def test_a_model_that_serves_compiles_nothing_more(folders):
    kernels = [import_module(f"{compiled.__package__}.{name}") for name in ("forward_backward", "viterbi")]
    kernels.append(import_module("chaincrf.nn.lstm_kernel"))
    entries = [kernel.run for kernel in kernels]  # not that of log space, which few sentences need
    for one in entries:
        one.of.cache_clear()
    tagger = Models({"names": folders["names"]}, Metrics()).get(None).tagger
    before = [one.of.cache_info().misses for one in entries]
    assert all(before)
    assert tagger.tag(GOOD).spans
    tagger.k_best(GOOD, 3)
    explain(tagger, GOOD)
    assert [one.of.cache_info().misses for one in entries] == before

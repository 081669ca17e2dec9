"""Whatever is sent, nothing gives a 500, and nobody gets somebody else's answer."""

import json
import socket
import time
from contextlib import suppress

import pytest

httpx = pytest.importorskip("httpx")
pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
pytestmark = pytest.mark.slow

GOOD = {"text": "Bob Ray left Oslo."}


@pytest.fixture(scope="module")
def client(server):
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


@pytest.fixture(autouse=True)
def _still_right(client):
    """After each of these somebody else gets a right answer."""
    yield
    spans = client.post("/v1/tag", json=GOOD).json()["results"][0]["spans"]
    assert [span["text"] for span in spans] == ["Bob Ray", "Oslo"]


def fields(answer):
    return [".".join(map(str, problem["loc"])) for problem in answer.json()["detail"]]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"", 422, "body"),
        (b"{", 422, "body.1"),
        (b"[]", 422, "body"),
        (b"null", 422, "body"),
        (b'"text"', 422, "body"),
        (b"\xff\xfe", (400, 422), None),
        (b'{"text": "\xff"}', (400, 422), None),
        (b'{"text": "a\nb"}', 422, None),
        (b"[" * 50_000, (400, 422), None),
        (b'{"text":' * 10_000, (400, 422), None),
        (b'{"text": NaN}', 422, None),
        (b'{"text": "Ann", "threshold": NaN}', 422, "body.threshold"),
        (b'{"text": "Ann", "threshold": 1e999}', 422, "body.threshold"),
        (b'{"text": "Ann", "k_best": 1' + b"0" * 5000 + b"}", (400, 422), None),
    ],
    ids=range(14),
)
def test_broken_json(client, body, status, field):
    for path in ("/v1/tag", "/v1/explain"):
        answer = client.post(path, content=body, headers={"content-type": "application/json"})
        assert answer.status_code in (status if isinstance(status, tuple) else (status,)), answer.text
        if field and path == "/v1/tag":
            assert any(found.startswith(field) for found in fields(answer)), answer.text


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"text": "a", "texts": ["b"]}, "body"),
        ({"texts": []}, "body.texts"),
        ({"texts": ["a"] * 101}, "body.texts"),
        ({"texts": ["a", "b" * 20_001]}, "body.texts.1"),
        ({"text": "a" * 20_001}, "body.text"),
        ({"text": ["a"] * 10_001}, "body.text"),
        ({"text": 1}, "body.text.str"),
        ({"text": {"a": 1}}, "body.text.str"),
        ({"text": ["a", ""]}, "body.text"),
        ({"texts": ["a", ["b", " "]]}, "body.texts.1"),
        ({"text": "a", "threshold": 2}, "body.threshold"),
        ({"text": "a", "threshold": "0.5"}, "body.threshold"),
        ({"text": "a", "threshold": 0.5, "probabilities": False}, "body.threshold"),
        ({"text": "a", "threshold": 0.5, "model": "pos"}, "body.threshold"),
        ({"text": "a", "threshold": "precision>=0.9"}, "body.threshold"),  # which it was not calibrated for
        ({"text": "a", "threshold": "precision>=0.9\n"}, "body.threshold"),
        ({"text": "a", "probabilities": "yes"}, "body.probabilities"),
        ({"text": "a", "k_best": -1}, "body.k_best"),
        ({"text": "a", "k_best": 21}, "body.k_best"),
        ({"text": "a", "k_best": True}, "body.k_best"),
        ({"text": "a", "nothing": 1}, "body.nothing"),
        ({"text": "a", "model": "x" * 65}, "body.model"),
        ({"text": "a", "constraints": [{"start": 0, "end": 1}]}, "body.constraints.0"),
        ({"text": "a", "constraints": [{"start": 0, "end": 9, "label": "PER"}]}, "body.constraints"),
        ({"text": "a", "constraints": [{"start": 0, "end": 1, "label": "X"}]}, "body.constraints"),
        ({"text": "a", "constraints": [{"start": 0, "end": 1, "label": "PER", "text": 1}]}, "body"),
        ({"text": "a", "constraints": [{"start": 2**70, "end": 1}]}, "body.constraints.0.start"),
        ({"text": "\ud800"}, None),
        ({"text": ["\udfff"]}, "body.text"),
        ({"texts": ["a", ["a", "\udfff"]]}, "body.texts.1"),
        ({"text": "a", "constraints": [{"start": 0, "end": 1, "label": "\ud800"}]}, None),
        ({"text": "a", "model": "\ud800"}, None),
        ({"\ud800": "a"}, None),
    ],
    ids=range(34),
)
def test_what_does_not_fit_is_named(client, body, field):
    answer = client.post("/v1/tag", content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code == 422, answer.text
    if field:
        assert any(found.startswith(field) for found in fields(answer)), answer.text


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"text": ""}, "body.sentence"),
        ({"text": "a", "sentence": 1}, "body.sentence"),
        ({"text": "a", "k_best": 0}, "body.k_best"),
        ({"text": "a", "k_best": 2**31 - 1}, "body.k_best"),
        ({"text": "a", "allowed": [{"token": 1, "tags": ["O"]}]}, "body.allowed"),
        ({"text": "a", "allowed": [{"token": 0, "tags": ["B-X"]}]}, "body.allowed"),
        ({"text": "a", "allowed": [{"token": 0, "tags": []}]}, "body.allowed.0.tags"),
        ({"text": "a", "allowed": [{"token": 0, "tags": ["\ud800"]}]}, None),
        ({"text": "\ud800"}, None),
    ],
    ids=range(9),
)
def test_what_cannot_be_explained_is_named(client, body, field):
    answer = client.post(
        "/v1/explain", content=json.dumps(body), headers={"content-type": "application/json"}
    )
    assert answer.status_code == 422, answer.text
    if field:
        assert any(found.startswith(field) for found in fields(answer)), answer.text


def test_unknown_things(client):
    assert client.post("/v1/tag", json={"text": "a", "model": "x"}).status_code == 404
    assert client.get("/v1/model", params={"name": "x"}).json()["detail"][0]["loc"] == ["query", "name"]
    assert client.get("/nothing").status_code == 404
    assert client.get("/v1/tag").status_code == 405
    assert client.request("QUERY", "/v1/tag").status_code == 405
    assert (
        client.post("/v1/tag", content=b"text=a", headers={"content-type": "text/plain"}).status_code == 422
    )


def test_huge_bodies(client, server):
    million = json.dumps({"text": "a" * 10**6})
    answer = client.post("/v1/tag", content=million, headers={"content-type": "application/json"})
    assert (answer.status_code, fields(answer)) == (413, ["body"])
    begun = time.monotonic()
    for items in (b'{"texts": [1%s]}', b'{"text": [1%s]}', b'{"text": "a", "constraints": [1%s]}'):
        answer = client.post("/v1/tag", content=items % (b",1" * 140_000))
        assert (answer.status_code, len(fields(answer)) <= 2) == (422, True)
    many = json.dumps(dict.fromkeys(map(str, range(25_000)), 1))
    assert fields(client.post("/v1/tag", content=many)) == ["body"]
    assert time.monotonic() - begun < 20, "an error for each of them would take long, for everybody"
    pieces = (b"x" * 10_000 for _ in range(10**6))  # chunked, without a length, and without an end
    with suppress(httpx.WriteError, httpx.ReadError):  # the connection was cut while we still wrote
        assert httpx.post(f"{server.url}/v1/tag", content=pieces).status_code == 413
    for length in (b"-1", b"1e3", b"9" * 40):
        head = b"POST /v1/tag HTTP/1.1\r\nhost: x\r\ncontent-length: " + length + b"\r\n\r\n"
        assert raw(server, head, wait=5)[9:12] in (b"400", b"413")


def raw(server, *pieces, wait=0.0, cut=False):
    """Send bytes as they are; the answer, or nothing if the connection is cut first."""
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as connection:
        for piece in pieces:
            connection.sendall(piece)
        if cut:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            return b""
        connection.settimeout(wait)
        try:
            return connection.recv(4096)
        except TimeoutError:
            return b""


def test_cut_connections(server):
    body = json.dumps(GOOD).encode()
    head = b"POST /v1/tag HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    for whole in (b"", b"POST", head % len(body), head % len(body) + body[:5], head % len(body) + body):
        for _ in range(5):
            raw(server, whole, cut=True)
    assert raw(server, b"\x16\x03\x01\x02\x00\x01\x00 no HTTP\r\n\r\n", wait=5)[9:12] == b"400"


def test_slow_clients_are_given_up(server):
    begun = time.monotonic()
    head = b"POST /v1/tag HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{"
    assert raw(server, head, wait=20)[9:12] == b"408"
    assert raw(server, b"POST /v1/tag HTTP/1.1\r\nhost: x\r\n", wait=20) == b"", "closed"
    assert 8 < time.monotonic() - begun < 18, "after five seconds each"


def test_no_internal_error_was_seen(client, server):
    assert 'status="500"' not in client.get("/metrics").text
    assert server.of("request failed") == []

"""What every request passes before it reaches the application: token, size, time, log, headers."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .logs import log
from .metrics import Metrics

if sys.version_info >= (3, 11):
    from asyncio import timeout
else:
    from async_timeout import timeout  # pyright: ignore[reportMissingImports]

__all__ = ["Gate", "Gone", "Refusal", "Status", "printable", "problem_body", "read_tokens"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_OPEN = ("/", "/healthz", "/readyz", "/openapi.json")  # and the files of the page
_ALWAYS = ("/healthz", "/readyz", "/metrics")  # however many connections there are
_PATHS = (*_OPEN, "/metrics", "/v1/tag", "/v1/explain", "/v1/model", "/v1/models")
_POLITE = 2**24  # bytes read of too large a body, so that its sender hears why and is not just cut off
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", _POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
]


@dataclass
class Status:
    """Whether the server is ready, whether it is about to end, and how many are connected."""

    ready: bool = False
    draining: bool = False
    connections: int = 0


def read_tokens(file: Path | None) -> tuple[bytes, ...]:
    """The bearer tokens of a file, one a line; none without a file.

    Raises:
        ConfigError: the file cannot be read, holds no token, or one that no header can carry.
    """
    if file is None:
        return ()
    try:
        tokens = tuple(line.strip() for line in file.read_bytes().splitlines() if line.strip())
    except OSError as error:
        raise ConfigError(f"--token-file: {error}") from None
    if not tokens or not all(re.fullmatch(rb"[!-~]+", token) for token in tokens):
        raise ConfigError(
            f"--token-file: {file}: expected tokens of printable ASCII without blanks, one a line"
        )
    return tokens


def problem_body(loc: Sequence[str | int], message: str, kind: str) -> dict[str, Any]:
    """The body of every refusal."""
    return {"detail": [{"loc": list(loc), "msg": printable(message), "type": kind}]}


def printable(part: str) -> str:
    """Something that may be long, or no Unicode, as JSON can carry it."""
    return part.encode("ascii", "backslashreplace").decode()[:500]


class Refusal(Exception):  # noqa: N818
    """A request is refused: raised anywhere behind the gate, answered there.

    Args:
        status: of the answer.
        loc: the field that it is about.
        message: what was expected, and what was there.
        kind: a word for programs.
        headers: further ones of the answer, with underscores for hyphens.
    """

    def __init__(
        self, status: int, loc: Sequence[str | int], message: str, kind: str, **headers: str | int
    ) -> None:
        super().__init__(message)
        self.status, self.body = status, problem_body(loc, message, kind)
        self.headers = [
            (name.replace("_", "-").encode(), str(value).encode()) for name, value in headers.items()
        ]


class Gone(Exception):  # noqa: N818
    """The client went away before it was answered."""


class Gate:
    """ASGI middleware; it reads the body itself, so that nothing behind it waits for a slow client.

    Args:
        app: the application behind it.
        tokens: bearer tokens, one of which a request must carry; none: no request need.
        max_body: bytes of a body, at most.
        max_connections: that requests may come by at a time.
        seconds: for a body to arrive.
        metrics: where requests are counted.
        status: the server's.
    """

    def __init__(
        self,
        app: Any,
        *,
        tokens: Sequence[bytes],
        max_body: int,
        max_connections: int,
        seconds: float,
        metrics: Metrics,
        status: Status,
    ) -> None:
        self._app = app
        self._tokens = tokens
        self._max_body, self._max_connections = max_body, max_connections
        self._seconds = seconds
        self._metrics = metrics
        self._status = status

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        identity = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex.encode()
        fields = scope.setdefault("state", {})["log"] = {}
        status = 499  # the client went away

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                extra = [(b"x-request-id", identity), *_HEADERS]
                if self._status.draining:
                    extra.append((b"connection", b"close"))
                message["headers"] = [*message.get("headers", []), *extra]
            await send(message)

        try:
            self._check_token(scope["path"], headers)
            body = await self._body(headers, receive)
            self._check_room(scope["path"])
            await self._app(scope, body, answer)
        except Refusal as refusal:
            await _respond(answer, refusal.status, refusal.body, refusal.headers)
        except Gone:
            pass
        except Exception as error:
            log("request failed", level=logging.ERROR, error=error, request=identity.decode())
            if status == 499:
                await _respond(answer, 500, problem_body((), "internal error", "internal_error"))
        finally:
            self._record(scope, status, time.perf_counter() - start, identity, fields)

    def _check_token(self, path: str, headers: dict[bytes, bytes]) -> None:
        if not self._tokens or path in _OPEN or path.startswith("/page/"):
            return
        kind, _, token = headers.get(b"authorization", b"").partition(b" ")
        # All are compared, so that the time tells nothing of which one it was.
        matches = [hmac.compare_digest(token.strip(), known) for known in self._tokens]
        if kind.lower() != b"bearer" or not any(matches):
            message = "expected a bearer token that the server knows"
            raise Refusal(401, ("authorization",), message, "unauthorized", www_authenticate="Bearer")

    def _check_room(self, path: str) -> None:
        if self._status.connections > self._max_connections and path not in _ALWAYS:
            message = "too many connections; try again later"
            raise Refusal(503, (), message, "overloaded", retry_after=1, connection="close")

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> Receive:
        """Read the body, and give a ``receive`` that has it in one piece."""
        expected = f"expected at most {self._max_body} bytes"
        too_large = Refusal(413, ("body",), expected, "too_large", connection="close")
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._max_body + _POLITE:
            raise too_large
        pieces, size, more = [], 0, True
        try:
            async with timeout(self._seconds):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Gone
                    size += len(message.get("body", b""))
                    if size <= self._max_body:
                        pieces.append(message.get("body", b""))
                    elif size > self._max_body + _POLITE:
                        raise too_large
                    more = message.get("more_body", False)
        except asyncio.TimeoutError:
            late = f"the body did not arrive in {self._seconds:g} seconds"
            raise Refusal(408, ("body",), late, "timeout", connection="close") from None
        if size > self._max_body:
            raise too_large
        whole: Message | None = {"type": "http.request", "body": b"".join(pieces), "more_body": False}

        async def replay() -> Message:
            nonlocal whole
            message, whole = whole, None
            return await receive() if message is None else message

        return replay

    def _record(
        self,
        scope: MutableMapping[str, Any],
        status: int,
        seconds: float,
        identity: bytes,
        fields: dict[str, Any],
    ) -> None:
        path = scope["path"] if scope["path"] in _PATHS else "/page" if status < 400 else "other"
        self._metrics.requests.labels(path, str(status)).inc()
        self._metrics.seconds.labels(path).observe(seconds)
        log(
            "request",
            request=identity.decode(),
            method=scope["method"],
            path=path,
            status=status,
            milliseconds=round(1000 * seconds, 2),
            **fields,
        )


async def _respond(
    send: Send, status: int, content: dict[str, Any], headers: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    body = json.dumps(content).encode()
    every = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": every})
    await send({"type": "http.response.body", "body": body})

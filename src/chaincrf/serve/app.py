"""The HTTP application."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.security import HTTPBearer
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from .. import __version__
from ..errors import ArgumentError
from ..tagging import Constraint
from .answers import Explaining, Tagging, answer, describe
from .batcher import Batcher, Full
from .examples import EXPLAINED, METRICS, MODEL, TAGGED, refused, shown
from .gate import Gate, Gone, Refusal, Status, printable, problem_body, read_tokens
from .metrics import CONTENT_TYPE, Metrics
from .models import Models, Served
from .schemas import (
    ExplainRequest,
    ExplainResponse,
    ModelInfo,
    Problems,
    TagRequest,
    TagResponse,
)
from .settings import ServeConfig

__all__ = ["create_app"]

_PAGE = Path(__file__).parent / "page"
_REFUSALS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problems, "description": description} | refused(*loc, msg=msg, kind=kind)
    for code, description, loc, msg, kind in (
        (400, "The body cannot be read as JSON", (), "There was an error parsing the body", "json_invalid"),
        (401, "No known bearer token", ("authorization",), "expected a bearer token", "unauthorized"),
        (404, "No model of this name", ("body", "model"), "expected one of people", "unknown_model"),
        (408, "The body came too slowly", ("body",), "the body did not arrive in 30 seconds", "timeout"),
        (413, "The body is too large", ("body",), "expected at most 2097152 bytes", "too_large"),
        (422, "A field does not fit", ("body", "k_best"), "expected at most 20, got 21", "less_than_equal"),
        (503, "Too much work; come again after `Retry-After`", (), "too much work waits", "overloaded"),
        (504, "The answer took too long", (), "no answer in 30 seconds", "timeout"),
    )
}


def create_app(config: ServeConfig, folders: Mapping[str, Path], status: Status | None = None) -> FastAPI:
    """The application with its models, loaded.

    Args:
        config: the settings.
        folders: the model folders by name; requests that name none get the first.
        status: of the server; it is ready between the application's start and end.

    Raises:
        ModelError: a folder that is missing or damaged.
        ConfigError: a token file that cannot be used.
    """
    status = status or Status()
    metrics = Metrics()
    models = Models(folders, metrics)
    service = _Service(config, models, metrics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.batcher.start()
        watching = asyncio.create_task(models.watch(config.watch_seconds)) if config.watch_seconds else None
        status.ready = True
        yield
        status.ready = False
        if watching is not None:
            watching.cancel()
        await service.batcher.stop()

    app = FastAPI(
        title="chaincrf",
        version=__version__,
        description="Tags text with BiLSTM-CRF models, and shows why.",
        lifespan=lifespan,
        docs_url=None,  # they would load scripts from elsewhere
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    app.add_middleware(
        Gate,
        tokens=read_tokens(config.token_file),
        max_body=config.max_body,
        max_connections=config.max_connections,
        seconds=config.timeout_seconds,
        metrics=metrics,
        status=status,
    )
    # The gate asks for the token; this tells the document so.
    bearer = HTTPBearer(auto_error=False, description="one of the tokens of `--token-file`")
    guarded = APIRouter(dependencies=[Depends(bearer)] if config.token_file else [])
    _add_work(guarded, service)
    _add_models(guarded, service)
    app.include_router(guarded)
    _add_health(app, status)
    _add_page(app)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    return app


class _Service:
    """Requests to work for the batcher, and its results to answers."""

    def __init__(self, config: ServeConfig, models: Models, metrics: Metrics) -> None:
        self.config, self.models, self.metrics = config, models, metrics
        self.batcher = Batcher(
            self._run,
            size=config.batch_texts,
            weight=max(config.max_chars, 50_000),
            wait=config.batch_wait_ms / 1000,
            room=config.queue_texts,
            room_weight=config.queue_texts * 4000,
        )
        for name in models.names:
            metrics.queue.labels(name).set(0)

    def _run(self, kind: Tagging | Explaining, items: list[Any]) -> list[dict[str, Any]]:
        name = kind.served.name
        with self.metrics.batch_seconds.labels(name).time():
            results = answer(kind, items)
        self.metrics.batch_texts.labels(name).observe(len(items))
        self.metrics.tokens.labels(name).inc(sum(len(result["tokens"]) for result in results))
        return results

    def model(self, name: str | None, *where: str) -> Served:
        """The version of a model that serves now."""
        try:
            return self.models.get(name)
        except KeyError:
            known = ", ".join(self.models.names)
            raise Refusal(404, where, f"expected one of {known}", "unknown_model") from None

    async def compute(
        self, request: Request, kind: Tagging | Explaining, items: list[Any], sizes: list[int]
    ) -> list[dict[str, Any]]:
        """Wait for the batcher, for so long, and while the client does."""
        seconds = self.config.timeout_seconds
        queue = self.metrics.queue.labels(kind.served.name)
        queue.inc(len(items))
        work = asyncio.create_task(self.batcher.submit(kind, items, sizes))
        gone = asyncio.ensure_future(request.receive())  # the body was read: what comes next is an end
        try:
            await asyncio.wait((work, gone), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                results = work.result()
            elif gone.done():
                raise Gone
            else:
                raise Refusal(504, (), f"no answer in {seconds:g} seconds", "timeout")
        except Full as full:
            message = "too much work waits; try again later"
            raise Refusal(503, (), message, "overloaded", retry_after=full.retry_after) from None
        finally:
            work.cancel()
            gone.cancel()
            queue.dec(len(items))
        for number, result in enumerate(results):
            if isinstance(result, ArgumentError):
                raise Refusal(422, _place(str(result), number, len(items)), str(result), "value_error")
            if isinstance(result, BaseException):
                raise result
        return results

    def check_text(self, text: str | list[str], *where: str | int) -> int:
        """The number of characters of a text, if it is one."""
        try:
            "".join(text).encode()
        except UnicodeEncodeError:
            message = "expected Unicode characters, found half a surrogate pair"
            raise Refusal(422, ("body", *where), message, "string_unicode") from None
        size = len(text) if isinstance(text, str) else sum(map(len, text)) + len(text)
        if size > self.config.max_chars:
            message = f"expected at most {self.config.max_chars} characters, got {size}"
            raise Refusal(422, ("body", *where), message, "too_long")
        return size


def _place(message: str, number: int, texts: int) -> tuple[str | int, ...]:
    """The field that an error of the tagger is about."""
    for start, field in (
        ("constraint", "constraints"),
        ("threshold", "threshold"),
        ("k:", "k_best"),
        ("sentence:", "sentence"),
        ("allowed", "allowed"),
    ):
        if message.startswith(start):
            return ("body", field)
    return ("body", "texts", number) if texts > 1 else ("body", "text")


def _add_work(app: APIRouter, service: _Service) -> None:
    config = service.config

    @app.post(
        "/v1/tag",
        response_model=TagResponse,
        responses={200: shown(TAGGED), **_REFUSALS},
        summary="Tag texts",
    )
    async def tag(body: TagRequest, request: Request) -> Response:
        served = service.model(body.model, "body", "model")
        texts = body.every
        if len(texts) > config.max_texts:
            message = f"expected at most {config.max_texts} texts, got {len(texts)}"
            raise Refusal(422, ("body", "texts"), message, "too_long")
        where = ("text",) if body.text is not None else ("texts",)
        sizes = [
            service.check_text(text, *where, *([number] if body.text is None else []))
            for number, text in enumerate(texts)
        ]
        _check_k(body.k_best, config)
        constraints: list[tuple[Constraint, ...]] = [() for _ in texts]
        for number, known in enumerate(body.constraints):
            try:
                constraint = Constraint(known.start, known.end, known.label, known.kind, known.unit)
            except ArgumentError as error:
                raise Refusal(422, ("body", "constraints", number), str(error), "value_error") from None
            constraints[known.text] += (constraint,)
        kind = Tagging(served, body.probabilities, body.threshold, body.k_best)
        results = await service.compute(request, kind, list(zip(texts, constraints, strict=True)), sizes)
        if not body.spans:
            for result in results:
                for tagged in (result, *result.get("k_best", ())):
                    del tagged["spans"]
        return _answered(request, served, results, {"results": results})

    @app.post(
        "/v1/explain",
        response_model=ExplainResponse,
        responses={200: shown(EXPLAINED), **_REFUSALS},
        summary="The trellis",
    )
    async def explain(body: ExplainRequest, request: Request) -> Response:
        served = service.model(body.model, "body", "model")
        size = service.check_text(body.text, "text")
        _check_k(body.k_best, config)
        results = await service.compute(request, Explaining(served, config.max_cells), [body], [size])
        return _answered(request, served, results, results[0])


def _add_models(app: APIRouter, service: _Service) -> None:
    known: dict[int | str, dict[str, Any]] = {code: _REFUSALS[code] for code in (401, 503)}
    named = {404: _REFUSALS[404], 422: _REFUSALS[422]}

    @app.get(
        "/v1/model",
        response_model=ModelInfo,
        responses={200: shown(MODEL), **known, **named},
        summary="A model",
    )
    async def model(name: Annotated[str | None, Query(max_length=64)] = None) -> ModelInfo:
        return describe(service.model(name, "query", "name"))

    @app.get(
        "/v1/models",
        response_model=list[ModelInfo],
        responses={200: shown([MODEL]), **known},
        summary="All models",
    )
    async def models() -> list[ModelInfo]:
        return [describe(service.models.get(name)) for name in service.models.names]

    @app.get(
        "/metrics",
        responses={200: shown(METRICS, "text/plain"), 401: known[401]},
        response_class=Response,
        summary="For Prometheus",
    )
    async def metrics() -> Response:
        return Response(service.metrics.render(), media_type=CONTENT_TYPE)


def _add_health(app: FastAPI, status: Status) -> None:
    @app.get("/healthz", responses={200: shown({"status": "ok"})}, summary="Whether the process lives")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    not_ready = {"description": "Not yet, or no more", **shown({"status": "draining"})}

    @app.get(
        "/readyz",
        responses={200: shown({"status": "ready"}), 503: not_ready},
        summary="Whether to send work",
    )
    async def readyz() -> Response:
        if status.ready and not status.draining:
            return _json({"status": "ready"})
        return _json({"status": "draining" if status.draining else "starting"}, 503)


def _add_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(_PAGE / "index.html", headers={"cache-control": "no-cache"})

    app.mount("/page", StaticFiles(directory=_PAGE))


def _answered(
    request: Request, served: Served, results: list[dict[str, Any]], content: dict[str, Any]
) -> Response:
    tokens = sum(len(result["tokens"]) for result in results)
    request.state.log |= {
        "model": served.name,
        "version": served.version,
        "texts": len(results),
        "tokens": tokens,
    }
    return _json({"model": served.name, "version": served.version} | content)


def _check_k(k: int, config: ServeConfig) -> None:
    if k > config.max_k_best:
        message = f"expected at most {config.max_k_best}, got {k}"
        raise Refusal(422, ("body", "k_best"), message, "less_than_equal")


def _json(content: Any, status: int = 200) -> Response:
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    return Response(body, status, media_type="application/json")


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    """Which fields do not fit and why, without what was in them: it may be long, private, or no Unicode."""
    assert isinstance(error, RequestValidationError)
    detail = [
        {
            "loc": [part if isinstance(part, int) else printable(part) for part in one["loc"]],
            "msg": printable(one["msg"]),
            "type": one["type"],
        }
        for one in error.errors()[:20]
    ]
    return JSONResponse({"detail": detail}, 422)


async def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    kind = {400: "json_invalid", 404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http")
    return JSONResponse(problem_body((), str(error.detail), kind), error.status_code, error.headers)

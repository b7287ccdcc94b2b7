"""ASGI application: the page, `POST /detect`, `GET /models`, `/health`, `/openapi.json` and `/sample.jpg`.

The event loop only moves bytes. Decoding and inference run in `workers` threads and `queue` more images wait.
An image takes its place when it has arrived, so a slow upload keeps none from others; `Uploads` bounds the
memory. While every place is taken, requests are refused before a byte of the image is read. Every refusal is
one line of JSON, `{"error": "..."}`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import metadata
from pathlib import Path

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seyolo.options.detect import ServeOptions
from seyolo.web.answers import Found, Health, Models, Question
from seyolo.web.detection import ServedModel, choose
from seyolo.web.openapi import Endpoint, describe
from seyolo.web.uploads import Uploads, busy, workers_for

PAGE = Path(__file__).with_name("page")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    # A browser must not show the page of an older version from its cache.
    "Cache-Control": "no-cache",
}
IN_BROWSER = {  # WebAssembly, and its threads, which browsers give to pages without anything foreign
    **HEADERS,
    "Content-Security-Policy": HEADERS["Content-Security-Policy"].replace(
        "script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}


def make_app(
    models: Sequence[ServedModel],
    limits: ServeOptions,
    hosts: Sequence[str] | None = None,
    runtime: Path | None = None,
    sample: Callable[[], bytes] | None = None,
) -> Starlette:
    """Returns the application.

    Args:
        models: at least one, with different names.
        limits: of requests and work.
        hosts: accepted host names of requests; None accepts any. A list prevents DNS rebinding, where a
            foreign page points its own name at this machine.
        runtime: folder of onnxruntime-web's files, where the page runs the models itself.
        sample: gives the JPEG that the page offers to try; None offers none.
    """
    service = _Service(models, limits, sample)
    endpoints = service.endpoints()
    described = partial(describe, endpoints, [model.name for model in models])
    return Starlette(
        routes=[
            Route("/", _page),
            Mount("/page", StaticFiles(directory=PAGE)),
            *(Route(each.path, each.run, methods=[each.method.upper()]) for each in endpoints),
            Route("/openapi.json", partial(_openapi, described)),
            Route("/sample.jpg", service.sample),
            *([] if runtime is None else [Mount("/ort", StaticFiles(directory=runtime))]),
            *([] if runtime is None else [Route("/files/{name}", service.file)]),
        ],
        middleware=[
            Middleware(_WithHeaders, headers=HEADERS if runtime is None else IN_BROWSER),
            Middleware(TrustedHostMiddleware, allowed_hosts=hosts),
        ],
        exception_handlers={HTTPException: _refuse, ClientDisconnect: _gone, Exception: _bug},
    )


class _Service:
    """Endpoints that need the models."""

    def __init__(
        self, models: Sequence[ServedModel], limits: ServeOptions, sample: Callable[[], bytes] | None
    ) -> None:
        self._models = models
        self._sample = sample
        self._limits = limits
        workers = limits.workers or workers_for(limits.threads)
        self._uploads = Uploads(limits)
        self._threads = CapacityLimiter(workers)
        self._places = asyncio.Semaphore(workers + limits.queue)

    def endpoints(self) -> Sequence[Endpoint]:
        """Returns the endpoints of the API; routes and description come from them."""
        refusals = (400, 404, 408, 413, 415, 422, 503)
        return [
            Endpoint("/detect", "post", self.detect, Found, refusals, question=Question, takes_image=True),
            Endpoint("/models", "get", self.models, Models),
            Endpoint("/health", "get", _health, Health),
        ]

    async def detect(self, request: Request) -> Response:
        """Detects objects in one image."""
        question = Question.parse(request.query_params)
        model = choose(question.model, self._models)
        self._refuse_when_full()
        async with self._uploads.read(request) as data:
            self._refuse_when_full()
            async with self._places:
                work = partial(model.detect, data, question.confidence, question.iou, self._limits)
                return JSONResponse(await to_thread.run_sync(work, limiter=self._threads))

    def _refuse_when_full(self) -> None:
        if self._places.locked():
            raise busy("too many images are waiting")

    async def models(self, _: Request) -> Response:
        """Lists the models, the first being the default."""
        return JSONResponse({"models": [model.describe() for model in self._models]})

    async def file(self, request: Request) -> Response:
        for model in self._models:
            if model.name == request.path_params["name"] and model.file is not None:
                return FileResponse(model.file, media_type="application/octet-stream")
        raise HTTPException(404, "no such model")

    async def sample(self, _: Request) -> Response:
        if self._sample is None:
            raise HTTPException(404, "no sample image")
        return Response(await to_thread.run_sync(self._sample), media_type="image/jpeg")


async def _openapi(described: Callable[[], dict[str, object]], _: Request) -> Response:
    return JSONResponse(described())


async def _page(_: Request) -> Response:
    return FileResponse(PAGE / "index.html")


async def _health(_: Request) -> Response:
    """Tells the state of the service."""
    return JSONResponse({"status": "ok", "version": metadata.version("seyolo")})


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _gone(*_: object) -> Response:
    """Answers a browser that closed the connection during its upload; nobody reads the answer."""
    return JSONResponse({"error": "the connection was closed"}, 400)


async def _bug(*_: object) -> Response:
    """Answers without the traceback, which the server logs."""
    return JSONResponse({"error": "a bug of ours; the traceback is in the server's terminal"}, 500)


class _WithHeaders:
    """Adds headers to every response."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self._app, self._headers = app, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        await self._app(scope, receive, send_with_headers)

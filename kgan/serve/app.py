"""The routes of `kgan.serve`, as a Starlette application."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import os
import threading
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TypeVar

import anyio
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kgan.filters.card import Card
from kgan.interrupts import Abandoned, awaited
from kgan.pictures import faces
from kgan.serve import examples, metrics, pages, protocol, uploads
from kgan.serve.batching import LOOK
from kgan.serve.describe import describe
from kgan.serve.errors import Refusal, Status
from kgan.serve.limits import USUAL, Limits
from kgan.serve.models import Models, Source

T = TypeVar("T")
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
KINDS = {"classify": "classification", "regress": "regression"}


class Server:
    """The application and what its routes share.

    Args:
      models: what is served.
      limits: what is taken.
      origins: other sites whose pages may ask, "*" for all.
    """

    def __init__(self, models: Models, limits: Limits = USUAL, origins: Sequence[str] = ()) -> None:
        self.models, self.limits, self.origins = models, limits, list(origins)
        self.metrics = metrics.Metrics()
        self.turns = threading.BoundedSemaphore(max(4, os.cpu_count() or 1))
        self.pictures = examples.Pictures(models)
        self.parsing = threading.BoundedSemaphore(os.cpu_count() or 1)  # JSON takes ten times its bytes in memory
        self._inside = 0
        self._room = int(limits.room * 1e6)
        self._threads = anyio.CapacityLimiter(limits.inside)

    def app(self) -> Starlette:
        """The application."""
        self.routes = [
            Route("/", self.page),
            Route("/page/{name:path}", self.page),
            Route("/healthz", self.health),
            Route("/v1/filters", self.filters),
            Route("/v1/filters/{name}", self.filter, methods=["POST"]),
            Route("/v1/filters/{name}/card", self.card),
            Route("/v1/filters/{name}/model", self.model),
            Route("/v1/filters/{name}/picture", self.picture),
            Route("/v1/assets/blazeface", self.blazeface),
            Route(metrics.PATH, self.metrics_page),
        ]
        contract = Route("/{path:path}", self.contract, methods=METHODS)
        handlers = {Refusal: refuse, ClientDisconnect: gone, Abandoned: gone, HTTPException: missing, 500: broken}
        app = Starlette(routes=[*self.routes, contract], exception_handlers=handlers)
        app.add_middleware(OwnPages, origins=self.origins)
        app.add_middleware(Secured)
        if self.origins:
            app.add_middleware(
                CORSMiddleware,
                allow_origins=self.origins,
                allow_methods=["GET", "POST"],
                allow_headers=["*"],
                expose_headers=["*"],
            )
        return app

    async def page(self, request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        return await self.compute(lambda: pages.file(request, name))  # which may have to unpack it

    async def health(self, request: Request) -> Response:
        failures = self.models.failures()
        return JSONResponse({"status": "ok"} if not failures else {"status": "partly", "failures": failures})

    async def filters(self, request: Request) -> Response:
        newest = await self.compute(self.models.newest)
        return JSONResponse({"filters": [describe(name, *pair) for name, pair in newest.items()]})

    async def card(self, request: Request) -> Response:
        _, card = await self._newest(request)
        return JSONResponse(dataclasses.asdict(card))

    async def model(self, request: Request) -> Response:
        source, _ = await self._newest(request)
        try:
            data = await self.compute(source.tflite.read_bytes) if source.tflite else None
        except OSError:  # it has been taken away since the folder was looked at
            data = None
        if data is None:
            raise Refusal(404, f"{request.path_params['name']} has no .tflite file.")
        return await self.compute(lambda: whole(request, data, "application/octet-stream"))

    async def picture(self, request: Request) -> Response:
        name = request.path_params["name"]
        source, card = await self._newest(request)
        data = await self.compute(lambda: self.pictures.of(name, source, card))
        if data is None:
            raise Refusal(404, f"{name} has no picture: put {name}.webp beside the model.")
        return whole(request, data, "image/webp")

    async def blazeface(self, request: Request) -> Response:
        return await self.compute(lambda: whole(request, faces.MODEL.read_bytes(), "application/octet-stream"))

    async def filter(self, request: Request) -> Response:
        """A picture to a filtered picture."""
        start = time.perf_counter()
        kind = uploads.kind_of(request.headers.get("accept", ""))
        options = uploads.options_of(request.query_params)
        await self._newest(request)  # else nothing of the body is read
        name, content_type = request.path_params["name"], request.headers.get("content-type", "")
        with self.admitted():
            async with self.body(request) as body:

                def work() -> uploads.Result:
                    with self.models.lease(name) as version:
                        data = body if version.draws else uploads.file_of(body, content_type)
                        return uploads.answer(version, data, options, kind, self.turns, self.limits)

                result = await self.attended(request, work)
        total = time.perf_counter() - start
        headers = {
            "X-Kgan-Milliseconds": f"{result.seconds * 1e3:.1f}",
            "X-Kgan-Runtime": result.runtime,
            "Server-Timing": f"model;dur={result.seconds * 1e3:.1f}, total;dur={total * 1e3:.1f}",
            "Cache-Control": "no-store",
        }
        if result.faces is not None:
            headers["X-Kgan-Faces"] = str(result.faces)
        if result.face:
            numbers = *result.face.center, result.face.side, result.face.angle
            headers["X-Kgan-Face"] = ",".join(f"{number:.4f}" for number in numbers)
        if result.remarks:
            headers["X-Kgan-Remarks"] = ", ".join(result.remarks)
        return Response(result.data, media_type=kind, headers=headers)

    async def metrics_page(self, request: Request) -> Response:
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4")

    async def contract(self, request: Request) -> Response:
        """What TensorFlow Serving answers; of paths elsewhere, that nothing is there."""
        path = request.url.path
        others = [route.matches(request.scope)[0] for route in self.routes]
        if Match.PARTIAL in others:
            raise Refusal(405, f"{path} does not take {request.method}.")
        if not path.lower().startswith("/v1/") or path.lower().startswith(("/v1/filters", "/v1/assets")):
            raise Refusal(404, f"There is no {path}.")
        asked = protocol.route(request.method, path)
        if asked.method == "status":
            return JSONResponse(protocol.status(self.models.states(asked.name, asked.version, asked.label)))
        start = time.perf_counter()
        code = "OK"
        try:
            if asked.method == "metadata":
                return await self.compute(lambda: self._metadata(asked))
            with self.admitted(503):
                async with self.body(request) as body:
                    data = await self.attended(request, lambda: self._predict(asked, body))
            return Response(data, media_type="application/json")
        except Refusal as error:
            code = error.code
            raise
        except (Abandoned, ClientDisconnect):
            code = "CANCELLED"
            raise
        except Exception:
            code = "INTERNAL"
            raise
        finally:
            if asked.method != "metadata":
                known = asked.name if self.models.has(asked.name) else ""
                self.metrics.add(known, code, asked.method, "REST", time.perf_counter() - start)

    def _metadata(self, asked: protocol.Route) -> Response:
        with self.models.lease(asked.name, asked.version, asked.label) as version:
            return JSONResponse(protocol.metadata(version))

    def _predict(self, asked: protocol.Route, body: bytes) -> bytes:
        with self.parsing:
            request = protocol.parse(body)
        with self.models.lease(asked.name, asked.version, asked.label) as version:
            signature = version.signature(request.signature)
            if asked.method != "predict":
                raise Status(
                    "INVALID_ARGUMENT",
                    f"Expected {KINDS[asked.method]} signature method_name to be tensorflow/serving/{asked.method}. "
                    f"Was: {signature.method}",
                )
            with self.parsing:
                inputs = protocol.arrays(request, signature.inputs)
            outputs = version.predict(signature, inputs, self.limits).outputs
        with self.parsing:
            return protocol.answer(outputs, request.rows)

    async def _newest(self, request: Request) -> tuple[Source, Card]:
        """The filter that a path names."""
        name = request.path_params["name"]
        newest = await self.compute(lambda: self.models.newest_of(name))
        if newest is None:
            raise Refusal(404, f"There is no filter {name}. GET /v1/filters lists those that there are.")
        return newest

    async def compute(self, function: Callable[[], T]) -> T:
        """What a function returns that would hold up the others."""
        return await anyio.to_thread.run_sync(function, limiter=self._threads)

    async def attended(self, request: Request, function: Callable[[], T]) -> T:
        """As `compute`, of what is left unfinished once the client has hung up."""
        gone = threading.Event()

        def work() -> T:
            with awaited(lambda: not gone.is_set()):
                return function()

        async def watch() -> None:
            while not await request.is_disconnected():
                await asyncio.sleep(LOOK)
            gone.set()

        watcher = asyncio.create_task(watch())
        try:
            return await self.compute(work)
        finally:
            watcher.cancel()

    @contextlib.contextmanager
    def admitted(self, status: int = 429) -> Iterator[None]:
        """Within the block a request counts as one inside; a `Refusal` with this status where too many are."""
        if self._inside >= self.limits.inside:
            raise Refusal(status, f"The server is busy with {self._inside} requests: try again in a second.")
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    @contextlib.asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """The body, unpacked where it is gzip, which counts against the room for all bodies within the block."""
        most, taken = int(self.limits.megabytes * 1e6), 0

        def take(count: int) -> None:
            nonlocal taken
            taken += count
            self._room -= count
            if taken > most:
                raise Refusal(413, f"The body is too large: at most {self.limits.megabytes:g} MB are taken.")
            if self._room < 0:
                raise Refusal(503, "The server holds too many uploads at once: try again in a second.")

        try:
            encoding = request.headers.get("content-encoding", "identity").strip().lower()
            if encoding not in ("gzip", "x-gzip", "identity", ""):
                raise Refusal(415, f"Bodies are taken as they are or in gzip, not in {encoding}.")
            if int(request.headers.get("content-length", "0")) > most:
                take(most + 1)
            chunks = []
            try:
                with anyio.fail_after(self.limits.seconds):
                    async for chunk in request.stream():
                        take(len(chunk))
                        chunks.append(chunk)
            except TimeoutError:
                raise Refusal(408, f"The body did not come within {self.limits.seconds:g} seconds.") from None
            data = b"".join(chunks)
            if "gzip" in encoding:
                data = await self.compute(lambda: unpacked(data, most - taken))
                take(len(data))
            yield data
        finally:
            self._room += taken


def unpacked(data: bytes, most: int) -> bytes:
    """What a gzip file holds; a `Refusal` where it is damaged, or holds more than `most` bytes."""
    try:
        unpacker = zlib.decompressobj(31)
        result = unpacker.decompress(data, max(1, most + 1))
    except zlib.error as error:
        raise Refusal(400, f"The body is no gzip file: {error}.") from None
    if len(result) > most:
        raise Refusal(413, "The body is too large when it is unpacked.")
    if not unpacker.eof:
        raise Refusal(400, "The body's gzip file ends too soon.")
    return result


def whole(request: Request, data: bytes, kind: str) -> Response:
    """Bytes with their sha256 as ETag; 304 where the browser has them."""
    tag = f'"{hashlib.sha256(data).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if pages.matches(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=kind, headers=headers)


async def refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    headers = {"Retry-After": "1"} if error.status in (429, 503) else {}
    return JSONResponse({"error": str(error)}, error.status, headers)


async def gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it


async def missing(request: Request, error: Exception) -> Response:
    """Of Starlette's own errors."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": f"{request.method} {request.url.path}: {error.detail}."}, error.status_code)


async def broken(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "The server met an error of its own: its log says more."}, 500)


class OwnPages:
    """Pages of other sites make the server draw nothing, but for those of `origins`.

    A form posts to any site without asking. Browsers say where from: in Sec-Fetch-Site to localhost and over https, and
    in Origin always.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        self.app, self.origins = app, origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" and scope["method"] == "POST" else Headers()
        origin = headers.get("origin")
        elsewhere = origin is not None and origin.partition("://")[2] != headers.get("host")
        foreign = headers.get("sec-fetch-site", "cross-site" if elsewhere else "") in ("cross-site", "same-site")
        if foreign and not {"*", origin} & {*self.origins}:
            refusal = JSONResponse({"error": "Pages of other sites may not ask: --origins names those that may."}, 403)
            await refusal(scope, receive, send)
        else:
            await self.app(scope, receive, send)


class Secured:
    """Every answer carries the headers of `pages.SECURITY`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in pages.SECURITY.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, secured if scope["type"] == "http" else send)

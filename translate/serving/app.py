"""The application: its routes, and what each answers."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path
from secrets import token_hex
from tempfile import gettempdir

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from translate.serving.counts import Counts
from translate.serving.description import description
from translate.serving.line import Line
from translate.serving.names import disposition
from translate.serving.options import ServingOptions
from translate.serving.pages import answers_to_errors, page_routes
from translate.serving.refusal import Gone, Refusal, refusal_for
from translate.serving.shelf import Shelf
from translate.serving.translating import Translated, translate
from translate.serving.uploads import Body, fields_of, form_of, picture_of
from translate.serving.wishes import wish_of
from translate.utils.printing import shown
from translate.version import __version__


class Service:
    """What the routes share."""

    grace: int | None = None

    def __init__(self, shelf: Shelf, options: ServingOptions) -> None:
        self.shelf, self.options = shelf, options
        self.line, self.counts = Line(options.waiting, options.timeout), Counts()

    def close(self) -> None:
        """Takes no more pictures."""
        self.line.close()

    async def convert(self, request: Request) -> Response:
        """Translates the picture of a request."""
        start, status = time.perf_counter(), 499
        try:
            with self.line.place():
                answer = _answer(await self._translated(request))
            status = 200
            return answer
        except Gone:
            return Response(status_code=400)  # which nobody reads
        except Exception as error:
            refusal = refusal_for(error, Path(gettempdir()))
            status = refusal.status
            raise refusal from error
        finally:
            self.counts.add(status, time.perf_counter() - start)

    async def _translated(self, request: Request) -> Translated:
        body = Body(request, self.options.max_bytes)
        async with self.line.receiving():
            form = await form_of(request, body)
        try:
            picture = picture_of(form)
            wish = wish_of([*request.query_params.multi_items(), *fields_of(form)])
            work = partial(translate, self.shelf, wish, picture.file, picture.filename or "", self.options.max_pixels)
            gone = asyncio.create_task(body.gone())
            try:
                return await self.line.do(work, gone)
            finally:
                gone.cancel()
        finally:
            await form.close()

    async def models(self, request: Request) -> Response:
        """What is served, and within which limits."""
        limits = {name: getattr(self.options, name) for name in ("max_bytes", "max_pixels", "waiting", "timeout")}
        models = self.shelf.described()
        return JSONResponse({"models": models, "limits": limits, "version": __version__})

    async def health(self, request: Request) -> Response:
        """Whether pictures are taken."""
        if self.line.closed:
            raise Refusal(503, "the server is stopping")
        return JSONResponse({"status": "ok"})

    async def metrics(self, request: Request) -> Response:
        """Counts for Prometheus."""
        gauges = {
            "translate_line": ("Pictures being received, waiting or translated.", self.line.places),
            "translate_models_loaded": ("Models in memory.", self.shelf.loaded),
        }
        return PlainTextResponse(self.counts.text(gauges), media_type="text/plain; version=0.0.4")


def application(service: Service) -> Starlette:
    """The routes of a service; those of the page are left out of the description."""
    return Starlette(
        routes=[
            Route("/api/convert", service.convert, methods=["POST"]),
            Route("/api/models", service.models, methods=["GET"]),
            Route("/health", service.health, methods=["GET"]),
            Route("/metrics", service.metrics, methods=["GET"]),
            Route("/openapi.json", _openapi, methods=["GET"]),
            *page_routes("page.html", "page.css", "page.js"),
        ],
        exception_handlers=answers_to_errors("/openapi.json"),
    )


async def _openapi(request: Request) -> Response:
    return JSONResponse(description())


def _answer(made: Translated) -> Response:
    """The translation; with previews, a form with all three, which browsers can read."""
    notes = shown("; ".join(made.notes)).encode("ascii", "backslashreplace").decode()  # files may say anything
    headers = {"Translate-Notes": notes} if notes else {}
    if not made.after:
        headers["Content-Disposition"] = disposition(made.name)
        return Response(made.data, media_type=made.type, headers=headers)
    boundary = token_hex(16)
    parts = (
        ("image", made.name, made.type, made.data),
        ("before", "before.png", "image/png", made.before),
        ("after", "after.png", "image/png", made.after),
    )
    body = b"".join(_part(boundary, *part) for part in parts) + f"--{boundary}--\r\n".encode()
    return Response(body, media_type=f"multipart/form-data; boundary={boundary}", headers=headers)


def _part(boundary: str, field: str, name: str, kind: str, data: bytes) -> bytes:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
    return f"{head}Content-Type: {kind}\r\n\r\n".encode() + data + b"\r\n"

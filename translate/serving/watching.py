"""`translate watch`: follows runs by their files, and tells browsers what has changed as server-sent events."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, get_args

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from translate.errors import ConfigurationError
from translate.reporting.tracking import places_in
from translate.serving.following import Mark
from translate.serving.pages import answers_to_errors, page_routes
from translate.serving.refusal import Refusal
from translate.serving.watched import WatchedRun, curve_words
from translate.training.asked import Wish, ask
from translate.utils.outputs import is_run
from translate.utils.printing import shown
from translate.utils.stored import UnreadableError, json_text, read_bytes

SECONDS = 1.0
"""Between two looks at the files."""
DEFAULT = Path("runs")
_READING = 0.5
"""Seconds after which what was read so far is shown, when much is to be read."""
_DEPTH, _ENTRIES, _RUNS = 3, 2000, 500
_CLIENTS = 64
_ALIVE = 15.0
"""Seconds after which a silent stream says that it is there."""
_MOST_OF_A_GRID = 64 << 20
_STEP = re.compile("[0-9]{1,15}")
_PNG = b"\x89PNG\r\n\x1a\n"


class Watching:
    """The runs at some places, a run's folder or one that holds runs; read at most once a second, and only while
    somebody watches. Raises ConfigurationError for a place that is not there."""

    grace: int | None = 2
    """Seconds that a stream has to end when the server stops."""

    def __init__(self, places: Sequence[Path]) -> None:
        for place in places:
            if not place.is_dir():
                raise ConfigurationError(
                    f"{shown(place)}: no such folder; expected that of a run, or one that holds runs"
                )
        self._places = list(places) or [DEFAULT]
        self.runs: dict[str, WatchedRun] = {}
        self.streams = 0
        self._lock, self._closed, self._read_at, self._found_at = asyncio.Lock(), asyncio.Event(), 0.0, 0.0

    def close(self) -> None:
        """Ends all streams."""
        self._closed.set()

    def read(self) -> None:
        """Looks at the files, unless that was done within the last second."""
        began = time.monotonic()
        if began - self._read_at < SECONDS * 0.9:
            return
        if began - self._found_at > 2 * SECONDS or not self.runs:
            found = {run.id: self.runs.get(run.id, run) for run in islice(self._find(), _RUNS)}
            self.runs, self._found_at = found, began
        left = list(self.runs.values())
        while left and time.monotonic() - began < _READING:
            left = [run for run in left if run.read()]
        self._read_at = began if not left else 0.0

    def _find(self) -> Iterator[WatchedRun]:
        alone = len(self._places) == 1
        for place in self._places:
            for path in _runs_in(place, _DEPTH):
                yield WatchedRun(path, shown(path.relative_to(place) if alone and path != place else path))

    async def events(self, request: Request) -> Response:
        """Tells what has changed, as long as the client stays; `run`: the one shown in detail, `measure`: the curve
        shown of all."""
        if self.streams >= _CLIENTS:
            raise Refusal(503, f"{_CLIENTS} pages watch already; close one of them", again=10)
        view = View(self, request.query_params.get("run", ""), request.query_params.get("measure", "")[:200])
        return StreamingResponse(self._stream(view), media_type="text/event-stream")

    async def _stream(self, view: View) -> AsyncIterator[str]:
        if self.streams >= _CLIENTS:  # others have begun since this one was admitted
            yield "retry: 10000\n\n"
            return
        self.streams += 1
        try:
            yield "retry: 2000\n\n"
            said = time.monotonic()
            while not self._closed.is_set():
                async with self._lock:
                    await asyncio.to_thread(self.read)
                    news = view.news()
                if news:
                    yield f"data: {json_text(news)}\n\n"
                elif time.monotonic() - said > _ALIVE:
                    yield ": still here\n\n"
                said = time.monotonic() if news else said
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._closed.wait(), SECONDS)
        finally:
            self.streams -= 1

    def sample(self, request: Request) -> Response:
        """A grid of samples, as PNG."""
        path = self._grid(request)
        try:
            content = read_bytes(path, _MOST_OF_A_GRID)
        except UnreadableError as error:
            raise Refusal(404, "this grid of samples cannot be read") from error
        if not content.startswith(_PNG):
            raise Refusal(404, "this grid of samples is no PNG")
        return Response(content, media_type="image/png")

    def places(self, request: Request) -> Response:
        """Where the pictures of a grid are; null if it does not say."""
        try:
            places = places_in(self._grid(request))
        except (OSError, ValueError, SyntaxError) as error:
            raise Refusal(404, "this grid of samples cannot be read") from error
        return JSONResponse(asdict(places) if places else None)

    def _grid(self, request: Request) -> Path:
        run, step = self._run(request), request.path_params["step"]
        path, _ = run.samples.get(int(step) if _STEP.fullmatch(step) else -1, (None, 0))
        if path is None or not path.resolve().is_relative_to(run.path.resolve()):
            raise Refusal(404, "the run has no samples of this step")
        return path

    def ask(self, request: Request) -> Response:
        """Asks a run to save or to stop."""
        run, wish = self._run(request), request.path_params["wish"]
        if request.headers.get("translate-page") != "watch":  # which no form of another site can send
            raise Refusal(403, "only the page may ask; send the header 'Translate-Page: watch'")
        if wish not in get_args(Wish):
            raise Refusal(404, "a run can be asked to save or to stop")
        if not run.trains:
            raise Refusal(409, "this run does not train at the moment")
        try:
            ask(run.path, wish)
        except OSError as error:
            raise Refusal(503, f"the run's folder cannot be written ({error.strerror})") from error
        return JSONResponse({"asked": wish})

    def _run(self, request: Request) -> WatchedRun:
        run = self.runs.get(request.path_params["run"])
        if run is None:
            raise Refusal(404, "there is no such run, or its folder has gone")
        return run


class View:
    """What one page shows, and what it knows already."""

    def __init__(self, watching: Watching, run: str, measure: str) -> None:
        self._watching, self._run, self._measure = watching, run, measure
        self._summaries: dict[str, Any] = {}
        self._told: dict[str, Any] = {}
        self._marks: dict[str, Mark] = {}
        self._begun: tuple[str, int] | None = None

    def news(self) -> dict[str, Any]:
        """What has changed since the last time; nothing if that is nothing."""
        runs = self._watching.runs
        now = {id: run.summary(self._measure) for id, run in runs.items()}
        changed = {id: summary for id, summary in now.items() if self._summaries.get(id) != summary}
        self._summaries = now
        keys = dict.fromkeys(key for run in runs.values() for key in run.curves)
        news: dict[str, Any] = {"changed": changed} if changed else {}
        news |= self._if_new("runs", list(runs))
        news |= self._if_new("measures", [[key, ": ".join(curve_words(key))] for key in islice(keys, 200)])
        run = runs.get(self._run)
        if run is not None:
            news |= self._if_new("details", {"id": run.id, **run.details()})
            news |= self._curves(run)
        return news

    def _if_new(self, name: str, value: Any) -> dict[str, Any]:
        if name in self._told and self._told[name] == value:
            return {}
        self._told[name] = value
        return {name: value}

    def _curves(self, run: WatchedRun) -> dict[str, Any]:
        begun = (run.id, run.begun)
        anew = begun != self._begun
        if anew:
            self._begun, self._marks = begun, {}
        found = {}
        for key, curve in run.curves.items():
            since = curve.since(self._marks.get(key))
            if since is not None:
                start, self._marks[key] = since
                bins = [[float(f"{value:.6g}") for value in bin] for bin in curve.bins[start:]]
                words = curve_words(key)
                found[key] = {"words": words, "from": start, "bins": bins, "bad": curve.not_finite, "last": curve.last}
        return ({"anew": True} if anew else {}) | ({"curves": found} if found else {})


def application(watching: Watching) -> Starlette:
    """The routes of `translate watch`."""
    return Starlette(
        routes=[
            Route("/api/events", watching.events, methods=["GET"]),
            Route("/api/runs/{run}/samples/{step}", watching.sample, methods=["GET"]),
            Route("/api/runs/{run}/places/{step}", watching.places, methods=["GET"]),
            Route("/api/runs/{run}/{wish}", watching.ask, methods=["POST"]),
            *page_routes("watch.html", "watch.css", "watch.js", "charts.js", "samples.js"),
        ],
        exception_handlers=answers_to_errors("the page at /"),
    )


def _runs_in(place: Path, depth: int) -> Iterator[Path]:
    """The place, if it is a run, or else the runs in it, some folders deep; links and what cannot be read are left
    out."""
    if is_run(place) or (place / "recipe.yaml").is_file():
        yield place
        return
    with suppress(OSError):
        inside = sorted(islice(place.iterdir(), _ENTRIES)) if depth else []
        for path in inside:
            if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
                yield from _runs_in(path, depth - 1)

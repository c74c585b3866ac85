"""A file from one server: continued where it broke off, and bounded in time whatever the server does."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import IO, Any

Progress = Callable[[int, int | None], None]
WINDOW = 30.0
"""Seconds, from the first word to a server, in each of which at least `LEAST` bytes of the file must come."""
LEAST = 30_000
MAX_BYTES = 64 << 30
BLOCK = 1 << 20


class Unreachable(Exception):
    """A server delivered no file, or not the right one."""


def add_to(archive: Path, url: str, expected: int | None, latest: float, progress: Progress) -> None:
    """Adds to the file `archive` what it lacks of the file at `url`, which has `expected` bytes (None: unknown).

    What is there already stays, unless it turns out to be another file's. `latest`: when to give up, by the monotonic
    clock. Raises Unreachable, whatever the server does wrong, and OSError if the bytes cannot be stored.
    """
    have = archive.stat().st_size
    if have and have == expected:
        return
    if have > (expected or MAX_BYTES):
        archive.write_bytes(b"")
        have = 0
    request = urllib.request.Request(url, headers={"User-Agent": "translate"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    with _Watch(latest) as watch:
        try:
            response = watch.answer(request)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
                    _handle_unsatisfiable(archive, have, expected, error.headers.get("Content-Range", ""))
                    return
                raise Unreachable(f"HTTP {error.code} {error.reason}") from error
        with closing(response):
            start = _start(response, have)
            total = _total(response, start, expected)
            _store(watch.blocks(response), archive, start, total, progress)


def _start(response: http.client.HTTPResponse, have: int) -> int:
    """Where in the file the answer begins."""
    if response.status != http.client.PARTIAL_CONTENT:
        return 0
    if not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        raise Unreachable("the server sent a part that was not asked for")
    return have


def _total(response: http.client.HTTPResponse, start: int, expected: int | None) -> int | None:
    left = response.headers.get("Content-Length", "")
    total = start + int(left) if re.fullmatch("[0-9]{1,18}", left) else expected
    if expected and total != expected:
        raise Unreachable(f"has {total} bytes where {expected} were published")
    if (total or 0) > MAX_BYTES:
        raise Unreachable(f"has {total} bytes, more than any data set known")
    return total


def _store(blocks: Iterator[bytes], archive: Path, start: int, total: int | None, progress: Progress) -> None:
    """Writes a file's bytes from `start` on. Those that are there already are compared, not written again, so that a
    server that cannot continue, and breaks off earlier than the last one, takes nothing away."""
    have = start
    with open(archive, "r+b") as file:
        file.seek(start)
        progress(have, total)
        for block in blocks:
            if have + len(block) > (total or MAX_BYTES):
                raise Unreachable("sends more than it announced")
            if file.read(len(block)) != block:
                file.seek(have)
                file.truncate()
                file.write(block)
            have += len(block)
            progress(have, total)
        if total is not None and have != total:
            raise Unreachable(f"the connection broke off at {have} of {total} bytes")
        file.truncate(have)


def _handle_unsatisfiable(archive: Path, have: int, expected: int | None, content_range: str) -> None:
    """Handles "range not satisfiable": `archive` is complete; or it is another file's, and emptied; or the server is
    wrong. Raises Unreachable in the last two cases."""
    stated = re.fullmatch(r"bytes \*/([0-9]{1,18})", content_range)
    size = int(stated[1]) if stated else None
    if size == have and expected is None:
        return
    if size is None or size > have or expected is not None:
        raise Unreachable(f"refuses to continue after {have} bytes")
    archive.write_bytes(b"")
    raise Unreachable("the earlier part of the download is of another file; starting again")


class _Watch:
    """Opens a connection, and ends it when too little comes through, so that no call waits for ever.

    By a thread, because a server can hold up every call there is: a handshake, a header, a block, byte by byte.
    """

    def __init__(self, latest: float) -> None:
        self._latest, self._got = latest, 0
        self._reason = ""
        self._twin: socket.socket | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="download", daemon=True)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        if self._twin:
            self._twin.close()

    def connect(self, *address: Any, **settings: Any) -> socket.socket:
        """`socket.create_connection`, watched. Raises OSError."""
        made = socket.create_connection(*address, **settings)
        if self._twin:
            self._twin.close()
        self._twin = made.dup()  # the same connection, whatever TLS puts around the other
        if self._reason:
            self._end()
        return made

    def answer(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        """Raises HTTPError for the statuses that mean one, Unreachable for everything else."""
        opener = urllib.request.OpenerDirector()  # without the handlers of files and of FTP
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.UnknownHandler(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            _Redirects(),
            _Connections(self.connect),
        ):
            opener.add_handler(handler)
        with self._telling():
            response: http.client.HTTPResponse = opener.open(request, timeout=WINDOW)
            return response

    def blocks(self, response: http.client.HTTPResponse) -> Iterator[bytes]:
        """Yields what comes, as it comes. Raises Unreachable."""
        while True:
            with self._telling():
                block = response.read1(BLOCK)
                if self._reason:
                    raise Unreachable(self._reason)
            if not block:
                return
            self._got += len(block)
            yield block

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except urllib.error.HTTPError:
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            why = error.reason if isinstance(error, urllib.error.URLError) else error
            said = str(why) if isinstance(why, OSError | str) else f"not valid HTTP: {why!r}"
            raise Unreachable(self._reason or said or type(why).__name__) from error

    def _look(self) -> None:
        before = 0
        while not self._over.wait(max(0, min(WINDOW, self._latest - time.monotonic()))):
            if time.monotonic() >= self._latest:
                self._reason = "the time for all servers together is up"
            elif self._got - before < LEAST:
                self._reason = f"sent {self._got - before} bytes in {WINDOW:g} seconds"
            before = self._got
            if self._reason:
                self._end()
                return

    def _end(self) -> None:
        if self._twin:
            with suppress(OSError):  # it has ended by itself
                self._twin.shutdown(socket.SHUT_RDWR)


class _Connections(urllib.request.HTTPHandler):
    """HTTP and HTTPS over the sockets that `connect` opens."""

    def __init__(self, connect: Callable[..., socket.socket]) -> None:
        super().__init__()
        self._connect = connect

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._through(http.client.HTTPConnection), req)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._through(http.client.HTTPSConnection), req, context=ssl.create_default_context())

    https_request = urllib.request.HTTPHandler.http_request

    def _through(self, kind: type[http.client.HTTPConnection]) -> Any:
        def make(host: str, **settings: Any) -> http.client.HTTPConnection:
            connection = kind(host, **settings)
            connection._create_connection = self._connect  # type: ignore[attr-defined]
            return connection

        return make


class _Redirects(urllib.request.HTTPRedirectHandler):
    def http_error_302(self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any) -> Any:
        fp.close()  # its body would be read whole, however long
        return super().http_error_302(req, BytesIO(), code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

"""The line: one picture is translated at a time, a few wait, and nobody's place is kept who has left."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from translate.serving.refusal import Gone, Refusal

T = TypeVar("T")
GivenUp = Callable[[], bool]
"""Whether nobody waits for the work any more."""


class Line:
    """One thread that works, and at most `waiting` requests behind the one that it works for.

    Belongs to an event loop, in whose thread all methods are called.
    """

    def __init__(self, waiting: int, seconds: float) -> None:
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="translating")
        self._most, self._seconds = waiting + 1, seconds
        self.places = 0
        """Requests that are being received, wait, or are worked for."""
        self.closed = False
        self._receiving: set[asyncio.Timeout] = set()

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place in the line, to be taken before a picture is received, so that those in memory are counted. Raises
        Refusal (429, 503)."""
        if self.closed:
            raise stopping()
        if self.places >= self._most:
            raise Refusal(429, f"{self.places} pictures are in line already; send this one again in a moment", again=2)
        self.places += 1
        try:
            yield
        finally:
            self.places -= 1

    @asynccontextmanager
    async def receiving(self) -> AsyncIterator[None]:
        """Context in which a picture is received. Raises Refusal after too long (408), or when the line is closed
        (503)."""
        limit = asyncio.timeout(self._seconds)
        self._receiving.add(limit)
        try:
            async with limit:
                yield
        except TimeoutError as error:
            late = Refusal(408, f"the picture did not arrive within {self._seconds:g} seconds")
            raise (stopping() if self.closed else late) from error
        finally:
            self._receiving.discard(limit)

    async def do(self, work: Callable[[GivenUp], T], gone: asyncio.Task[None]) -> T:
        """What `work` returns, when it was its turn. Raises Gone when `gone` is done before, and Refusal (503) after
        too long, or when the line is closed before its turn has come."""
        given_up = threading.Event()
        try:
            future = self._worker.submit(work, given_up.is_set)
        except RuntimeError as error:  # closed since the place was taken
            raise stopping() from error
        result = asyncio.wrap_future(future)
        either: set[asyncio.Future[Any]] = {result, gone}
        await asyncio.wait(either, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
        if result.cancelled():
            raise stopping()
        if result.done():
            return result.result()
        given_up.set()
        result.cancel()
        if gone.done():
            raise Gone
        raise Refusal(503, f"the picture was not done within {self._seconds:g} seconds", again=30)

    def close(self) -> None:
        """Lets the work under way end, and refuses the rest."""
        self.closed = True
        for limit in self._receiving:
            limit.reschedule(asyncio.get_running_loop().time())
        self._worker.shutdown(wait=False, cancel_futures=True)


def stopping() -> Refusal:
    """What those are told who are not served any more."""
    return Refusal(503, "the server is stopping and takes no more pictures", again=60)

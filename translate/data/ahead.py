"""Work done ahead in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from typing import TypeVar

Made = TypeVar("Made")
AHEAD = 2
"""Results beyond one per thread."""


def ahead(make: Callable[[int], Made], start: int, every: int, workers: int) -> Generator[Made]:
    """Yields `make(start)`, `make(start + every)`, ... forever, in order, made by threads; closing it ends them."""
    if not workers:
        yield from map(make, count(start, every))
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="loader")
    try:
        steps = count(start, every)
        waiting: deque[Future[Made]] = deque()
        while True:
            while len(waiting) < workers + AHEAD:
                waiting.append(pool.submit(make, next(steps)))
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)

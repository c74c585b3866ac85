"""What is said of a slide before and while it is translated: how long it takes, and how much memory and disk."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from tempfile import gettempdir

import numpy as np

from translate.inference.rehearsal import Plan
from translate.utils.amounts import duration_in_words, size_in_words
from translate.utils.printing import Log

_LONG = 600
"""Seconds from which on it is said at each pass how long the others take."""
_ROWS = 256
"""A row of tiles, by which it is measured how long reading and writing takes."""


def reading_and_writing(planes: Callable[[int, int], np.ndarray], height: int, readings: int) -> float:
    """Seconds for so many readings of the image, and one more, and writing one like it with its pyramid."""
    top = max(0, height // 2 - _ROWS // 2)
    bottom = min(height, top + _ROWS)
    start = time.perf_counter()
    rows = planes(top, bottom)
    read = time.perf_counter()
    zlib.compress(rows.tobytes(), 6)
    written = time.perf_counter()
    return ((readings + 1) * (read - start) + 4 / 3 * (written - read)) * height / (bottom - top)


def forecast(plan: Plan, more: float) -> str:
    """In a line, what the plan takes; `more`: seconds of reading and writing."""
    takes = f"about {duration_in_words((plan.seconds + more) / 3600)}"
    if plan.stored:
        takes += f", {size_in_words(plan.stored)} of temporary files"
    if plan.held:
        takes += f", {size_in_words(plan.held)} of memory for rows"
    if plan.instead is None:
        return takes
    room, quicker = size_in_words(plan.instead.stored), duration_in_words((plan.instead.seconds + more) / 3600)
    return (
        f"{takes}: feature maps are computed anew for each of {plan.statistics} normalisations, as {room} of them do "
        f"not fit {gettempdir()}; faster: set TMPDIR to a folder with as much (about {quicker}), use a GPU, scale the "
        "slide down, or train with model.generator.normalisation=batch, which needs one pass"
    )


def tell(plan: Plan, name: str, log: Log) -> None:
    """Has the plan say at the beginning of each pass how long the rest takes, if it takes long."""
    begun: list[float] = []

    def begins(number: int) -> None:
        begun.append(time.perf_counter())
        if number and number < len(plan.passes):
            left = duration_in_words(plan.left(number, begun[-1] - begun[0]) / 3600)
            log(f"{name}: pass {number + 1} of {len(plan.passes)}, about {left} left")

    if plan.seconds > _LONG:
        plan.bands.account.begins = begins

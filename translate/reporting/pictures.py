"""Sample grids over time, small enough to embed in a page."""

import base64
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from PIL import Image

from translate.reporting.grids import Places, places_in
from translate.reporting.page import Shown

_SHOWN = 6
_BYTES_EACH = 1_100_000  # six of these, a third larger in base64, take less than nine megabytes
_STEP = re.compile(r"step-(\d+)\.png")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Sample:
    """One grid: its pictures in rows, with the captions of their columns; as a single picture if the file does not say
    where its pictures are, without any if it cannot be read."""

    step: int
    file: str
    columns: list[str] = field(default_factory=list)
    rows: list[list[Shown]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    """The captions of the rows, or nothing."""

    @property
    def least(self) -> int:
        """The pixels that a column has on any screen."""
        return 92 if self.columns else 0

    @property
    def most(self) -> int:
        """The pixels of a column where there is room."""
        widest = max((picture.width for row in self.rows for picture in row), default=0)
        return min(max(widest, 144), 256) if self.columns else widest


def samples(folder: Path) -> list[Sample]:
    """The first and the last grid of `folder` and some in between, by step."""
    steps = steps_in(folder)
    return [_sample(step, steps[step]) for step in spread(sorted(steps), _SHOWN)]


def steps_in(folder: Path) -> dict[int, Path]:
    """The grids of the folder, by step."""
    return {int(match[1]): path for path in folder.glob("*.png") if (match := _STEP.fullmatch(path.name))}


def spread(items: Sequence[_T], count: int) -> list[_T]:
    """At most `count` of `items`: the first, the last, and evenly spaced ones in between."""
    if len(items) <= count:
        return list(items)
    return [items[round(i * (len(items) - 1) / max(count - 1, 1))] for i in range(count)]


def _sample(step: int, path: Path) -> Sample:
    try:
        with Image.open(path, formats=["PNG"]) as file:
            picture = file.convert("RGB")
        places = places_in(path)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return Sample(step, path.name)
    if places is None or not _fitting(places, picture):
        places = Places([], [], [[[0, 0, *picture.size]]])
    rows = [[picture.crop((x, y, x + width, y + height)) for x, y, width, height in row] for row in places.boxes]
    room = _BYTES_EACH // sum(map(len, rows))
    names = places.rows if len(places.rows) == len(rows) else []
    return Sample(step, path.name, places.columns, [[_shown(part, room) for part in row] for row in rows], names)


def _fitting(places: Places, picture: Image.Image) -> bool:
    """Whether all that the file says of its pictures lies in it."""
    boxes = [box for row in places.boxes for box in row]
    inside = all(
        len(box) == 4 and min(box) >= 0 and box[0] + box[2] <= picture.width and box[1] + box[3] <= picture.height
        for box in boxes
    )
    return bool(boxes) and inside and all(len(row) == len(places.columns) for row in places.boxes)


def _shown(picture: Image.Image, room: int) -> Shown:
    """The picture in at most so many bytes: as it is, or as JPEG."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    content, kind = buffer.getvalue(), "png"
    if len(content) > room:
        content, kind = _jpeg(picture, room), "jpeg"
    return Shown(f"data:image/{kind};base64,{base64.b64encode(content).decode()}", *picture.size)


def _jpeg(picture: Image.Image, room: int) -> bytes:
    """The picture as JPEG, scaled down as far as needed to fit into so many bytes."""
    shown, scale = picture, 1.0
    while True:
        buffer = io.BytesIO()
        shown.save(buffer, "JPEG", quality=90, subsampling=0)
        if buffer.tell() <= room or shown.size == (1, 1):
            return buffer.getvalue()
        scale *= 0.95 * math.sqrt(room / buffer.tell())
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        shown = picture.resize(size, Image.Resampling.LANCZOS)

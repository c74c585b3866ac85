"""Sample grids over time, small enough to embed in a page."""

import base64
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from PIL import Image

_SHOWN = 6
_BYTES_EACH = 1_100_000  # six of these, a third larger in base64, take less than nine megabytes
_STEP = re.compile(r"step-(\d+)\.png")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Sample:
    """One grid. `data`: a data: URL, or None if the file cannot be read."""

    step: int
    file: str
    data: str | None
    width: int = 0
    height: int = 0


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
        content, kind = path.read_bytes(), "png"
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return Sample(step, path.name, None)
    if len(content) > _BYTES_EACH:
        content, kind = _jpeg(picture), "jpeg"
    data = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return Sample(step, path.name, data, picture.width, picture.height)


def _jpeg(picture: Image.Image) -> bytes:
    """The picture as JPEG, scaled down as far as needed to fit into `_BYTES_EACH`."""
    shown, scale = picture, 1.0
    while True:
        buffer = io.BytesIO()
        shown.save(buffer, "JPEG", quality=90, subsampling=0)
        if buffer.tell() <= _BYTES_EACH:
            return buffer.getvalue()
        scale *= 0.95 * math.sqrt(_BYTES_EACH / buffer.tell())
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        shown = picture.resize(size, Image.Resampling.LANCZOS)

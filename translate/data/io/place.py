"""Where the pixels of an image lie on Earth and on paper, as TIFF tags say it, of an image that was enlarged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SCALES, TIES, TRANSFORMATION, KEYS, RPC = 33550, 33922, 34264, 34735, 50844
"""GeoTIFF 1.1 (OGC 19-008): size of pixels, points that lie at places, an affine map; keys. RPC: rational
polynomials."""
RESOLUTIONS = (282, 283)
_RASTER_TYPE, _POINTS = 1025, 2
_LINE_OFFSET, _SAMPLE_OFFSET, _LINE_SCALE, _SAMPLE_SCALE = 2, 3, 7, 8
"""Among the numbers of an RPC tag."""


def enlarged(tags: Mapping[int, Any], times: int) -> dict[int, Any]:
    """Those of `tags` that say where pixels lie, as they are of the image with `times` x `times` pixels in place of
    each: as exact as the tags are.

    Row and column count from the corner of the first pixel, or where the file says so (PixelIsPoint, RPC) from its
    middle, which lies elsewhere in a smaller pixel.
    """
    middle = 0.5 if _of_points(tags.get(KEYS, ())) else 0.0
    ways = {
        SCALES: lambda found: (*(value / times for value in found[:2]), *found[2:]),
        TIES: lambda found: _ties(found, times, middle),
        TRANSFORMATION: lambda found: _affine(found, times, middle),
        RPC: lambda found: _rational(found, times),
        **dict.fromkeys(RESOLUTIONS, lambda found: found * times),
    }
    return {tag: way(tags[tag]) for tag, way in ways.items() if tag in tags}


def _of_points(keys: Sequence[int]) -> bool:
    """Whether rows and columns are counted between the middles of pixels; keys come in fours, after a head of four."""
    entries = (keys[start : start + 4] for start in range(4, len(keys), 4))
    return any(entry[0] == _RASTER_TYPE and entry[-1] == _POINTS for entry in entries)


def _place(at: float, times: int, middle: float) -> float:
    """Where a row or column of the image is in the enlarged one."""
    return (at + middle) * times - middle


def _ties(found: Sequence[float], times: int, middle: float) -> tuple[float, ...]:
    """Tie points: column, row, height, and x, y, z, of each."""
    points = (found[start : start + 6] for start in range(0, len(found), 6))
    return tuple(value for point in points for value in (*(_place(at, times, middle) for at in point[:2]), *point[2:]))


def _affine(found: Sequence[float], times: int, middle: float) -> tuple[float, ...]:
    """The 4 x 4 matrix from (column, row, height, 1) to (x, y, z, 1), row by row."""
    rows = (found[start : start + 4] for start in range(0, len(found), 4))
    back = middle / times - middle  # the first row and column of the enlarged image, in those of the image
    return tuple(value for a, b, c, d in rows for value in (a / times, b / times, c, d + (a + b) * back))


def _rational(found: Sequence[float], times: int) -> tuple[float, ...]:
    """Rational polynomial coefficients, whose lines and samples count between the middles of pixels."""
    numbers = list(found)
    for offset in (_LINE_OFFSET, _SAMPLE_OFFSET):
        numbers[offset] = _place(numbers[offset], times, 0.5)
    for scale in (_LINE_SCALE, _SAMPLE_SCALE):
        numbers[scale] *= times
    return tuple(numbers)

"""Pixels without data in GDAL's TIFFs: a value, said once for all bands, that stands for them."""

from __future__ import annotations

import numpy as np

from translate.data.io.values import are_values


def missing_in(pixels: np.ndarray, said: str) -> np.ndarray | None:
    """Where pixels (height, width, bands) hold no data, (height, width); None if it is nowhere, or the text `said` is
    no number.

    Of shades, where all bands have the value, since one band may have it by chance (0 above all); of measured values,
    where any has.
    """
    value = _number(said)
    if value is None:
        return None
    where = np.isnan(pixels) if np.isnan(value) else pixels == pixels.dtype.type(value) if _in(value, pixels) else None
    if where is None:
        return None
    found = where.any(2) if are_values(pixels.dtype) else where.all(2)
    return found if found.any() else None


def value_for(said: str, dtype: np.dtype) -> float | None:
    """The value that stands for no data in a file of type `dtype`: the one that was said where the type holds it, else
    the lowest of unsigned and signed whole numbers, and NaN of floats; None if none was said."""
    value = _number(said)
    if value is None:
        return None
    if _in(value, np.empty(0, dtype)):
        return value
    return float("nan") if dtype.kind == "f" else float(np.iinfo(dtype).min)


def marked(pixels: np.ndarray, missing: np.ndarray | None, value: float) -> np.ndarray:
    """The pixels with `value` where they are missing. A pixel that is not, and has by chance that value in all bands,
    moves to the next one in its first band, as GDAL does, so that it is not taken for missing."""
    made = pixels.copy()
    if not np.isnan(value):
        chance = (made == made.dtype.type(value)).all(2)
        if missing is not None:
            chance &= ~missing
        made[..., 0][chance] = _next(value, made.dtype)
    if missing is not None:
        made[missing] = value
    return made


def void(held: np.ndarray) -> np.ndarray:
    """Where pixels that are `marked` with 0 hold no data: (height, width), bool."""
    return np.logical_not(held.any(2))


def text_of(value: float) -> str:
    """As GDAL writes it."""
    return "nan" if np.isnan(value) else f"{value:.17g}"


def _next(value: float, dtype: np.dtype) -> float:
    if dtype.kind == "f":
        return float(np.nextafter(dtype.type(value), dtype.type(0) if value else dtype.type(1)))
    return value - 1 if value == np.iinfo(dtype).max else value + 1


def _number(said: str) -> float | None:
    try:
        return float(said)
    except ValueError:
        return None


def _in(value: float, pixels: np.ndarray) -> bool:
    """Whether the type of the pixels holds the value; infinite ones are held by none here."""
    if pixels.dtype.kind == "f":
        return not np.isinf(value) and (np.isnan(value) or abs(value) <= float(np.finfo(pixels.dtype).max))
    limits = np.iinfo(pixels.dtype)
    return value == value and limits.min <= value <= limits.max and float(value).is_integer()

"""Measured values as pixels (floating point, signed or 32-bit): mapped from a span to 16 bits and back."""

from __future__ import annotations

import numpy as np

DEEP = 65535
Span = tuple[float, float]
"""Lower and upper end of the values, which become -1 and 1."""
UNIT: Span = (0.0, 1.0)
FLOAT = np.dtype(np.float32)
_AT_ONCE = 1 << 20
"""Values that are mapped at once, as float64: a whole image would take many times its size."""


class BadImageError(Exception):
    """An image that cannot be used; the message does not name the file."""


def are_values(kind: np.dtype) -> bool:
    """Returns whether pixels of that type are measured values: types other than uint8 and uint16 imply no range."""
    return kind not in (np.uint8, np.uint16)


def kind_in_words(kind: np.dtype) -> str:
    """Describes a type: floating-point, signed 16-bit, 32-bit."""
    if kind.kind == "f":
        return "floating-point" if kind == FLOAT else f"{8 * kind.itemsize}-bit floating-point"
    return f"{'signed ' if kind.kind == 'i' else ''}{8 * kind.itemsize}-bit"


def own_span(values: np.ndarray) -> Span:
    """Returns (minimum, maximum), or (minimum, minimum + 1) if equal. Raises BadImageError for non-finite values."""
    _refuse_not_finite(values)
    least, largest = float(values.min()), float(values.max())
    return least, largest if largest > least else least + 1


def to_16_bits(values: np.ndarray, span: Span) -> np.ndarray:
    """Maps values to uint16: the span's ends become 0 and 65535. Raises BadImageError for values that are not finite or
    outside the span."""
    _refuse_not_finite(values)
    low, high = span
    if values.min() < low or values.max() > high:
        found = f"{kind_in_words(values.dtype)} pixels from {values.min():g} to {values.max():g}"
        raise BadImageError(
            f"{found}; only {low:g} to {high:g} is accepted: rescale them, or train with a wider data.range, or "
            "data.domains.NAME.span of their domain"
        )
    mapped = np.empty(values.shape, np.uint16)
    flat, target = values.reshape(-1), mapped.reshape(-1)
    for start in range(0, flat.size, _AT_ONCE):
        some = flat[start : start + _AT_ONCE].astype(np.float64)
        target[start : start + _AT_ONCE] = np.rint((some - low) * (DEEP / (high - low)))
    return mapped


def from_16_bits(pixels: np.ndarray, span: Span, kind: np.dtype) -> np.ndarray:
    """Maps pixels to values of that kind; rounds integers and clips them to their type's range."""
    low, high = span
    values = low + pixels.astype(np.float64) * ((high - low) / np.iinfo(pixels.dtype).max)
    if kind.kind == "f":
        return values.astype(kind)
    limits = np.iinfo(kind)
    return np.rint(values).clip(limits.min, limits.max).astype(kind)


def alpha_span(kind: np.dtype) -> Span:
    """Returns the alpha values for transparent and opaque in images of that kind."""
    return UNIT if kind.kind == "f" else (0.0, float(np.iinfo(kind).max))


def _refuse_not_finite(values: np.ndarray) -> None:
    if wrong := int((~np.isfinite(values)).sum()):
        raise BadImageError(f"holds {wrong:,} values that are not finite numbers (NaN or infinite); replace them")

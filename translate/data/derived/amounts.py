"""Amounts of damage: one number, or two between which each image draws its own."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import BeforeValidator, Discriminator, Field, Tag

ONE, TWO = Tag("one"), Tag("two")


def _form(value: object) -> str:
    """What is wanted of an amount, so that mistakes are those of one form."""
    return "two" if isinstance(value, tuple) else "one"


def _one_or_two(value: object) -> object:
    """Two numbers as a tuple. Raises ValueError for another number of them, and if they fall."""
    if isinstance(value, dict) or (isinstance(value, list | tuple) and len(value) != 2):
        raise ValueError("one number, or two between which each image draws its own, [5, 50]")
    if not isinstance(value, list | tuple):
        return value
    low, high = value
    if all(isinstance(one, int | float) for one in value) and low > high:
        raise ValueError(f"from {low} to {high}: the first is the smaller one")
    return low, high


EITHER = Discriminator(_form), BeforeValidator(_one_or_two)
Amount = Annotated[
    Annotated[Annotated[float, Field(ge=0)], ONE] | Annotated[tuple[Annotated[float, Field(ge=0)], float], TWO],
    *EITHER,
]
"""Of 0 or more."""
Share = Annotated[float, Field(gt=0, le=1)]
Shares = Annotated[Annotated[Share, ONE] | Annotated[tuple[Share, Share], TWO], *EITHER]
"""Of a whole."""
Number = Annotated[int, Field(ge=0, le=100)]
Count = Annotated[Annotated[Number, ONE] | Annotated[tuple[Number, Number], TWO], *EITHER]
"""Of things."""
Percent = Annotated[int, Field(ge=1, le=100)]
Quality = Annotated[Annotated[Percent, ONE] | Annotated[tuple[Percent, Percent], TWO], *EITHER]
"""Of JPEG, Pillow's."""


def drawn(amount: float | tuple[float, float], rng: np.random.Generator) -> float:
    """The amount for one image; of two numbers, any between them."""
    return float(rng.uniform(*amount)) if isinstance(amount, tuple) else float(amount)


def counted(count: int | tuple[int, int], rng: np.random.Generator) -> int:
    """The number of things in one image; of two numbers, any from the first to the second."""
    return int(rng.integers(count[0], count[1] + 1)) if isinstance(count, tuple) else int(count)


def full(pixels: np.ndarray) -> int:
    """What white is: 255 of uint8, 65535 of uint16, 1 of floats."""
    return 1 if pixels.dtype.kind == "f" else int(np.iinfo(pixels.dtype).max)


def rounded(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Values of the scale of `dtype` as such numbers, floats from 0 to 1; what is beyond black and white becomes
    these."""
    if dtype.kind == "f":
        return values.clip(0, 1).astype(dtype)
    return np.rint(values).clip(0, np.iinfo(dtype).max).astype(dtype)

"""What colours are left out of: grey, and edges as lines."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from translate.data import lab
from translate.data.derived.amounts import full, rounded
from translate.data.domain import Domain
from translate.data.io.images import to_8_bits
from translate.utils.settings import Settings

By = Literal["rec601", "rec709", "lab"]
WEIGHTS = {"rec601": (0.299, 0.587, 0.114), "rec709": (0.2126, 0.7152, 0.0722)}
"""Of red, green and blue in luma: ITU-R BT.601 and BT.709."""


class Grey(Settings):
    """A grey image of the colours."""

    by: By = "rec601"
    """`rec601` and `rec709`: luma, weighted sums of the values as they are in files. `lab`: CIE's lightness L*, as
    people see it, 0 to 100 on the scale of the file."""

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return grey(pixels, self.by)

    def given(self, target: Domain) -> Domain:
        """See `Derive.given`. Raises ValueError unless the images are RGB."""
        _require_colour(target, "grey")
        return replace(target, channels=1)


class Edges(Settings):
    """Black lines on white where Canny's detector sees edges (Canny 1986), of images that are smoothed first."""

    low: int = Field(100, ge=0, le=5000)
    """Edges of a weaker gradient end; of 8 bits, by a Sobel filter of 3 x 3."""
    high: int = Field(200, ge=1, le=5000)
    """Edges begin at a gradient of this."""
    sigma: float = Field(1.0, ge=0, le=20)
    """Of the Gaussian that smooths before, in pixels."""

    @model_validator(mode="after")
    def _rises(self) -> Edges:
        if self.low > self.high:
            raise ValueError(f"low is {self.low} and high is {self.high}: low is the smaller one")
        return self

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        import cv2

        eight = to_8_bits(pixels) if pixels.dtype != np.uint8 else pixels
        shade = grey(eight, "rec601") if eight.shape[2] == 3 else eight[..., :1]
        smooth = cv2.GaussianBlur(shade, (0, 0), self.sigma) if self.sigma else shade
        return (255 - cv2.Canny(np.ascontiguousarray(smooth), self.low, self.high))[..., None]

    def given(self, target: Domain) -> Domain:
        """See `Derive.given`: 8 bits, whatever the target is."""
        return Domain(target.name, 1, dtype="uint8", scale=target.scale)


def grey(pixels: np.ndarray, by: By = "rec601") -> np.ndarray:
    """RGB (height, width, 3), uint8, uint16 or floats from 0 to 1, as grey (height, width, 1) of the same type;
    integers rounded to the nearest."""
    if by == "lab":
        floats = pixels.dtype.kind == "f"
        light = lab.linear(pixels) if floats else lab.linear(np.arange(full(pixels) + 1) / full(pixels))[pixels]
        return rounded(lab.lightness(light)[..., None] * (full(pixels) / 100), pixels.dtype)
    return rounded(pixels.astype(np.float64) @ np.array(WEIGHTS[by])[:, None], pixels.dtype)


def _require_colour(target: Domain, made: str) -> None:
    if target.channels != 3:
        raise ValueError(f"{made} is made of RGB, and the images are {target}")

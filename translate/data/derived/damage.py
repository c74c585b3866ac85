"""What goes wrong with pictures: blur, too few pixels, noise, JPEG; each a function of pixels and random numbers."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from math import cos, radians, sin

import numpy as np
from PIL import Image
from pydantic import Field, model_validator

from translate.data.derived.amounts import Amount, Quality, counted, drawn, full, rounded
from translate.data.domain import Domain
from translate.data.io.images import resize, to_8_bits
from translate.utils.settings import Settings

STEPS = 16
"""Places of a motion, for each pixel of its length."""


class Blur(Settings):
    """Blur, reflected at the border: out of focus, then moved."""

    sigma: Amount = Field(0, examples=[[0.5, 3]])
    """Of a Gaussian, in pixels."""
    length: Amount = Field(0, examples=[[5, 15]])
    """Of a straight motion in a direction that is drawn for each image, in pixels."""

    @model_validator(mode="after")
    def _acts(self) -> Blur:
        _require_any("blur", sigma=self.sigma, length=self.length)
        return self

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        import cv2

        sigma, length, angle = drawn(self.sigma, rng), drawn(self.length, rng), rng.uniform(0, 180)
        values = pixels.astype(np.float32)
        if sigma > 0:
            values = cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
        if length > 0:
            values = cv2.filter2D(values, -1, motion(length, angle), borderType=cv2.BORDER_REFLECT_101)
        return rounded(values.reshape(pixels.shape), pixels.dtype)

    def given(self, target: Domain) -> Domain:
        return target


class LowRes(Settings):
    """Fewer pixels, by Pillow's bicubic filter, which antialiases as MATLAB's does that super-resolution is measured
    by."""

    factor: int = Field(4, ge=2, le=16)
    """How many times smaller height and width become."""
    quality: Quality | None = Field(None, examples=[[40, 95]])
    """Of JPEG, which the small image goes through; null leaves it as it is."""
    enlarged: bool = False
    """Brings the small image back to the size of the target, by the same filter, so that any generator learns from it
    (Dong et al. 2014). Else its networks have to enlarge."""

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        small = resize(np.ascontiguousarray(pixels), *(-(-side // self.factor) for side in pixels.shape[:2]))
        if self.quality is not None:
            small = through_jpeg(small, counted(self.quality, rng))
        return resize(small, *pixels.shape[:2]) if self.enlarged else small

    def given(self, target: Domain) -> Domain:
        return target


class Noise(Settings):
    """Noise on the values as they are in files, new for each pixel and channel."""

    sigma: Amount = Field(0, examples=[[5, 50]])
    """Of Gaussian noise, in levels of 255, whatever the depth."""
    photons: Amount | None = Field(None, examples=[[20, 200]])
    """Poisson noise of a sensor that counts so many photons at white: the fewer, the noisier."""
    read: Amount = Field(0, examples=[3])
    """Gaussian noise of reading that sensor, in electrons; goes with `photons` (Foi et al. 2008)."""

    @model_validator(mode="after")
    def _acts(self) -> Noise:
        _require_any("noise", sigma=self.sigma, photons=self.photons)
        if self.photons is not None and not (self.photons[0] if isinstance(self.photons, tuple) else self.photons):
            raise ValueError("photons is how many white is, more than 0")
        if self.read and self.photons is None:
            raise ValueError("read is in electrons, of which photons says how many white is: set photons, or sigma")
        return self

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        sigma, read = drawn(self.sigma, rng) / 255, drawn(self.read, rng)
        values = pixels.astype(np.float32) / full(pixels)
        if self.photons is not None:
            white = drawn(self.photons, rng)
            counts = rng.poisson(values * white) + read * rng.standard_normal(values.shape, np.float32)
            values = (counts / white).astype(np.float32)
        if sigma > 0:
            values = values + sigma * rng.standard_normal(values.shape, np.float32)
        return rounded(values * full(pixels), pixels.dtype)

    def given(self, target: Domain) -> Domain:
        return target


class Jpeg(Settings):
    """What JPEG leaves of an image: 8 bits, in blocks of 8 x 8, colours at half the resolution."""

    quality: Quality = Field((10, 50), examples=[20])
    """Pillow's, 1 to 100."""

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return through_jpeg(pixels, counted(self.quality, rng))

    def given(self, target: Domain) -> Domain:
        """See `Derive.given`. Raises ValueError unless JPEG holds such images."""
        if target.channels not in (1, 3) or target.deep:
            raise ValueError(f"JPEG holds 8 bits, grey or RGB, and the images are {target}")
        return replace(target, dtype="uint8")


def motion(length: float, angle: float) -> np.ndarray:
    """The kernel of a straight motion of `length` pixels at `angle` degrees: float32, odd sides, sums to 1."""
    reach = int(length / 2) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float64)
    count = STEPS * int(np.ceil(length))
    steps = ((np.arange(count) + 0.5) / count - 0.5) * length
    across, down = reach + steps * cos(radians(angle)), reach - steps * sin(radians(angle))
    left, top = np.floor(across).astype(int), np.floor(down).astype(int)
    for x, y in ((0, 0), (0, 1), (1, 0), (1, 1)):  # shared out among the four pixels around, by nearness
        weight = np.abs(1 - x - (across - left)) * np.abs(1 - y - (down - top))
        inside = (top + y <= 2 * reach) & (left + x <= 2 * reach)
        np.add.at(kernel, ((top + y)[inside], (left + x)[inside]), weight[inside])
    return (kernel / kernel.sum()).astype(np.float32)


def through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    """Grey or RGB (height, width, channels), uint8 or uint16, through a JPEG file of 8 bits."""
    eight = pixels if pixels.dtype == np.uint8 else to_8_bits(pixels)
    file = BytesIO()
    Image.fromarray(eight[..., 0] if eight.shape[2] == 1 else np.ascontiguousarray(eight)).save(
        file, "JPEG", quality=quality
    )
    with Image.open(file) as image:
        read = np.asarray(image).reshape(eight.shape)
    return read if pixels.dtype == np.uint8 else read.astype(np.uint16) * np.uint16(257)


def _require_any(kind: str, **amounts: object) -> None:
    """Raises ValueError where nothing is set."""
    if not any(amounts.values()):
        raise ValueError(f"{kind} of nothing: set {' or '.join(amounts)}")

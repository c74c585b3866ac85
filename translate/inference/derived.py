"""What conversion knows of inputs that training derived: what is made of a picture first, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from translate.data import lab
from translate.data.derived.amounts import full
from translate.data.derived.colour import By, grey
from translate.data.derived.holes import is_hole, with_hole
from translate.data.derived.settings import Derive
from translate.data.io.images import Picture, to_8_bits, with_channels
from translate.errors import ConfigurationError
from translate.inference.options import OutputOptions
from translate.utils.printing import Log

LOSSY = (".jpg", ".jpeg", ".jfif", ".webp")
ROWS = 256
"""Rows whose colours are computed at once, in float64."""
TOUCHED = 32
"""A pixel belongs to a hole at another size if a part of one in so many of it does."""


@dataclass(frozen=True)
class AsDerived:
    """Conversion by a model whose inputs were derived so. Pixels are uint8, uint16 or floats from 0 to 1."""

    shade: By | None = None
    """How colours become grey, which the model takes to give them colours; None for another model."""
    fills: bool = False
    """Whether the model fills holes, and does nothing else: what is around them is kept."""
    keep_lightness: bool = False

    @classmethod
    def of(cls, derive: Derive | None) -> Self | None:
        """None where inputs are taken as they are, and nothing of them is kept."""
        shade, fills = (derive and derive.grey and derive.grey.by), (derive and list(derive.kinds) == ["holes"])
        return cls(shade or None, bool(fills)) if shade or fills else None

    @property
    def remark(self) -> str:
        """What others who run the network alone have to know; nothing if there is nothing."""
        if self.fills:
            return (
                "inputs have mid-grey in their holes; around these the network changes pixels, too, which "
                "`translate convert` and Python take from the input"
            )
        return f"inputs are grey, made of colours by {self.shade}" if self.shade else ""

    def keeping_lightness(self) -> Self:
        """The same, whose translations have the lightness of their inputs. Raises ConfigurationError for a model that
        does not colour."""
        if not self.shade:
            raise ConfigurationError("not trained to colour grey pictures (data.derive.grey)")
        return replace(self, keep_lightness=True)

    def taken(self, picture: Picture, said: Log) -> Picture:
        """The picture as the model takes it: colours become grey as in training, which is said."""
        if not self.shade or picture.pixels.shape[2] != 3 or picture.palette is not None:
            return picture
        return replace(picture, pixels=self.shaded(with_channels(picture, 3), said), alpha=None)

    def shaded(self, pixels: np.ndarray, said: Log) -> np.ndarray:
        """Colours (height, width, 3) as grey, as in training, which is said; others as they are."""
        if not self.shade or pixels.shape[2] != 3:
            return pixels
        said(f"colour pictures are made grey first, as in training (data.derive.grey.by: {self.shade})")
        return grey(pixels, self.shade)

    def refuse(self, pixels: np.ndarray) -> None:
        """Raises ValueError for a mask that is neither black nor has a hole."""
        white = pixels[..., -1].max() if self.fills else 0
        if white and not is_hole(pixels[..., -1:]).any():
            raise ValueError(
                f"the hole of its mask is white, and {white:g} is its brightest value, of {full(pixels)}: make the "
                "hole brighter than half of that"
            )

    def working(self, whole: np.ndarray) -> np.ndarray:
        """What is held of the picture, with mid-grey in its hole, whatever is there. Raises ValueError as `refuse`."""
        self.refuse(whole)
        return with_hole(whole[..., :-1], is_hole(whole[..., -1:])) if self.fills else whole

    def resized(self, working: np.ndarray) -> np.ndarray:
        """The same in another size: where a part of the hole fell is hole."""
        if not self.fills:
            return working
        return with_hole(working[..., :-1], working[..., -1] > full(working) / TOUCHED)

    def finished(self, made: np.ndarray, whole: np.ndarray) -> np.ndarray:
        """The translation (height, width, channels) with what is kept of the
        picture `whole`: all around its hole, or its lightness."""
        if made.shape[:2] != whole.shape[:2]:
            return made
        if self.fills:
            return np.where(is_hole(whole[..., -1:])[..., None], made, _as(whole[..., :-1], made.dtype))
        if self.keep_lightness and self.shade:
            bands = [slice(top, top + ROWS) for top in range(0, len(made), ROWS)]
            return np.concatenate([with_lightness(made[rows], whole[rows], self.shade) for rows in bands])
        return made


def of_planes(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """A function of shades from 0 to 1 as one of planes in [-1, 1], float32, which stay to the bit where it leaves
    them: in float64 the way there and back is exact for all but amounts of less than 1e-8."""

    def made(*planes: np.ndarray) -> np.ndarray:
        found = function(*((plane.astype(np.float64) + 1) / 2 for plane in planes))
        return np.asarray(2 * found - 1, np.float32)

    return made


def as_wished(derived: AsDerived | None, writing: OutputOptions, run: Path) -> AsDerived | None:
    """How a model converts that the user may ask to keep the lightness. Raises ConfigurationError for one that does not
    colour."""
    if not writing.keep_lightness:
        return derived
    if writing.keep_size == "no":
        raise ConfigurationError("--keep-size no: --keep-lightness compares pixel by pixel; leave one of them out")
    try:
        return (derived or AsDerived()).keeping_lightness()
    except ConfigurationError as error:
        raise ConfigurationError(f"--keep-lightness: {run} was {error}; leave it out") from None


def lossy(output: Path) -> bool:
    """Whether files of that suffix do not keep pixels as they are."""
    return output.suffix.lower() in LOSSY


def with_lightness(made: np.ndarray, shades: np.ndarray, by: By) -> np.ndarray:
    """The colours of `made` (height, width, 3) at the lightness of `shades` (height, width, 1), which are CIE's L* if
    `by` says so, else sRGB: equal in L* up to the rounding of `made`'s type; colours that sRGB does not have at that
    lightness are as strong as it has."""
    shade = shades[..., 0] / full(shades)
    wanted = shade * 100 if by == "lab" else lab.lightness_of_grey(lab.linear(shade))
    scale = 1.0 if made.dtype.kind == "f" else float(full(made))
    found = lab.encoded(lab.of_lightness(wanted, lab.linear(made.astype(np.float64) / scale))).clip(0, 1)
    return found.astype(made.dtype) if made.dtype.kind == "f" else np.rint(found * scale).astype(made.dtype)


def _as(pixels: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Pixels in the type of a translation, of the same shades."""
    if pixels.dtype == dtype or pixels.dtype.kind == "f":
        return pixels
    if dtype.kind == "f":
        return (pixels / full(pixels)).astype(dtype)
    return to_8_bits(pixels) if dtype == np.uint8 else pixels.astype(np.uint16) * np.uint16(257)

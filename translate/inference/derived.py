"""What conversion knows of inputs that training derived: what is made of a picture first, and what is kept of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from translate.data import lab
from translate.data.derived.amounts import full
from translate.data.derived.colour import By, grey
from translate.data.derived.holes import is_hole, with_hole
from translate.data.derived.settings import Derive
from translate.data.io.images import Picture, to_8_bits, with_channels
from translate.errors import ConfigurationError, ImageError
from translate.inference.options import OutputOptions
from translate.utils.printing import Log, shown

LOSSY = (".jpg", ".jpeg", ".jfif", ".webp")
ROWS = 256
"""Rows whose colours are computed at once, in float64."""
TOUCHED = 32
"""A pixel belongs to a hole at another size if a part of one in so many of it does."""


@dataclass(frozen=True)
class AsDerived:
    """Conversion by a model whose inputs were derived so."""

    derive: Derive
    keep_lightness: bool = False

    @property
    def colours(self) -> bool:
        """Whether the model gives colours to grey pictures."""
        return self.derive.grey is not None

    @property
    def fills(self) -> bool:
        """Whether the model fills holes, and nothing else: what is around them is kept."""
        return list(self.derive.kinds) == ["holes"]

    @property
    def shade(self) -> By:
        return self.derive.grey.by if self.derive.grey else "rec601"

    def taken(self, picture: Picture, said: Log) -> Picture:
        """The picture as the model takes it: colours become grey as in training, which is said."""
        if not self.colours or picture.pixels.shape[2] != 3 or picture.palette is not None:
            return picture
        said(f"colour pictures are made grey first, as in training (data.derive.grey.by: {self.shade})")
        return replace(picture, pixels=grey(with_channels(picture, 3), self.shade), alpha=None)

    def refuse(self, picture: Picture, name: Path) -> None:
        """Raises ImageError for a mask that is neither black nor has a hole."""
        white = int(picture.pixels[..., -1].max()) if self.fills else 0
        if white and not is_hole(picture.pixels[..., -1:]).any():
            raise ImageError(
                f"{shown(name)}: the hole of its mask is white, and {white} is its brightest value, of "
                f"{full(picture.pixels)}: make the hole brighter than half of that"
            )

    def working(self, whole: np.ndarray) -> np.ndarray:
        """What is held of the picture, with mid-grey in its hole, whatever is there."""
        return with_hole(whole[..., :-1], is_hole(whole[..., -1:])) if self.fills else whole

    def resized(self, working: np.ndarray) -> np.ndarray:
        """The same in another size: where a part of the hole fell is hole."""
        if not self.fills:
            return working
        return with_hole(working[..., :-1], working[..., -1] > full(working) // TOUCHED)

    def finished(self, made: np.ndarray, whole: np.ndarray) -> np.ndarray:
        """The translation (height, width, channels), uint8, uint16 or float32 from 0 to 1, with what is kept of the
        picture `whole`: all around its hole, or its lightness."""
        if made.shape[:2] != whole.shape[:2]:
            return made
        if self.fills:
            return np.where(is_hole(whole[..., -1:])[..., None], made, _as(whole[..., :-1], made.dtype))
        if self.keep_lightness:
            bands = [slice(top, top + ROWS) for top in range(0, len(made), ROWS)]
            return np.concatenate([with_lightness(made[rows], whole[rows], self.shade) for rows in bands])
        return made


def as_wished(derived: AsDerived | None, writing: OutputOptions, run: Path) -> AsDerived | None:
    """How a model converts that the user may ask to keep the lightness. Raises ConfigurationError for one that does not
    colour."""
    if not writing.keep_lightness:
        return derived
    if derived is None or not derived.colours:
        raise ConfigurationError(
            f"--keep-lightness: {run} was not trained to colour grey pictures (data.derive.grey); leave it out"
        )
    if writing.keep_size == "no":
        raise ConfigurationError("--keep-size no: --keep-lightness compares pixel by pixel; leave one of them out")
    return replace(derived, keep_lightness=True)


def lossy(output: Path) -> bool:
    """Whether files of that suffix do not keep pixels as they are."""
    return output.suffix.lower() in LOSSY


def with_lightness(made: np.ndarray, shades: np.ndarray, by: By) -> np.ndarray:
    """The colours of `made` (height, width, 3) at the lightness of `shades` (height, width, 1), uint8 or uint16, that
    are CIE's L* if `by` says so, else sRGB: equal in L* up to the rounding of `made`'s type; colours that sRGB does not
    have at that lightness are as strong as it has."""
    shade = shades[..., 0] / full(shades)
    wanted = shade * 100 if by == "lab" else lab.lightness_of_grey(lab.linear(shade))
    scale = 1.0 if made.dtype.kind == "f" else float(full(made))
    found = lab.encoded(lab.of_lightness(wanted, lab.linear(made.astype(np.float64) / scale))).clip(0, 1)
    return found.astype(made.dtype) if made.dtype.kind == "f" else np.rint(found * scale).astype(made.dtype)


def _as(pixels: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Pixels in the type of a translation, of the same shades."""
    if pixels.dtype == dtype:
        return pixels
    if dtype.kind == "f":
        return (pixels / full(pixels)).astype(dtype)
    return to_8_bits(pixels) if dtype == np.uint8 else pixels.astype(np.uint16) * np.uint16(257)

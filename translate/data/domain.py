"""A domain: what its images are. Found by looking at the files, set in the recipe, kept in the checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from pydantic import StringConstraints
from torch import Tensor

from translate.data.io.images import Interpolation, Picture, resize
from translate.data.io.values import UNIT, Span, are_values, kind_in_words
from translate.data.scale import Scale
from translate.data.sound.spectrum import Spectrum
from translate.data.volumes.slicing import Slicing

BYTES = np.dtype(np.uint8)
Colours = tuple[tuple[int, int, int], ...]
TypeName = Annotated[str, StringConstraints(pattern=r"^(|u?int(8|16|32)|float(16|32|64))$")]
"""numpy's name of a type that files have, or nothing."""


@dataclass(frozen=True)
class Kind:
    """A kind of domain: what its images are until networks take them, and what they become then. All that is to be said
    of a kind is said here; the table of kinds is in `planes`."""

    words: Callable[[Domain], str]
    """What such images are, for users."""
    planes: Callable[[Tensor, Domain], Tensor]
    """What is held, uint8 or uint16 (batch, stored channels, height, width), as planes, float32 in [-1, 1] (batch,
    channels, height, width)."""
    coloured: Callable[[Tensor, Domain], Tensor]
    """Planes as colours to look at, in [-1, 1]."""
    settings: tuple[str, ...]
    """What may be set of them in `data.domains.NAME`."""
    numbers: Numbers | None = None
    """How they are read, if pixels are numbers of things, between which there is nothing, not amounts."""
    target: bool = True
    """Whether there can be translations to them."""


@dataclass(frozen=True)
class Numbers:
    """How files whose pixels are numbers of things are read; a sample has one channel of them."""

    held: np.dtype
    """What holds them: uint8 or uint16."""
    raw: Callable[[Path, Domain, int], np.ndarray]
    """What stands in a file of so many pixels at most, (height, width, channels). Raises ImageError."""
    picture: Callable[[np.ndarray, Domain, Path | str], Picture]
    """What `raw` found, or an array of a user's, as a picture of what is held, with the palette that shows it. Raises
    ImageError, which begins with the name."""


KINDS: dict[str, Kind] = {}
"""By name; `planes` fills it."""


@dataclass(frozen=True)
class Domain:
    """What the images of a domain are; everything that touches an image asks it.

    `channels`: those of its pixels, without alpha unless there are 4. `span`: for files of measured values and of 16
    bits, the values that become -1 and 1; `UNIT` leaves 16 bits their whole range. `dtype`: numpy's name for the type
    of its files, which translations to it are written in; empty where it is not known (a model of 0.1.0, or of another
    project): translations then keep the type that came in. `unit`: of its values, such as HU, for messages. `scale`:
    how large its images were in training; None where it is not known, as of a model of an earlier version.

    `kind`: one of `KINDS`. "labels" for label maps, whose pixels are numbers of classes: networks take and give a plane
    for each class, `channels` in all, and `label_maps` reads and shows them. "instances" for `instance_maps`. `ignore`:
    the number in files of pixels that nobody labelled, if there is one. `colours`: of the classes, in order, where
    files hold colours instead of numbers.

    `reduced`: how many times less high and wide than `data.size` says its training images are: those that a model
    enlarges.
    `sound`: of sound (see `sound`), the spectrograms that it is translated as. `level`: how loud its training files
    were, in dB of full scale (see `sound.level`); None where it is not known, as of a model of an earlier version.

    `layers`: where a sample has several images, what each of them is, by its own name; `channels` are theirs together.

    `void`: whether its files, or the other domain's, name a value for pixels without data, which are then 0 in all
    channels of what is held, and -1 to networks; no pixel with data is.

    `slicing`: where its images are slices of volumes, how these were cut; with neighbours, the channels are slices.
    """

    name: str
    channels: int = 3
    span: Span = UNIT
    dtype: TypeName = ""
    unit: str = ""
    scale: Scale | None = field(default=None, compare=False)
    kind: str = "image"
    ignore: int | None = None
    colours: Colours = ()
    layers: tuple[Domain, ...] = ()
    reduced: int = 1
    sound: Spectrum | None = None
    level: float | None = field(default=None, compare=False)
    slicing: Slicing | None = None
    void: bool = False

    @classmethod
    def stacked(cls, name: str, layers: Sequence[Domain]) -> Self:
        """The domain of samples of several images, held in the type that holds all of them."""
        held = "uint16" if any(layer.held == np.uint16 for layer in layers) else "uint8"
        return cls(name, sum(layer.channels for layer in layers), dtype=held, layers=tuple(layers))

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """The domain that a checkpoint's facts describe."""
        tuples = {
            "span": tuple(facts["span"]),
            "colours": tuple(map(tuple, facts.get("colours", ()))),
            "layers": tuple(map(cls.of, facts.get("layers", ()))),
        }
        scale, sound, slicing = facts.get("scale"), facts.get("sound"), facts.get("slicing")
        known = {
            "scale": Scale(**scale) if scale else None,
            "sound": Spectrum(**sound) if sound else None,
            "slicing": Slicing(**slicing) if slicing else None,
        }
        return cls(**{**facts, **tuples, **known})

    def at(self, scale: Scale | None) -> Self:
        """The domain, and its layers, as training sees them at that scale."""
        return replace(self, scale=scale, layers=tuple(layer.at(scale) for layer in self.layers))

    @property
    def classes(self) -> int:
        """How many classes its label maps tell apart; 0 for other images."""
        return self.channels if self.kind == "labels" else 0

    @property
    def parts(self) -> tuple[Domain, ...]:
        """What the images of a sample are: its layers, or the domain itself."""
        return self.layers or (self,)

    @property
    def numbered(self) -> bool:
        """Whether pixels are numbers of things, between which there is nothing, not amounts."""
        return self.numbers is not None

    @property
    def numbers(self) -> Numbers | None:
        """How it is read, if it is `numbered`."""
        return KINDS[self.kind].numbers

    @property
    def stored_channels(self) -> int:
        """The channels that a sample has until networks take it; one, of numbers, for what is numbered."""
        return sum(1 if part.numbered else part.channels for part in self.parts)

    @property
    def held(self) -> np.dtype:
        """The type that holds its images until networks take them."""
        if self.numbers:
            return self.numbers.held
        return np.dtype(np.uint16) if self.deep else BYTES

    @property
    def type(self) -> np.dtype | None:
        """The type of its files; None if it is not known."""
        return np.dtype(self.dtype) if self.dtype else None

    @property
    def measured(self) -> bool:
        """Whether its values mean something, so that they are mapped from `span` and back."""
        kind = self.type
        return kind is not None and (are_values(kind) or (kind == np.uint16 and self.span != UNIT))

    @property
    def deep(self) -> bool:
        """Whether its files hold more than 8 bits."""
        kind = self.type
        return kind is not None and kind != BYTES  # `in` would compare with None, which numpy takes for float64

    @property
    def ends(self) -> Span:
        """The values in its files that stand for -1 and 1; 0 and 255 where the type is not known."""
        if self.measured:
            return self.span
        return 0.0, float(np.iinfo(self.type or BYTES).max)

    def like(self, other: Domain) -> bool:
        """Whether an image of one could be an image of the other: as many channels, of the same values."""
        return self._facts == other._facts

    @property
    def _facts(self) -> tuple[object, ...]:
        return self.channels, self.kind, self.unit, self.span if self.measured else None, self.layers, self.sound

    def split(self, pixels: np.ndarray) -> list[np.ndarray]:
        """The images of each layer in pixels (height, width, channels), as they are held or as planes."""
        held = pixels.shape[2] == self.stored_channels
        ends = np.cumsum([part.stored_channels if held else part.channels for part in self.parts])
        return np.split(pixels, ends[:-1], 2)

    def resized(self, pixels: np.ndarray, height: int, width: int) -> np.ndarray:
        """Pixels (height, width, channels) of its images, uint8, uint16 or float32, in another size, by the filter that
        training used, each layer by its own; between classes there is nothing."""
        if pixels.shape[:2] == (height, width):
            return pixels
        if self.layers:
            each = zip(self.layers, self.split(pixels), strict=True)
            return np.concatenate([layer.resized(image, height, width) for layer, image in each], 2)
        usual: Interpolation = self.scale.interpolation if self.scale else "bicubic"
        return resize(pixels, height, width, "nearest" if self.numbered else usual)

    def shares_detail_with(self, other: Domain) -> bool:
        """Whether the fine detail of its images is of the kind that the other's have: of pictures, not of values."""
        return self.like(other) and not (self.measured or self.numbered)

    def __str__(self) -> str:
        """In words: "signed 16-bit grey, -1000 to 900 HU", "label maps of 19 classes, 255 ignored"."""
        if self.layers:
            return " + ".join(f"{layer.name} ({layer})" for layer in self.layers)
        return KINDS[self.kind].words(self)


def in_words(domain: Domain) -> str:
    """What the images of a domain are that hold amounts: type, channels, and the values that they go between."""
    low, high = domain.ends
    unit = f" {domain.unit}" if domain.unit else ""
    values = f", {low:g} to {high:g}{unit}" if domain.measured or domain.unit else ""
    values += ", some without data" if domain.void else ""
    colour = colour_in_words(domain.channels)
    if domain.slicing and domain.slicing.neighbours and domain.channels == domain.slicing.channels:
        colour = f"grey, {domain.channels} slices together"
    return f"{kind_in_words(domain.type or BYTES)} {colour}{values}"


def colour_in_words(channels: int) -> str:
    """Describes the pixels: grey, RGB, RGBA, or of so many bands."""
    return {1: "grey", 3: "RGB", 4: "RGBA"}.get(channels, f"of {channels} bands")

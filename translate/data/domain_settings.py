"""The settings of `data.domains` and `data.shapes`: what the images of single domains are, and scenes to render."""

from __future__ import annotations

from typing import Annotated

from pydantic import Discriminator, Field, Tag, field_validator, model_validator
from pydantic.config import JsonDict

from translate.data.domain import KINDS
from translate.errors import nearest
from translate.utils.settings import Seed, Settings

Byte = Annotated[int, Field(ge=0, le=255)]


class ShapesSettings(Settings):
    """The procedural set `shapes`: the same scenes in several styles, so that the true translation is known."""

    styles: tuple[str, ...] = Field(("flat", "outlined"), min_length=2)
    """Two styles for paired and unpaired images, two or more for labelled ones. In pairs, `classes` are label maps."""
    train: int = Field(400, ge=1)
    """Training images per style."""
    test: int = Field(64, ge=1)
    """Test images per style."""
    seed: Seed = 0
    """Of the scenes."""
    pairs: int = Field(0, ge=0, examples=[16])
    """With `data.pairs: some`: so many of the training images of either style are of the same scenes."""
    palettes: int = Field(0, ge=0, le=8)
    """Looks of each style: a hue, one of so many of its own, that all shapes of a picture have. Diversity has a known
    truth then, and single translations none. 0: each shape has a hue of its own."""
    length: int = Field(24, ge=3, le=1000)
    """With `data.frames`, whose scenes move, in the first of `styles`: frames of each clip. `train` and `test` are
    numbers of clips then."""


def _kinds(schema: JsonDict) -> None:
    schema["enum"] = [*KINDS, None]


class DomainSettings(Settings):
    """What the images of one domain are, where it is not to be found by looking at them, or not as it is found."""

    channels: int | None = Field(None, ge=1, le=256, examples=[1])
    """See `data.channels`."""
    span: tuple[float, float] | None = Field(None, examples=[[-1000, 1000]])
    """See `data.range`."""
    unit: str = Field("", max_length=20, examples=["HU"])
    """Of the values, such as HU, dB or K: errors are given in it, too."""
    kind: str | None = Field(None, json_schema_extra=_kinds)
    """`labels`: label maps, whose pixels are numbers of classes. `instances`: instance maps, in which each thing has
    its own number, and 0 is outside. `image`: whatever the files look like. Null: as they look."""
    classes: int | None = Field(None, ge=2, le=255, examples=[19])
    """Of label maps: numbers go from 0 to one less. Null: as many as the files hold, or as there are `colours`."""
    ignore: int | None = Field(None, ge=0, le=65535, examples=[255])
    """Of label maps: the number of pixels that are of no class. Of instance maps: a number that is outside, as 0 is."""
    colours: tuple[tuple[Byte, Byte, Byte], ...] | None = Field(
        None, min_length=2, max_length=255, examples=[[[0, 0, 0], [200, 30, 30]]]
    )
    """Of label maps in colours: red, green and blue of each class, in order."""

    @property
    def said(self) -> str | None:
        """The kind that the settings say, which classes and colours do, too."""
        return self.kind or ("labels" if self.classes or self.colours else None)

    @field_validator("kind")
    @classmethod
    def _is_known(cls, kind: str | None) -> str | None:
        if kind is not None and kind not in KINDS:
            raise ValueError(f"no kind '{kind}'{nearest(kind, KINDS)}")
        return kind

    @model_validator(mode="after")
    def _span_rises(self) -> DomainSettings:
        require_rising("span", self.span)
        return self

    @model_validator(mode="after")
    def _of_its_kind(self) -> DomainSettings:
        given = [key for key in self.model_dump(exclude_defaults=True) if key != "kind"]
        for key in given if self.said else ():
            if key not in KINDS[str(self.said)].settings:
                of = " or ".join(kind for kind in KINDS if key in KINDS[kind].settings)
                raise ValueError(f"{key} is for kind: {of}, and not for {self.said}: leave it out, or set that kind")
        if self.classes and self.colours and self.classes != len(self.colours):
            raise ValueError(f"classes is {self.classes}, and colours has {len(self.colours)}: leave classes out")
        return self


def _form_of_domains(value: object) -> str:
    """What is wanted of `data.domains`, so that mistakes are those of one form."""
    return "settings" if isinstance(value, dict) else "names"


Domains = Annotated[
    Annotated[tuple[str, ...], Tag("names")] | Annotated[dict[str, DomainSettings], Tag("settings")],
    Discriminator(_form_of_domains),
]


def require_rising(key: str, span: tuple[float, float] | None) -> None:
    """Raises ValueError unless the first value is less than the second."""
    if span and not span[0] < span[1]:
        low, high = span
        raise ValueError(f"{key} is {low:g} to {high:g}; the first, black, must be less than the second, white")

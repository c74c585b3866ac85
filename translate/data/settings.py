"""The settings of `data` in a recipe: which images to train on, and how they become batches."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from translate.data.augment import TURNING, Augmentation
from translate.data.cache.choice import Where
from translate.data.crops import Cropping
from translate.data.decoding import Decoding
from translate.data.derived.settings import Derive
from translate.data.domain import Domain
from translate.data.domain_settings import Domains, DomainSettings, ShapesSettings, require_rising
from translate.data.folds import Fold
from translate.data.io.images import Interpolation
from translate.data.layouts.several import Roles
from translate.data.scale import NEAR, Resize
from translate.data.sound.settings import SoundSettings
from translate.data.volumes.grid import Axis
from translate.utils.settings import Seed, Settings
from translate.utils.sides import Sides


def _one_or_two(value: object) -> object:
    """Two sides as a tuple. Raises ValueError for another number of them."""
    if isinstance(value, dict) or (isinstance(value, list) and len(value) != 2):
        raise ValueError("a size is one number for squares, or two, [height, width]")
    return tuple(value) if isinstance(value, list) else value


def _form_of_size(value: object) -> str:
    """What is wanted of a size, so that mistakes are those of one form."""
    return "two" if isinstance(value, tuple) else "one"


Side = Annotated[int, Field(ge=8, le=4096)]
LoadedSide = Annotated[int, Field(ge=8)]
_ONE, _TWO, _EITHER = Tag("one"), Tag("two"), Discriminator(_form_of_size)
CropSize = Annotated[Annotated[Side, _ONE] | Annotated[tuple[Side, Side], _TWO], _EITHER, BeforeValidator(_one_or_two)]
LoadSize = Annotated[
    Annotated[LoadedSide, _ONE] | Annotated[tuple[LoadedSide, LoadedSide], _TWO], _EITHER, BeforeValidator(_one_or_two)
]


def _fold(text: str) -> str:
    Fold.of(text)
    return text


class DataSettings(Settings):
    """Which images to train on, and how they become batches."""

    set: str | None = Field(None, examples=["horse2zebra"])
    """Name of a data set or path of a folder; `--data` overrides it."""
    also: tuple[str, ...] = Field((), examples=[["rafd"]])
    """Further labelled sets to train on jointly, each with its own labels."""
    layout: Literal["auto", "paired", "unpaired"] = "auto"
    """`unpaired` treats two folders as unpaired even if their file names match."""
    pairs: Literal["some", "all"] | None = Field(None, examples=["some"])
    """For methods that need no pairs, but learn from those that are known (cyclegan, cut, unit; `model.paired_weight`).
    `some`: images of one name in both domains are pairs, the others are not; `all`: all are. Null: none is known."""
    pair_share: float = Field(0.5, gt=0, lt=1)
    """With `pairs: some`: which share of the images of a batch is drawn from pairs, spread evenly over batches; an
    epoch becomes longer by these."""
    fold: Annotated[str, AfterValidator(_fold)] | None = Field(None, examples=["2/5"])
    """`2/5` holds the second of five folds of the training images out, and measures them instead of the set's test
    images; names and `fold_seed` say which those are. `translate train --folds 5` trains all."""
    fold_seed: Seed = 0
    """Deals the images to folds; another seed deals other ones."""
    direction: Literal["AtoB", "BtoA"] | None = None
    """Pairs only: which half is the input; null uses the data set's own direction, else AtoB."""
    domains: Domains | None = Field(None, examples=[["photo", "map"]])
    """Names of the two domains, or of the classes or attributes to use; null uses those of the data set or the
    folders. Or, of two domains, what their images are: `{mr: {channels: 1}, ct: {unit: HU}}`, by the names that they
    have, or both by new names."""
    order: tuple[str, str] | None = Field(None, examples=[["mr", "ct"]])
    """Where `domains` says what the images are: which of the two comes first, the input of pairs. Set by `--domains`,
    and by both names in one `data.domains={...}`. Null: as the folders lie."""
    input: tuple[str, ...] | None = Field(None, min_length=1, examples=[["photo", "mask"]])
    """Pairs only: the folders that hold the input, one for each image of a sample: `[photo, mask]`. Null: as found."""
    target: tuple[str, ...] | None = Field(None, min_length=1, examples=[["clean"]])
    """Pairs only: the folder that holds the target: `[clean]`. Given together with `input`."""
    derive: Derive | None = Field(None, examples=[{"grey": {}}])
    """For methods that learn from pairs: makes the inputs from the targets, so that `set` is one folder of photos."""
    frames: int | None = Field(None, ge=1, le=16, examples=[4])
    """Pairs only: takes videos, or folders of numbered frames, as clips; a sample is so many frames in, and the next
    one as target. Null: images are no frames of clips."""
    frame_step: int = Field(1, ge=1, le=100)
    """With `frames`: how many frames each of a sample lies behind the one before."""
    balanced: bool = False
    """Labelled images: draws every class, or every attribute's yes and no, equally often."""
    channels: int | None = Field(None, ge=1, le=256, examples=[1])
    """Of the images of all domains: 1 (grey), 3 (RGB), 4 (RGBA), or the number of bands of TIFF files. Null: as many as
    those of each domain have."""
    range: tuple[float, float] | None = Field(None, examples=[[0, 4095]])
    """For files of more than 8 bits, of all domains: the values that become black and white; values outside are
    refused. [0, 1] leaves 16-bit files all that they can hold, 0 to 65535. Null: what the files of each domain hold."""
    size: CropSize = Field(256, examples=[[192, 256]])
    """Side in pixels of the square crops used in training, or [height, width] of rectangles."""
    load_size: LoadSize | None = Field(None, examples=[286])
    """Side, or [height, width], to which images are resized before cropping; null uses the published proportion
    286/256 of `size`."""
    resize: Resize = "square"
    """`square` stretches to the shape of `load_size`, as published; `centre` takes the largest central part of that
    shape; `short_side` keeps the proportions and covers that shape, as does `short_side_floor`, which rounds the longer
    side down as UNIT's release does; `none` crops the image without resizing."""
    interpolation: Interpolation = "bicubic"
    """Pillow's filter for resizing, also of the images that are measured. Published: `bicubic` in the PyTorch port,
    `bilinear` in StarGAN and UNIT, `nearest` for UNIT's digits."""
    flip: bool = True
    """Mirrors crops, left to right, with probability 1/2; of a pair, both."""
    augment: tuple[Augmentation, ...] = Field((), examples=[[{"name": "Rotate", "p": 0.5, "limit": 10}]])
    """Further augmentation, through albumentations. Of a pair, both images get the same geometric changes, and only the
    input gets photometric ones."""
    workers: int = Field(2, ge=0, le=256)
    """Threads that decode ahead; 0 decodes in the training thread. Batches do not depend on the number."""
    skip_bad: bool = False
    """Leaves out, counts and names images that cannot be read, instead of refusing them before the first step."""
    follow_links: bool = True
    """Takes links to files outside of the data set's folders as images; false leaves them out, with a warning. Links to
    folders below a domain's are never followed."""
    cache: Where = "ram"
    """Where to keep decoded and resized images: nowhere; in memory; in files that later runs reuse, in the user's cache
    or $TRANSLATE_HOME; or all on the training GPU, which then also crops them."""
    cache_gb: float | None = Field(None, ge=0, examples=[8])
    """The most space they may take there; the rest is decoded again each time. Null: 4 in memory, 20 in files, half of
    a GPU's free memory."""
    axis: Axis = "auto"
    """Volumes only: across which axis they are cut into slices. 0: axial, from feet to head; 1: coronal; 2: sagittal.
    `auto`: where slices lie farthest apart, else 0."""
    neighbours: int = Field(0, ge=0, le=16, examples=[1])
    """Pairs of volumes only: so many slices on either side are further channels of each input slice; beyond the ends,
    the last slice is repeated."""
    shapes: ShapesSettings = ShapesSettings()
    """Only for the procedural set `shapes`."""
    sound: SoundSettings = SoundSettings()
    """Only for sound."""

    @property
    def crop(self) -> Sides:
        """`size`, of squares and rectangles."""
        return Sides.of(self.size)

    @property
    def loaded(self) -> Sides:
        """`load_size`, likewise."""
        return Sides.of(self.load_size) if self.load_size else published(self.crop)

    @property
    def trained(self) -> Sides:
        """The size that training's images have on the whole: `size`, where `load_size` only varies the crop."""
        near = all(loaded <= NEAR * side for loaded, side in zip(self.loaded, self.crop, strict=True))
        return self.crop if near else self.loaded

    def decoding(self, domain: Domain, scale: int = 1) -> Decoding:
        return Decoding.of(domain, self.loaded, self.resize, self.interpolation, scale)

    @property
    def domain_names(self) -> tuple[str, ...] | None:
        """The names that the recipe gives to domains, in order; None where it says no order."""
        return self.domains if isinstance(self.domains, tuple) else self.order

    @property
    def domain_settings(self) -> dict[str, DomainSettings]:
        """What the recipe says of single domains, by name."""
        return self.domains if isinstance(self.domains, dict) else {}

    @property
    def roles(self) -> Roles | None:
        """The folders that the recipe names for the input and for the target."""
        return (self.input, self.target) if self.input and self.target else None

    @property
    def cropping(self) -> Cropping:
        return Cropping(self.crop, self.flip, self.augment)

    @property
    def cache_bytes(self) -> int | None:
        return None if self.cache_gb is None else int(self.cache_gb * 1e9)

    @model_validator(mode="after")
    def _range_rises(self) -> DataSettings:
        require_rising("range", self.range)
        return self

    @model_validator(mode="after")
    def _pairs_are_whole(self) -> DataSettings:
        if self.pairs != "some" and "pair_share" in self.model_dump(exclude_defaults=True):
            raise ValueError("pair_share is the share of some pairs among others: set data.pairs=some, too")
        if self.pairs and self.layout == "unpaired":
            raise ValueError(f"pairs: {self.pairs} says which images are pairs: leave data.layout out")
        return self

    @model_validator(mode="after")
    def _roles_are_whole(self) -> DataSettings:
        if bool(self.input) != bool(self.target):
            missing = "target" if self.input else "input"
            raise ValueError(f"input and target belong together: set data.{missing}, too")
        named = [*(self.input or ()), *(self.target or ())]
        if twice := next((name for name in named if named.count(name) > 1), None):
            raise ValueError(f"{twice} is named twice in input and target: each folder is one image of a sample")
        listed = isinstance(self.domains, tuple)
        others = {"domains": listed, "direction": self.direction, "layout": self.layout == "unpaired"}
        if idle := next((key for key, said in others.items() if named and said), None):
            raise ValueError(f"input and target say which folders are which, in pairs: leave out data.{idle}")
        return self

    @model_validator(mode="after")
    def _clips_are_whole(self) -> DataSettings:
        if self.frames is None and self.frame_step != 1:
            raise ValueError("frame_step is of clips: set data.frames, too")
        listed = isinstance(self.domains, tuple)
        others = {"domains": listed, "order": self.order, "direction": self.direction, "input": self.input}
        others["layout"] = self.layout != "auto"
        if self.frames and (idle := next((key for key, said in others.items() if said), None)):
            raise ValueError(f"frames says what is input and target of clips: leave out data.{idle}")
        return self

    @model_validator(mode="after")
    def _order_is_of_domains(self) -> DataSettings:
        if self.order and isinstance(self.domains, tuple) and self.domains != self.order:
            raise ValueError("domains is a list, which is their order: leave order out")
        return self

    @model_validator(mode="after")
    def _crop_fits(self) -> DataSettings:
        if isinstance(self.load_size, int) and not self.crop.square:
            raise ValueError(
                f"load_size {self.load_size} is one number, and size {self.crop} is two, height and width: set "
                f"load_size to null, which is {published(self.crop)}, or to two"
            )
        if self.resize != "none" and not self.crop.fit_in(*self.loaded):
            raise ValueError(f"load_size {self.loaded} is smaller than size {self.crop}: no crop fits")
        return self

    @model_validator(mode="after")
    def _augmentation_keeps_shape(self) -> DataSettings:
        turning = [one.name for one in self.augment if one.name in TURNING]
        if turning and not self.crop.square:
            raise ValueError(
                f"augment: {turning[0]} lays pictures on their side, and size {self.crop} is no square: leave it out"
            )
        return self


def published(crop: Sides) -> Sides:
    """The size of images that crops of that size are taken from, in the published proportion."""
    return Sides(*(round(side * 286 / 256) for side in crop))

"""Sheets that show inputs and outputs side by side."""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from translate.data.domain import Domain
from translate.data.io.images import display_bands, to_8_bits, with_channels
from translate.data.layouts.listing import natural_key
from translate.data.planes import read_as
from translate.errors import ConfigurationError
from translate.inference.cycle_error import WAY_OUT, current
from translate.inference.partners import Beside
from translate.inference.reasons import attempt
from translate.inference.records import Record
from translate.inference.samples import own_layer
from translate.reporting.tracking import is_marked, save_pictures
from translate.utils.atomic_files import clear_leftovers
from translate.utils.outputs import admit
from translate.utils.printing import shown

ROWS = 8
TOO_LARGE = "too large for the memory that is free"
_SIDE = 512
PHOTOS = Domain("images")
_CAPTION = 100
"""The most characters of a name above a row, which would make the sheet as wide as itself."""


@dataclass(frozen=True)
class Pair:
    """An input and its output. `error`: the picture of its cycle error, if there is one."""

    name: str
    source: Path
    output: Path
    error: Path | None = None
    kinds: tuple[Domain, Domain] = (PHOTOS, PHOTOS)
    """What input and output are: which values are shown as black and white, and which colours classes have."""
    beside: Beside = field(default_factory=dict)

    def thumbnails(self, side: int) -> dict[str, Image.Image]:
        """Thumbnails by caption, in display order; see `thumbnail`. Raises ImageError."""
        given, target = self.kinds
        paths = {own_layer(given, self.beside).name: self.source, **self.beside}
        shown = {
            f"input: {part.name}" if given.layers else "input": thumbnail(path, side, part)
            for part in given.parts
            if (path := paths[part.name])
        }
        shown["output"] = thumbnail(self.output, side, target)
        return shown | ({"cycle error": thumbnail(self.error, side)} if self.error else {})


def pairs(
    records: Iterable[Record],
    source: Path,
    kinds: Callable[[Record], tuple[Domain, Domain]] = lambda record: (PHOTOS, PHOTOS),
) -> list[Pair]:
    """The pairs converted from `source` (a folder or a file), in this run or an earlier one, in natural name order.

    `kinds`: what the input and the output of a record are.
    """
    converted = sorted((record for record in records if record.status != "failed"), key=_in_order)
    root = source if source.is_dir() else source.parent
    names = (shown(one.source.relative_to(root).as_posix()) for one in converted)
    return [
        Pair(name, one.source, one.output, current(one.output), kinds(one), one.beside)
        for name, one in zip(names, converted, strict=True)
    ]


def _in_order(record: Record) -> tuple[list[str], str]:
    return [natural_key(part) for part in record.source.with_suffix("").parts], str(record.source)


def refuse_inside(option: str, path: Path, folders: Sequence[Path]) -> None:
    """Raises ConfigurationError if `path`, which `option` writes, lies inside one of `folders`, among their images."""
    for folder in folders:
        if folder.resolve() in (path.resolve(), *path.resolve().parents):
            raise ConfigurationError(f"{option} {path}: lies in {folder}, among its images; choose a place outside")


def refuse_other_sheets(folder: Path, inputs: Container[Path], overwrite: bool) -> None:
    """Raises ConfigurationError if a file in `folder` is named like a sheet but is none, unless it may be replaced."""
    for path in sorted(folder.glob("sheet-*.png")) if folder.is_dir() else ():
        admit(path, "--compare", ours=is_marked, inputs=inputs, overwrite=overwrite, way_out=WAY_OUT)


def write_sheets(folder: Path, all_pairs: Sequence[Pair]) -> list[str]:
    """Writes sheet-00001.png, ... of `ROWS` rows each: input | output (| cycle error), each side at most 512 pixels.

    Returns the reasons why files or sheets were left out.
    """
    failed: list[str] = []
    clear_leftovers(folder)
    rows = _rows(all_pairs, failed)
    number = 0
    while some := list(islice(rows, ROWS)):
        number += 1
        captions = max((pictures for _, pictures in some), key=len)
        # A row without a cycle error gets an empty cell.
        nothing = Image.new("RGB", (1, 1), (255, 255, 255))
        columns = {caption: [pictures.get(caption, nothing) for _, pictures in some] for caption in captions}
        names = [_caption(pair.name) for pair, _ in some]
        sheet = folder / f"sheet-{number:05d}.png"
        attempt(sheet, partial(save_pictures, sheet, columns, names), failed, TOO_LARGE)
    return failed


def _caption(name: str) -> str:
    half = _CAPTION // 2
    return name if len(name) <= _CAPTION else f"{name[:half]}...{name[3 - half :]}"


def thumbnail(path: Path, side: int, kind: Domain = PHOTOS) -> Image.Image:
    """Any image as 8-bit RGB, no side longer than `side` pixels.

    Alpha is laid on white. An image of more than three bands shows the first three, one of two bands the first. Raises
    ImageError.
    """
    pixels = with_channels(display_bands(read_as(path, kind)), 3)
    picture = Image.fromarray(to_8_bits(pixels) if pixels.dtype == np.uint16 else pixels)
    picture.thumbnail((side, side))
    return picture


def _rows(all_pairs: Sequence[Pair], failed: list[str]) -> Iterator[tuple[Pair, dict[str, Image.Image]]]:
    for pair in all_pairs:
        pictures = attempt(pair.source, partial(pair.thumbnails, _SIDE), failed, TOO_LARGE)
        if pictures is not None:
            yield pair, pictures

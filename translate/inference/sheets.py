"""Sheets that show inputs and outputs side by side."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path

import numpy as np
from PIL import Image

from translate.data.domain import Domain
from translate.data.io.images import display_bands, to_8_bits, with_channels
from translate.data.layouts.listing import natural_key
from translate.data.planes import read_as
from translate.errors import ConfigurationError
from translate.inference.cycle_error import WAY_OUT, current
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
_BLOCKS = Image.Resampling.NEAREST
PHOTOS = Domain("images")


@dataclass(frozen=True)
class Part:
    """A picture to show: its file, and what it is: which values are black and white, and which colours classes have."""

    path: Path
    kind: Domain = PHOTOS


@dataclass(frozen=True)
class Row:
    """An input and what became of it: pictures by caption, in the order of display."""

    name: str
    source: Path
    pictures: Mapping[str, Part]

    def thumbnails(self, side: int, failed: list[str]) -> dict[str, Image.Image]:
        """By caption; see `thumbnail`. A picture that cannot be read costs its place alone; the reason is added to
        `failed`."""
        found = {
            caption: attempt(part.path, partial(thumbnail, part.path, side, part.kind), failed, TOO_LARGE)
            for caption, part in self.pictures.items()
        }
        return {caption: picture for caption, picture in found.items() if picture is not None}


def rows(
    records: Iterable[Record],
    source: Path,
    kinds: Callable[[Record], tuple[Domain, Domain]] = lambda record: (PHOTOS, PHOTOS),
    output: str = "output",
) -> list[Row]:
    """What was converted from `source` (a folder or a file), in this run or an earlier one, in natural name order.

    `kinds`: what the input and the output of a record are. `output`: the caption of the outputs.
    """
    root = source if source.is_dir() else source.parent
    converted = [record for record in records if record.status != "failed"]
    return sorted((_row(record, root, *kinds(record), output) for record in converted), key=_in_order)


def _row(record: Record, root: Path, given: Domain, target: Domain, output: str) -> Row:
    paths = {own_layer(given, record.beside).name: record.source, **record.beside}
    pictures = {
        f"input: {part.name}" if given.layers else "input": Part(path, part)
        for part in given.parts
        if (path := paths[part.name])
    }
    pictures[output] = Part(record.output, target)
    if error := current(record.output):
        pictures["cycle error" if output == "output" else f"{output}: cycle error"] = Part(error)
    return Row(shown(record.source.relative_to(root).as_posix()), record.source, pictures)


def side_by_side(tables: Iterable[Iterable[Row]]) -> list[Row]:
    """One row for each input, with the pictures of it in all tables."""
    found: dict[Path, Row] = {}
    for row in chain.from_iterable(tables):
        before = found[row.source].pictures if row.source in found else {}
        found[row.source] = replace(row, pictures={**before, **row.pictures})
    return sorted(found.values(), key=_in_order)


def _in_order(row: Row) -> tuple[list[str], str]:
    return [natural_key(part) for part in row.source.with_suffix("").parts], str(row.source)


def refuse_inside(option: str, path: Path, folders: Sequence[Path]) -> None:
    """Raises ConfigurationError if `path`, which `option` writes, lies inside one of `folders`, among their images."""
    for folder in folders:
        if folder.resolve() in (path.resolve(), *path.resolve().parents):
            raise ConfigurationError(f"{option} {path}: lies in {folder}, among its images; choose a place outside")


def refuse_other_sheets(folder: Path, inputs: Container[Path], overwrite: bool) -> None:
    """Raises ConfigurationError if a file in `folder` is named like a sheet but is none, unless it may be replaced."""
    for path in sorted(folder.glob("sheet-*.png")) if folder.is_dir() else ():
        admit(path, "--compare", ours=is_marked, inputs=inputs, overwrite=overwrite, way_out=WAY_OUT)


def write_sheets(folder: Path, all_rows: Sequence[Row]) -> list[str]:
    """Writes sheet-00001.png, ... of `ROWS` rows each, with a column for each caption; no side above 512 pixels.

    Returns the reasons why files or sheets were left out.
    """
    failed: list[str] = []
    clear_leftovers(folder)
    pictured = _pictured(all_rows, failed)
    captions = captions_of(all_rows)
    # What a row lacks, such as a cycle error, is an empty cell.
    nothing = Image.new("RGB", (1, 1), (255, 255, 255))
    number = 0
    while some := list(islice(pictured, ROWS)):
        number += 1
        columns = {caption: [pictures.get(caption, nothing) for _, pictures in some] for caption in captions}
        sheet = folder / f"sheet-{number:05d}.png"
        attempt(sheet, partial(save_pictures, sheet, columns, [row.name for row, _ in some]), failed, TOO_LARGE)
    return failed


def captions_of(all_rows: Iterable[Row]) -> list[str]:
    """The columns of a table of these rows; those of the longest first, whose order is whole."""
    by_length = sorted(all_rows, key=lambda row: len(row.pictures), reverse=True)
    return list(dict.fromkeys(caption for row in by_length for caption in row.pictures))


def thumbnail(path: Path, side: int, kind: Domain = PHOTOS) -> Image.Image:
    """Any image as 8-bit RGB, no side longer than `side` pixels.

    Alpha is laid on white. An image of more than three bands shows the first three, one of two bands the first. Raises
    ImageError.
    """
    pixels = with_channels(display_bands(read_as(path, kind)), 3)
    picture = Image.fromarray(to_8_bits(pixels) if pixels.dtype == np.uint16 else pixels)
    picture.thumbnail((side, side))
    return picture


def _pictured(all_rows: Iterable[Row], failed: list[str]) -> Iterator[tuple[Row, dict[str, Image.Image]]]:
    for row in all_rows:
        if pictures := row.thumbnails(_SIDE, failed):
            yield row, _comparable(pictures)


def _comparable(pictures: Mapping[str, Image.Image]) -> dict[str, Image.Image]:
    """Those that are less than half as large as the largest with blocks of pixels in place of each, as an input beside
    its enlargement."""
    largest = max(max(picture.size) for picture in pictures.values())
    each = {caption: largest // max(picture.size) for caption, picture in pictures.items()}
    return {
        caption: picture.resize((picture.width * each[caption], picture.height * each[caption]), _BLOCKS)
        for caption, picture in pictures.items()
    }

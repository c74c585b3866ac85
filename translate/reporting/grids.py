"""Sample grids: a model's images arranged in one picture."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from translate.utils.atomic_files import atomic_file
from translate.utils.stored import UnreadableError, parse_json

_GUTTER = 6
_SMALLEST_FONT, _LARGEST_FONT = 14, 40
_NARROWEST = 56
"""The least width of a column, so that captions of tiny pictures stand in few lines."""
_MARK = ("Software", "translate")
"""A PNG's text chunk that says who made it."""
_PLACES = "translate:places"
"""A PNG's text chunk that says where the pictures of a grid are."""
_WHITE, _INK, _SOFT = (255, 255, 255), (40, 40, 40), (120, 120, 120)


@dataclass(frozen=True)
class Places:
    """Where the pictures of a grid are, in its pixels: `boxes[row][column]` is [left, top, width, height]."""

    columns: list[str]
    rows: list[str]
    """The captions above the rows, or nothing."""
    boxes: list[list[list[int]]]


def save_grid(path: Path, columns: Mapping[str, Tensor], rows: Sequence[str] = ()) -> None:
    """Writes a PNG atomically: one column per caption, one row per image of the batch, on white; `rows`: captions above
    them.

    `columns`: images (batch, channels, height, width) in [-1, 1]; batch sizes must match, image sizes may differ.
    One channel is grey, three are RGB; more than three show the first three, two show the first, as the caption says.
    Raises ValueError if there is no column or no image, or if the batch sizes differ.
    """
    pictures = {f"{name}{_bands(images.shape[1])}": _pictures(images) for name, images in columns.items()}
    save_pictures(path, pictures, rows)


def save_pictures(path: Path, columns: Mapping[str, Sequence[Image.Image]], rows: Sequence[str] = ()) -> None:
    """Like `save_grid`, for RGB pictures, whose sizes may differ within a column; `rows`: captions above the rows.

    A column is as wide as its widest picture: captions that are longer take several lines.
    """
    counts = {caption: len(column) for caption, column in columns.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise ValueError(f"a grid is made of columns with one image per row each, got {counts}")

    # Large enough to read when the grid is displayed scaled down.
    widest = max(picture.width for column in columns.values() for picture in column)
    font_size = min(max(widest // 12, _SMALLEST_FONT), _LARGEST_FONT)
    font, line = ImageFont.load_default(font_size), font_size + _GUTTER
    widths = [max(_NARROWEST, *(picture.width for picture in column)) for column in columns.values()]
    lefts = _starts(_GUTTER, widths)
    heads = [_wrapped(caption, width, font) for caption, width in zip(columns, widths, strict=True)]
    names = [_wrapped(row, lefts[-1] - 2 * _GUTTER, font) for row in rows] or [[] for _ in next(iter(columns.values()))]
    aboves = [line * len(name) for name in names]
    tallest = [max(picture.height for picture in row) for row in zip(*columns.values(), strict=True)]
    tops = _starts(_GUTTER + line * max(map(len, heads)), [a + b for a, b in zip(aboves, tallest, strict=True)])

    grid = Image.new("RGB", (lefts[-1], tops[-1]), _WHITE)
    draw = ImageDraw.Draw(grid)

    def write(lines: Sequence[str], left: int, top: int, colour: tuple[int, int, int]) -> None:
        for number, text in enumerate(lines):
            draw.text((left, top + number * line), text, fill=colour, font=font)

    for name, top in zip(names, tops, strict=False):
        write(name, _GUTTER, top, _SOFT)
    for head, column, left in zip(heads, columns.values(), lefts, strict=False):
        write(head, left, _GUTTER // 2, _INK)
        for picture, top, above in zip(column, tops, aboves, strict=False):
            grid.paste(picture, (left, top + above))
    boxes = [
        [[left, top + above, *column[row].size] for left, column in zip(lefts, columns.values(), strict=False)]
        for row, (top, above) in enumerate(zip(tops, aboves, strict=False))
    ]
    save_marked(path, grid, Places(list(columns), list(rows), boxes))


def _wrapped(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> list[str]:
    """The text in lines of at most `width` pixels, at spaces where there are any in reach."""
    lines, rest = [], text
    while rest:
        most = next((count for count in range(len(rest), 1, -1) if font.getlength(rest[:count]) <= width), 1)
        end = most if most == len(rest) else rest.rfind(" ", 0, most + 1) + 1 or most
        lines.append(rest[:end].rstrip())
        rest = rest[end:]
    return lines or [""]


def places_in(path: Path) -> Places | None:
    """Where the pictures of the grid in this PNG are; None if it says nothing, as those of earlier versions.
    Raises OSError if the file cannot be read as an image."""
    with Image.open(path, formats=["PNG"]) as file:
        said = file.info.get(_PLACES)
    try:
        return parse_json(said, Places, str(path)) if isinstance(said, str) else None
    except UnreadableError:
        return None


def pictures_in(path: Path) -> dict[str, list[Image.Image]]:
    """The pictures of the grid in this PNG, by the captions of its columns; none if it does not say where they are.
    Raises OSError if the file cannot be read as an image."""
    places = places_in(path)
    if places is None:
        return {}
    with Image.open(path, formats=["PNG"]) as grid:
        rows = [[grid.crop((x, y, x + width, y + height)) for x, y, width, height in row] for row in places.boxes]
    return {column: list(pictures) for column, *pictures in zip(places.columns, *rows, strict=True)}


def save_marked(path: Path, picture: Image.Image, places: Places | None = None) -> None:
    """Writes a PNG atomically, marked as made here; of a grid with the `places` of its pictures. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = PngInfo()
    mark.add_text(*_MARK)
    if places:
        mark.add_text(_PLACES, json.dumps(asdict(places)))
    with atomic_file(path) as working:
        picture.save(working, format="PNG", pnginfo=mark)


def is_marked(path: Path) -> bool:
    """Whether `save_marked` wrote this file, so that it may be replaced."""
    try:
        with path.open("rb") as file:
            head = file.read(1024)
    except OSError:
        return False
    return head.startswith(b"\x89PNG") and b"tEXt" + b"\0".join(word.encode() for word in _MARK) in head


def _bands(channels: int) -> str:
    """Which of the bands are shown, if not all are."""
    if channels in (1, 3, 4):
        return ""
    return f", bands 1 to 3 of {channels}" if channels > 4 else ", band 1 of 2"


def _pictures(images: Tensor) -> list[Image.Image]:
    """Turns images (batch, channels, height, width) in [-1, 1] into RGB pictures."""
    from translate.data.io.images import to_pixels

    shown = images.detach().float().cpu()
    shown = shown[:, :3] if shown.shape[1] >= 3 else shown[:, :1].expand(-1, 3, -1, -1)
    pixels = to_pixels(shown).permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(picture) for picture in pixels]


def _starts(first: int, sizes: list[int]) -> list[int]:
    """The start of each of `sizes`, laid out from `first` with a gutter after each, and the end of the last gutter."""
    starts = [first]
    for size in sizes:
        starts.append(starts[-1] + size + _GUTTER)
    return starts

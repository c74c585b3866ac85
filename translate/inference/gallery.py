"""A converted folder as one self-contained HTML page."""

import base64
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from translate.data.io.images import dimensions
from translate.inference.reasons import attempt
from translate.inference.sheets import TOO_LARGE, Row, captions_of
from translate.reporting.page import FOOTER, Shown, gallery
from translate.reporting.pictures import spread
from translate.utils.atomic_files import write_atomic
from translate.utils.outputs import beginning, ending

MOST = 4000
"""The most pictures on a page: about 30 megabytes of photographs."""
_SIDES = (1024, 512, 256)
_SHOWN_BY_BROWSERS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"})
_SMALL = 128 * 128
"""The pixels of a picture that is embedded without loss: enlarged, each is seen."""


def write_gallery(
    path: Path, title: str, facts: Mapping[str, str], all_rows: Sequence[Row], workers: int = 2, most: int = MOST
) -> list[str]:
    """Writes the page atomically: a row for each input, a column for each caption; pictures in as many pixels as a page
    of that many can hold, 256 on the longer side or more.

    If there would be more than `most` pictures, shows fewer rows, evenly spread, and says so on the page. Returns the
    reasons why files, or the page, were left out.
    """
    captions = captions_of(all_rows)
    chosen = spread(all_rows, max(1, most // max(len(captions), 1)))
    room = MOST * _SIDES[-1] ** 2 // max(len(chosen) * len(captions), 1)
    side = next((side for side in _SIDES if side * side <= room), _SIDES[-1])
    failed: list[str] = []

    def line(row: Row) -> tuple[str, dict[str, Shown]] | None:
        found = dict[str, Shown]()
        for caption, picture in row.thumbnails(side, failed).items():
            file = row.pictures[caption].path
            cell = attempt(file, partial(_shown, file, picture, path), failed, TOO_LARGE)
            found |= {caption: cell} if cell else {}
        return (row.name, found) if found else None

    with ThreadPoolExecutor(workers) as threads:
        lines = [one for one in threads.map(line, chosen) if one is not None]
    of = f"{len(lines):,} of {len(all_rows):,}" if len(lines) < len(all_rows) else f"{len(lines):,}"
    spread_out = ", spread evenly" if len(chosen) < len(all_rows) else ""
    page = gallery(title, facts, captions, lines, f"{of} images{spread_out}; no side above {side} pixels here.")
    attempt(path, partial(_write, path, page), failed, TOO_LARGE)
    return failed


def is_gallery(path: Path) -> bool:
    """Whether the file is a page that `write_gallery` wrote, so that it may be replaced."""
    return beginning(path, 9).lower() == b"<!doctype" and FOOTER.encode() in ending(path, 512)


def _write(path: Path, page: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, page)


def _shown(file: Path, picture: Image.Image, page: Path) -> Shown:
    buffer = BytesIO()
    picture.save(buffer, "WEBP", quality=82, lossless=picture.width * picture.height <= _SMALL)
    data = f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    height, width = dimensions(file)
    return Shown(data, picture.width, picture.height, f"{width} × {height}", _link(file, page.parent))


def _link(file: Path, folder: Path) -> str:
    """A relative address of the file, if it lies near, in `folder` or beside it, and a browser shows such files."""
    near, folder = file.resolve(), folder.resolve()
    if file.suffix.lower() not in _SHOWN_BY_BROWSERS or not near.is_relative_to(folder.parent):
        return ""
    # The dot keeps a name that begins like "http:" a name.
    return f"./{quote(os.fsencode(Path(os.path.relpath(near, folder)).as_posix()))}"

"""A converted folder as one self-contained HTML page."""

import base64
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path

from PIL import Image

from translate.inference.reasons import attempt
from translate.inference.sheets import TOO_LARGE, Pair
from translate.reporting.page import FOOTER, Shown, gallery
from translate.reporting.pictures import spread
from translate.utils.atomic_files import write_atomic
from translate.utils.outputs import beginning, ending

MOST = 2000
"""The most pairs on a page: about 30 megabytes of photographs."""
_SIDE = 256


def write_gallery(
    path: Path, title: str, facts: Mapping[str, str], pairs: Sequence[Pair], workers: int = 2, most: int = MOST
) -> list[str]:
    """Writes the page atomically: each input beside its output (and cycle error), no side longer than 256 pixels.

    If there are more than `most` pairs, shows `most` of them, evenly spread, and says so on the page. Returns the
    reasons why files, or the page, were left out.
    """
    chosen = spread(pairs, most)
    failed: list[str] = []

    def pictures(pair: Pair) -> dict[str, Shown]:
        return {caption: _shown(picture) for caption, picture in pair.thumbnails(_SIDE).items()}

    def row(pair: Pair) -> tuple[str, dict[str, Shown]] | None:
        shown = attempt(pair.source, partial(pictures, pair), failed, TOO_LARGE)
        return None if shown is None else (pair.name, shown)

    with ThreadPoolExecutor(workers) as threads:
        rows = [shown for shown in threads.map(row, chosen) if shown is not None]
    of = f"{len(rows):,} of {len(pairs):,} images, spread evenly" if len(rows) < len(pairs) else f"{len(rows):,} images"
    page = gallery(title, facts, rows, f"{of}, no side above {_SIDE} pixels here.")
    attempt(path, partial(_write, path, page), failed, TOO_LARGE)
    return failed


def is_gallery(path: Path) -> bool:
    """Whether the file is a page that `write_gallery` wrote, so that it may be replaced."""
    return beginning(path, 9).lower() == b"<!doctype" and FOOTER.encode() in ending(path, 512)


def _write(path: Path, page: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, page)


def _shown(picture: Image.Image) -> Shown:
    buffer = BytesIO()
    picture.save(buffer, "WEBP", quality=82)
    data = f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return Shown(data, picture.width, picture.height)

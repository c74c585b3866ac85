"""What each `--size` of `translate convert` delivers, on the same scenes and photos in many sizes.

    python benchmarks/scale.py photos FOLDER PAIRS             (pairs to train on, made of photos)
    python benchmarks/scale.py scenes RUN [--sides 48,64,128,256]
    python benchmarks/scale.py photos FOLDER --run RUN [--sides 64,128,256]

RUN was trained at 64 pixels: on `shapes` (the quickstart's), or on PAIRS. A row for each side: the mean L1 to the
truth, where black is 0 and white is 1, of the untouched input and of what is delivered with `--size native`, `--size
trained`, `--size trained --keep-size no` (compared with the truth reduced to that size), and by default. Scenes are
rendered in each size. Photos are reduced to each; their truth, a local contrast whose radius is a share of the side, is
computed at the full size and reduced alike.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter

from common import report
from translate.data.io.images import Picture, read, resize, with_channels, write
from translate.data.synthetic.shapes import render
from translate.inference.converter import Converter
from translate.runs.loading import load

SIDE, FULL, CONTRAST = 64, 256, 1.5
WAYS: dict[str, tuple[Any, bool]] = {
    "native": ("native", True),
    "trained": ("trained", True),
    "trained, left so": ("trained", False),
    "default": ("auto", True),
}
Pairs = list[tuple[np.ndarray, np.ndarray]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("scenes", "photos"))
    parser.add_argument("place", type=Path, metavar="RUN|FOLDER")
    parser.add_argument("pairs", type=Path, nargs="?", help="where to write pairs of photos to train on")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--sides", default="48,64,80,96,128,256")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.pairs:
        return _write_pairs(options.place, options.pairs)
    scenes = options.what == "scenes"
    converter = load(options.place if scenes else options.run, device="cpu", precision="float32")
    rows = []
    for side in map(int, options.sides.split(",")):
        pairs = _scenes(converter, side, options.images) if scenes else _photos(options.place, side, options.images)
        rows.append(_row(converter, side, pairs))
    return report("scale", torch.device("cpu"), rows, options.json)


def _row(converter: Converter, side: int, pairs: Pairs) -> dict[str, Any]:
    row: dict[str, Any] = {"side": side, "untouched": _mean(_error(one, truth) for one, truth in pairs)}
    target = converter.images.domains[1]
    for name, (converter.size, converter.keep_size) in WAYS.items():
        row[name] = _mean(_error(converter.convert(one, target), truth) for one, truth in pairs)
    return row


def _error(image: np.ndarray, truth: np.ndarray) -> float:
    """L1 to the truth, which is reduced to the size of the image where that is smaller."""
    truth = truth if truth.shape == image.shape else resize(truth, *image.shape[:2])
    return float(np.abs(image.astype(float) - truth).mean() / 255)


def _mean(values: Iterator[float]) -> str:
    return f"{np.mean(list(values)):.4f}"


def _scenes(converter: Converter, side: int, count: int) -> Pairs:
    """Scenes that the quickstart has not trained on, in both of its styles."""
    given, target = (converter.images.domains[number] for number in (0, 1))
    return [(render(10**6 + scene, given, side), render(10**6 + scene, target, side)) for scene in range(count)]


def _photos(folder: Path, side: int, count: int) -> Pairs:
    return [
        (resize(one, side, side), resize(truth, side, side)) for one, truth in _full(sorted(folder.iterdir())[:count])
    ]


def _full(paths: Sequence[Path]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Photos in full size, each with its local contrast raised."""
    for path in paths:
        photo = resize(with_channels(read(path), 3), FULL, FULL)
        blurred = np.asarray(Image.fromarray(photo).filter(ImageFilter.GaussianBlur(FULL / 32)), np.float32)
        yield photo, np.rint(photo + CONTRAST * (photo - blurred)).clip(0, 255).astype(np.uint8)


def _write_pairs(folder: Path, pairs: Path) -> None:
    paths = sorted(folder.iterdir())
    for number, images in enumerate(_full(paths)):
        for domain, pixels in zip("AB", images, strict=True):
            place = pairs / f"{'test' if number % 20 == 0 else 'train'}{domain}"
            place.mkdir(parents=True, exist_ok=True)
            write(place / f"{number:05d}.png", Picture(resize(pixels, SIDE, SIDE)))


if __name__ == "__main__":
    main()

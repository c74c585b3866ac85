"""Slides by rows: peak memory by height, and time beside the same image in memory.

    python benchmarks/slides.py [--width 4000] [--heights 2000 8000 24000] [--filters 2] [--rows 64]

A striped pattern is written as a tiled TIFF (Deflate), row of tiles by row of tiles, then converted in a process of its
own, once by rows and once in memory, by a small resnet with instance norm and random weights; the peak is ru_maxrss of
that process. Feature maps lie in files in both, so that what differs is the image.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from common import report
from translate.data.io.tiff_rows import TiffRows
from translate.data.io.tiff_tiled import TiledWriter
from translate.inference.converter import Converter
from translate.inference.folder import convert_folder
from translate.inference.jobs import plan
from translate.inference.options import OutputOptions
from translate.models import MODELS
from translate.models.base import ImageSpec, Request
from translate.training.runtime import choose_runtime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=4000)
    parser.add_argument("--heights", type=int, nargs="+", default=[2000, 8000, 24000])
    parser.add_argument("--filters", type=int, default=2)
    parser.add_argument("--rows", type=int, default=64, help="of a band")
    parser.add_argument("--whole", type=int, default=8000, help="the greatest height that is converted in memory, too")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        _convert(Path(given.one[0]), given.one[1] == "rows", given.filters, given.rows)
        return
    found = []
    for height in given.heights:
        with tempfile.TemporaryDirectory() as folder:
            seconds = _write(Path(folder) / "in" / "slide.tif", height, given.width)
            for way in ("rows", "memory"):
                if way == "rows" or height <= given.whole:
                    found.append(_measured(Path(folder), way, height, given) | {"writing, s": round(seconds, 1)})
                    print(found[-1], flush=True)
    report("slides", torch.device("cpu"), found, given.json)


def _write(path: Path, height: int, width: int) -> float:
    path.parent.mkdir()
    start, columns = time.perf_counter(), np.arange(width)[None, :, None]
    with path.open("w+b") as file:
        writer = TiledWriter(file, (height, width, 3), np.dtype(np.uint8), 3)
        for top in range(0, height, 256):
            rows = np.arange(top, min(top + 256, height))[:, None, None]
            writer.write(((rows // 16 * 40 + columns // 8 * np.array([3, 5, 7])) % 256).astype(np.uint8))
        writer.close()
    return time.perf_counter() - start


def _measured(folder: Path, way: str, height: int, given: argparse.Namespace) -> dict[str, object]:
    options = ["--filters", str(given.filters), "--rows", str(given.rows), "--one", str(folder), way]
    done = subprocess.run([sys.executable, __file__, *options], check=True, stdout=subprocess.PIPE, text=True)
    before, peak, seconds = map(float, done.stdout.split()[-3:])
    million = height * given.width / 1e6
    return {
        "image": f"{given.width} x {height}",
        "way": way,
        "before, MB": round(before),
        "peak, MB": round(peak),
        "seconds": round(seconds, 1),
        "ms a megapixel": round(1000 * seconds / million),
    }


def _convert(folder: Path, by_rows: bool, filters: int, rows: int) -> None:
    torch.manual_seed(0)
    kind = MODELS["cyclegan"]
    images = ImageSpec(channels=3, size=256, domains=("a", "b"))
    settings = kind.Config.model_validate({"generator": {"kind": "resnet", "filters": filters, "blocks": 1}})
    converter = Converter(kind(settings, images), images, choose_runtime("cpu", "float32"))
    converter.fitting.tile = rows
    from translate.inference import fitting, slides
    from translate.inference.tiling.banded import store_for

    slides.SLIDE, fitting._MAPS = 0, 0
    fitting.store_for = lambda needed, most=None: store_for(needed, 0)  # in files in both ways
    with TiffRows(folder / "in" / "slide.tif") as slide:
        pixels = slide.width * slide.height
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, time.perf_counter()
    options = OutputOptions(overwrite=True, max_pixels=None if by_rows else pixels)
    outcome = convert_folder(converter, plan(folder / "in", folder / "out"), Request.to(1), options)
    assert not outcome.failed, outcome.failed
    seconds = time.perf_counter() - start
    print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, seconds)


if __name__ == "__main__":
    main()

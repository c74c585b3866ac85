"""Slides by rows: peak memory and disk by height, the time that was forecast and that was taken.

    python benchmarks/slides.py [--width 4000] [--heights 2000 8000 24000] [--filters 2] [--blocks 1] [--rows 64]
                                [--ways files anew memory]

A striped pattern is written as a tiled TIFF (Deflate), row of tiles by row of tiles, then converted in a process of its
own by a small resnet with instance norm and random weights, in each of these ways: by rows with feature maps in files;
by rows without any disk for them, computed anew for each normalisation; by rows with room for two sums of residual
blocks (`sums`); in memory with maps in files. The peak is ru_maxrss of that process.
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
from translate.inference import fitting, forecast, slides
from translate.inference.converter import Converter
from translate.inference.folder import convert_folder
from translate.inference.jobs import plan
from translate.inference.options import OutputOptions
from translate.inference.rehearsal import Plan
from translate.inference.tiling.account import Account
from translate.inference.tiling.store import FileStore
from translate.models import MODELS
from translate.models.base import ImageSpec, Request
from translate.training.runtime import choose_runtime

CPU = choose_runtime("cpu", "float32")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=4000)
    parser.add_argument("--heights", type=int, nargs="+", default=[2000, 8000, 24000])
    parser.add_argument("--filters", type=int, default=2)
    parser.add_argument("--blocks", type=int, default=1)
    parser.add_argument("--rows", type=int, default=64, help="of a band; 0: as planned")
    parser.add_argument("--ways", nargs="+", default=["files", "anew", "memory"])
    parser.add_argument("--whole", type=int, default=8000, help="the greatest height that is converted in memory")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        _convert(Path(given.one[0]), given.one[1], given)
        return
    found = []
    for height in given.heights:
        with tempfile.TemporaryDirectory() as folder:
            seconds = _write(Path(folder) / "in" / "slide.tif", height, given.width)
            for way in given.ways:
                if way != "memory" or height <= given.whole:
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
    options = [part for name in ("filters", "blocks", "rows") for part in (f"--{name}", str(getattr(given, name)))]
    options += ["--one", str(folder), way]
    done = subprocess.run([sys.executable, __file__, *options], check=True, stdout=subprocess.PIPE, text=True)
    before, peak, stored, forecasted, seconds, spent = map(float, done.stdout.split()[-6:])
    million = height * given.width / 1e6
    return {
        "image": f"{given.width} x {height}",
        "way": way,
        "before, MB": round(before),
        "peak, MB": round(peak),
        "temporary files, MB": round(stored),
        "forecast, s": round(forecasted, 1),
        "seconds": round(seconds, 1),
        "CPU s": round(spent, 1),
        "CPU ms a megapixel": round(1000 * spent / million),
    }


def _convert(folder: Path, way: str, given: argparse.Namespace) -> None:
    torch.manual_seed(0)
    kind = MODELS["cyclegan"]
    images = ImageSpec(channels=3, size=256, domains=("a", "b"))
    network = {"kind": "resnet", "filters": given.filters, "blocks": given.blocks}
    converter = Converter(kind(kind.Config.model_validate({"generator": network}), images), images, CPU)
    converter.fitting.tile = given.rows or "auto"
    slides.SLIDE, fitting._MAPS = 0, 0
    with TiffRows(folder / "in" / "slide.tif") as slide:
        pixels = slide.width * slide.height
    sums = 2 * pixels // 16 * given.filters * 4 * 4  # two maps of 4 times the filters, of 4 bytes, a quarter the sides
    room = {"anew": 0, "sums": sums + (1 << 20)}
    if way in room:
        fitting.room_for_files = lambda: room[way]
    fitting.store_for = lambda needed: (FileStore, Account())  # in files in memory, too
    plans: list[tuple[Plan, float]] = []

    def said(plan: Plan, more: float) -> str:
        plans.append((plan, more))
        print(forecast.forecast(plan, more), file=sys.stderr, flush=True)
        return ""

    slides.forecast = said
    converter.remark = lambda line: print(line, file=sys.stderr, flush=True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    start, spent = time.perf_counter(), time.process_time()
    options = OutputOptions(overwrite=True, max_pixels=pixels if way == "memory" else None)
    outcome = convert_folder(converter, plan(folder / "in", folder / "out"), Request.to(1), options)
    assert not outcome.failed, outcome.failed
    seconds = time.perf_counter() - start
    stored = sum(plan.bands.account.most_stored for plan, _ in plans) / 1e6
    forecasted = sum(plan.seconds + more for plan, more in plans)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(before, peak, stored, forecasted, seconds, time.process_time() - spent)


if __name__ == "__main__":
    main()

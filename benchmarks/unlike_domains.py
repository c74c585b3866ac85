"""CycleGANs between unlike domains: grey and RGB, 13 bands (16-bit TIFF) and RGB; files, ONNX, and a large scene.

    python benchmarks/unlike_domains.py PHOTOS [--steps 300] [--scene 4000] [--out FOLDER]

PHOTOS holds trainB and testB of colour photos, such as horse2zebra. Every second one stays RGB. The others become grey;
or 13 bands: smooth functions of red, green and blue, `bands_of`, with noise, as reflectances from 0 to 10,000, written
as TIFF of 16 bits. For each set a small CycleGAN is trained by `translate train` with 64 pixels, and test files are
converted both ways by `translate convert`. A row for each way says how many translations have the type, channels and
size that they must have, and how far the same command with the file of `translate export` is from them, in levels of
their files. Last, a scene of `--scene` pixels on each side, test images side by side, is converted in bands of rows:
seconds by the clock and of the processor, and the command's peak memory. Needs onnxruntime, onnxscript and tifffile.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from PIL import Image

from common import report
from translate.cli import main as translate
from translate.data.io.images import Picture, read, with_channels, write
from translate.data.io.picture import luma

REFLECTANCE = 10_000
MIXTURES = np.random.default_rng(13).normal(size=(3, 13))
"""How much of each band is of red, green and blue, before it is bent."""


def bands_of(pixels: np.ndarray) -> np.ndarray:
    """13 bands (height, width, 13), uint16, of RGB (height, width, 3), uint8: each a logistic function of a mixture of
    the colours, with noise of 1 % of white."""
    mixed = (pixels / 127.5 - 1) @ MIXTURES
    noise = np.random.default_rng(int(pixels.sum())).normal(size=mixed.shape)
    return ((1 / (1 + np.exp(-mixed)) + 0.01 * noise) * REFLECTANCE).round().clip(0, REFLECTANCE).astype(np.uint16)


@dataclass(frozen=True)
class Side:
    """What the images of a domain are, and how they are made of photos."""

    made: Callable[[np.ndarray], np.ndarray]
    dtype: str
    channels: int
    white: int
    suffix: str = ".png"

    def holds(self, image: np.ndarray, height: int, width: int) -> bool:
        """Whether an image has the type, the channels and that size."""
        return image.dtype == self.dtype and image.shape == (height, width, self.channels)


SIDES = {
    "rgb": Side(lambda pixels: pixels, "uint8", 3, 255),
    "grey": Side(luma, "uint8", 1, 255),
    "bands": Side(bands_of, "uint16", 13, REFLECTANCE, ".tif"),
}
SETS: dict[str, list[str]] = {
    "grey": [],
    "bands": [f"data.domains.bands.span=[0,{REFLECTANCE}]", "data.resize=none"],
}
"""The settings that each set is trained with; scenes are taken at the scale that they have."""
SMALL = {"model.generator.filters": 16, "model.generator.blocks": 3, "model.discriminator.filters": 16}
CHILD = """
import resource, sys, time
from translate.cli import main
try:
    main(sys.argv[1:])
finally:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    if sys.platform == "linux":  # where that is no less than of the process that started this one
        with open("/proc/self/status") as status:
            peak = next(int(line.split()[1]) / 1e3 for line in status if line.startswith("VmHWM:"))
    print(time.process_time(), peak)
"""
"""Runs a command; its seconds of the processor, and the most memory that it had in MB."""
EXACT = ["--device", "cpu", "--precision", "float32", "--quiet"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--train", type=int, default=400, help="photos to train on, of both domains together")
    parser.add_argument("--test", type=int, default=24)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--scene", type=int, default=4000, help="its side in pixels; 0 leaves it out")
    parser.add_argument("--rows", type=int, default=64, help="that are converted at once of the scene")
    parser.add_argument("--tiny", action="store_true", help="the smallest networks")
    parser.add_argument("--out", type=Path, help="where to leave files, runs and translations")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = options.out or Path(folder)
        rows = [row for name in options.sets.split(",") for row in _rows_of(name, out / name, options)]
        if options.scene:
            rows.append(_row_of_scene(out / "bands", options))
    return report("unlike_domains", torch.device("cpu"), rows, options.json)


def _rows_of(name: str, out: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Of both ways between the domain `name` and RGB."""
    for part, most in (("train", options.train), ("test", options.test)):
        _write_set(sorted((options.photos / f"{part}B").iterdir())[:most], out / "data", name, part)
    networks = [f"{key}={1 if options.tiny else value}" for key, value in SMALL.items()]
    settings = ["data.size=64", "model.identity=0", f"training.steps={options.steps}", *networks, *SETS[name]]
    _translate("train", "cyclegan", "--data", out / "data", "--out", out / "run", "--quiet", *settings)
    return [_row(out, *way) for way in ((name, "rgb"), ("rgb", name))]


def _write_set(photos: Sequence[Path], data: Path, name: str, part: str) -> None:
    """Photos in turn as RGB and as what domain `name` holds."""
    for number, path in enumerate(photos):
        domain = ("rgb", name)[number % 2]
        place = data / domain / part / f"{number:05d}{SIDES[domain].suffix}"
        place.parent.mkdir(parents=True, exist_ok=True)
        write(place, Picture(SIDES[domain].made(with_channels(read(path), 3))))


def _row(out: Path, given: str, target: str) -> dict[str, Any]:
    """Test files translated by the run and by its ONNX file."""
    files, exported, made, by_onnx = (out / part for part in (f"data/{given}/test", f"{target}.onnx", target, "onnx"))
    _translate("convert", out / "run", files, made, "--to", target, *EXACT)
    _translate("export", out / "run", exported, "--to", target)
    _translate("convert", exported, files, by_onnx / target, *EXACT)
    images = [
        tuple(map(_image, of)) for of in zip(*(_sorted(at) for at in (files, made, by_onnx / target)), strict=True)
    ]
    right = sum(SIDES[target].holds(one, *image.shape[:2]) for image, one, _ in images)
    apart = np.stack([np.abs(one.astype(float) - other) for _, one, other in images])
    return {
        "way": f"{given} to {target}",
        "of the right type, channels, size": f"{right} of {len(images)}",
        "ONNX apart, levels: mean": float(apart.mean()),
        "most": float(apart.max()),
        "white": SIDES[target].white,
        "seconds": None,
        "of the processor": None,
        "peak MB": None,
    }


def _row_of_scene(out: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Test images of 13 bands, side by side and below each other, translated to RGB in bands of rows."""
    side, tiles = options.scene, [_image(path) for path in _sorted(out / "data/bands/test")]
    across = -(-side // tiles[0].shape[1])
    rows = [np.hstack([tiles[(row + column) % len(tiles)] for column in range(across)]) for row in range(len(tiles))]
    down = -(-side // tiles[0].shape[0])
    scene = np.vstack([rows[row % len(rows)] for row in range(down)])[:side, :side]
    write(out / "scene.tif", Picture(scene))
    tiled = ["--tile", options.rows, "--to", "rgb", *EXACT]
    measured = _measured("convert", out / "run", out / "scene.tif", out / "scene-rgb.tif", *tiled)
    right = SIDES["rgb"].holds(_image(out / "scene-rgb.tif"), side, side)
    return {
        "way": f"bands to rgb, a scene of {side} x {side}",
        "of the right type, channels, size": f"{right:d} of 1",
        **measured,
    }


def _translate(*arguments: object) -> None:
    """Runs the command, and ends if it fails."""
    try:
        translate([*map(str, arguments)])
    except SystemExit as end:
        if end.code:
            raise


def _measured(*arguments: object) -> dict[str, float]:
    """Runs the command in a process of its own: how long it took, and the most memory that it had."""
    began = time.perf_counter()
    run = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if run.returncode:
        sys.exit(f"translate {arguments[0]}: failed:\n{run.stderr}")
    seconds, peak = map(float, run.stdout.split()[-2:])
    return {
        "seconds": round(time.perf_counter() - began, 1),
        "of the processor": round(seconds, 1),
        "peak MB": round(peak),
    }


def _sorted(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _image(path: Path) -> np.ndarray:
    """(height, width, channels), as other libraries than the one that wrote it read it."""
    found = tifffile.imread(path) if path.suffix.startswith(".tif") else np.asarray(Image.open(path))
    return found if found.ndim == 3 else found[..., None]


if __name__ == "__main__":
    main()

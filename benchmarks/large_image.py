"""One large image through a generator in bands: time, memory, and that there are no seams.

    python benchmarks/large_image.py [--width 10000] [--height 8000] [--filters 16] [--blocks 3] [--rows 64]

First the large image, its feature maps in files: seconds, and the most memory of the process (ru_maxrss) before and
after. Then the seam measure, on an image that fits (an eighth of width and height): the largest difference between the
image converted in bands and converted whole, in [-1, 1], over all pixels, and of the steps across the borders of bands;
and how far each is from the same network in float64, for a difference may be the whole image's own rounding. Weights
are random: memory and equality do not depend on them.
"""

from __future__ import annotations

import argparse
import copy
import resource
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from common import report
from translate.data.io.images import to_float
from translate.inference.padding import padded_size
from translate.inference.tiling.banded import convert_banded
from translate.inference.tiling.rowmap import Bands, RowMap
from translate.inference.tiling.rules import RULES
from translate.inference.tiling.store import FileStore
from translate.networks.resnet import ResnetGenerator
from translate.training.runtime import Precision, Runtime, choose_device, choose_runtime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=10_000)
    parser.add_argument("--height", type=int, default=8_000)
    parser.add_argument("--filters", type=int, default=16)
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--rows", type=int, default=64, help="of a band")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", choices=("auto", "float32", "bf16"), default="auto")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    result = measure(given.width, given.height, given.filters, given.blocks, given.rows, given.device, given.precision)
    rows = [{"measured": name, "value": value} for name, value in result.items() if name != "seams"]
    for precision, seams in result["seams"].items():
        rows += [{"measured": f"seams in {precision}: {name}", "value": value} for name, value in seams.items()]
    report("large_image", choose_device(given.device), rows, given.json)


def measure(
    width: int, height: int, filters: int, blocks: int, rows: int, device: str = "cpu", precision: Precision = "auto"
) -> dict[str, Any]:
    torch.manual_seed(0)
    network = ResnetGenerator(3, 3, filters=filters, blocks=blocks)
    runtime = choose_runtime(device, precision)
    runtime.adopt(network)
    exact = choose_runtime(device, "float32")
    bands = Bands(rows, runtime.device, runtime.memory_format, FileStore, RULES)
    image = noise(height, width)
    before, start = _memory(), time.perf_counter()
    with runtime.autocast():
        converted = convert_banded(network, image, *padded_size(height, width, network.stride), bands)
    seconds, after = time.perf_counter() - start, _memory()
    seams = {
        name: seam_measure(network, noise(height // 8, width // 8), max(1, rows // 8), some)
        for name, some in {"float32": exact, str(runtime): runtime}.items()
    }
    return {
        "image": f"{width} x {height}",
        "network": f"resnet, {filters} filters, {blocks} blocks",
        "rows of a band": rows,
        "engine": str(runtime),
        "seams": seams,
        "seconds": round(seconds, 1),
        "image, MB": round(image.nbytes / 1e6),
        "widest map, MB": round(width * height * filters * (2 if runtime.bf16 else 4) / 1e6),
        "most memory before, MB": round(before),
        "most memory after, MB": round(after),
        "mean of the output, 0-255": round(float(converted[::97].mean()), 3),
    }


@torch.no_grad()
def seam_measure(network: nn.Module, pixels: np.ndarray, rows: int, runtime: Runtime) -> dict[str, float]:
    """Largest differences between in bands and whole, in [-1, 1]: of pixels, and of steps across borders of bands."""
    images = runtime.layout(to_float(torch.from_numpy(pixels).permute(2, 0, 1)[None].to(runtime.device)))
    images = images[:, :, : images.shape[2] // 4 * 4, : images.shape[3] // 4 * 4]
    bands = Bands(rows, runtime.device, runtime.memory_format, FileStore, RULES)
    with runtime.autocast():
        whole = network(images).float()
        fakes = network(RowMap(images.to("meta"), partial(_rows, images), bands))
    banded = torch.cat([fakes.rows(top, bottom) for top, bottom in bands.of(images.shape[2])], dim=2).float()
    exact = copy.deepcopy(network).cpu().double()(images.cpu().double())
    borders = torch.arange(rows, images.shape[2], rows, device=runtime.device)
    return {
        "pixels": float((banded - whole).abs().max()),
        "pixels, bands from float64": float((banded.cpu() - exact).abs().max()),
        "pixels, whole from float64": float((whole.cpu() - exact).abs().max()),
        "steps across borders": float((_steps(banded, borders) - _steps(whole, borders)).abs().max()),
        "largest such step, whole": float(_steps(whole, borders).abs().max()),
    }


def noise(height: int, width: int) -> np.ndarray:
    """(height, width, 3), uint8: a brightness that rises downwards, so that no two bands are alike, and noise."""
    rng = np.random.default_rng(0)
    slope = np.linspace(0, 155, height, dtype=np.float32).astype(np.uint8)[:, None, None]
    return rng.integers(0, 100, (height, width, 3), dtype=np.uint8) + slope


def _rows(images: Tensor, top: int, bottom: int) -> Tensor:
    return images[:, :, top:bottom]


def _steps(images: Tensor, borders: Tensor) -> Tensor:
    return images[:, :, borders] - images[:, :, borders - 1]


def _memory() -> float:
    """MB; Linux counts in kilobytes, macOS in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


if __name__ == "__main__":
    main()

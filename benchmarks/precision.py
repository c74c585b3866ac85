"""How far what a trained model converts in bf16 lies from what it converts in float32.

    python benchmarks/precision.py RUN [RUN ...] [--images 64]

Each RUN is a folder that `translate train` wrote, of a data set whose true translations are known. Its test images are
converted in every direction, in both precisions, all else being equal, and rounded to 8 bits as files are. A row for
each run: the differences of pixels, in levels of 255, and both distances to the truth (L1, 0-1 scale), in the mean over
directions, with the largest change that bf16 makes to one direction's.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from common import report
from translate.data.io.images import to_pixels
from translate.errors import ConfigurationError
from translate.evaluation.metrics import absolute_error
from translate.evaluation.validation import Direction
from translate.inference.converter import Converter
from translate.models.base import Request
from translate.runs.image_sets.opening import open_data
from translate.runs.loading import load, load_model
from translate.training.runtime import Precision, choose_runtime

BATCH = 8
PRECISIONS: tuple[Precision, Precision] = ("float32", "bf16")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--images", type=int, default=64, help="test images in each direction, at most")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    device = choose_runtime(options.device).device
    rows = [_row(run, options.images, str(device)) for run in options.runs]
    fast = bool(torch.cpu._is_avx512_bf16_supported()), bool(torch.cpu._is_amx_tile_supported())
    report("precision", device, rows, options.json, **{"AVX512-BF16": fast[0], "AMX": fast[1]})


def _row(run: Path, images: int, device: str) -> dict[str, Any]:
    loaded = load_model(run)
    data = open_data(loaded.recipe.data, loaded.recipe.method.batch_type, print)
    directions = data.validations(loaded.model, images, choose_runtime(device, "float32"))
    if not directions:
        raise ConfigurationError(f"{run}: its data set has no true translations to measure against")
    exact, rounded = (load(run, device=device, precision=precision) for precision in PRECISIONS)
    apart = torch.cat([_levels(one, exact, rounded) for one in directions])
    errors = [[_error(one, converter) for one in directions] for converter in (exact, rounded)]
    return {
        "run": f"{loaded.recipe.name} after step {loaded.checkpoint.step}",
        "directions": len(directions),
        "images": len(apart),
        "pixels apart, levels of 255: mean": float(apart.mean()),
        "99.9 % within": _quantile(apart, 0.999),
        "most": int(apart.max()),
        **{
            f"L1 to the truth, {precision}": f"{statistics.mean(of):.5f}"
            for precision, of in zip(PRECISIONS, errors, strict=True)
        },
        "largest change of a direction's L1": f"{max(_differences(*errors), key=abs):+.5f}",
    }


def _levels(direction: Direction, exact: Converter, rounded: Converter) -> Tensor:
    """How far the pixels of every image are apart: (images, channels, height, width), in levels of 255."""
    one, other = (to_pixels(_converted(direction, converter)).int() for converter in (exact, rounded))
    return (one - other).abs().float()


def _error(direction: Direction, converter: Converter) -> float:
    return float(absolute_error(_converted(direction, converter), direction.truths))


def _converted(direction: Direction, converter: Converter) -> Tensor:
    parts = direction.inputs.split(BATCH)
    return torch.cat([converter.convert_floats(part, Request.to(direction.to)).cpu() for part in parts])


def _differences(exact: Sequence[float], rounded: Sequence[float]) -> list[float]:
    return [other - one for one, other in zip(exact, rounded, strict=True)]


def _quantile(values: Tensor, share: float) -> int:
    """What so large a share of `values` does not exceed; torch.quantile takes no large tensors."""
    return int(values.flatten().kthvalue(max(1, round(share * values.numel()))).values)


if __name__ == "__main__":
    main()

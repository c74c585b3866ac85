"""How much `convert --steady` lowers the flicker of a translated clip, and what it costs: a table of strengths.

    python benchmarks/steady.py RUN [--to outlined] [--clips 12] [--json FILE]

RUN translates `shapes` from flat. The clips pan over scenes by a pixel or two a frame, so that the true translation of
every frame is known; a camera's noise (3 levels of 255) lies on the input. All strengths see the same translations.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch

import translate
from common import machine, write_json
from translate.data.synthetic.shapes import render
from translate.inference.steady import Steady

SIDE, WINDOW, FRAMES, NOISE = 64, 48, 16, 3.0
STRENGTHS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9)


def frames(number: int, style: str) -> Iterator[np.ndarray]:
    """A window that moves over scene `number` and back, uint8 (WINDOW, WINDOW, 3)."""
    scene, room, speed = render(900_000 + number, style, SIDE), SIDE - WINDOW, 1 + number % 2
    for time_ in range(FRAMES):
        place = time_ * speed % (2 * room)
        at = place if place <= room else 2 * room - place
        top, left = (at, at) if number % 3 else (room // 2, at)
        yield scene[top : top + WINDOW, left : left + WINDOW]


def measured(model: Any, to: str, clips: int) -> list[dict[str, float]]:
    """A row for each strength, means over the clips."""
    found: dict[float, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for number in range(clips):
        rng = np.random.default_rng(number)
        given = [
            np.clip(frame + rng.normal(0, NOISE, frame.shape), 0, 255).astype(np.uint8)
            for frame in frames(number, "flat")
        ]
        made = [model.convert(frame, to=to) for frame in given]
        for strength in STRENGTHS:
            steady, began, row = Steady(strength), time.process_time(), found[strength]
            written = [steady(*of) for of in zip(given, made, strict=True)]
            row["ms"].append(1000 * (time.process_time() - began) / FRAMES)
            row["l1"].append(
                fmean(float(np.abs(one - truth.astype(float)).mean()) / 255
                      for one, truth in zip(written, frames(number, to), strict=True))
            )  # fmt: skip
            for name, value in steady.flicker.to_json().items():
                row[name].append(value)
    return [
        {"strength": strength, **{name: fmean(values) for name, values in row.items()}}
        for strength, row in found.items()
    ]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("run", type=Path)
    options.add_argument("--to", default="outlined")
    options.add_argument("--clips", type=int, default=12)
    options.add_argument("--json", type=Path)
    chosen = options.parse_args()
    model = translate.load(chosen.run, device="cpu")
    model.size = "native"
    rows = measured(model, chosen.to, chosen.clips)
    print("strength  flicker  unsteadied  of the input  L1 to the truth  ms a frame")
    for row in rows:
        print(
            f"{row['strength']:8.1f}  {row['flicker']:7.4f}  {row['flicker_unsteadied']:10.4f}  "
            f"{row['flicker_of_input']:12.4f}  {row['l1']:15.4f}  {row['ms']:10.2f}"
        )
    if chosen.json:
        write_json(chosen.json, {"machine": machine(torch.device("cpu")), "rows": rows})


if __name__ == "__main__":
    main()

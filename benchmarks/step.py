"""One training step of every model: the port's way, ours, and ours with each option; interleaved medians.

    python benchmarks/step.py --models cyclegan,pix2pix --sizes 128,256 --batches 1 --rounds 5 --seconds 120

`plain` is the port's step (see `PlainStep`), `float32` is `--runtime plain`, then an option at a time, then `auto`. `x`
is plain's median over the row's. `limit` is the share of the rate at which this machine, in this run, multiplies
matrices in the row's precision: the step's FLOPs by torch's formulas over seconds and that rate. Prints Markdown and
writes JSON.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from common import (
    SMALL,
    PlainStep,
    build_model,
    interleaved,
    markdown,
    matrix_rate,
    place,
    port_settings,
    random_batch,
    report,
    seconds_of,
    summary,
    trainer_of,
)
from translate.models import MODELS
from translate.training.estimate import flops_of
from translate.training.runtime import Runtime, choose_device, choose_runtime

WARM_UP = 4  # the captured step records in the fourth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="cyclegan,pix2pix", help=f"of {', '.join(MODELS)}")
    parser.add_argument("--sizes", default="128")
    parser.add_argument("--batches", default="1", help="StarGAN takes 2 or more")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=120, help="for each model, size and batch, after warming up")
    parser.add_argument("--options", help="rows to measure beside plain, by name; default all that the device has")
    parser.add_argument("--compiled", action="store_true", help="torch.compile, too: a minute or more of compiling")
    parser.add_argument("--small", action="store_true", help=f"small networks, of {', '.join(SMALL)}")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    device = choose_device(options.device)
    chosen = ways(device, options.compiled)
    if options.options:
        chosen = {name: chosen[name] for name in options.options.split(",")}
    rates = {dtype: matrix_rate(device, getattr(torch, dtype)) for dtype in ("float32", "bfloat16")}
    rows = []
    for model in options.models.split(","):
        for size in map(int, options.sizes.split(",")):
            for batch in map(int, options.batches.split(",")):
                rows += measure(
                    model,
                    size,
                    batch,
                    device,
                    chosen,
                    rates,
                    rounds=options.rounds,
                    seconds=options.seconds,
                    small=options.small,
                )
                print(markdown(rows), flush=True)
    report("step", device, rows, options.json, **{"matrix FLOP/s": rates})


def ways(device: torch.device, compiled: bool = False) -> dict[str, Runtime]:
    """The engines beside the port's way, by the name of their row."""
    plain = choose_runtime(str(device), options="plain")
    auto = choose_runtime(str(device))
    found = {
        "float32": plain,
        "fused": replace(plain, fused=True),
        "channels last": replace(plain, channels_last=True),
        "bf16": replace(plain, bf16=True),
        "bf16, channels last": replace(plain, bf16=True, channels_last=True),
        "auto without bf16": replace(auto, bf16=False),
        **({"auto without products": replace(auto, conv_as_matmul=False)} if auto.conv_as_matmul else {}),
        "auto": auto,
    }
    if compiled:
        found["auto, compiled"] = replace(auto, compiled=True)
    if device.type == "cuda":
        found["auto, captured"] = replace(auto, cuda_graphs=True)
        if compiled:
            found["auto, compiled, captured"] = replace(auto, compiled=True, cuda_graphs=True)
    return found


def measure(
    name: str,
    size: int,
    batch: int,
    device: torch.device,
    chosen: Mapping[str, Runtime],
    rates: Mapping[str, float],
    *,
    rounds: int,
    seconds: float,
    small: bool,
) -> list[dict[str, Any]]:
    """A row for each way, `plain` first."""
    with port_settings(device):
        port = PlainStep(build_model(name, size, small), device)
        plain_engine = Runtime(device, fused=False)
        given = place(random_batch(port.model, size, batch), plain_engine)
        works: dict[str, Callable[[], None]] = {"plain": partial(port.step, given)}
        for option, runtime in chosen.items():
            trainer = trainer_of(build_model(name, size, small), runtime)
            works[option] = partial(trainer.step, place(random_batch(trainer.model, size, batch), runtime))
        pace = max(turn.every for turn in port.turns)  # so many steps make a round of the game
        flops = flops_of(lambda: [works["plain"]() for _ in range(pace)]) / pace
        warm_up = WARM_UP * pace if device.type == "cuda" else 1
        once = min(seconds_of(works["plain"], device) for _ in range(2 * pace))
        repeats = pace * max(1, min(20, round(0.2 / (pace * once))))  # a fifth of a second, where a step is short
        times = interleaved(works, device, rounds, seconds, repeats, warm_up)
    plain = summary(times["plain"])["median"]
    rows = []
    for option, seen in times.items():
        found = summary(seen)
        bf16 = option != "plain" and chosen[option].bf16
        rate = rates["bfloat16" if bf16 else "float32"]
        rows.append(
            {
                "model": name,
                "size": size,
                "batch": batch,
                "way": option,
                "median ms": 1e3 * found["median"],
                "best ms": 1e3 * found["best"],
                "x": plain / found["median"],
                "images/s": batch / found["median"],
                "GFLOP": flops / 1e9,
                "limit": flops / found["median"] / rate,
                "rounds": found["rounds"],
            }
        )
    return rows


if __name__ == "__main__":
    main()

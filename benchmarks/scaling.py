"""How training grows with processes: images/s at 1, 2, 4, ... ranks of this machine, and what the exchange takes.

    python benchmarks/scaling.py [RECIPE] [--size 256] [--batch-size 1] [--ranks 1 2] [--seconds 10] [--json FILE]

Prints a Markdown table and writes it as JSON with machine, versions and commit. Each row is a torchrun of its own, on
random images that lie on the device; `--rounds` of all rows are interleaved, and medians shown. Every rank has its GPU,
or on a CPU as many threads as every other, in every row. `efficiency`: images/s over those of one rank times the ranks.
`exchange`: the share of a step between a turn's last gradient and its mean over the ranks, waiting for the slowest
included; batch norm's exchange within the networks is not in it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from common import report, wait
from translate.data.batch import Batch, Paired, Plain, Unpaired
from translate.models.base import ImageSpec
from translate.recipe import load_recipe
from translate.runs.build import build_trainer
from translate.runs.loading import build_model
from translate.training.distributed import Distributed, join
from translate.training.runtime import choose_runtime

IMAGES: dict[type[Batch], int] = {Paired: 2, Unpaired: 2, Plain: 1}
COLUMNS = ("images a step", "ms a step", "images/s", "efficiency, %", "exchange, %", "MB exchanged a step")


def main() -> None:
    options = _options()
    if options.measure:
        measure(options)
        return
    cuda = options.device != "cpu" and torch.cuda.is_available()
    devices = torch.cuda.device_count() if cuda else os.cpu_count() or 1
    counts = options.ranks or [count for count in (1, 2, 4, 8, 16) if count <= devices]
    threads = options.threads or max(1, (os.cpu_count() or 1) // max(counts))
    measured: dict[int, list[dict[str, float]]] = {count: [] for count in counts}
    for _ in range(options.rounds):
        for count in counts:
            measured[count].append(_torchrun(count, threads))
    rows = {count: _medians(several) for count, several in measured.items()}
    for count, row in rows.items():
        alone = rows[min(rows)]["images/s"] / min(rows)
        row["efficiency, %"] = 100 * row["images/s"] / (count * alone)
    settings = {key: value for key, value in vars(options).items() if key not in ("json", "measure")}
    settings |= {"devices": torch.cuda.device_count() if cuda else 0, "threads of a rank": threads}
    table = [{"ranks": count, **{column: row[column] for column in COLUMNS}} for count, row in rows.items()]
    device = torch.device("cuda" if cuda else "cpu")
    report("scaling", device, table, options.json, settings=settings, rounds=measured)


def measure(options: argparse.Namespace) -> None:
    """One rank's part of a row; the first writes the row to the file `options.measure`."""
    recipe = load_recipe(options.recipe, [f"data.size={options.size}", f"training.batch_size={options.batch_size}"])
    kind = recipe.method.batch_type
    if kind not in IMAGES:
        raise SystemExit(
            f"{options.recipe}: random images have no labels; choose a recipe of pairs, two domains or one"
        )
    with join(options.device) as distributed:
        runtime = choose_runtime(distributed.device, options.precision)
        domains = ("a", "b")[: IMAGES[kind]]
        model = build_model(recipe, ImageSpec(3, options.size, domains))
        trainer = build_trainer(model, recipe.training, runtime, 10**6, distributed)
        torch.manual_seed(distributed.rank)
        shape = (options.batch_size, 3, options.size, options.size)
        batch = runtime.place(kind(*(torch.rand(shape) * 2 - 1 for _ in domains)))

        def timed(steps: int) -> list[float]:
            seconds = []
            for _ in range(steps):
                begin = time.perf_counter()
                trainer.step(batch)
                wait(runtime.device)
                seconds.append(time.perf_counter() - begin)
            return seconds

        timed(3)
        # Every rank takes as many steps: as many as fit on average.
        guess = torch.tensor(statistics.mean(timed(3)), device=runtime.device)
        distributed.average([guess])
        steps = min(max(5, int(options.seconds / 2 / guess.item())), 2000)
        whole = statistics.median(timed(steps))
        exchange, numbers = _watch_exchange(distributed, runtime.device)
        watched = sum(timed(steps))
        if distributed.is_main:
            images = distributed.size * options.batch_size
            row = {
                "images a step": images,
                "ms a step": 1000 * whole,
                "images/s": images / whole,
                "exchange, %": 100 * sum(exchange) / watched,
                "MB exchanged a step": 4e-6 * sum(numbers) / steps if distributed.size > 1 else 0.0,
            }
            Path(options.measure).write_text(json.dumps(row))


def _watch_exchange(distributed: Distributed, device: torch.device) -> tuple[list[float], list[int]]:
    """Seconds and numbers of every exchange from here on; the device is waited for around each."""
    seconds: list[float] = []
    numbers: list[int] = []
    average = distributed.average

    def watched(tensors: Sequence[Tensor]) -> None:
        wait(device)
        begin = time.perf_counter()
        average(tensors)
        wait(device)
        seconds.append(time.perf_counter() - begin)
        numbers.append(sum(tensor.numel() for tensor in tensors))

    distributed.average = watched  # type: ignore[method-assign]
    return seconds, numbers


def _torchrun(count: int, threads: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "row.json"
        start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
        command = [*start, str(Path(__file__).resolve()), *sys.argv[1:], "--measure", str(result)]
        subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": str(threads)}, check=True, timeout=540)
        row: dict[str, float] = json.loads(result.read_text())
        return row


def _medians(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(row[key] for row in rows) for key in rows[0]}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", default="cyclegan")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--ranks", type=int, nargs="+", help="default 1, 2, 4, ... up to the GPUs, or the cores")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--precision", choices=["auto", "float32", "bf16"], default="auto")
    parser.add_argument("--threads", type=int, help="of every rank; default the cores divided by the most ranks")
    parser.add_argument("--seconds", type=float, default=10, help="of measured steps a row and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file for the rows")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()

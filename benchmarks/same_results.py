"""What the fast way changes: the same seeds trained plain and fast, their loss curves over each other.

    python benchmarks/same_results.py [--seeds 3] [--steps 300] [--recipe quickstart]

Trains a recipe on `shapes` with `--engine plain` and `--engine auto`, the same seeds, and prints the L1 to the true
translation of every run, with mean and spread of each engine, and the largest difference of a loss's curve as a share
of its spread over seeds. Writes the rows as JSON, and the curves of the first seed as SVG on a page beside it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from common import RESULTS, report
from translate.reporting.charts import Curve, chart
from translate.reporting.page import rendered
from translate.reporting.tracking import read_metrics
from translate.runs.train import train
from translate.training.runtime import choose_runtime

ENGINES = ("plain", "auto")
EVERY = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="quickstart", help="one that is measured against the truth on shapes")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    device = choose_runtime(options.device).device
    with tempfile.TemporaryDirectory() as folder:
        runs = {
            (runtime, seed): _trained(options, runtime, seed, Path(folder))
            for seed in range(options.seeds)
            for runtime in ENGINES
        }
    rows = [_row(runtime, seed, metrics) for (runtime, seed), metrics in runs.items()]
    rows += [_summary(runtime, rows) for runtime in ENGINES]
    report("same-results", device, rows, options.json, recipe=options.recipe, steps=options.steps)
    page = (options.json or RESULTS / f"same-results-{device.type}.json").with_suffix(".html")
    page.write_text(_page(runs[ENGINES[0], 0], runs[ENGINES[1], 0]), encoding="utf-8")
    print(f"curves of the first seed: {page}")


def _trained(options: argparse.Namespace, runtime: str, seed: int, folder: Path) -> list[dict[str, Any]]:
    settings = {
        "training.steps": options.steps,
        "training.seed": seed,
        "training.log_every": EVERY,
        "training.validate_every": options.steps,
        "training.sample_every": options.steps,
    }
    run = train(
        options.recipe,
        out=folder / f"{runtime}-{seed}",
        device=options.device,
        options=runtime,
        tracking="disabled",
        overrides=[f"{key}={json.dumps(value)}" for key, value in settings.items()],
    )
    return read_metrics(run / "metrics.jsonl")


def _row(runtime: str, seed: int, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    errors = [value for row in metrics for key, value in row.items() if key.endswith("/l1")]
    losses = [sum(value for key, value in row.items() if "/cycle/" in key) for row in metrics[-5:]]
    return {
        "engine": runtime,
        "seed": seed,
        "validation L1, both ways": statistics.mean(errors[-2:]),
        "cycle loss, last 50 steps": statistics.mean(loss for loss in losses if loss),
    }


def _summary(runtime: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    own = [row for row in rows if row["engine"] == runtime and isinstance(row["seed"], int)]
    columns = [key for key in own[0] if key not in ("engine", "seed")]
    return {"engine": runtime, "seed": "mean ± spread"} | {
        key: f"{statistics.mean(row[key] for row in own):.4f} ± {statistics.stdev(row[key] for row in own):.4f}"
        for key in columns
    }


def _page(plain: list[dict[str, Any]], fast: list[dict[str, Any]]) -> str:
    curves: dict[str, dict[str, list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
    for runtime, metrics in zip(ENGINES, (plain, fast), strict=True):
        for row in metrics:
            for key, value in row.items():
                if "/" in key and not key.startswith(("learning_rate", "validation")):
                    curves[key][runtime].append((row["step"], value))
    charts = [
        chart(name, [Curve(runtime, points, 0, colour) for colour, (runtime, points) in enumerate(both.items())])
        for name, both in curves.items()
    ]
    style = rendered("style.css")
    head = f"<!doctype html><meta charset=utf-8><title>plain and fast</title><style>{style}</style>"
    return f"{head}<h1>The same seed, plain and fast</h1>{''.join(charts)}"


if __name__ == "__main__":
    main()

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
from translate.reporting.style import STYLE
from translate.reporting.tracking import read_metrics
from translate.runs.train import train
from translate.training.runtime import choose_engine

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
    device = choose_engine(options.device).device
    with tempfile.TemporaryDirectory() as folder:
        runs = {
            (engine, seed): _trained(options, engine, seed, Path(folder))
            for seed in range(options.seeds)
            for engine in ENGINES
        }
    rows = [_row(engine, seed, metrics) for (engine, seed), metrics in runs.items()]
    rows += [_summary(engine, rows) for engine in ENGINES]
    report("same-results", device, rows, options.json, recipe=options.recipe, steps=options.steps)
    page = (options.json or RESULTS / f"same-results-{device.type}.json").with_suffix(".html")
    page.write_text(_page(runs[ENGINES[0], 0], runs[ENGINES[1], 0]), encoding="utf-8")
    print(f"curves of the first seed: {page}")


def _trained(options: argparse.Namespace, engine: str, seed: int, folder: Path) -> list[dict[str, Any]]:
    settings = {
        "training.steps": options.steps,
        "training.seed": seed,
        "training.log_every": EVERY,
        "training.validate_every": options.steps,
        "training.sample_every": options.steps,
    }
    run = train(
        options.recipe,
        out=folder / f"{engine}-{seed}",
        device=options.device,
        levers=engine,
        tracking="disabled",
        overrides=[f"{key}={json.dumps(value)}" for key, value in settings.items()],
    )
    return read_metrics(run / "metrics.jsonl")


def _row(engine: str, seed: int, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    errors = [value for row in metrics for key, value in row.items() if key.endswith("/l1")]
    losses = [sum(value for key, value in row.items() if "/cycle " in key) for row in metrics[-5:]]
    return {
        "engine": engine,
        "seed": seed,
        "validation L1, both ways": statistics.mean(errors[-2:]),
        "cycle loss, last 50 steps": statistics.mean(loss for loss in losses if loss),
    }


def _summary(engine: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    own = [row for row in rows if row["engine"] == engine and isinstance(row["seed"], int)]
    columns = [key for key in own[0] if key not in ("engine", "seed")]
    return {"engine": engine, "seed": "mean ± spread"} | {
        key: f"{statistics.mean(row[key] for row in own):.4f} ± {statistics.stdev(row[key] for row in own):.4f}"
        for key in columns
    }


def _page(plain: list[dict[str, Any]], fast: list[dict[str, Any]]) -> str:
    curves: dict[str, dict[str, list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
    for engine, metrics in zip(ENGINES, (plain, fast), strict=True):
        for row in metrics:
            for key, value in row.items():
                if "/" in key and not key.startswith(("learning rate", "validation")):
                    curves[key][engine].append((row["step"], value))
    charts = [
        chart(name, [Curve(engine, points, 0, colour) for colour, (engine, points) in enumerate(both.items())])
        for name, both in curves.items()
    ]
    head = f"<!doctype html><meta charset=utf-8><title>plain and fast</title><style>{STYLE}</style>"
    return f"{head}<h1>The same seed, plain and fast</h1>{''.join(charts)}"


if __name__ == "__main__":
    main()

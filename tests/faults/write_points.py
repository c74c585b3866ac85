"""A tiny training run killed at each operation that changes its folder, resumed, and compared with one left alone.

python tests/faults/write_points.py FOLDER renames|all|twice

`renames` tries those that give the names of the last checkpoint and of all that comes after it, `all` every one, and
`twice` a second one in the resumed run too. Prints, as JSON, the operations tried and what differed afterwards.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

from child import TRAINING, hashes, steps
from kill_points import Work, killed, noted, repaired

SETTINGS = TRAINING | {"steps": 6, "keep": 1, "sample_every": 3, "validate_every": 2}


def training() -> Work:
    from tiny import TINY

    from translate.recipe import parse_recipe
    from translate.runs.train import train

    data = {"set": "shapes", "size": 32, "load_size": 36, "workers": 0, "shapes": {"train": 4, "test": 2}}
    values = json.loads(json.dumps({"name": "tiny", "model": TINY["pix2pix"], "data": data, "training": SETTINGS}))
    recipe = parse_recipe(values, "tiny")

    def do(run: Path, again: bool) -> None:
        train(recipe, out=run, resume=again, device="cpu", tracking="disabled", quiet=True)

    return Work(do, left_by)


def left_by(run: Path) -> dict[str, Any]:
    """All of a finished run that must not depend on whether it was disturbed."""
    summary = json.loads((run / "summary.json").read_text())
    report = (run / "report.html").read_text().endswith("</html>\n")
    hidden = sorted(path.name for path in run.rglob(".*") if path.name != ".lock")
    pointers = {name: (run / "checkpoints" / name).read_text() for name in ("latest", "best")}
    return {**hashes(run), **pointers, "summary": summary, "report": report, "steps": steps(run), "hidden": hidden}


def chosen(operations: list[str], which: str) -> list[int]:
    if which != "renames":
        return list(range(len(operations)))
    last = max(number for number, found in enumerate(operations) if found.endswith(f"step-{SETTINGS['steps']:08d}"))
    return [number for number, found in enumerate(operations) if number >= last and found.startswith("os.rename")]


def main(folder: Path, which: str) -> None:
    work = training()
    work.do(folder / "warm", False)  # what is imported now need not be in each child
    operations = noted(work, folder / "whole")
    whole, rng, wrong, tried = work.left(folder / "whole"), random.Random(0), {}, 0
    for number in chosen(operations, which):
        run = folder / str(number)
        assert killed(work, run, number, False), operations[number]
        if which == "twice":
            killed(work, run, rng.randrange(len(operations)), True)
        tried += 1
        if differs := repaired(work, run, whole):
            wrong[operations[number]] = differs
    json.dump({"operations": len(operations), "tried": tried, "wrong": wrong}, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

"""A tiny training run killed at each operation that changes its folder, resumed, and compared with one left alone.

python tests/faults/write_points.py FOLDER renames|all|twice

One process imports everything and forks for each run, as a start costs more than the run. An operation is a file opened
for writing, a rename, a removal or a new folder, as Python's audit events tell; the kill comes just before it.
`renames` tries those that give the names of the last checkpoint and of all that comes after it, `all` every one, and
`twice` a second one in the resumed run too. Prints, as JSON, the operations tried and what differed afterwards.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from child import TRAINING, hashes, steps

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
SETTINGS = TRAINING | {"steps": 6, "keep": 1, "sample_every": 3, "validate_every": 2}


def operation(run: Path, event: str, arguments: tuple[Any, ...]) -> str | None:
    """What is about to happen in the run's folder, None if nothing there changes."""
    if event == "open":
        path, _, flags = arguments
        return f"open {path}" if f"{run}{os.sep}" in str(path) and flags & WRITES else None
    if event not in CHANGES:
        return None
    named = f"{run}{os.sep}" in " ".join(map(str, arguments))
    # As rmtree removes, which names what it removes relative to an open folder.
    within = event in ("os.remove", "os.rmdir") and arguments[-1] > 2
    inside = named or within
    return f"{event} {' '.join(str(value) for value in arguments if isinstance(value, str | Path))}" if inside else None


def watched(run: Path, seen: Callable[[str], None]) -> None:
    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if (found := operation(run, event, arguments)) is not None:
            seen(found)

    sys.addaudithook(hook)


def forked(work: Callable[[], None]) -> int:
    """The exit code of `work` in a child; negative if a signal ended it."""
    sys.stderr.flush()
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        work()
        os._exit(0)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(1)


def train(recipe: Any, run: Path, resume: bool) -> None:
    from translate.run import train

    train(recipe, out=run, resume=resume, device="cpu", tracking="disabled", quiet=True)


def noted(recipe: Any, run: Path) -> list[str]:
    """Trains, and returns the operations in order."""
    reading, writing = os.pipe()

    def work() -> None:
        with open(writing, "w") as told:
            watched(run, lambda found: print(found.replace("\n", " "), file=told, flush=True))
            train(recipe, run, False)

    assert forked(work) == 0
    os.close(writing)
    with open(reading) as told:
        return told.read().splitlines()


def killed(recipe: Any, run: Path, number: int, resume: bool) -> bool:
    """Trains and is killed before operation `number`; whether there were that many."""

    def work() -> None:
        left = number

        def count(_: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        watched(run, count)
        train(recipe, run, resume)

    code = forked(work)
    assert code in (0, -signal.SIGKILL), code
    return code != 0


def left_by(run: Path) -> dict[str, Any]:
    """All of a finished run that must not depend on whether it was disturbed."""
    summary = json.loads((run / "summary.json").read_text())
    report = (run / "report.html").read_text().endswith("</html>\n")
    hidden = sorted(path.name for path in run.rglob(".*") if path.name != ".lock")
    pointers = {name: (run / "checkpoints" / name).read_text() for name in ("latest", "best")}
    return {**hashes(run), **pointers, "summary": summary, "report": report, "steps": steps(run), "hidden": hidden}


def difference(whole: dict[str, Any], run: Path) -> list[str]:
    try:
        found = left_by(run)
    except OSError as error:
        return [str(error)]
    return [f"{key}: {found[key]}, not {value}" for key, value in whole.items() if found[key] != value]


def chosen(operations: list[str], which: str) -> list[int]:
    if which != "renames":
        return list(range(len(operations)))
    last = max(number for number, found in enumerate(operations) if found.endswith(f"step-{SETTINGS['steps']:08d}"))
    return [number for number, found in enumerate(operations) if number >= last and found.startswith("os.rename")]


def main(folder: Path, which: str) -> None:
    from tiny import TINY

    from translate.recipe import parse_recipe

    data = {"set": "shapes", "size": 32, "load_size": 36, "workers": 0, "shapes": {"train": 4, "test": 2}}
    values = json.loads(json.dumps({"name": "tiny", "model": TINY["pix2pix"], "data": data, "training": SETTINGS}))
    recipe = parse_recipe(values, "tiny")
    train(recipe, folder / "warm", False)  # what is imported now need not be in each child
    operations = noted(recipe, folder / "whole")
    whole, dice, wrong, tried = left_by(folder / "whole"), random.Random(0), {}, 0
    for number in chosen(operations, which):
        run = folder / str(number)
        assert killed(recipe, run, number, False), operations[number]
        if which == "twice":
            killed(recipe, run, dice.randrange(len(operations)), True)
        code = forked(lambda run=run: train(recipe, run, True))
        tried += 1
        if differs := ([f"exit code {code}"] if code else difference(whole, run)):
            wrong[operations[number]] = differs
    json.dump({"operations": len(operations), "tried": tried, "wrong": wrong}, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

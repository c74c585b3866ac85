"""Random kills over training, saving, pruning, reporting, conversion and fetching, each repaired by doing it again.

python tests/faults/random_kills.py FOLDER COUNT [--seed N]

Each kill comes just before an operation drawn at random (see kill_points.py), of each phase in turn; one in three is
followed by another, anywhere in what is then done again. Equal is what an undisturbed one leaves: weights to the bit,
metrics, pointers, checkpoints kept, summary, report; images, mark, sheets, page, and each output once as written in the
manifest; the fetched files; and nothing else. Prints a table by phase, and what was wrong; exits with 1 if any was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any
from unittest import mock

from kill_points import GRADIENTS, Work, killed, noted, repaired, tell_gradients
from write_points import training

PHASES = ("training", "saving", "pruning", "reporting", "conversion", "fetching")
IMAGES = [f"{folder}{number}" for folder in ("", "a/", "b/") for number in ("1.png", "2.jpg", "3.webp", "4.tif")]


def command(*words: object, codes: tuple[int, ...] = (0,)) -> None:
    """Runs a command line in this process."""
    from click.testing import CliRunner

    from translate.cli import main

    result = CliRunner().invoke(main, [str(word) for word in words])
    if result.exit_code not in codes:
        raise AssertionError(result.output) from result.exception


def files(folder: Path) -> dict[str, str]:
    """Every file below a folder, with its hash, and every empty folder."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for name, path in found.items()
        if path.is_file() or not any(path.iterdir())
    }


def conversion(place: Path) -> Work:
    """Of a folder of images in four formats, with all that can be looked at beside them."""
    import torch
    from tiny import write_images

    from translate.networks.foreign import port_state
    from translate.networks.resnet import ResnetGenerator

    for number, name in enumerate(IMAGES):
        (place / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        write_images(place / "photos", [name], size=16, seed=number)
    torch.manual_seed(0)
    torch.save(port_state(ResnetGenerator(3, 3, filters=4, blocks=1)), place / "g.pth")

    def do(folder: Path, again: bool) -> None:
        beside = f"--manifest {folder}/rows.jsonl --compare {folder}/sheets --gallery {folder}/page.html".split()
        command("convert", place / "g.pth", place / "photos", folder / "out", *beside, "-q", "--device", "cpu")

    def left(folder: Path) -> dict[str, Any]:
        found: dict[str, Any] = files(folder)
        found.pop("rows.jsonl")
        # Encoders add their lines in the order in which they end, and what is done again adds them again.
        found["out/.translate.sources"] = sorted(set((folder / "out/.translate.sources").read_text().split("\n")))
        rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
        written = Counter(row["output"].removeprefix(str(folder)) for row in rows if row["status"] == "written")
        return found | {"rows of what was written": written}

    return Work(do, left)


@contextmanager
def served() -> Iterator[Any]:
    """The card of a set whose archive a process of its own serves on this machine."""
    sys.path.append(str(Path(__file__).resolve().parents[1] / "unit"))
    from test_fetch import FILES, Server, card_for, zipped

    reading, writing = os.pipe()
    data = zipped({**FILES, "horse2zebra/readme.txt": b"words"})
    child = os.fork()
    if not child:
        server = Server()
        server.files["set.zip"] = data
        os.write(writing, server.url("set.zip").encode())
        os.close(writing)
        signal.pause()
    os.close(writing)
    try:
        with open(reading) as told:
            yield card_for(told.read(), data)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def fetching(card: Any) -> Work:
    def do(folder: Path, again: bool) -> None:
        # A set that is there already is said, with exit code 2.
        with mock.patch("translate.data.catalog.cards.cards", lambda: {card.name: card}):
            command("data", "fetch", card.name, "--into", folder / "set", codes=(0, 2) if again else (0,))

    return Work(do, files)


def phase(operations: list[str], number: int) -> str:
    """Of training: what belongs to the name that is given next, or to the last one where something is removed."""
    if operations[number] == GRADIENTS:
        return "training"
    names = [found for found, text in enumerate(operations) if text.startswith("os.rename")]
    removes = operations[number].startswith(("os.remove", "os.rmdir"))
    near = max(name for name in names if name < number) if removes else min(name for name in names if name >= number)
    target = Path(operations[near].split()[-1])
    if target.suffix == ".tmp":
        return "pruning"
    if target.name in ("summary.json", "report.html"):
        return "reporting"
    return "saving" if target.parent.name == "checkpoints" else "training"


def points(works: dict[str, Work], folder: Path) -> dict[str, list[tuple[str, int, str]]]:
    """By phase, the operations at which it can be killed: their work, number and text."""
    found: dict[str, list[tuple[str, int, str]]] = {name: [] for name in PHASES}
    for name, work in works.items():
        place = folder / name
        place.mkdir(parents=True)
        work.do(place / "warm", False)  # what is imported now need not be in each child
        operations = noted(work, place / "whole")
        for number, text in enumerate(operations):
            found[phase(operations, number) if name == "training" else name].append((name, number, text))
    return found


def tried(work: Work, folder: Path, number: int, second: int | None, whole: dict[str, Any]) -> tuple[int, list[str]]:
    """How often it was killed, and what differed in the end."""
    assert killed(work, folder, number, False), f"{folder}: ended before operation {number}"
    twice = second is not None and killed(work, folder, second, True)
    return 1 + twice, repaired(work, folder, whole)


def kill(works: dict[str, Work], folder: Path, count: int, seed: int) -> tuple[Counter[str], Counter[str]]:
    """Kills `count` times, and says at once what was wrong. Returns by phase the kills, and those that were wrong."""
    found, rng = points(works, folder), random.Random(seed)
    whole = {name: work.left(folder / name / "whole") for name, work in works.items()}
    kills: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    phases = cycle(PHASES)
    while (left := count - kills.total()) > 0:
        drawn = next(phases)
        name, number, text = rng.choice(found[drawn])
        second = rng.randrange(number + 1) if rng.random() < 1 / 3 and left > len(PHASES) else None
        place = folder / name / str(kills.total())
        times, differs = tried(works[name], place, number, second, whole[name])
        kills[drawn] += times
        if differs:
            wrong[drawn] += times
            print(f"{drawn}: before {number} ({text}), {times} kills:", *differs, sep="\n  ", file=sys.stderr)
        else:
            shutil.rmtree(place)
    return kills, wrong


def main(folder: Path, count: int, seed: int) -> int:
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    tell_gradients()
    with served() as card:
        works = {"training": training(), "conversion": conversion(folder), "fetching": fetching(card)}
        kills, wrong = kill(works, folder, count, seed)
    print(f"{'phase':12} {'kills':>6} {'equal':>6} {'wrong':>6}")
    for name in PHASES:
        print(f"{name:12} {kills[name]:6} {kills[name] - wrong[name]:6} {wrong[name]:6}")
    print(f"{'all':12} {kills.total():6} {(kills - wrong).total():6} {wrong.total():6}")
    return 1 if wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="New; what was wrong is left there.")
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    sys.exit(main(**vars(parser.parse_args())))

"""What it costs a training to be watched, and to write its report with every grid of samples.

    python benchmarks/watch.py [--rounds 6] [--steps 150] [--recipe quickstart]

One training after another of the same run, resumed in short blocks of `--steps`: a block unwatched, a block with
`translate watch` and one client that reads its events, in turns, the first of each round changing. Seconds of a block
are those of its steps alone, without its start and its end. `CPU` is the training's own time on all its cores, which
what else runs on the machine disturbs less than `wall`; the page's server has a process, and CPU seconds, of its own.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TRAIN = """
import json, os, sys, time
import translate
from translate.reporting import report
from translate.training import records
from translate.training.loop import TrainingRun
from translate.training.progress_file import ProgressFile

spent = {"report": [0, 0.0], "progress": [0, 0.0]}

def timed(name, act):
    def timing(*args, **how):
        began = time.process_time()
        try:
            return act(*args, **how)
        finally:
            spent[name][0] += 1
            spent[name][1] += time.process_time() - began
    return timing

records.write_report = timed("report", records.write_report)
ProgressFile.step = timed("progress", ProgressFile.step)
train = TrainingRun._train

def whole(self, *args):
    began, cpu = time.perf_counter(), time.process_time()
    train(self, *args)
    spent["wall"], spent["cpu"] = time.perf_counter() - began, time.process_time() - cpu

TrainingRun._train = whole
recipe, out, steps, resume = sys.argv[1:5]
translate.train(recipe, out=out, resume=resume == "resume", device="cpu", tracking="disabled", quiet=True,
                overrides=[f"training.steps={steps}", *sys.argv[5:]])
print(json.dumps(spent))
"""


def block(recipe: str, run: Path, steps: int, changes: list[str]) -> dict[str, Any]:
    how = "resume" if run.exists() else "begin"
    command = [sys.executable, "-c", TRAIN, recipe, str(run), str(steps), how, *changes]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return json.loads(done.stdout.splitlines()[-1])


@contextmanager
def watched(runs: Path, counts: dict[str, int]) -> Iterator[int]:
    """The number of the server's process, with one client that reads what it tells."""
    command = [sys.executable, "-m", "translate", "watch", str(runs), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        connection = http.client.HTTPConnection(urlsplit(process.stdout.readline().strip()).netloc)
        connection.request("GET", "/api/events")
        first = connection.getresponse()
        while not (line := first.readline()).startswith(b"data:"):
            pass
        news = json.loads(line[5:])
        chosen = http.client.HTTPConnection(connection.host, connection.port)
        chosen.request("GET", f"/api/events?run={news['runs'][0]}")
        answer = chosen.getresponse()
        connection.sock.close()
        first.close()

        def read() -> None:
            while line := answer.readline():
                counts["events"] += line.startswith(b"data:")
                counts["bytes"] += len(line)

        client = threading.Thread(target=read)
        client.start()
        try:
            yield process.pid
        finally:
            process.terminate()
            client.join()


def cpu_of(process: int) -> float:
    """CPU seconds of a process, on Linux; elsewhere nothing."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--recipe", default="quickstart")
    parser.add_argument("changes", nargs="*", help="settings of the recipe, KEY=VALUE")
    given = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {"alone": [], "watched": []}
    counts, servers, beside = {"events": 0, "bytes": 0}, [], 0.0
    with tempfile.TemporaryDirectory() as place:
        run, total = Path(place) / "runs" / "run", given.steps
        changes = ["training.schedule=constant", *given.changes]
        block(given.recipe, run, total, changes)  # the first steps are slower
        for number in range(given.rounds):
            for how in ("alone", "watched") if number % 2 == 0 else ("watched", "alone"):
                total += given.steps
                if how == "alone":
                    found[how].append(block(given.recipe, run, total, changes))
                    continue
                with watched(run.parent, counts) as server:
                    began, wall = cpu_of(server), time.perf_counter()
                    found[how].append(block(given.recipe, run, total, changes))
                    servers.append(cpu_of(server) - began)
                    beside += time.perf_counter() - wall
    print(
        "| | blocks | CPU s of a block, median (least to most) | wall s, median (least to most) |\n|---|---:|---:|---:|"
    )
    for how, blocks in found.items():
        cells = [_spread([one[clock] for one in blocks]) for clock in ("cpu", "wall")]
        print(f"| {how} | {len(blocks)} | {cells[0]} | {cells[1]} |")
    for clock in ("cpu", "wall"):
        pairs = zip(found["watched"], found["alone"], strict=True)
        shares = [100 * (one[clock] / other[clock] - 1) for one, other in pairs]
        print(f"\n{clock}, watched against alone in the same round, %: {_spread(shares, 2)}")
    blocks = [*found["alone"], *found["watched"]]
    for name in ("report", "progress"):
        times, cpu = sum(one[name][0] for one in blocks), sum(one[name][1] for one in blocks)
        share = 100 * cpu / sum(one["cpu"] for one in blocks)
        print(
            f"\n{name}: {times} calls, {1000 * cpu / max(times, 1):.3f} ms of CPU each, {share:.2f} % of the training's"
        )
    print(
        f"\nserver: {sum(servers):.1f} CPU s in {beside:.0f} s, {100 * sum(servers) / beside:.2f} % of a core; {counts}"
    )


def _spread(values: list[float], digits: int = 1) -> str:
    middle = statistics.median(values)
    return f"{middle:.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


if __name__ == "__main__":
    main()

"""What a million planned files take of memory: names, jobs and records, without a network.

    python benchmarks/many_files.py [--files 100000]

Lists names as if they had been found, plans outputs in another format, takes one of eight shards, and counts a record
for each. Prints bytes per file held at the end and at most (tracemalloc).
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import torch

from common import report
from translate.inference import jobs as jobs_module
from translate.inference.jobs import plan
from translate.inference.records import Outcome, Record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    count = options.files
    tracemalloc.start()
    begun = time.perf_counter()
    with mock.patch.object(jobs_module, "iterate_images", lambda folder, *notes: found(folder, count)):
        jobs = plan(Path.cwd(), Path.cwd().with_name("never-written"), "png")
    planned, most = tracemalloc.get_traced_memory()
    rows = [{"what": "planned", "files": count, "bytes each": planned / count, "at most": most / count}]
    tracemalloc.reset_peak()
    outcome = Outcome()
    for job in jobs:
        outcome.add(Record(job.source, job.output, "written", (256, 256), 0.1))
    share = jobs.shard(1, 8)
    ended, most = tracemalloc.get_traced_memory()
    what = f"all recorded, one shard of {len(share):,} taken"
    rows.append(
        {"what": what, "files": outcome.counts["written"], "bytes each": ended / count, "at most": most / count}
    )
    seconds = time.perf_counter() - begun
    report("many_files", torch.device("cpu"), rows, options.json, seconds=seconds)


def found(folder: Path, count: int) -> Iterator[Path]:
    """Paths of a thousand files a folder, one in a thousand of them twice in different formats."""
    for number in range(count):
        suffix = ".png" if number % 1000 == 1 else ".jpg"
        yield folder / f"{number // 1000:05}" / f"image-{number - (number % 1000 == 1):08}{suffix}"


if __name__ == "__main__":
    main()

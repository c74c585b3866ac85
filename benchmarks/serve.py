"""`translate serve` under load: many photos from many clients at once, and what became of each.

    python benchmarks/serve.py RUN [--to DOMAIN] [--photos 200] [--clients 20] [--side 256] [--device cpu]

`translate convert` translates the photos first; the server's answers must be the same bytes, each for the client that
sent the photo, and a client's answers in the order of its photos. Row by row, a client has so many photos `under way`
at once; one that is refused for now (429) comes again after the time that the server names. Seconds are from the first
try to the translation. Memory is the server's highest resident set since it started, of which `before` had been reached
when it printed its link; on Linux only.
"""

from __future__ import annotations

import argparse
import http.client
import io
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import numpy as np
import torch
from PIL import Image

from common import report

BOUNDARY = "boundary-of-photos"


@dataclass(frozen=True)
class Answered:
    """What became of a photo: the translation, seconds until it was there, and how often it was sent again."""

    body: bytes
    seconds: float
    again: int


def photos(count: int, side: int) -> dict[str, bytes]:
    """Different photos, as JPEG, by name."""
    found = {}
    for number in range(count):
        coarse = np.random.default_rng(number).integers(0, 256, (9, 9, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=92)
        found[f"{number:04d}.jpg"] = buffer.getvalue()
    return found


def by_command(run: Path, given: dict[str, bytes], options: list[str]) -> tuple[dict[str, bytes], float]:
    """What `translate convert` makes of the photos, and in how many seconds, start included."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "in").mkdir()
        for name, data in given.items():
            (folder / "in" / name).write_bytes(data)
        began = time.perf_counter()
        command = ["-m", "translate", "convert", run, folder / "in", folder / "out", "-q", *options]
        subprocess.run([sys.executable, *map(str, command)], check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - began
        return {name: (folder / "out" / name).read_bytes() for name in given}, seconds


@contextmanager
def serving(run: Path, device: str) -> Iterator[tuple[str, int]]:
    """A server of the run: its link, and the number of its process, which is ended by SIGTERM."""
    command = [sys.executable, "-m", "translate", "serve", str(run), "--port", "0", "--device", device]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process.pid
        finally:
            process.terminate()
    if process.returncode:
        raise SystemExit(f"the server ended with {process.returncode}")


def peak(process: int) -> float | None:
    """Its highest resident set, in MiB."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    except OSError:
        return None
    return int(found[1]) / 1024 if found else None


def send(link: str, to: str | None, name: str, data: bytes) -> Answered:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n\r\n'
    body = head.encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()
    path = "/api/convert?" + urlencode({"to": to} if to else {})
    began, again = time.perf_counter(), 0
    while True:
        connection = http.client.HTTPConnection(urlsplit(link).netloc)
        connection.request("POST", path, body, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if answer.status == 200:
            return Answered(content, time.perf_counter() - began, again)
        if answer.status != 429:
            raise SystemExit(f"{name}: {answer.status} {content.decode()}")
        again += 1
        time.sleep(float(answer.headers["Retry-After"]))


def client(
    link: str, to: str | None, mine: dict[str, bytes], under_way: int, start: threading.Barrier
) -> list[Answered]:
    """The answers to a client's photos, in the order of its photos."""
    start.wait()
    with ThreadPoolExecutor(under_way) as threads:
        return list(threads.map(lambda item: send(link, to, *item), mine.items()))


def row(
    link: str, to: str | None, given: dict[str, bytes], right: dict[str, bytes], clients: int, under_way: int
) -> dict:
    names = list(given)
    shares = [{name: given[name] for name in names[number::clients]} for number in range(clients)]
    start = threading.Barrier(clients + 1)
    with ThreadPoolExecutor(clients) as threads:
        waiting = [threads.submit(client, link, to, share, under_way, start) for share in shares]
        start.wait()
        began = time.perf_counter()
        answers = [one.result() for one in waiting]
        whole = time.perf_counter() - began
    pairs = [
        (name, one) for share, each in zip(shares, answers, strict=True) for name, one in zip(share, each, strict=True)
    ]
    seconds = sorted(one.seconds for _, one in pairs)
    return {
        "clients": clients,
        "under way": under_way,
        "photos": len(given),
        "answered": len(pairs),
        "right": sum(one.body == right[name] for name, one in pairs),
        "sent again": sum(one.again for _, one in pairs),
        "photos/s": len(pairs) / whole,
        "p50 s": statistics.median(seconds),
        "p99 s": seconds[min(len(seconds) - 1, round(0.99 * len(seconds)))],
        "most s": seconds[-1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--to")
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    wanted = photos(given.photos, given.side)
    options = ["--device", given.device, *(["--to", given.to] if given.to else [])]
    right, alone = by_command(given.run, wanted, options)
    rows: list[dict[str, Any]] = []
    for under_way in (1, max(1, given.photos // given.clients)):
        with serving(given.run, given.device) as (link, process):
            before = peak(process)
            found = row(link, given.to, wanted, right, given.clients, under_way)
            rows.append({**found, "before MiB": before, "peak MiB": peak(process)})
    report("serve", torch.device(given.device), rows, given.json, convert_seconds=alone, side=given.side)
    if any(one["right"] != given.photos for one in rows):
        raise SystemExit("a photo was lost, or came back as another")


if __name__ == "__main__":
    main()

"""Images a second on one core, from files to a batch of 256-pixel crops of 286-pixel images.

    python benchmarks/data.py                       # JPEGs of 1/f noise, 256 x 256, quality 90
    python benchmarks/data.py --images FOLDER       # your own

Every way works on the same images, on one thread, round by round beside the others; the figures are medians of the
rounds, by the clock and by processor time, which others' work on the machine disturbs less. `plain` is what the widely
used PyTorch port does: PIL and torchvision, image by image, collated. No first pass that keeps Pillow's pixels is
faster than `decode and resize alone`.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from common import report
from translate.data.batch import Plain
from translate.data.cache.device import on_device
from translate.data.cache.disk import DiskCache
from translate.data.cache.memory import Cache, Memory
from translate.data.crops import Cropping
from translate.data.decoding import Decoding
from translate.data.io.images import Picture, write
from translate.data.layouts.listing import iterate_images
from translate.data.loader import Loader
from translate.data.source_file import Source
from translate.training.runtime import Runtime

SIZE, LOAD_SIZE, BATCH = 256, 286, 16
DECODING = Decoding(3, LOAD_SIZE)
ROOM = 1 << 40
CPU = torch.device("cpu")
Way = Callable[[int], None]
"""Makes so many batches."""


def noise_images(folder: Path, count: int) -> list[Path]:
    """JPEGs whose spectrum falls like that of photographs."""
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE)[None])
    frequency[0, 0] = 1
    paths = [folder / f"{number}.jpg" for number in range(count)]
    for path in paths:
        planes = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(3, SIZE, SIZE))) / frequency)
        planes = planes / planes.std() * 50 + 128
        write(path, Picture(planes.clip(0, 255).astype(np.uint8).transpose(1, 2, 0)), quality=90)
    return paths


def plain_way(paths: list[Path]) -> Way:
    """PIL and torchvision for each image, then collated, in random order."""
    from torch.utils.data import DataLoader
    from torchvision import transforms

    transform = transforms.Compose(
        [
            transforms.Resize([LOAD_SIZE, LOAD_SIZE], transforms.InterpolationMode.BICUBIC),
            transforms.RandomCrop(SIZE),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize((0.5,) * 3, (0.5,) * 3),
        ]
    )

    class Images(torch.utils.data.Dataset[torch.Tensor]):
        def __len__(self) -> int:
            return len(paths)

        def __getitem__(self, index: int) -> torch.Tensor:
            return transform(Image.open(paths[index]).convert("RGB"))

    def endless() -> Iterator[torch.Tensor]:
        while True:
            yield from DataLoader(Images(), BATCH, shuffle=True, drop_last=True)

    batches = endless()
    return lambda count: exhaust(batches, count)


def bare_way(paths: list[Path]) -> Way:
    """Pillow alone, and no batch."""
    endless = itertools.cycle(paths)

    def way(count: int) -> None:
        for path in itertools.islice(endless, count * BATCH):
            Image.open(path).convert("RGB").resize((LOAD_SIZE, LOAD_SIZE), Image.Resampling.BICUBIC)

    return way


def exhaust(batches: Iterator[Any], count: int) -> None:
    for _ in range(count):
        next(batches)


class Ways:
    """Our ways to a batch, over one list of files; `folder` is for what is kept in files."""

    def __init__(self, paths: list[Path], folder: Path) -> None:
        self._sources, self._folder = tuple(map(Source, paths)), folder
        self._fresh = 0

    def all(self) -> dict[str, Way]:
        self._over(self._files("kept"))(-(-len(self._sources) // BATCH))
        return {
            "first pass, nothing kept": self._over(Memory(0)),
            "first pass, into memory": lambda count: self._over(Memory(ROOM))(count),
            "first pass, into files": lambda count: self._over(self._new_files())(count),
            "from memory": self._warm(Memory(ROOM)),
            "from memory, to float32 on the CPU": self._placed(),
            "from files": self._warm(self._files("kept")),
            "from files, opened anew": lambda count: self._over(self._files("kept"))(count),
            "from files, not in the page cache": lambda count: self._over(self._files("kept"))(count),
            "from the device, here the CPU": self._device(),
        }

    def _loader(self, cache: Cache) -> Loader[Plain]:
        return Loader([self._sources], Plain, DECODING, Cropping(SIZE), batch_size=BATCH, cache=cache)

    def _files(self, name: str) -> DiskCache:
        return DiskCache(self._folder / name, ROOM, DECODING)

    def _new_files(self) -> DiskCache:
        shutil.rmtree(self._folder / f"new-{self._fresh}", ignore_errors=True)
        self._fresh += 1
        return self._files(f"new-{self._fresh}")

    def _over(self, cache: Cache) -> Way:
        return lambda count: exhaust(self._loader(cache).stream(), count)

    def _warm(self, cache: Cache) -> Way:
        stream = self._loader(cache).stream()
        exhaust(stream, 1 + len(self._sources) // BATCH)
        return lambda count: exhaust(stream, count)

    def _placed(self) -> Way:
        runtime, stream = Runtime(CPU, channels_last=True), self._loader(Memory(ROOM)).stream()
        exhaust(stream, 1 + len(self._sources) // BATCH)
        return lambda count: exhaust(map(runtime.place, stream), count)

    def drop(self) -> bool:
        """Asks the system to forget the kept files; False where it cannot be asked."""
        if not hasattr(os, "posix_fadvise"):
            return False
        for path in (self._folder / "kept").rglob("*.pixels"):
            with open(path, "rb+") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return True

    def _device(self) -> Way:
        stream = on_device(self._loader(Memory(0)), CPU, ROOM, lambda line: None)(0)
        return lambda count: exhaust(stream, count)


Speeds = dict[str, list[tuple[float, float]]]
"""Images by seconds on the clock and by seconds of the processor, in every round."""


def measure(ways: dict[str, Way], rounds: int, batches: int, drop: Callable[[], bool]) -> Speeds:
    speeds: Speeds = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            if "page cache" in name and not drop():
                continue
            begun, worked = time.perf_counter(), time.process_time()
            way(batches)
            seconds, work = time.perf_counter() - begun, time.process_time() - worked
            speeds[name].append((batches * BATCH / seconds, batches * BATCH / work))
    return {name: found for name, found in speeds.items() if found}


def table(speeds: Speeds) -> list[dict[str, Any]]:
    medians = {
        name: [statistics.median(column) for column in zip(*found, strict=True)] for name, found in speeds.items()
    }
    (plain, plain_work), rows = medians["plain"], []
    for name, (clock, work) in medians.items():
        rows.append(
            {
                "way": name,
                "images/s": round(clock, 1),
                "x plain": round(clock / plain, 2),
                "images/s of processor time": round(work, 1),
                "x plain by processor time": round(work / plain_work, 2),
                "least": round(min(speeds[name])[0], 1),
                "most": round(max(speeds[name])[0], 1),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=Path, help="a folder of images; default: JPEGs of noise")
    parser.add_argument("--count", type=int, default=160, help="how many of them; at least a batch")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        paths = list(iterate_images(options.images)) if options.images else noise_images(Path(folder), options.count)
        paths = paths[: options.count]
        if len(paths) < BATCH:
            sys.exit(f"{options.images}: {len(paths)} images; at least {BATCH} are needed")
        ours = Ways(paths, Path(folder) / "kept")
        ways = {"plain": plain_way(paths), "decode and resize alone": bare_way(paths), **ours.all()}
        ways["plain"](1)
        # As many batches as are full, so that a first pass decodes every image once.
        speeds = measure(ways, options.rounds, len(paths) // BATCH, ours.drop)
    rows = table(speeds)
    settings = {
        "images": str(options.images.name) if options.images else "1/f noise, 256 x 256, JPEG quality 90",
        "count": len(paths),
        "crop": SIZE,
        "load_size": LOAD_SIZE,
        "batch": BATCH,
        "rounds": options.rounds,
    }
    report("data", CPU, rows, options.json, settings=settings)


if __name__ == "__main__":
    main()

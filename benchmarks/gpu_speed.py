"""What is timed on a GPU: steps, memory, conversion and a short real training. Each function returns rows."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import step
from common import build_model, interleaved, place, random_batch, summary, trainer_of, wait
from translate.data.batch import Batch, Unpaired
from translate.data.cache.memory import Memory
from translate.data.crops import Cropping
from translate.data.decoding import Decoding
from translate.data.layouts.folders import open_folder
from translate.data.loader import Loader
from translate.inference.converter import Converter
from translate.inference.folder import convert_folder
from translate.inference.jobs import plan
from translate.inference.options import OutputOptions
from translate.models.base import ImageSpec
from translate.training.prefetch import OneStream, Prefetcher, prefetch
from translate.training.runtime import Runtime, choose_runtime
from translate.training.schedules import ScheduleSettings

Row = dict[str, Any]
RECIPE_STEPS = 266_800  # horse2zebra, 200 epochs of batch 1
WARM_UP = 10


def steps(device: torch.device, rates: dict[str, float], seconds: float, small: bool, compiled: bool) -> list[Row]:
    """The table of `step.py`: the port's way and every option."""
    cases = [("cyclegan", 256, 1), ("cyclegan", 256, 16), ("pix2pix", 256, 1), ("stargan", 128, 16)]
    cases = [(name, 32, 2) for name in ("cyclegan", "pix2pix", "stargan")] if small else cases
    rows: list[Row] = []
    began = time.perf_counter()
    for number, (name, size, batch) in enumerate(cases):
        left = seconds - (time.perf_counter() - began)
        if left < 0.1 * seconds:
            rows.append({"model": name, "size": size, "batch": batch, "way": "left out: no time"})
            continue
        chosen = step.ways(device, compiled=compiled and number == 0)
        share = left / (len(cases) - number) / 2  # the other half warms up
        rows += step.measure(
            name, size, batch, device, chosen, rates, rounds=2 if small else 5, seconds=share, small=small
        )
        _forget(device)
    return rows


def memory(device: torch.device, small: bool) -> list[Row]:
    """Peak of the memory that torch allocated in four steps."""
    rows = []
    auto = choose_runtime(str(device))
    ways = {
        "plain": choose_runtime(str(device), options="plain"),
        "auto": auto,
        "auto, captured": replace(auto, cuda_graphs=device.type == "cuda"),
    }
    cases = [("cyclegan", 1), ("cyclegan", 4), ("pix2pix", 1)]
    for name, batch in cases[:1] if small else cases:
        for way, runtime in ways.items():
            _forget(device)
            trainer = trainer_of(build_model(name, 32 if small else 256, small), runtime)
            given = place(random_batch(trainer.model, 32 if small else 256, batch), runtime)
            for _ in range(4):
                trainer.step(given)
            peak = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None
            rows.append({"model": name, "batch": batch, "way": way, "peak GiB": peak})
    return rows


def _forget(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    torch.compiler.reset()


def host_work(device: torch.device, small: bool) -> list[Row]:
    """Milliseconds of the processor, and of the clock, for a step: of a batch that lies there, and of one that a loader
    hands over, placed where the step runs or on a second stream."""
    rows = []
    auto = choose_runtime(str(device))
    for way, runtime in {"auto": auto, "auto, captured": replace(auto, cuda_graphs=device.type == "cuda")}.items():
        trainer = trainer_of(build_model("cyclegan", 32 if small else 256, small), runtime)
        given = random_batch(trainer.model, 32 if small else 256, 1)
        loaded = given.map(partial(_as_loaded, pin=device.type == "cuda"))
        feeds: dict[str, Iterator[Batch] | Prefetcher] = {
            "lies there": repeat(place(given, runtime)),
            "one stream": OneStream(runtime, repeat(loaded)),
            "as trained": prefetch(runtime, repeat(loaded)),
        }
        for fed, batches in feeds.items():
            for _ in range(5):
                trainer.step(next(batches))
            count = 3 if small else 50
            wait(device)
            start, busy = time.perf_counter(), time.process_time()
            for _ in range(count):
                trainer.step(next(batches))
            busy = (time.process_time() - busy) / count  # of all threads: autograd launches from one of its own
            wait(device)
            whole = (time.perf_counter() - start) / count
            rows.append({"way": way, "batch": fed, "host ms": 1e3 * busy, "step ms": 1e3 * whole})
    return rows


def _as_loaded(images: Tensor, pin: bool) -> Tensor:
    pixels = ((images + 1) * 127.5).to(torch.uint8).contiguous(memory_format=torch.channels_last)
    return pixels.pin_memory() if pin else pixels


def conversion(device: torch.device, small: bool, seconds: float) -> list[Row]:
    """Images a second through the generator alone, and from JPEG files to JPEG files."""
    size = 32 if small else 256
    ways = {"plain": choose_runtime(str(device), options="plain"), "auto": choose_runtime(str(device))}
    rows: list[Row] = []
    for batch in (1,) if small else (1, 8, 32):
        works: dict[str, Callable[[], Any]] = {}
        for way, runtime in ways.items():
            model = build_model("cyclegan", size, small).eval()
            runtime.adopt(model)
            given = runtime.layout((torch.rand(batch, 3, size, size) * 2 - 1).to(device))
            works[way] = partial(_converted, model, runtime, given)
        times = interleaved(works, device, rounds=5, seconds=seconds / 6, repeats=2 if small else 10, warm_up=2)
        for way, seen in times.items():
            rows.append({"what": "network", "way": way, "batch": batch, "images/s": batch / summary(seen)["median"]})
    return rows + _folders(ways, size, small)


@torch.no_grad()
def _converted(model: Any, runtime: Runtime, images: torch.Tensor) -> torch.Tensor:
    with runtime.autocast():
        return model.convert(images, 1)


def _folders(ways: dict[str, Runtime], size: int, small: bool) -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "in"
        picture_folder(source, 8 if small else 1000, size)
        for way, runtime in ways.items():
            images = ImageSpec(3, size, ("a", "b"))
            converter = Converter(build_model("cyclegan", size, small), images, runtime)  # type: ignore[arg-type]
            jobs = plan(source, Path(temporary) / way)
            options = OutputOptions(workers=8, batch=1 if way == "plain" else 32)
            start = time.perf_counter()
            outcome = convert_folder(converter, jobs, converter.request("b"), options)
            taken = time.perf_counter() - start
            what = f"folder: {outcome.failed[0].error}" if outcome.failed else f"folder of {len(jobs)}"
            rows.append({"what": what, "way": way, "batch": options.batch, "images/s": len(jobs) / taken})
    return rows


def picture_folder(folder: Path, count: int, size: int) -> None:
    """JPEG files of smooth noise."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        coarse = rng.integers(0, 256, (size // 8, size // 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC).save(folder / f"{number:04}.jpg")


def training(device: torch.device, data: Path | None, small: bool, seconds: float) -> list[Row]:
    """CycleGAN on real images for so many seconds, as `translate train` would: loader, options, learning rates."""
    rows = []
    auto = choose_runtime(str(device))
    with tempfile.TemporaryDirectory() as temporary:
        folder = data or _pretended(Path(temporary))
        cuda_graphs = replace(auto, cuda_graphs=device.type == "cuda")
        ways: dict[str, tuple[Runtime, Callable[[Runtime, Iterator[Batch]], Prefetcher]]] = {
            "auto": (auto, prefetch),
            "auto, captured": (cuda_graphs, prefetch),
            "auto, captured, one stream": (cuda_graphs, OneStream),
        }
        for way, (runtime, feeding) in ways.items():
            rows.append({"way": way, "data": folder.name, **_trained(runtime, feeding, folder, small, seconds / 3)})
    return rows


def _pretended(root: Path) -> Path:
    for name in ("trainA", "trainB", "testA", "testB"):
        picture_folder(root / name, 4, 64)
    return root


def _trained(
    runtime: Runtime, feeding: Callable[[Runtime, Iterator[Batch]], Prefetcher], data: Path, small: bool, seconds: float
) -> Row:
    size = 32 if small else 256
    split = open_folder(data, wanted="unpaired", layout="unpaired").splits["train"]
    loader = Loader(
        split,
        Unpaired,
        Decoding(3, round(size * 286 / 256)),
        Cropping(size),
        workers=8,
        cache=Memory(4 * 10**9),
    )
    trainer = trainer_of(build_model("cyclegan", size, small), runtime)
    trainer.curve = ScheduleSettings(decay_from=0.5).curve(RECIPE_STEPS)
    stream = loader.stream(pin=runtime.device.type == "cuda")
    batches = feeding(runtime, stream)
    timed, start = 0, 0.0
    first: dict[str, float] = {}
    began = time.perf_counter()
    while trainer.steps <= WARM_UP or time.perf_counter() - began < seconds:
        if trainer.steps == WARM_UP:  # those that warm up and record are not timed
            first = trainer.read_losses()
            start, timed = time.perf_counter(), 0
            batches = feeding(runtime, stream)
        trainer.step(next(batches))
        timed += 1
        if trainer.steps % 50 == 0:
            wait(runtime.device)  # as logging does
    wait(runtime.device)
    taken = time.perf_counter() - start
    stream.close()
    last, skips = trainer.read_losses(), trainer.read_skips()
    return {
        "steps": trainer.steps,
        "ms a step": 1e3 * taken / timed,
        "waited for data": batches.share,
        "minutes for 266,800 steps": RECIPE_STEPS * taken / timed / 60,
        "cycle a, first": first.get("generators/cycle/a"),
        "cycle a, last": last.get("generators/cycle/a"),
        "skipped": sum(skip.ever for skip in skips.values()),
    }

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
from translate.data.layouts.folders import open_folder
from translate.data.loader import Loader
from translate.inference.converter import Converter
from translate.inference.folder import convert_folder
from translate.inference.jobs import plan
from translate.models.base import ImageSpec
from translate.training.optim import learning_rate
from translate.training.prefetch import Feed, OneStream, feed
from translate.training.runtime import Engine, choose_engine

Row = dict[str, Any]
RECIPE_STEPS = 266_800  # horse2zebra, 200 epochs of batch 1
WARM_UP = 10


def steps(device: torch.device, rates: dict[str, float], seconds: float, small: bool, compiled: bool) -> list[Row]:
    """The table of `step.py`: the port's way and every lever."""
    cases = [("cyclegan", 256, 1), ("cyclegan", 256, 16), ("pix2pix", 256, 1), ("stargan", 128, 16)]
    cases = [(name, 32, 2) for name in ("cyclegan", "pix2pix", "stargan")] if small else cases
    rows: list[Row] = []
    began = time.perf_counter()
    for number, (name, size, batch) in enumerate(cases):
        left = seconds - (time.perf_counter() - began)
        if left < 0.1 * seconds:
            rows.append({"model": name, "size": size, "batch": batch, "way": "left out: no time"})
            continue
        chosen = step.levers(device, compiled=compiled and number == 0)
        share = left / (len(cases) - number) / 2  # the other half warms up
        rows += step.measure(
            name, size, batch, device, chosen, rates, rounds=2 if small else 5, seconds=share, small=small
        )
        _forget(device)
    return rows


def memory(device: torch.device, small: bool) -> list[Row]:
    """Peak of the memory that torch allocated in four steps."""
    rows = []
    auto = choose_engine(str(device))
    ways = {
        "plain": choose_engine(str(device), levers="plain"),
        "auto": auto,
        "auto, captured": replace(auto, captured=device.type == "cuda"),
    }
    cases = [("cyclegan", 1), ("cyclegan", 4), ("pix2pix", 1)]
    for name, batch in cases[:1] if small else cases:
        for way, engine in ways.items():
            _forget(device)
            trainer = trainer_of(build_model(name, 32 if small else 256, small), engine)
            given = place(random_batch(trainer.model, 32 if small else 256, batch), engine)
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
    auto = choose_engine(str(device))
    for way, engine in {"auto": auto, "auto, captured": replace(auto, captured=device.type == "cuda")}.items():
        trainer = trainer_of(build_model("cyclegan", 32 if small else 256, small), engine)
        given = random_batch(trainer.model, 32 if small else 256, 1)
        loaded = given.map(partial(_as_loaded, pin=device.type == "cuda"))
        feeds: dict[str, Iterator[Batch] | Feed] = {
            "lies there": repeat(place(given, engine)),
            "one stream": OneStream(engine, repeat(loaded)),
            "as trained": feed(engine, repeat(loaded)),
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
    ways = {"plain": choose_engine(str(device), levers="plain"), "auto": choose_engine(str(device))}
    rows: list[Row] = []
    for batch in (1,) if small else (1, 8, 32):
        works: dict[str, Callable[[], Any]] = {}
        for way, engine in ways.items():
            model = build_model("cyclegan", size, small).eval()
            engine.adopt(model)
            given = engine.layout((torch.rand(batch, 3, size, size) * 2 - 1).to(device))
            works[way] = partial(_converted, model, engine, given)
        times = interleaved(works, device, rounds=5, seconds=seconds / 6, repeats=2 if small else 10, warm_up=2)
        for way, seen in times.items():
            rows.append({"what": "network", "way": way, "batch": batch, "images/s": batch / summary(seen)["median"]})
    return rows + _folders(ways, size, small)


@torch.no_grad()
def _converted(model: Any, engine: Engine, images: torch.Tensor) -> torch.Tensor:
    with engine.autocast():
        return model.convert(images, 1)


def _folders(ways: dict[str, Engine], size: int, small: bool) -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "in"
        picture_folder(source, 8 if small else 1000, size)
        for way, engine in ways.items():
            images = ImageSpec(3, size, ("a", "b"))
            converter = Converter(build_model("cyclegan", size, small), images, engine)  # type: ignore[arg-type]
            jobs = plan(source, Path(temporary) / way)
            options = {"workers": 8, "batch_size": 1 if way == "plain" else 32}
            start = time.perf_counter()
            outcome = convert_folder(converter, jobs, converter.changes("b"), **options)  # type: ignore[arg-type]
            taken = time.perf_counter() - start
            what = f"folder: {outcome.failed[0].error}" if outcome.failed else f"folder of {len(jobs)}"
            rows.append({"what": what, "way": way, "batch": options["batch_size"], "images/s": len(jobs) / taken})
    return rows


def picture_folder(folder: Path, count: int, size: int) -> None:
    """JPEG files of smooth noise."""
    folder.mkdir(parents=True)
    dice = np.random.default_rng(0)
    for number in range(count):
        coarse = dice.integers(0, 256, (size // 8, size // 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC).save(folder / f"{number:04}.jpg")


def training(device: torch.device, data: Path | None, small: bool, seconds: float) -> list[Row]:
    """CycleGAN on real images for so many seconds, as `translate train` would: loader, levers, learning rates."""
    rows = []
    auto = choose_engine(str(device))
    with tempfile.TemporaryDirectory() as temporary:
        folder = data or _pretended(Path(temporary))
        captured = replace(auto, captured=device.type == "cuda")
        ways: dict[str, tuple[Engine, Callable[[Engine, Iterator[Batch]], Feed]]] = {
            "auto": (auto, feed),
            "auto, captured": (captured, feed),
            "auto, captured, one stream": (captured, OneStream),
        }
        for way, (engine, feeding) in ways.items():
            rows.append({"way": way, "data": folder.name, **_trained(engine, feeding, folder, small, seconds / 3)})
    return rows


def _pretended(root: Path) -> Path:
    for name in ("trainA", "trainB", "testA", "testB"):
        picture_folder(root / name, 4, 64)
    return root


def _trained(
    engine: Engine, feeding: Callable[[Engine, Iterator[Batch]], Feed], data: Path, small: bool, seconds: float
) -> Row:
    size = 32 if small else 256
    split = open_folder(data, wanted="unpaired", layout="unpaired").splits["train"]
    loader = Loader(
        split, make=Unpaired, channels=3, size=size, load_size=round(size * 286 / 256), workers=8, cache_bytes=4 * 10**9
    )
    trainer = trainer_of(build_model("cyclegan", size, small), engine)
    trainer.curve = learning_rate("linear", RECIPE_STEPS, 0.5)
    stream = loader.stream(pin=engine.device.type == "cuda")
    batches = feeding(engine, stream)
    timed, start = 0, 0.0
    first: dict[str, float] = {}
    began = time.perf_counter()
    while trainer.steps <= WARM_UP or time.perf_counter() - began < seconds:
        if trainer.steps == WARM_UP:  # those that warm up and record are not timed
            first = trainer.read_losses()
            start, timed = time.perf_counter(), 0
            batches = feeding(engine, stream)
        trainer.step(next(batches))
        timed += 1
        if trainer.steps % 50 == 0:
            wait(engine.device)  # as logging does
    wait(engine.device)
    taken = time.perf_counter() - start
    stream.close()
    last, skips = trainer.read_losses(), trainer.read_skips()
    return {
        "steps": trainer.steps,
        "ms a step": 1e3 * taken / timed,
        "waited for data": batches.share,
        "minutes for 266,800 steps": RECIPE_STEPS * taken / timed / 60,
        "cycle a, first": first.get("generators/cycle a"),
        "cycle a, last": last.get("generators/cycle a"),
        "skipped": sum(skip.ever for skip in skips.values()),
    }

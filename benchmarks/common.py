"""What the benchmarks share: the machine, models at random, the port's way of a step, interleaved timing, tables."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from translate.data.batch import Batch, Labelled, Plain, SourceLabelled
from translate.data.labels import LabelGroup
from translate.models import MODELS
from translate.models.base import ImageSpec, Model
from translate.networks.blocks import InstanceNorm2d
from translate.training.optim import build_optimizer
from translate.training.runtime import Runtime
from translate.training.trainer import Trainer

RESULTS = Path(__file__).resolve().parent / "results"
CLASSES = 5
PACKAGES = ("torchvision", "numpy", "pillow", "opencv-python-headless", "onnxruntime", "openvino")

# For a quick look, and for the test that the benchmarks run at all.
SMALL: dict[str, dict[str, Any]] = {
    "cyclegan": {"generator": {"kind": "resnet", "filters": 4, "blocks": 1}, "discriminator": {"filters": 4}},
    "pix2pix": {"generator": {"kind": "unet", "filters": 4}, "discriminator": {"filters": 4, "normalisation": "batch"}},
    "stargan": {"generator": {"filters": 4, "blocks": 1}, "discriminator": {"filters": 4, "layers": 3}},
}


def machine(device: torch.device) -> dict[str, Any]:
    """Where and with what something was measured."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "packages": {name: _version(name) for name in PACKAGES},
        "cuda": torch.version.cuda,
        "commit": _commit(),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _commit() -> str:
    """Of the checkout, `+` behind it where it was changed."""
    here = Path(__file__).parent
    try:
        run = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
        return subprocess.run(run, cwd=here, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def build_model(name: str, size: int, small: bool = False, settings: Mapping[str, Any] | None = None) -> Model:
    """The method as published (its settings' defaults), or a small one; `settings` lie over that."""
    torch.manual_seed(0)
    kind = MODELS[name]
    given = {"name": name, **(SMALL[name] if small else {}), **(settings or {})}
    if name == "pix2pix" and not small:
        given.setdefault("discriminator", {"normalisation": "batch"})
    groups = (LabelGroup(CLASSES, exclusive=True),) if kind.batch_type in (Labelled, SourceLabelled) else ()
    domains = tuple("abcde"[: CLASSES if kind.batch_type is Labelled else 2])
    images = ImageSpec(channels=3, size=size, domains=domains, groups=groups)
    return kind(kind.Config.model_validate_json(json.dumps(given)), images).train()


def random_batch(model: Model, size: int, batch: int, seed: int = 0) -> Batch:
    """Images evenly from [-1, 1], never zeros: those run faster than pictures on some hardware."""
    generator = torch.Generator().manual_seed(seed)
    one, two = (torch.rand(batch, 3, size, size, generator=generator) * 2 - 1 for _ in range(2))
    labels = torch.eye(CLASSES)[torch.arange(batch) % CLASSES]
    given = {Plain: [one], Labelled: [one, labels], SourceLabelled: [one, two, labels]}
    return model.batch_type(*given.get(model.batch_type, [one, two][: len(fields(model.batch_type))]))


def place(batch: Batch, runtime: Runtime) -> Batch:
    return batch.map(lambda values: _laid_out(values.to(runtime.device), runtime))


def _laid_out(values: Tensor, runtime: Runtime) -> Tensor:
    return runtime.layout(values) if values.dim() == 4 else values


def trainer_of(model: Model, runtime: Runtime, lr: float = 2e-4, seed: int = 0) -> Trainer:
    """As `translate train` builds it."""
    runtime.adopt(model)
    generators = [net for turn in model.turns() if turn.trains_generators for net in turn.networks]
    runtime.compile(generators)
    moved = {id(network) for turn in model.turns() for network in turn.networks}
    optimizers = {
        name: build_optimizer(network, "adam", lr, (0.5, 0.999), 0.0, fused=runtime.fused)
        for name, network in model.named_children()
        if id(network) in moved
    }
    return Trainer(model, optimizers, runtime, seed=seed)


class PlainStep:
    """A step as the widely used PyTorch port takes it, for the row `plain`.

    float32, contiguous NCHW, eager, torch's own instance norm with ReLU in place behind it, Adam as it is by default;
    a turn after another, discriminators frozen in the generators' turn; no guard, no dice per step. The networks are
    those of the model otherwise (same weights, same names).
    """

    def __init__(self, model: Model, device: torch.device) -> None:
        self.model = as_the_port_has_it(model).to(device)
        self.turns = model.turns()
        self.steps = 0
        self.optimizers = [
            torch.optim.Adam([w for net in turn.networks for w in net.parameters()], lr=2e-4, betas=(0.5, 0.999))
            for turn in self.turns
        ]

    def step(self, batch: Batch) -> None:
        self.steps += 1
        fakes = self.model.generate(batch)
        for turn, optimizer in zip(self.turns, self.optimizers, strict=True):
            if self.steps % turn.every:
                continue
            self.model.requires_grad_(False)
            for network in turn.networks:
                network.requires_grad_(True)
            images = fakes if turn.trains_generators else {name: image.detach() for name, image in fakes.items()}
            losses = turn.losses(batch, images)
            optimizer.zero_grad()
            torch.stack([loss for loss in losses.values() if loss.requires_grad]).sum().backward()
            optimizer.step()
            turn.after_step()
        self.model.requires_grad_(True)


def as_the_port_has_it(model: Model) -> Model:
    """The same weights with torch's own instance norm, and ReLUs in place."""
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, InstanceNorm2d):
                own = nn.InstanceNorm2d(child.channels, eps=child.eps, affine=child.weight is not None)
                own.load_state_dict(child.state_dict())
                setattr(module, name, own)
            elif isinstance(child, nn.ReLU | nn.LeakyReLU):
                child.inplace = True
    return model


def matrix_rate(device: torch.device, dtype: torch.dtype, seconds: float = 1.0) -> float:
    """FLOP/s of the best square matrix product of random numbers, in this process, now."""
    side = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    times = []
    began = time.perf_counter()
    while len(times) < 4 or time.perf_counter() - began < seconds:
        times.append(seconds_of(lambda: a @ b, device))
    return 2 * side**3 / min(times[1:])


def seconds_of(work: Callable[[], Any], device: torch.device) -> float:
    wait(device)
    start = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - start


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def interleaved(
    works: Mapping[str, Callable[[], Any]],
    device: torch.device,
    rounds: int,
    seconds: float,
    repeats: int = 1,
    warm_up: int = 1,
) -> dict[str, list[float]]:
    """Seconds of each work, in rounds that take one after another, so that a slow minute slows all of them.

    Ends after `rounds`, or after the round in which `seconds` have passed; a time is the mean of `repeats` calls.
    """

    def repeated(work: Callable[[], Any]) -> None:
        for _ in range(repeats):
            work()

    for work in works.values():
        for _ in range(warm_up):
            work()
    times: dict[str, list[float]] = {name: [] for name in works}
    began = time.perf_counter()
    for _ in range(rounds):
        for name, work in works.items():
            times[name].append(seconds_of(lambda work=work: repeated(work), device) / repeats)
        if time.perf_counter() - began > seconds:
            break
    return times


def summary(times: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(times), "best": min(times), "worst": max(times), "rounds": len(times)}


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table of rows with the same columns."""
    if not rows:
        return "(nothing was measured)\n"
    columns = list(rows[0])
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    lines += ["| " + " | ".join(_cell(row.get(column)) for column in columns) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}" if not 1000 <= abs(value) < 1e6 else f"{value:.0f}"
    return "" if value is None else str(value)


def report(
    name: str, device: torch.device, rows: Sequence[Mapping[str, Any]], given: Path | None = None, **facts: Any
) -> None:
    """Prints the table, and writes it with machine and facts to `given`, or benchmarks/results/NAME-DEVICE.json."""
    path = given or RESULTS / f"{name}-{device.type}.json"
    print(markdown(rows))
    write_json(path, {"machine": machine(device), **facts, "rows": rows})
    print(f"written to {path}", file=sys.stderr)


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, default=str) + "\n")


@contextlib.contextmanager
def port_settings(device: torch.device) -> Iterator[None]:
    """The port lets cuDNN try its algorithms; so does `translate train`."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = device.type == "cuda"
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before

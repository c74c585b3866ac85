"""What must be equal on a GPU before its speed counts; each function returns rows with a verdict in `right`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common import SMALL, build_model, interleaved, place, random_batch, trainer_of
from translate.data.batch import Unpaired
from translate.networks.blocks import InstanceNorm2d
from translate.training.cuda_graphs import WARM_UP, CudaRecorder, Recorder
from translate.training.prefetch import prefetch
from translate.training.runtime import Runtime, choose_runtime

Row = dict[str, Any]
TOLERANCE = {False: 1e-3, True: 0.7}
"""Of all gradients together to float64, without and with bf16. Signs of L1 and ReLU amplify rounding to about 0.4 in
bf16; a wrong gradient is off by more than 1."""
DICELESS: dict[str, dict[str, Any]] = {"cyclegan": {"pool": 0}, "pix2pix": {}}
"""At 32 pixels and below no U-Net of ours drops anything out."""


class Again:
    """Stands in for CUDA graphs on a CPU: what is recorded is called again."""

    def warm_up(self, work: Callable[[], None]) -> None:
        work()

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        return work


def options_against_float64(device: torch.device, compiled: bool = True) -> list[Row]:
    """Every gradient of one step on the device, against float64 on the CPU."""
    plain = choose_runtime(str(device), options="plain")
    auto = choose_runtime(str(device))
    engines = {
        "float32": plain,
        "fused": replace(plain, fused=True),
        "channels last": replace(plain, channels_last=True),
        "bf16": replace(plain, bf16=True),
        **({"products": replace(plain, conv_as_matmul=True)} if device.type == "cpu" else {}),
        "auto": auto,
    }
    if compiled:
        engines |= {"float32, compiled": replace(plain, compiled=True), "auto, compiled": replace(auto, compiled=True)}
    rows = []
    for model, settings in DICELESS.items():
        exact = _gradients(model, settings, Runtime(torch.device("cpu")), torch.float64)
        for name, runtime in engines.items():
            with _without_tf32():
                ours = _gradients(model, settings, runtime, torch.float32)
            error = ((ours - exact).norm() / exact.norm()).item()
            rows.append({"model": model, "way": name, "error": error, "right": error < TOLERANCE[runtime.bf16]})
    return rows


def _gradients(name: str, settings: dict[str, Any], runtime: Runtime, dtype: torch.dtype) -> Tensor:
    model = build_model(name, 32, small=True, settings=settings).to(dtype)
    for weight in model.parameters():
        weight.data.mul_(5)  # away from the small weights of the start, at which little depends on anything
    trainer = trainer_of(model, runtime, lr=1e-5)
    found: dict[Tensor, Tensor] = {}
    for weight in model.parameters():
        weight.register_post_accumulate_grad_hook(lambda w: found.update({w: w.grad.double().cpu().flatten()}))
    trainer.step(place(random_batch(model, 32, 1), runtime).map(lambda values: values.to(dtype)))
    return torch.cat([found[weight] for weight in model.parameters()])


@contextlib.contextmanager
def _without_tf32() -> Iterator[None]:
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def captured_against_eager(device: torch.device, steps: int = 20) -> list[Row]:
    """Weights after 20 steps, captured and eager, beside eager and eager again: what the kernels' order leaves open."""
    rows = []
    cuda_graphs = device.type == "cuda"
    for name in SMALL:
        for options in ("plain,fused", "auto"):
            runtime = choose_runtime(str(device), options=options)
            eager, again = (_weights_after(name, runtime, steps) for _ in range(2))
            replayed = _weights_after(name, replace(runtime, cuda_graphs=cuda_graphs), steps)
            error, noise = (_relative(other, eager) for other in (replayed, again))
            rows.append(
                {
                    "model": name,
                    "options": options,
                    "cuda graphs": cuda_graphs,
                    "to eager": error,
                    "eager to eager": noise,
                    "right": error <= max(10 * noise, 1e-5),
                }
            )
    return rows


def _weights_after(name: str, runtime: Runtime, steps: int) -> Tensor:
    model = build_model(name, 32, small=True)
    trainer = trainer_of(model, runtime, seed=7)
    for step in range(steps):
        trainer.step(place(random_batch(model, 32, 2, seed=step), runtime))
    return torch.cat([weight.detach().double().cpu().flatten() for weight in model.parameters()])


def _relative(ours: Tensor, theirs: Tensor) -> float:
    return ((ours - theirs).norm() / theirs.norm()).item()


def dice_of_a_replay(device: torch.device, recorder: Recorder | None = None) -> list[Row]:
    """Every kind of die, eager and replayed, after the same seed; and another seed must throw others."""
    recorder = recorder or CudaRecorder(device)
    odds = torch.full((1000,), 0.3, device=device)
    kinds: dict[str, Callable[[], Tensor]] = {
        "rand": lambda: torch.rand(1000, device=device),
        "randn": lambda: torch.randn(1000, device=device),
        "randint": lambda: torch.randint(50, (1000,), device=device).float(),
        "randperm": lambda: torch.randperm(16, device=device).float(),
        "bernoulli": lambda: torch.bernoulli(odds),
        "dropout": lambda: F.dropout(odds, 0.5),
        "two in a row": lambda: torch.cat([torch.rand(100, device=device), torch.randn(100, device=device)]),
    }
    rows = []
    for name, random_crop in kinds.items():
        out = torch.zeros_like(random_crop())
        for seed in range(WARM_UP):
            torch.manual_seed(seed)
            recorder.warm_up(lambda out=out, random_crop=random_crop: out.copy_(random_crop()))
        torch.manual_seed(99)
        replay = recorder.record(lambda out=out, random_crop=random_crop: out.copy_(random_crop()))
        seen = []
        for seed in (1, 2, 1):
            torch.manual_seed(seed)
            replay()
            seen.append(out.clone())
        torch.manual_seed(1)
        eager = random_crop()
        same, other = torch.equal(seen[0], eager) and torch.equal(seen[2], eager), not torch.equal(seen[0], seen[1])
        rows.append({"die": name, "as eager": same, "another seed, another throw": other, "right": same and other})
    return rows


def batches_on_a_second_stream(device: torch.device, steps: int = 50) -> list[Row]:
    """Fed as in a training, and read late, when the host has long let go of them: still what the loader gave."""
    rows = []
    runtime = choose_runtime(str(device))
    for pinned in (False, True) if device.type == "cuda" else (False,):
        given = [_pixels(step, pinned) for step in range(steps)]
        batches, seen = prefetch(runtime, (_pixels(step, pinned) for step in range(steps))), []
        work = torch.randn(1024 if device.type == "cpu" else 8192, 64, device=device)
        for _ in range(steps):
            batch = next(batches)
            (work @ work.T).square_().sum()
            seen.append([tensor.clone() for tensor in batch.tensors()])
            del batch
        expected = [runtime.place(batch).tensors() for batch in given]
        pairs = [pair for one, other in zip(seen, expected, strict=True) for pair in zip(one, other, strict=True)]
        wrong = sum(not torch.equal(one, other) for one, other in pairs)
        rows.append({"pinned": pinned, "batches": steps, "wrong": wrong, "right": wrong == 0})
    return rows


def _pixels(seed: int, pinned: bool) -> Unpaired:
    generator = torch.Generator().manual_seed(seed)
    shape = (4, 128, 128, 3)
    images = (torch.randint(256, shape, generator=generator, dtype=torch.uint8) for _ in "ab")
    return Unpaired(*((each.pin_memory() if pinned else each).permute(0, 3, 1, 2) for each in images))


def a_spoilt_step_moves_nothing(device: torch.device) -> list[Row]:
    """A batch of NaN between good ones, captured where the device can."""
    rows = []
    runtime = replace(choose_runtime(str(device)), cuda_graphs=device.type == "cuda")
    for name in SMALL:
        model = build_model(name, 32, small=True)
        trainer = trainer_of(model, runtime)
        pace = max(turn.every for turn in model.turns())
        for step in range(5 * pace):
            trainer.step(place(random_batch(model, 32, 2, seed=step), runtime))
        before = [weight.detach().clone() for weight in model.parameters()]
        spoilt = random_batch(model, 32, 2).map(lambda values: values * float("nan") if values.dim() == 4 else values)
        for _ in range(pace):
            trainer.step(place(spoilt, runtime))
        still = all(torch.equal(was, now) for was, now in zip(before, model.parameters(), strict=True))
        skipped = {turn: skips.ever for turn, skips in trainer.read_skips().items()}
        rows.append({"model": name, "skipped": str(skipped), "right": still and all(skipped.values())})
    return rows


def normalisations(device: torch.device, channels: int = 256, side: int = 64, seconds: float = 20.0) -> list[Row]:
    """Instance norm and ReLU, forward and backward: error of the input's gradient to float64, and milliseconds."""
    ways: dict[str, Callable[[Tensor], Tensor]] = {
        "ours": InstanceNorm2d(channels),
        "torch's own": nn.InstanceNorm2d(channels),
        "group norm": lambda x: F.group_norm(x, channels),
        "by hand": _by_hand,
    }
    rows = []
    formats = {"NCHW": torch.contiguous_format, "channels last": torch.channels_last}
    batches = (1, 2, 16) if device.type == "cuda" else (1, 2)
    cases = [(f, b, t) for f in formats for b in batches for t in (torch.float32, torch.bfloat16)]
    for layout, batch, dtype in cases:
        torch.manual_seed(0)
        x, g = (torch.randn(batch, channels, side, side).to(device, dtype) for _ in range(2))
        x, g = (values.contiguous(memory_format=formats[layout]) for values in (x, g))
        exact = _differentiated(_by_hand, x.double(), g.double())
        tried = dict(ways)
        if device.type == "cuda" and dtype == torch.bfloat16 and batch != 2:
            torch.compiler.reset()  # a compilation for each case, below the limit of recompilations
            tried["by hand, compiled"] = torch.compile(_by_hand, fullgraph=True)
        works = {name: lambda way=way, x=x, g=g: _differentiated(way, x, g) for name, way in tried.items()}
        errors = {name: _relative(work().double(), exact) for name, work in works.items()}
        times = interleaved(works, device, rounds=5, seconds=seconds / len(cases), repeats=5 if side < 64 else 20)
        for name, seen in times.items():
            rows.append(
                {
                    "way": name,
                    "format": layout,
                    "batch": batch,
                    "dtype": str(dtype).removeprefix("torch."),
                    "ms": 1e3 * sorted(seen)[len(seen) // 2],
                    "error": errors[name],
                    "right": errors[name] < (0.05 if dtype == torch.bfloat16 else 1e-3) or name != "ours",
                }
            )
    return rows


def _by_hand(features: Tensor) -> Tensor:
    wide = features.float() if features.dtype == torch.bfloat16 else features
    variance, mean = torch.var_mean(wide, (2, 3), correction=0, keepdim=True)
    return ((wide - mean) * torch.rsqrt(variance + 1e-5)).to(features.dtype)


def _differentiated(way: Callable[[Tensor], Tensor], features: Tensor, gradient: Tensor) -> Tensor:
    features = features.detach().requires_grad_()
    torch.relu(way(features)).backward(gradient)
    assert features.grad is not None
    return features.grad

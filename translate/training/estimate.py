"""Estimates what training takes on this machine (parameters, arithmetic, memory, hours, disk) from a few real steps."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from translate.data.batch import Batch
from translate.training.state import checkpoint_parts
from translate.training.trainer import Trainer
from translate.utils.amounts import duration_in_words, size_in_words
from translate.utils.progress import Progress

MEASURED = 10
"""Steps to measure: rounded up to whole rounds of turns, and fewer if they are slow."""
LEAST = 2
PATIENCE = 60.0
"""Seconds after which no further round of turns is started."""


@dataclass(frozen=True)
class Estimate:
    """What one recipe takes on one machine.

    `flops`: multiplications and additions in a step's convolutions and matrix products, forwards and backwards.
    `seconds`: of a step with its data, averaged over `measured` steps; `waiting`: those spent waiting for the batch.
    `memory`: bytes, of the kind named by `memory_of`; None if it could not be measured. `checkpoint`: bytes of one;
    `checkpoints`: the most that are kept at a time.
    """

    parameters: dict[str, int]
    flops: float
    seconds: float
    measured: int
    waiting: float
    memory: int | None
    memory_of: str
    checkpoint: int
    checkpoints: int
    steps: int
    runtime: str

    @property
    def hours(self) -> float:
        """Hours for all steps, without validation, samples and checkpoints."""
        return self.steps * self.seconds / 3600

    def lines(self) -> list[str]:
        networks = ", ".join(f"{name} {count:,}" for name, count in self.parameters.items())
        rate = self.flops / self.seconds
        share = 100 * self.waiting / self.seconds
        step = f"{self.seconds:.3g} s (mean of {self.measured})"
        memory = "not measured: this process had already used as much"
        if self.memory is not None:
            memory = f"{size_in_words(self.memory)}, {self.memory_of}"
        return [
            f"parameters    {sum(self.parameters.values()):,}: {networks}",
            f"a step        {self.flops / 1e9:,.4g} GFLOP, {step} on {self.runtime}",
            f"              {rate / 1e12:.3g} TFLOP/s, {share:.2g} % of the time waiting for data",
            f"peak memory   {memory}",
            f"all steps     {self.steps:,}: {duration_in_words(self.hours)}; validation, samples and checkpoints come "
            "on top",
            f"checkpoints   {size_in_words(self.checkpoint)} each, {self.checkpoints} at most: "
            f"{size_in_words(self.checkpoint * self.checkpoints)} of disk",
        ]


def estimate(
    trainer: Trainer,
    batches: Iterator[Batch],
    steps: int,
    keep: int,
    memory_before: int,
    *,
    quiet: bool = True,
    clock: Callable[[], float] = time.perf_counter,
) -> Estimate:
    """Measures some twenty steps of `trainer`, fewer if they are slow; do not train with it afterwards.

    `steps` and `keep`: the steps of the whole run, and the checkpoints that it keeps. `memory_before`:
    `process_memory()` before the model was built.
    """
    device = trainer.runtime.device
    on_gpu = device.type == "cuda"
    # Some turns are due only every n-th step, so only whole rounds are measured.
    cycle = math.lcm(*(turn.every for turn in trainer.model.turns()))

    times: list[tuple[float, float]] = []  # of each step: seconds, and those of them spent waiting for its batch

    def take_a_round() -> None:
        for _ in range(cycle):
            start = clock()
            batch = next(batches)
            waited = clock() - start
            trainer.step(trainer.runtime.place(batch))
            if device.type != "cpu":
                torch.accelerator.synchronize(device)
            times.append((clock() - start, waited))
            progress.advance()

    began, rounds = clock(), math.ceil(MEASURED / cycle)
    with Progress(cycle * (2 + rounds), unit="step", label="measuring", quiet=quiet) as progress:
        flops = flops_of(take_a_round) / cycle
        # The first steps are slower: take a second warm-up round, unless the first used half the time already.
        if clock() - began < PATIENCE / 2:
            take_a_round()
        if on_gpu:
            torch.cuda.reset_peak_memory_stats(device)
        times.clear()
        while len(times) < LEAST or (len(times) < MEASURED and clock() - began < PATIENCE):
            take_a_round()
    seconds, waiting = (sum(column) / len(times) for column in zip(*times, strict=True))
    held = sum(tensor.nbytes for part in checkpoint_parts(trainer).values() for tensor in part.values())
    memory = torch.cuda.max_memory_allocated(device) if on_gpu else process_memory() - memory_before
    return Estimate(
        parameters=_parameters(trainer.model),
        flops=flops,
        seconds=seconds,
        measured=len(times),
        waiting=waiting,
        memory=memory if memory >= held else None,
        memory_of="allocated on the GPU" if on_gpu else "added by training to this process",
        checkpoint=held,
        # On top of those kept: the best, and the one being written.
        checkpoints=keep + 2,
        steps=steps,
        runtime=str(trainer.runtime),
    )


def process_memory() -> int:
    """Peak memory of this process so far, in bytes; 0 on Windows, where it cannot be read."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _parameters(model: torch.nn.Module) -> dict[str, int]:
    counts = {name: sum(weight.numel() for weight in child.parameters()) for name, child in model.named_children()}
    return {name: count for name, count in counts.items() if count}


def flops_of(work: Callable[[], Any]) -> int:
    """The number of multiplications and additions in one call of `work`."""
    counter = _Counter()
    with counter:
        work()
    return counter.total


class _Counter(TorchDispatchMode):
    """torch's own FlopCounterMode also follows modules, which fails on a gradient penalty's inner gradient (2.15)."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=out)
        return out

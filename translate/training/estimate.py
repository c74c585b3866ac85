"""Estimates what training takes on this machine (parameters, arithmetic, memory, hours, disk) from a few real steps."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from translate.data.batch import Batch
from translate.training.flops import flops_of
from translate.training.state import network_weights, training_state
from translate.training.trainer import Trainer
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
    `seconds`: duration of a step including its data, averaged over `measured` steps; `waiting`: the part of it spent
    waiting for the batch. `memory`: bytes, of the kind named by `memory_of`; None if it could not be measured.
    `checkpoint`: bytes of one checkpoint; `checkpoints`: the most that are kept at a time.
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
        """The estimate as lines of text."""
        networks = ", ".join(f"{name} {count:,}" for name, count in self.parameters.items())
        rate = self.flops / self.seconds
        share = 100 * self.waiting / self.seconds
        step = f"{self.seconds:.3g} s (mean of {self.measured})"
        return [
            f"parameters    {sum(self.parameters.values()):,}: {networks}",
            f"a step        {self.flops / 1e9:,.4g} GFLOP, {step} on {self.runtime}",
            f"              {rate / 1e12:.3g} TFLOP/s, {share:.2g} % of the time waiting for data",
            f"peak memory   {self._memory()}",
            f"all steps     {self.steps:,}: {_duration(self.hours)}; validation, samples and checkpoints come on top",
            f"checkpoints   {_bytes(self.checkpoint)} each, {self.checkpoints} at most: "
            f"{_bytes(self.checkpoint * self.checkpoints)} of disk",
        ]

    def _memory(self) -> str:
        if self.memory is None:
            return "not measured: this process had already used as much"
        return f"{_bytes(self.memory)}, {self.memory_of}"


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

    `steps`: steps of the whole run. `keep`: checkpoints that the run keeps. `memory_before`: `process_memory()` before
    the model was built. Shows progress unless `quiet`; writes nothing.
    """
    device = trainer.runtime.device
    # Some turns are due only every n-th step, so only whole rounds are measured.
    cycle = math.lcm(*(turn.every for turn in trainer.model.turns()))

    times = _Times()

    def take_a_round() -> None:
        for _ in range(cycle):
            start = clock()
            batch = next(batches)
            waited = clock() - start
            trainer.step(trainer.runtime.place(batch))
            if device.type != "cpu":
                torch.accelerator.synchronize(device)
            times.add(clock() - start, waited)
            progress.advance()

    began, rounds = clock(), math.ceil(MEASURED / cycle)
    with Progress(cycle * (2 + rounds), unit="step", label="measuring", quiet=quiet) as progress:
        flops = flops_of(take_a_round) / cycle
        # The first steps are slower: take a second warm-up round, unless the first used half the time already.
        if clock() - began < PATIENCE / 2:
            take_a_round()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        times = _Times()
        while times.steps < LEAST or (times.steps < MEASURED and clock() - began < PATIENCE):
            take_a_round()
    on_gpu = device.type == "cuda"
    average = trainer.average.values if trainer.average else {}
    tensors = [*network_weights(trainer).values(), *training_state(trainer).values(), *average.values()]
    held = sum(tensor.nbytes for tensor in tensors)
    memory = torch.cuda.max_memory_allocated(device) if on_gpu else process_memory() - memory_before
    return Estimate(
        parameters=_parameters(trainer.model),
        flops=flops,
        seconds=times.seconds / times.steps,
        measured=times.steps,
        waiting=times.waiting / times.steps,
        memory=memory if memory >= held else None,
        memory_of="allocated on the GPU" if on_gpu else "added by training to this process",
        checkpoint=held,
        # On top of those kept: the best, and the one being written.
        checkpoints=keep + 2,
        steps=steps,
        runtime=str(trainer.runtime),
    )


@dataclass
class _Times:
    """Number of steps, the seconds they took, and the part of it spent waiting for their batches."""

    steps: int = 0
    seconds: float = 0.0
    waiting: float = 0.0

    def add(self, seconds: float, waiting: float) -> None:
        self.steps, self.seconds, self.waiting = self.steps + 1, self.seconds + seconds, self.waiting + waiting


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


def _bytes(count: int) -> str:
    return f"{count / 1e9:.3g} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"


def _duration(hours: float) -> str:
    if hours < 1:
        return f"{60 * hours:.2g} minutes"
    return f"{hours:.3g} hours" + (f" ({hours / 24:.2g} days)" if hours >= 48 else "")

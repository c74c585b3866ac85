"""What training would take on this machine: parameters, arithmetic, memory, hours and disk, from a few real steps."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from translate.data.batch import Batch
from translate.flops import flops_of
from translate.progress import Progress
from translate.resume import network_weights, training_state
from translate.trainer import Trainer

MEASURED = 10
"""Steps that are measured, but for rounds of turns begun, and fewer where they are slow."""
LEAST = 2
PATIENCE = 60.0
"""Seconds after which no other round of turns is begun."""


@dataclass(frozen=True)
class Estimate:
    """Of one recipe on one machine.

    `flops`: multiplications and additions of a step's convolutions and matrix products, forwards and backwards.
    `seconds`: of a step, its data included, the mean of `measured` ones; `waiting`: what of that was spent until the
    batch was there. `memory`: bytes, as `memory_of` says; None where it could not be measured.
    `checkpoint`: bytes of one; `checkpoints`: how many lie there at most.
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
    engine: str

    @property
    def hours(self) -> float:
        """Of all steps; validation, samples and checkpoints come on top."""
        return self.steps * self.seconds / 3600

    def lines(self) -> list[str]:
        """For people."""
        networks = ", ".join(f"{name} {count:,}" for name, count in self.parameters.items())
        rate = self.flops / self.seconds
        share = 100 * self.waiting / self.seconds
        step = f"{self.seconds:.3g} s (mean of {self.measured})"
        return [
            f"parameters    {sum(self.parameters.values()):,}: {networks}",
            f"a step        {self.flops / 1e9:,.4g} GFLOP, {step} on {self.engine}",
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
    """Takes some twenty steps of `trainer`, fewer where they are slow; it is of no use for training afterwards.

    `steps`: of the whole run. `keep`: checkpoints that it keeps. `memory_before`: `process_memory()` before the
    model was built. Shows how far it is, unless it is `quiet`; writes nothing.
    """
    device = trainer.engine.device
    # Players may take their turns at every n-th step only: whole rounds are measured.
    cycle = math.lcm(*(turn.every for turn in trainer.model.turns()))

    times = _Times()

    def take_a_round() -> None:
        for _ in range(cycle):
            start = clock()
            batch = next(batches)
            waited = clock() - start
            trainer.step(trainer.engine.place(batch))
            if device.type != "cpu":
                torch.accelerator.synchronize(device)
            times.add(clock() - start, waited)
            progress.advance()

    began, rounds = clock(), math.ceil(MEASURED / cycle)
    with Progress(cycle * (2 + rounds), unit="step", label="measuring", quiet=quiet) as progress:
        flops = flops_of(take_a_round) / cycle
        # The first steps are slower; where they took half the time there is, the next ones are measured all the same.
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
        # Beside those kept: the best, and the one that is being written.
        checkpoints=keep + 2,
        steps=steps,
        engine=str(trainer.engine),
    )


@dataclass
class _Times:
    """What steps took, and what of it was spent until their batches were there."""

    steps: int = 0
    seconds: float = 0.0
    waiting: float = 0.0

    def add(self, seconds: float, waiting: float) -> None:
        self.steps, self.seconds, self.waiting = self.steps + 1, self.seconds + seconds, self.waiting + waiting


def process_memory() -> int:
    """The most bytes of memory that this process has held so far."""
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

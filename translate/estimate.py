"""What training would take on this machine: parameters, arithmetic, memory, hours and disk, from a few real steps."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from translate.data.batch import Batch
from translate.flops import flops_of
from translate.resume import network_weights, training_state
from translate.trainer import Trainer

MEASURED = 10


@dataclass(frozen=True)
class Estimate:
    """Of one recipe on one machine.

    `flops`: multiplications and additions of a step's convolutions and matrix products, forwards and backwards.
    `seconds`: of a step, its data included; `waiting`: what of that was spent until the batch was there.
    `memory`: bytes, as `memory_of` says. `checkpoint`: bytes of one; `checkpoints`: how many lie there at most.
    """

    parameters: dict[str, int]
    flops: float
    seconds: float
    waiting: float
    memory: int
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
        return [
            f"parameters    {sum(self.parameters.values()):,}: {networks}",
            f"a step        {self.flops / 1e9:,.4g} GFLOP, {self.seconds:.3g} s on {self.engine}",
            f"              {rate / 1e12:.3g} TFLOP/s, {share:.2g} % of the time waiting for data",
            f"peak memory   {_bytes(self.memory)}, {self.memory_of}",
            f"all steps     {self.steps:,}: {_duration(self.hours)}; validation, samples and checkpoints come on top",
            f"checkpoints   {_bytes(self.checkpoint)} each, {self.checkpoints} at most: "
            f"{_bytes(self.checkpoint * self.checkpoints)} of disk",
        ]


def estimate(trainer: Trainer, batches: Iterator[Batch], steps: int, keep: int, memory_before: int) -> Estimate:
    """Takes some twenty steps of `trainer`, which is of no use for training afterwards. Writes nothing.

    `steps`: of the whole run. `keep`: checkpoints that it keeps. `memory_before`: `process_memory()` before the
    model was built.
    """
    device = trainer.engine.device
    # Players may take their turns at every n-th step only: whole rounds are measured.
    cycle = math.lcm(*(turn.every for turn in trainer.model.turns()))

    def steps_of_a_cycle() -> None:
        for _ in range(cycle):
            trainer.step(trainer.engine.place(next(batches)))

    flops = flops_of(steps_of_a_cycle) / cycle
    steps_of_a_cycle()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    measured = cycle * math.ceil(MEASURED / cycle)
    seconds = waiting = 0.0
    for _ in range(measured):
        start = time.perf_counter()
        batch = next(batches)
        waiting += time.perf_counter() - start
        trainer.step(trainer.engine.place(batch))
        if device.type != "cpu":
            torch.accelerator.synchronize(device)
        seconds += time.perf_counter() - start
    on_gpu = device.type == "cuda"
    average = trainer.average.values if trainer.average else {}
    tensors = [*network_weights(trainer).values(), *training_state(trainer).values(), *average.values()]
    return Estimate(
        parameters=_parameters(trainer.model),
        flops=flops,
        seconds=seconds / measured,
        waiting=waiting / measured,
        memory=torch.cuda.max_memory_allocated(device) if on_gpu else process_memory() - memory_before,
        memory_of="allocated on the GPU" if on_gpu else "by which this process grew",
        checkpoint=sum(tensor.nbytes for tensor in tensors),
        # Beside those kept: the best, and the one that is being written.
        checkpoints=keep + 2,
        steps=steps,
        engine=str(trainer.engine),
    )


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

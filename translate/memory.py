"""Memory that runs out in the first steps of a run: the same batches in more, smaller parts."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from translate.data.batch import Batch
from translate.errors import TranslateError
from translate.resume import network_weights, restore, training_state
from translate.trainer import Trainer


class FirstSteps:
    """`Trainer.step`, which in the first steps after a start splits batches further where memory runs out.

    The step is then taken again from where it began, with twice the parts (see `Trainer.accumulate`): the same batch,
    the same learning rate. Batch normalisation, where a network has it, then sees a part at a time.
    """

    def __init__(self, trainer: Trainer, tell: Callable[[str], None]) -> None:
        self.trainer, self.tell = trainer, tell
        # Optimizers take their memory at a network's first move: only its second step is as large as all that follow.
        # Several processes take equal parts, and one alone cannot tell the others; a recorded step has its parts in it.
        free = trainer.ranks.size == 1 and not trainer.engine.captured
        self.watched = 2 * max(turn.every for turn in trainer.model.turns()) if free else 0

    def step(self, batch: Batch) -> None:
        """`batch` as `Trainer.step` takes it. Raises TranslateError where memory runs out all the same."""
        try:
            if self.watched:
                self._step_in_parts(batch)
                self.watched -= 1
            else:
                self.trainer.step(batch)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise TranslateError(
                f"out of memory in step {self.trainer.steps}, with a batch of {len(batch)} in "
                f"{self.trainer.accumulate} parts; what was saved is kept. Close other programs and go on with "
                f"--resume, or with --resume --set training.accumulate={2 * self.trainer.accumulate}; else take a "
                "smaller training.batch_size or data.size"
            ) from error

    def _step_in_parts(self, batch: Batch) -> None:
        state = _State(self.trainer)
        while True:
            try:
                return self.trainer.step(batch)
            except RuntimeError as error:
                parts = 2 * self.trainer.accumulate
                if not is_out_of_memory(error) or len(batch) % parts:
                    raise
            # Outside the handler: the error's traceback holds on to the step's tensors.
            state.put_back()
            self.trainer.accumulate = parts
            self.tell(f"out of memory: each batch of {len(batch)} is taken in {parts} parts from here on, as one step")


class _State:
    """A copy of what a step moves, in the host's memory."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer, self.step = trainer, trainer.steps
        self.weights = _copied(network_weights(trainer))
        self.average = _copied(trainer.average.values if trainer.average else {})
        self.state = _copied(training_state(trainer))

    def put_back(self) -> None:
        for optimizer in self.trainer.optimizers.values():
            optimizer.zero_grad()
        restore(self.trainer, self.step, self.weights, self.average, self.state)
        if self.trainer.engine.device.type == "cuda":
            torch.cuda.empty_cache()


def _copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}


def is_out_of_memory(error: RuntimeError) -> bool:
    """CUDA has a class for it; the CPU's and Apple's allocators only say so."""
    told = ("DefaultCPUAllocator", "not enough memory", "backend out of memory")
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in told)

"""Handles running out of memory in the first steps of a run, by splitting the same batches into more, smaller parts."""

from collections.abc import Callable

import torch

from translate.data.batch import Batch
from translate.errors import TranslateError
from translate.training.state import State, checkpoint_parts, restore
from translate.training.trainer import Trainer
from translate.utils.out_of_memory import out_of_memory


class FirstSteps:
    """`Trainer.step`, repeated with twice the parts (see `Trainer.accumulate`) where memory runs out in the first steps
    after a start. Batch normalisation, if a network has it, then sees one part at a time."""

    def __init__(self, trainer: Trainer, log: Callable[[str], None]) -> None:
        self.trainer, self.log = trainer, log
        # Optimizers allocate their state at a network's first update, so only its second step has full size. Not with
        # several processes, which need equal parts and do not agree on them, nor with a recorded step, whose parts
        # are fixed.
        free = trainer.distributed.size == 1 and not trainer.runtime.cuda_graphs
        self.watched = 2 * max(turn.every for turn in trainer.model.turns()) if free else 0

    def step(self, batch: Batch) -> None:
        """Takes a step with `batch`, as `Trainer.step` does. Raises TranslateError if memory runs out anyway."""
        try:
            if self.watched:
                self._step_in_parts(batch)
                self.watched -= 1
            else:
                self.trainer.step(batch)
        except Exception as error:
            if not out_of_memory(error):
                raise
            parts = 2 * self.trainer.accumulate
            further = f", or with --resume --set training.accumulate={parts}" if len(batch) % parts == 0 else ""
            raise TranslateError(
                f"out of memory in step {self.trainer.steps}, with a batch of {len(batch)} in "
                f"{self.trainer.accumulate} parts; what was saved is kept. Close other programs and go on with "
                f"--resume{further}; else start again with a smaller training.batch_size or data.size"
            ) from error

    def _step_in_parts(self, batch: Batch) -> None:
        trainer = self.trainer
        step, saved = trainer.steps, [_copied(part) for part in checkpoint_parts(trainer).values()]
        while True:
            try:
                return trainer.step(batch)
            except Exception as error:
                parts = 2 * trainer.accumulate
                if not out_of_memory(error) or len(batch) % parts:
                    raise
            # Outside the handler, because the error's traceback keeps the step's tensors alive.
            for optimizer in trainer.optimizers.values():
                optimizer.zero_grad()
            restore(trainer, step, *saved)
            if trainer.runtime.device.type == "cuda":
                torch.cuda.empty_cache()
            trainer.accumulate = parts
            self.log(f"out of memory: each batch of {len(batch)} is taken in {parts} parts from here on, as one step")


def _copied(tensors: State) -> State:
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}

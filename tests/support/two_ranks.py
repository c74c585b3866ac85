"""What `test_distributed` has several processes do: torchrun starts this file, and `join` makes them one training.

    torchrun --nproc-per-node 2 two_ranks.py FOLDER

FOLDER holds recipe.yaml with its data, and paired.yaml with paired; each process writes there what it found.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tiny import TINY, random_batch, tiny_model, tiny_trainer
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from two_generators import CLIP, batch_of, trainer_of

from translate.errors import TranslateError
from translate.models import MODELS
from translate.runs import train as run
from translate.runs.build import share_batch_statistics
from translate.training.distributed import Distributed, join
from translate.training.trainer import Trainer
from translate.utils.signals import Interrupted

BATCH, STEPS, SIZE = 2, 3, 2
POOL = {"pool": 100}  # never full within these steps: a full one throws dice, and every process has its own
WGAN_GP = {"adversarial": {"objective": "wasserstein", "gradient_penalty": 10}}
PENALTIES = {"adversarial": {"objective": "nonsaturating", "r1": 1, "r2": 1}}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, POOL if "pool" in TINY[name] else {}) for name in MODELS},
    "cut": ("cut", {"patches": {"places": 10_000}}),  # all: those that are drawn are the same for a process's images
    "oasis": ("oasis", {"label_mix": 0}),  # coins for classes, too, are each process's own
    "wgan-gp": ("gan", WGAN_GP),
    "wgan-gp-through-batch-norm": ("cgan", WGAN_GP),
    "r1-through-batch-norm": ("pix2pix", PENALTIES),
}


class SharedDice(TorchDispatchMode):
    """Gives `rank` the rows of its batch out of what one process of all images draws; rank None is that process.

    The first dimension of a draw is the batch, or several batches one behind the other; a draw without is an image
    pool's. StarGAN's permutation of the batch's labels stays within each rank's images, in that process too.
    """

    def __init__(self, rank: int | None) -> None:
        super().__init__()
        self.rank, self.draws = rank, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **(kwargs or {}))
        self.draws += 1
        with torch.random.fork_rng():
            torch.manual_seed(self.draws)
            if func.overloadpacket is torch.ops.aten.randperm:
                each = [func(BATCH, **(kwargs or {})) for _ in range(SIZE)]
                return torch.cat([each[0], BATCH + each[1]]) if self.rank is None else each[self.rank]
            if self.rank is None:
                return func(*args, **(kwargs or {}))
            mine = _rows(func(*map(_of_all, args), **(kwargs or {})), self.rank)
        return args[0].copy_(mine) if func.overloadpacket.__name__.endswith("_") else mine


def _of_all(drawn: Any) -> Any:
    """A shape, or a tensor, for all ranks where `drawn` is for one; numbers are for all."""
    if isinstance(drawn, Tensor):
        return drawn.unflatten(0, (-1, 1, BATCH)).expand(-1, SIZE, *[-1] * drawn.dim()).flatten(0, 2).clone()
    return [drawn[0] * SIZE, *drawn[1:]] if isinstance(drawn, list) and drawn else drawn


def _rows(drawn: Tensor, rank: int) -> Tensor:
    return drawn.unflatten(0, (-1, SIZE, BATCH))[:, rank].flatten(0, 1) if drawn.dim() else drawn


def train_case(name: str, distributed: Distributed | None) -> Trainer:
    """Some steps in double precision on random images: this rank's, or without `distributed` all of them."""
    kind, request = CASES[name]
    model = tiny_model(kind, settings=TINY[kind] | request).double()
    if distributed:
        share_batch_statistics(model, distributed)
    trainer = tiny_trainer(model, distributed=distributed)
    batches = [random_batch(model, SIZE * BATCH, seed=step).map(Tensor.double) for step in range(STEPS)]
    with SharedDice(distributed.rank if distributed else None):
        for batch in batches:
            trainer.step(batch.split(SIZE)[distributed.rank] if distributed else batch)
    return trainer


def train_two_painters(distributed: Distributed | None) -> Trainer:
    """A model that is painted anew within a step, and whose gradients are clipped, as `train_case` does others."""
    trainer = trainer_of(distributed=distributed, clip=CLIP)
    for step in range(STEPS):
        batch = batch_of(step)
        trainer.step(batch.split(SIZE)[distributed.rank] if distributed else batch)
    return trainer


def main(folder: Path) -> None:
    with join("cpu") as distributed:
        facts: dict[str, Any] = {"losses": {}}
        for name in CASES:
            trainer = train_case(name, distributed)
            save_file(trainer.model.state_dict(), folder / f"{name}.rank{distributed.rank}.safetensors")
            facts["losses"][name] = trainer.read_losses()
        weights = {key: value.contiguous() for key, value in train_two_painters(distributed).model.state_dict().items()}
        save_file(weights, folder / f"two painters.rank{distributed.rank}.safetensors")
        facts |= talk(distributed)
        run.join = lambda device: nullcontext(distributed)
        os.chdir(folder)
        arguments: dict[str, Any] = {"tracking": "disabled", "quiet": True}
        run.train("recipe.yaml", str(folder / "data"), out="whole", **arguments)
        facts["stopped"] = stopped(distributed, folder, arguments)
        run.train("recipe.yaml", str(folder / "data"), out="stopped", resume=True, **arguments)
        run.train("paired.yaml", str(folder / "paired"), out="pix2pix", **arguments)
        distributed.wait()
        (folder / f"facts.rank{distributed.rank}.json").write_text(json.dumps(facts))


def talk(distributed: Distributed) -> dict[str, Any]:
    """What comes of numbers, tensors and facts that differ."""
    first, second = torch.full((2, 3, 4, 4), float(distributed.rank)), torch.tensor(2.0 + distributed.rank)
    first = first.contiguous(memory_format=torch.channels_last)
    distributed.average([first, second])
    try:
        distributed.require_same({"alike": 1, "own": distributed.rank})
        reason = ""
    except TranslateError as error:
        reason = str(error)
    numbers = [distributed.largest(15 if (distributed.rank, call) == (1, 1) else 0) for call in range(4)]
    collected = distributed.collect({"pool": torch.tensor([distributed.rank])})
    return {
        "averaged": [first.unique().tolist(), second.item()],
        "reason": reason,
        "numbers": numbers,
        "collected": [state["pool"].tolist() for state in collected] if distributed.is_main else [],
    }


def stopped(distributed: Distributed, folder: Path, arguments: dict[str, Any]) -> str:
    """A run of which the last rank alone is told to stop, after its first step."""
    step = Trainer.step

    def step_and_signal(self: Trainer, batch: Any) -> None:
        step(self, batch)
        if self.steps == 1 and distributed.rank == distributed.size - 1:
            os.kill(os.getpid(), signal.SIGTERM)

    Trainer.step = step_and_signal  # type: ignore[method-assign]
    try:
        run.train("recipe.yaml", str(folder / "data"), out="stopped", **arguments)
    except Interrupted as interruption:
        return str(interruption)
    finally:
        Trainer.step = step  # type: ignore[method-assign]
        distributed.finish()
    return "went on"


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))

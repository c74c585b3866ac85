"""One of two processes: trains to the end on uneven data, then once more, where process 1 dies or hangs at step 3.

failing_rank.py dies|hangs RECIPE DATA
"""

import os
import sys
import threading
from contextlib import nullcontext
from datetime import timedelta

import torch
from torch.distributed.distributed_c10d import _set_pg_timeout

from translate.cli import main
from translate.runs import train as run
from translate.training.distributed import Distributed, join
from translate.training.trainer import Trainer


def fail_at_step_three(distributed: Distributed, how: str) -> None:
    step = Trainer.step

    def step_or_fail(self, batch):
        if self.steps == 2 and distributed.rank == 1:
            if how == "dies":
                os._exit(9)
            threading.Event().wait()
        if self.steps == 2 and how == "hangs":  # only here: before, the other one is slow at most
            _set_pg_timeout(timedelta(seconds=2))
        step(self, batch)

    Trainer.step = step_or_fail


if __name__ == "__main__":
    how, recipe, data = sys.argv[1:]
    torch.set_num_threads(1)
    with join("cpu") as distributed:
        run.join = lambda device: nullcontext(distributed)
        run.train(recipe, data, out="uneven", tracking="disabled", quiet=True)
        print(f"rank {distributed.rank} took all steps", flush=True)
        fail_at_step_three(distributed, how)
        main(["train", recipe, "--data", data, "--out", "failed", "--wandb", "disabled", "--quiet"])

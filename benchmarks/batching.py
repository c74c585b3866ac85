"""Whether uses of one network in a step gain by sharing a call: CycleGAN's, interleaved medians.

    python benchmarks/batching.py --sizes 128,256 --rounds 8 --seconds 120

`apart` is the model as it is: a call for each use. `discriminators`: real and generated images judged in one call.
`generators`: a generator's identity and its way back in one call. By the instance norm of its networks all are the
same function; `difference` is that of the losses of the first step. Prints Markdown and writes JSON.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from common import SMALL, interleaved, markdown, place, random_batch, report, summary, trainer_of
from translate.data.batch import Unpaired
from translate.models.base import Fakes, ImageSpec, Losses, l1
from translate.models.cyclegan import CycleGAN, CycleGANConfig
from translate.training.runtime import choose_device, choose_runtime
from translate.training.trainer import Trainer

WARM_UP = 4


class Joined(CycleGAN):
    """CycleGAN with the calls of `joined` ("discriminators", "generators") made together."""

    joined: frozenset[str] = frozenset()

    def _generators_losses(self, batch: Unpaired, fakes: Fakes) -> Losses:
        if "generators" not in self.joined:
            return super()._generators_losses(batch, fakes)
        sides = [
            ("a", self.generator_a, self.discriminator_a, batch.a, fakes["b"]),
            ("b", self.generator_b, self.discriminator_b, batch.b, fakes["a"]),
        ]
        losses: Losses = {}
        for name, generator, discriminator, real, elsewhere in sides:
            identity, back = generator(torch.cat([real, elsewhere])).chunk(2)
            losses |= {
                f"adversarial/{name}": self.adversary.generator_loss(discriminator, fakes[name]),
                f"identity/{name}": self.config.cycle * self.config.identity * l1(identity, real),
                f"cycle/{name}": self.config.cycle * l1(back, real),
            }
        return losses

    def _discriminators_losses(self, batch: Unpaired, fakes: Fakes) -> Losses:
        if "discriminators" not in self.joined:
            return super()._discriminators_losses(batch, fakes)
        sides = [
            ("a", self.discriminator_a, batch.a, self.pool_a.exchange(fakes["a"])),
            ("b", self.discriminator_b, batch.b, self.pool_b.exchange(fakes["b"])),
        ]
        return {f"adversarial/{name}": self._verdict(judge, real, fake) for name, judge, real, fake in sides}

    def _verdict(self, discriminator: Any, real: Tensor, fake: Tensor) -> Tensor:
        return self.adversary.discriminator_loss(*discriminator(torch.cat([real, fake])).chunk(2))


WAYS = {
    "apart": frozenset[str](),
    "discriminators": frozenset({"discriminators"}),
    "generators": frozenset({"generators"}),
    "both": frozenset({"discriminators", "generators"}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="128")
    parser.add_argument("--batches", default="1")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=120, help="for each size and batch, after warming up")
    parser.add_argument("--small", action="store_true", help="small networks")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    device, rows = choose_device(options.device), []
    for size in map(int, options.sizes.split(",")):
        for batch in map(int, options.batches.split(",")):
            rows += measure(size, batch, device, options.rounds, options.seconds, options.small)
            print(markdown(rows), flush=True)
    report("batching", device, rows, options.json)


def measure(
    size: int, batch: int, device: torch.device, rounds: int, seconds: float, small: bool = False
) -> list[dict[str, Any]]:
    """A row for each way, `apart` first."""
    runtime = replace(choose_runtime(str(device)), cuda_graphs=device.type == "cuda")
    trainers = {way: trainer_of(build(joined, size, small), runtime) for way, joined in WAYS.items()}
    given = place(random_batch(next(iter(trainers.values())).model, size, batch), runtime)
    losses = {way: _losses_of_first_step(trainer, given) for way, trainer in trainers.items()}
    works = {way: partial(trainer.step, given) for way, trainer in trainers.items()}
    times = {way: summary(seen) for way, seen in interleaved(works, device, rounds, seconds, warm_up=WARM_UP).items()}
    return [
        {
            "size": size,
            "batch": batch,
            "calls joined": way,
            "median ms": 1e3 * found["median"],
            "best ms": 1e3 * found["best"],
            "x": times["apart"]["median"] / found["median"],
            "difference": max(abs(losses[way][name] - value) / value for name, value in losses["apart"].items()),
            "rounds": found["rounds"],
        }
        for way, found in times.items()
    ]


def build(joined: frozenset[str], size: int, small: bool) -> CycleGAN:
    torch.manual_seed(0)
    config = CycleGANConfig.model_validate(SMALL["cyclegan"] if small else {})
    model = Joined(config, ImageSpec(channels=3, size=size, domains=("a", "b")))
    model.joined = joined
    return model.train()


def _losses_of_first_step(trainer: Trainer, given: Any) -> dict[str, float]:
    trainer.step(given)
    return trainer.read_losses()


if __name__ == "__main__":
    main()

"""A model whose painted images two turns differentiate, one after the other, and whose encoder moves in between."""

from __future__ import annotations

import torch
from tiny import CPU
from torch import Tensor, nn

from translate.data.batch import Unpaired
from translate.models.base import Fakes, ImageSpec, Losses, Model, Turn
from translate.training.distributed import Distributed
from translate.training.optim import build_optimizer
from translate.training.trainer import Trainer
from translate.utils.settings import Settings

RATE, BETAS = 0.01, (0.5, 0.9)
CLIP = 0.3
"""Some of the gradients are longer, some shorter."""


class TwoPainters(Model):
    """The painters' turns look at different images of the same generator; the encoder's own turn does not paint."""

    Config = Settings
    batch_type = Unpaired

    def __init__(self) -> None:
        super().__init__(Settings(), ImageSpec(3, 8, ("a", "b")))
        torch.manual_seed(0)
        self.encoder, self.generator, self.critic = (
            nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Conv2d(4, 3, 3)) for _ in range(3)
        )
        self.double().to(memory_format=torch.channels_last)
        self.generated = 0
        self.generator.register_forward_hook(lambda *_: setattr(self, "generated", self.generated + 1))

    def generate(self, batch: Unpaired) -> Fakes:
        one = self.generator(self.encoder(batch.a))
        return {"one": one, "two": self.generator(self.encoder(batch.b)), "code": self.encoder(one)}

    def turns(self) -> list[Turn]:
        return [
            Turn("critic", [self.critic], self._verdict),
            Turn("encoder", [self.encoder], lambda batch, fakes: {"code": self.encoder(batch.b).square().mean()}),
            Turn("first", [self.generator], self._first, trains_generators=True),
            Turn("second", [self.generator, self.encoder], self._second, trains_generators=True),
            Turn("critic again", [self.critic], self._verdict),
        ]

    def _verdict(self, batch: Unpaired, fakes: Fakes) -> Losses:
        return {"verdict": self.critic(fakes["one"]).mean() - self.critic(batch.a).square().mean()}

    def _first(self, batch: Unpaired, fakes: Fakes) -> Losses:
        return {"fooled": -self.critic(fakes["one"]).mean(), "code": fakes["code"].square().mean()}

    def _second(self, batch: Unpaired, fakes: Fakes) -> Losses:
        return {"fooled": -self.critic(fakes["two"]).mean(), "bright": (fakes["two"] - 0.5).square().mean()}

    def show(self, batch: Unpaired) -> dict[str, Tensor]:
        return {"a": batch.a}


def batch_of(step: int, images: int = 4) -> Unpaired:
    rng = torch.Generator().manual_seed(step)
    return Unpaired(*(torch.rand(images, 3, 16, 16, generator=rng, dtype=torch.float64) for _ in range(2)))


def trainer_of(
    kind: str = "adam",
    fused: bool = True,
    accumulate: int = 1,
    distributed: Distributed | None = None,
    clip: float = 0.0,
) -> Trainer:
    model = TwoPainters()
    optimizers = {
        name: build_optimizer(network, kind, RATE, BETAS, weight_decay=0.01, clip=clip, fused=fused)
        for name, network in model.named_children()
    }
    return Trainer(model, optimizers, CPU, accumulate=accumulate, distributed=distributed)

"""CycleGAN: two generators that undo each other, on images without partners (Zhu et al. 2017)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from translate.adversarial import OBJECTIVES, r1_penalty
from translate.data.batch import Unpaired
from translate.diffaugment import AugmentationKind, DifferentiableAugment
from translate.model import ImageSpec, Losses, Painted, Translator, Turn, l1
from translate.models.parts import (
    DiscriminatorSettings,
    GeneratorSettings,
    Objective,
    ResnetSettings,
    build_discriminator,
    build_generator,
)
from translate.pool import ImagePool
from translate.settings import Settings


class CycleGANConfig(Settings):
    name: Literal["cyclegan"] = "cyclegan"
    objective: Objective = "lsgan"
    cycle: float = Field(10.0, ge=0)
    """Weight of |A - G_A(G_B(A))| and of the same for B."""
    identity: float = Field(0.5, ge=0)
    """Weight of |G_B(B) - B| as a share of `cycle`; keeps colours (section 5.2)."""
    pool: int = Field(50, ge=0)
    """How many generated images of each domain the discriminators' history keeps."""
    discriminator_weight: float = Field(1.0, gt=0)
    """The port halves the discriminators' loss, to slow them; under Adam that changes next to nothing."""
    turns: Literal["joint", "separate"] = "joint"
    """`joint`: both generators, then both discriminators. `separate`: G_B, D_B, G_A, D_A, as the original code."""
    r1: float = Field(0.0, ge=0)
    """Weight gamma of R1 on real images, 0 to leave it out."""
    augment: tuple[AugmentationKind, ...] = ()
    """Differentiable augmentation of what the discriminators see, for small sets."""
    generator: GeneratorSettings = ResnetSettings()
    discriminator: DiscriminatorSettings = DiscriminatorSettings()


class CycleGAN(Translator):
    """Domains a and b. `to_b` and `to_a` are the generators, `judge_a` and `judge_b` the discriminators.

    L = GAN(to_b, judge_b) + GAN(to_a, judge_a)  +  lambda (E|to_a(to_b(a)) - a| + E|to_b(to_a(b)) - b|)   (eq. 3)
    """

    Config = CycleGANConfig
    batch_type = Unpaired

    def __init__(self, config: CycleGANConfig, images: ImageSpec) -> None:
        super().__init__(config, images)
        self.config = config
        self.domains = images.domains
        self.loss = OBJECTIVES[config.objective]
        self.to_a, self.to_b = (build_generator(config.generator, images.channels, images.size) for _ in "ab")
        self.judge_a, self.judge_b = (build_discriminator(config.discriminator, images.channels) for _ in "ab")
        self.pool_a, self.pool_b = (ImagePool(config.pool, images.channels, images.size) for _ in "ab")
        self.augment = DifferentiableAugment(config.augment)

    def paint(self, batch: Unpaired) -> Painted:
        return {"a": self.to_a(batch.b), "b": self.to_b(batch.a)}

    def turns(self) -> list[Turn]:
        if self.config.turns == "joint":
            return [
                Turn("generators", [self.to_a, self.to_b], self._generators_losses, paints=True),
                Turn("discriminators", [self.judge_a, self.judge_b], self._judges_losses),
            ]
        return [
            Turn("generator b", [self.to_b], self._to_b_losses, paints=True),
            Turn("discriminator b", [self.judge_b], self._judge_b_losses),
            Turn("generator a", [self.to_a], self._to_a_losses, paints=True),
            Turn("discriminator a", [self.judge_a], self._judge_a_losses),
        ]

    def _generators_losses(self, batch: Unpaired, painted: Painted) -> Losses:
        return {
            **self._towards("a", self.to_a, self.judge_a, batch.a, painted["a"]),
            **self._towards("b", self.to_b, self.judge_b, batch.b, painted["b"]),
            **self._cycles(batch, painted["a"], painted["b"]),
        }

    def _to_b_losses(self, batch: Unpaired, painted: Painted) -> Losses:
        return {
            **self._towards("b", self.to_b, self.judge_b, batch.b, painted["b"]),
            **self._cycles(batch, painted["a"].detach(), painted["b"]),
        }

    def _to_a_losses(self, batch: Unpaired, painted: Painted) -> Losses:
        # to_b has moved since it painted; its cycle starts from what it paints now.
        with torch.no_grad():
            b = self.to_b(batch.a)
        return {
            **self._towards("a", self.to_a, self.judge_a, batch.a, painted["a"]),
            **self._cycles(batch, painted["a"], b),
        }

    def _towards(self, domain: str, generator: nn.Module, judge: nn.Module, real: Tensor, fake: Tensor) -> Losses:
        """What ties a generator to its domain: the judge's opinion, and leaving the domain's own images alone."""
        losses = {f"adversarial {domain}": self.loss.generator_loss(judge(self.augment(fake)))}
        if self.config.identity:
            losses[f"identity {domain}"] = self.config.cycle * self.config.identity * l1(generator(real), real)
        return losses

    def _cycles(self, batch: Unpaired, a: Tensor, b: Tensor) -> Losses:
        """There and back is where it started; `a` and `b` are the translations of batch.b and batch.a."""
        return {
            "cycle a": self.config.cycle * l1(self.to_a(b), batch.a),
            "cycle b": self.config.cycle * l1(self.to_b(a), batch.b),
        }

    def _judges_losses(self, batch: Unpaired, painted: Painted) -> Losses:
        return {**self._judge_a_losses(batch, painted), **self._judge_b_losses(batch, painted)}

    def _judge_a_losses(self, batch: Unpaired, painted: Painted) -> Losses:
        return self._judge("a", self.judge_a, batch.a, self.pool_a.exchange(painted["a"]))

    def _judge_b_losses(self, batch: Unpaired, painted: Painted) -> Losses:
        return self._judge("b", self.judge_b, batch.b, self.pool_b.exchange(painted["b"]))

    def _judge(self, domain: str, judge: nn.Module, real: Tensor, fake: Tensor) -> Losses:
        adversarial = self.loss.discriminator_loss(judge(self.augment(real)), judge(self.augment(fake)))
        losses = {f"adversarial {domain}": self.config.discriminator_weight * adversarial}
        if self.config.r1:
            losses[f"r1 {domain}"] = self.config.r1 * r1_penalty(judge, real)
        return losses

    def convert(self, images: Tensor, to: int) -> Tensor:
        with self.in_mode("eval"):
            return (self.to_a, self.to_b)[to](images)

    def targets(self) -> list[int]:
        return [1, 0]

    @property
    def stride(self) -> int:
        return self.to_b.stride

    def show(self, batch: Unpaired) -> dict[str, Tensor]:
        a, b = self.domains
        to_b, to_a = self.convert(batch.a, 1), self.convert(batch.b, 0)
        return {
            a: batch.a,
            f"{a} to {b}": to_b,
            f"back to {a}": self.convert(to_b, 0),
            b: batch.b,
            f"{b} to {a}": to_a,
            f"back to {b}": self.convert(to_a, 1),
        }

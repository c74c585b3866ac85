"""CycleGAN: two generators that invert each other, trained on unpaired images (Zhu et al. 2017)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from translate.data.batch import Unpaired
from translate.losses.adversarial import Score
from translate.losses.image_pool import ImagePool
from translate.models.adversary import AdversarialSettings, Adversary
from translate.models.base import Fakes, ImageSpec, Losses, Translator, Turn, l1
from translate.models.parts import Discriminator, Generator
from translate.models.remembering import Memory
from translate.models.some_pairs import PairedWeight, paired_losses
from translate.networks.patchgan import PatchSettings
from translate.networks.resnet import ResnetSettings
from translate.utils.settings import Settings


class CycleGANConfig(Settings):
    name: Literal["cyclegan"] = "cyclegan"
    adversarial: AdversarialSettings = AdversarialSettings(objective="lsgan")
    cycle: float = Field(10.0, ge=0)
    """Weight of |a - G_a(G_b(a))| and of the same for b."""
    identity: float = Field(0.5, ge=0)
    """Weight of |G_b(b) - b| as a share of `cycle`; keeps colours (section 5.2)."""
    paired_weight: PairedWeight = 10.0
    """Weight of |G_b(a) - b| and of the same for a, over the pairs that are known (`data.pairs`)."""
    pool: int = Field(50, ge=0)
    """How many generated images of each domain the pool for its discriminator keeps."""
    cache: int = Field(0, ge=0)
    """How many real and how many generated images of each domain its discriminator, whose `head` compares images,
    remembers by their features; 3 as published (UVCGAN v2), there without a pool."""
    turns: Literal["joint", "separate"] = "joint"
    """`joint`: both generators, then both discriminators. `separate`: G_b, D_b, G_a, D_a, as in the original code."""
    generator: Generator = ResnetSettings()
    discriminator: Discriminator = PatchSettings()


class CycleGAN(Translator):
    """Domains a and b. Generators G_a and G_b make images of a and b, which discriminators D_a and D_b distinguish from
    real ones.

    L = GAN(G_b, D_b) + GAN(G_a, D_a) + lambda (E |G_a(G_b(a)) - a| + E |G_b(G_a(b)) - b|)   (eq. 3)
    """

    Config = CycleGANConfig
    batch_type = Unpaired

    def __init__(self, config: CycleGANConfig, images: ImageSpec) -> None:
        super().__init__(config, images)
        self.config = config
        self.domains = images.domains
        self.adversary = Adversary(config.adversarial)
        a, b = (images.domain(number).channels for number in (0, 1))
        self.generator_a = config.generator.between(b, a, images.size)
        self.generator_b = config.generator.between(a, b, images.size)
        self.discriminator_a, self.discriminator_b = (
            config.discriminator.initialised(channels, images.size) for channels in (a, b)
        )
        self.pool_a, self.pool_b = (ImagePool(config.pool, channels, images.size) for channels in (a, b))
        self.memory_a, self.memory_b = (
            Memory(config.cache, discriminator, images.size) if config.cache else None
            for discriminator in (self.discriminator_a, self.discriminator_b)
        )

    @classmethod
    def require_images(cls, config: CycleGANConfig, images: ImageSpec) -> None:
        if config.identity:
            images.require_equal_channels("model.identity", "set model.identity: 0")

    def generate(self, batch: Unpaired) -> Fakes:
        return {"a": self.generator_a(batch.b), "b": self.generator_b(batch.a)}

    def turns(self) -> list[Turn]:
        generators, discriminators = self.adversary.generator_turn, self.adversary.discriminator_turn
        if self.config.turns == "joint":
            both = [self.discriminator_a, self.discriminator_b]
            return [
                generators("generators", [self.generator_a, self.generator_b], self._generators_losses),
                discriminators("discriminators", both, self._discriminators_losses),
            ]
        return [
            generators("generator b", [self.generator_b], self._generator_b_losses),
            discriminators("discriminator b", [self.discriminator_b], self._discriminator_b_losses),
            generators("generator a", [self.generator_a], self._generator_a_losses),
            discriminators("discriminator a", [self.discriminator_a], self._discriminator_a_losses),
        ]

    def _generators_losses(self, batch: Unpaired, fakes: Fakes) -> Losses:
        return {
            **self._towards_a(batch, fakes),
            **self._towards_b(batch, fakes),
            **self._cycles(batch, fakes["a"], fakes["b"]),
        }

    def _generator_b_losses(self, batch: Unpaired, fakes: Fakes) -> Losses:
        return {**self._towards_b(batch, fakes), **self._cycles(batch, fakes["a"].detach(), fakes["b"])}

    def _generator_a_losses(self, batch: Unpaired, fakes: Fakes) -> Losses:
        # G_b has moved since the fakes were generated, so its cycle starts from what it generates now.
        with torch.no_grad():
            b = self.generator_b(batch.a)
        return {**self._towards_a(batch, fakes), **self._cycles(batch, fakes["a"], b)}

    def _towards_a(self, batch: Unpaired, fakes: Fakes) -> Losses:
        score = self.memory_a.of_fakes(self.discriminator_a) if self.memory_a else self.discriminator_a
        losses = self._towards("a", self.generator_a, score, batch.a, fakes["a"])
        return losses | paired_losses(self.config.paired_weight, batch, fakes, "a")

    def _towards_b(self, batch: Unpaired, fakes: Fakes) -> Losses:
        score = self.memory_b.of_fakes(self.discriminator_b) if self.memory_b else self.discriminator_b
        losses = self._towards("b", self.generator_b, score, batch.b, fakes["b"])
        return losses | paired_losses(self.config.paired_weight, batch, fakes, "b")

    def _towards(self, name: str, generator: nn.Module, score: Score, real: Tensor, fake: Tensor) -> Losses:
        """The losses that tie a generator to its domain: its images pass for real ones, and the domain's own images
        stay as they are."""
        losses = {f"adversarial/{name}": self.adversary.generator_loss(score, fake, real)}
        if self.config.identity:
            losses[f"identity/{name}"] = self.config.cycle * self.config.identity * l1(generator(real), real)
        return losses

    def _cycles(self, batch: Unpaired, a: Tensor, b: Tensor) -> Losses:
        """Cycle consistency losses; `a` and `b` are the translations of batch.b and batch.a."""
        return {
            "cycle/a": self.config.cycle * l1(self.generator_a(b), batch.a),
            "cycle/b": self.config.cycle * l1(self.generator_b(a), batch.b),
        }

    def _discriminators_losses(self, batch: Unpaired, fakes: Fakes) -> Losses:
        return {**self._discriminator_a_losses(batch, fakes), **self._discriminator_b_losses(batch, fakes)}

    def _discriminator_a_losses(self, batch: Unpaired, fakes: Fakes) -> Losses:
        real, fake = batch.a, self.pool_a.exchange(fakes["a"])
        if self.memory_a:
            return self.memory_a.discriminator_losses(self.adversary, self.discriminator_a, real, fake, "a")
        return self.adversary.discriminator_losses(self.discriminator_a, real, fake, "a")

    def _discriminator_b_losses(self, batch: Unpaired, fakes: Fakes) -> Losses:
        real, fake = batch.b, self.pool_b.exchange(fakes["b"])
        if self.memory_b:
            return self.memory_b.discriminator_losses(self.adversary, self.discriminator_b, real, fake, "b")
        return self.adversary.discriminator_losses(self.discriminator_b, real, fake, "b")

    def convert(self, images: Tensor, to: int) -> Tensor:
        with self.in_mode("eval"):
            translated: Tensor = (self.generator_a, self.generator_b)[to](images)
            return translated

    def port_networks(self) -> dict[str, nn.Module]:
        generators = {"G_A": self.generator_b, "G_B": self.generator_a}  # their G_A generates domain B
        return {**generators, "D_A": self.discriminator_b, "D_B": self.discriminator_a}

    def targets(self) -> list[int]:
        return [1, 0]

    @property
    def stride(self) -> int:
        return int(self.generator_b.stride)

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

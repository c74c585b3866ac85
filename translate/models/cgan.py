"""Conditional GAN: generates images of a requested class (Mirza & Osindero 2014); a discriminator that looks at it."""

from functools import partial
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from translate.data.batch import Labelled
from translate.models.adversary import AdversarialSettings, Adversary
from translate.models.base import Fakes, ImageSpec, Losses, Sampler, Turn
from translate.models.classes import class_labels, other_labels, require_classes, score_pairs
from translate.models.noise import Noise, draw_noise, fixed_rng
from translate.models.parts import SamplerNetwork
from translate.networks.dcgan import DCGANSettings
from translate.utils.settings import Settings


class CGANConfig(Settings):
    """Settings of `CGAN`: the game, the noise and the two networks."""

    name: Literal["cgan"] = "cgan"
    adversarial: AdversarialSettings = AdversarialSettings()
    code: int = Field(100, ge=1)
    """Length of the noise vector an image is made from, in addition to its label."""
    noise: Noise = "normal"
    """Distribution of the noise's numbers."""
    generator: SamplerNetwork = DCGANSettings()
    discriminator: SamplerNetwork = DCGANSettings()


class CGAN(Sampler):
    """Generator G makes an image from noise z and label y; discriminator D scores images with labels.

    min_G max_D  E log D(x, y) + 1/2 E log(1 - D(G(z, y), y)) + 1/2 E log(1 - D(x, y')), with a wrong label y'. Without
    the third term, D learns to look at y only where G gets it wrong (Reed et al. 2016, section 4.2).
    """

    Config = CGANConfig
    batch_type = Labelled

    def __init__(self, config: CGANConfig, images: ImageSpec) -> None:
        super().__init__(config, images)
        self.config, self.domains = config, images.domains
        labels = require_classes(images)
        self.adversary = Adversary(config.adversarial, pairs=False)
        size = images.side(config.name)
        self.generator = config.generator.generator(config.code + labels, images.channels, size)
        self.discriminator = config.discriminator.discriminator(images.channels, size, labels, outputs=1)

    def generate(self, batch: Labelled) -> Fakes:
        return {"fake": self._generate(batch.labels), "wrong": other_labels(batch.labels)}

    def turns(self) -> list[Turn]:
        return [
            self.adversary.discriminator_turn("discriminator", [self.discriminator], self._discriminator_losses),
            self.adversary.generator_turn("generator", [self.generator], self._generator_losses),
        ]

    def _discriminator_losses(self, batch: Labelled, fakes: Fakes) -> Losses:
        return score_pairs(
            self.adversary, self.discriminator, batch.images, fakes["fake"], batch.labels, fakes["wrong"]
        )

    def _generator_losses(self, batch: Labelled, fakes: Fakes) -> Losses:
        score = partial(self.discriminator, labels=batch.labels)
        return {"adversarial": self.adversary.generator_loss(score, fakes["fake"])}

    def _generate(self, labels: Tensor) -> Tensor:
        noise = draw_noise(self.config.noise, len(labels), self.config.code, self.generator)
        images: Tensor = self.generator(torch.cat([noise, labels], 1))
        return images

    def sample(self, count: int, label: int | None = None) -> Tensor:
        with self.in_mode("eval"):
            return self._generate(class_labels(count, len(self.domains), label, self.generator))

    @property
    def classes(self) -> tuple[str, ...]:
        return self.domains

    def show(self, batch: Labelled) -> dict[str, Tensor]:
        """One column per class, all from the same noise."""
        columns = {"real": batch.images}
        for number, name in enumerate(self.domains):
            with fixed_rng(batch.images.device):
                columns[name] = self.sample(len(batch), number)
        return columns

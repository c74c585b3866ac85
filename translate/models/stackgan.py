"""StackGAN: a second generator turns the first one's small image into a large one (Zhang et al. 2017)."""

from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from translate.data.batch import Labelled
from translate.errors import ConfigurationError
from translate.losses.gaussian import draw, kl_to_standard
from translate.models.adversary import AdversarialSettings, Adversary
from translate.models.base import Fakes, ImageSpec, Losses, Sampler, Turn
from translate.models.classes import class_labels, other_labels, require_classes, score_pairs
from translate.models.noise import Noise, draw_noise, fixed_rng
from translate.models.parts import SamplerNetwork
from translate.networks.dcgan import DCGANSettings
from translate.networks.stackgan import ConditioningAugmentation, StageTwoSettings
from translate.utils.settings import Settings


class StackGANConfig(Settings):
    """Settings of `StackGAN`: the game, the label's vector, and a generator and discriminator for each stage."""

    name: Literal["stackgan"] = "stackgan"
    adversarial: AdversarialSettings = AdversarialSettings()
    enlargement: Literal[2, 4, 8] = 4
    """Factor by which the second stage enlarges the image."""
    joint: bool = False
    """The second stage's loss also trains the first stage (as in StackGAN++); otherwise each stage learns only from its
    own discriminator."""
    code: int = Field(100, ge=1)
    """Length of the noise vector an image is made from, in addition to its label."""
    noise: Noise = "normal"
    """Distribution of the noise's numbers."""
    condition: int = Field(128, ge=1)
    """Length of the vector that represents a label; each use draws it from a distribution that depends on the label."""
    kl: float = Field(2.0, ge=0)
    """Weight of the divergence from N(0, I) (eq. 2), averaged over its numbers as released: their sum would outweigh
    the label."""
    generator_one: SamplerNetwork = DCGANSettings()
    discriminator_one: SamplerNetwork = DCGANSettings()
    generator_two: StageTwoSettings = StageTwoSettings()
    discriminator_two: SamplerNetwork = DCGANSettings()


class StackGAN(Sampler):
    """Stage one makes a small image from noise and label; stage two makes a large one from that and the label.

    Each stage has its own discriminator, trained on three kinds of pairs as in cGAN, and its own conditioning
    augmentation. Both stages train at the same time; the paper trains one after the other.
    """

    Config = StackGANConfig
    batch_type = Labelled

    def __init__(self, config: StackGANConfig, images: ImageSpec) -> None:
        super().__init__(config, images)
        self.config, self.domains = config, images.domains
        labels, channels, size = require_classes(images), images.channels, images.side(config.name)
        self.small = size // config.enlargement
        if size % config.enlargement or self.small % 4:
            raise ConfigurationError(
                f"data.size is {size}; with model.enlargement {config.enlargement} it must be a multiple of "
                f"{4 * config.enlargement}"
            )
        self.adversary = Adversary(config.adversarial, pairs=False)
        # Named as parts of the generators, which they are.
        self.generator_one_condition = ConditioningAugmentation(labels, config.condition)
        self.generator_two_condition = ConditioningAugmentation(labels, config.condition)
        self.generator_one = config.generator_one.generator(config.code + config.condition, channels, self.small)
        self.generator_two = config.generator_two.initialised(channels, config.condition, self.small, size)
        self.discriminator_one = config.discriminator_one.discriminator(channels, self.small, labels, outputs=1)
        self.discriminator_two = config.discriminator_two.discriminator(channels, size, labels, outputs=1)

    def generate(self, batch: Labelled) -> Fakes:
        return self._generate(batch.labels) | {"wrong": other_labels(batch.labels)}

    def turns(self) -> list[Turn]:
        discriminators = [self.discriminator_one, self.discriminator_two]
        conditions = [self.generator_one_condition, self.generator_two_condition]
        generators = [*conditions, self.generator_one, self.generator_two]
        return [
            self.adversary.discriminator_turn("discriminators", discriminators, self._discriminators_losses),
            self.adversary.generator_turn("generators", generators, self._generators_losses),
        ]

    def _discriminators_losses(self, batch: Labelled, fakes: Fakes) -> Losses:
        small = F.interpolate(batch.images, (self.small, self.small), mode="area")
        losses = partial(score_pairs, self.adversary, labels=batch.labels, wrong=fakes["wrong"])
        return {
            **losses(self.discriminator_one, small, fakes["small"], name="one"),
            **losses(self.discriminator_two, batch.images, fakes["large"], name="two"),
        }

    def _generators_losses(self, batch: Labelled, fakes: Fakes) -> Losses:
        one, two = (partial(each, labels=batch.labels) for each in (self.discriminator_one, self.discriminator_two))
        return {
            "adversarial/one": self.adversary.generator_loss(one, fakes["small"]),
            "adversarial/two": self.adversary.generator_loss(two, fakes["large"]),
            "kl": self.config.kl * fakes["kl"].mean() / self.config.condition,
        }

    def _generate(self, labels: Tensor) -> Fakes:
        """Generates `small` and `large` images, and the divergence `kl` (batch,) of both stages' conditions."""
        first, second = self.generator_one_condition(labels), self.generator_two_condition(labels)
        noise = draw_noise(self.config.noise, len(labels), self.config.code, self.generator_one)
        small = self.generator_one(torch.cat([noise, draw(*first)], 1))
        large = self.generator_two(small if self.config.joint else small.detach(), draw(*second))
        return {"small": small, "large": large, "kl": kl_to_standard(*first) + kl_to_standard(*second)}

    def sample(self, count: int, label: int | None = None) -> Tensor:
        return self._sample_both(count, label)["large"]

    def _sample_both(self, count: int, label: int | None) -> Fakes:
        with self.in_mode("eval"):
            return self._generate(class_labels(count, len(self.domains), label, self.generator_one))

    @property
    def classes(self) -> tuple[str, ...]:
        return self.domains

    def show(self, batch: Labelled) -> dict[str, Tensor]:
        """For each class the first stage's image, enlarged pixel by pixel, and what the second stage makes of it."""
        columns, size = {"real": batch.images}, batch.images.shape[2:]
        for number, name in enumerate(self.domains):
            with fixed_rng(batch.images.device):
                both = self._sample_both(len(batch), number)
            columns |= {f"{name}, stage 1": F.interpolate(both["small"], size), f"{name}, stage 2": both["large"]}
        return columns

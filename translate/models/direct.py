"""Direct translation: one generator, one discriminator, and an output kept close to the input; no cycle, no pairs.

The simplest unpaired method, and a baseline for the others: the self-regularised adversarial training of SimGAN
(Shrivastava et al. 2017, eq. 2), comparing pixels or, as in DTN (Taigman et al. 2017), the features of a given encoder.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from translate.data.batch import Unpaired
from translate.losses.image_pool import ImagePool
from translate.losses.perceptual import PerceptualDistance
from translate.models.adversary import AdversarialSettings, Adversary
from translate.models.base import Fakes, ImageSpec, Losses, Translator, Turn, l1
from translate.models.larger import in_blocks, reduced
from translate.models.parts import Discriminator, Generator, perceptual_distance
from translate.networks.patchgan import PatchSettings
from translate.networks.resnet import ResnetSettings
from translate.utils.settings import Settings


class DirectConfig(Settings):
    name: Literal["direct"] = "direct"
    adversarial: AdversarialSettings = AdversarialSettings(objective="lsgan")
    content: Literal["pixels", "encoder"] = "pixels"
    """How output and input are compared: by mean absolute difference of pixels, or by the features of
    `encoder_weights`. A larger output by the means of its blocks."""
    content_weight: float = Field(5.0, ge=0)
    """Weight of the difference of output and input."""
    encoder_weights: Path = Path("vgg16-397923af.pth")
    """State dict of torchvision's VGG-16 or ResNet-18; read only in training."""
    pool: int = Field(50, ge=0)
    """How many generated images the pool for the discriminator keeps."""
    generator: Generator = ResnetSettings()
    discriminator: Discriminator = PatchSettings()


class Direct(Translator):
    """G translates images of domain a to domain b, which D distinguishes from real ones. One way only: to reverse it,
    swap the domains."""

    Config = DirectConfig
    batch_type = Unpaired
    may_enlarge = True

    def __init__(self, config: DirectConfig, images: ImageSpec) -> None:
        super().__init__(config, images)
        self.config, self.domains = config, images.domains
        self.adversary = Adversary(config.adversarial)
        self.generator = config.generator.initialised(images.channels, images.size)
        self.discriminator = config.discriminator.initialised(images.channels, images.size)
        self.pool = ImagePool(config.pool, images.channels, images.size)

    @classmethod
    def require_images(cls, config: DirectConfig, images: ImageSpec) -> None:
        images.require_equal_channels("model.content", "train with cyclegan or unit")

    def generate(self, batch: Unpaired) -> Fakes:
        return {"b": self.generator(batch.a)}

    def turns(self) -> list[Turn]:
        if self.config.content == "encoder":
            _ = self._encoder_distance  # fails before the first step if the file is missing; converting needs none
        return [
            self.adversary.generator_turn("generator", [self.generator], self._generator_losses),
            self.adversary.discriminator_turn("discriminator", [self.discriminator], self._discriminator_losses),
        ]

    def _generator_losses(self, batch: Unpaired, fakes: Fakes) -> Losses:
        distance = l1 if self.config.content == "pixels" else self._encoder_distance
        return {
            "adversarial": self.adversary.generator_loss(self.discriminator, fakes["b"], batch.b),
            "content": self.config.content_weight * distance(reduced(fakes["b"], self.scale), batch.a),
        }

    def _discriminator_losses(self, batch: Unpaired, fakes: Fakes) -> Losses:
        return self.adversary.discriminator_losses(self.discriminator, batch.b, self.pool.exchange(fakes["b"]))

    @cached_property
    def _encoder_distance(self) -> PerceptualDistance:
        return perceptual_distance("encoder_weights", self.config.encoder_weights)

    def convert(self, images: Tensor, to: int) -> Tensor:
        with self.in_mode("eval"):
            translated: Tensor = self.generator(images)
            return translated

    def port_networks(self) -> dict[str, nn.Module]:
        return {"G": self.generator, "D": self.discriminator}

    def targets(self) -> list[int]:
        return [1]

    @property
    def stride(self) -> int:
        return int(self.generator.stride)

    @property
    def scale(self) -> int:
        return self.generator.scale

    def show(self, batch: Unpaired) -> dict[str, Tensor]:
        a, b = self.domains
        return {a: in_blocks(batch.a, self.scale), f"{a} to {b}": self.convert(batch.a, 1), b: batch.b}

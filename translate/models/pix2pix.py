"""pix2pix: a conditional GAN on pairs (Isola et al. 2017)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from translate.data.batch import Paired
from translate.models.adversary import AdversarialSettings, Adversary
from translate.models.base import Fakes, ImageSpec, Losses, Request, Translator, Turn, l1
from translate.models.parts import Discriminator, Generator
from translate.networks.patchgan import PatchSettings
from translate.networks.unet import UNetSettings
from translate.utils.settings import Settings


class Pix2PixConfig(Settings):
    name: Literal["pix2pix"] = "pix2pix"
    adversarial: AdversarialSettings = AdversarialSettings(objective="nonsaturating")
    reconstruction: float = Field(100.0, ge=0)
    """Weight of |target - G(input)|."""
    convert_mode: Literal["train", "eval"] = "train"
    """`train`, as published, keeps dropout (the only noise) and the image's own batch statistics in conversion."""
    generator: Generator = UNetSettings()
    discriminator: Discriminator = PatchSettings(normalisation="batch")


class Pix2Pix(Translator):
    """Generator G: input -> target, with dropout as noise. Discriminator D scores (input, image) stacked.

    min_G max_D  E log D(x, y) + E log(1 - D(x, G(x)))  +  lambda E |y - G(x)|   (eq. 4)
    """

    Config = Pix2PixConfig
    batch_type = Paired

    def __init__(self, config: Pix2PixConfig, images: ImageSpec) -> None:
        super().__init__(config, images)
        self.config = config
        self.adversary = Adversary(config.adversarial)
        inputs, targets = (images.domain(number).channels for number in (0, 1))
        self.generator = config.generator.between(inputs, targets, images.size)
        self.discriminator = config.discriminator.initialised(inputs + targets, images.size)

    @classmethod
    def require_images(cls, config: Pix2PixConfig, images: ImageSpec) -> None:
        """Takes any."""

    def generate(self, batch: Paired) -> Fakes:
        return {"output": self.generator(batch.input)}

    def turns(self) -> list[Turn]:
        return [
            self.adversary.discriminator_turn("discriminator", [self.discriminator], self._discriminator_losses),
            self.adversary.generator_turn("generator", [self.generator], self._generator_losses),
        ]

    def _discriminator_losses(self, batch: Paired, fakes: Fakes) -> Losses:
        real, fake = (torch.cat([batch.input, image], 1) for image in (batch.target, fakes["output"]))
        return self.adversary.discriminator_losses(self.discriminator, real, fake)

    def _generator_losses(self, batch: Paired, fakes: Fakes) -> Losses:
        output = fakes["output"]
        return {
            "adversarial": self.adversary.generator_loss(self.discriminator, torch.cat([batch.input, output], 1)),
            "reconstruction": self.config.reconstruction * l1(output, batch.target),
        }

    def convert(self, images: Tensor, to: int = 1) -> Tensor:
        """Converts one image at a time, so that batch statistics and noise depend on that image only."""
        with self.in_mode(self.config.convert_mode), torch.random.fork_rng(devices=_devices(images)):
            return torch.cat([self._convert_one(image) for image in images.split(1)])

    def _convert_one(self, image: Tensor) -> Tensor:
        torch.manual_seed(0)
        translated: Tensor = self.generator(image)
        return translated

    @property
    def converts_in_training_mode(self) -> bool:
        return self.config.convert_mode == "train"

    def translate_at_once(self, images: Tensor, request: Request) -> Tensor:
        translated: Tensor = self.generator(images)
        return translated

    def port_networks(self) -> dict[str, nn.Module]:
        return {"G": self.generator, "D": self.discriminator}

    def targets(self) -> list[int]:
        return [1]

    @property
    def stride(self) -> int:
        return int(self.generator.stride)

    def show(self, batch: Paired) -> dict[str, Tensor]:
        return {"input": batch.input, "output": self.convert(batch.input), "target": batch.target}


def _devices(images: Tensor) -> list[torch.device]:
    return [images.device] if images.is_cuda else []

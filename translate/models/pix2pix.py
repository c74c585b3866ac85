"""pix2pix: a conditional GAN on pairs (Isola et al. 2017)."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from translate.data.batch import Paired
from translate.data.planes import coloured, columns
from translate.errors import ConfigurationError
from translate.losses.feature_matching import feature_matching
from translate.losses.labels import cross_entropy, where_labelled
from translate.losses.perceptual import LayeredDistance
from translate.models.adversary import AdversarialSettings, Adversary
from translate.models.base import Fakes, ImageSpec, Losses, Request, Translator, Turn, l1
from translate.models.larger import enlargement, in_blocks
from translate.models.parts import Discriminator, Generator
from translate.networks.patchgan import PatchSettings
from translate.networks.pretrained import named_by
from translate.networks.settings import require_at_least
from translate.networks.unet import UNetSettings
from translate.utils.settings import Settings


class Pix2PixConfig(Settings):
    name: Literal["pix2pix"] = "pix2pix"
    adversarial: AdversarialSettings = AdversarialSettings(objective="nonsaturating")
    adversarial_weight: float = Field(1.0, ge=0)
    """Weight of the adversarial term in the generator's loss; 0 trains without a discriminator, to `reconstruction`
    alone."""
    reconstruction: float = Field(100.0, ge=0)
    """Weight of |target - G(input)|; of label maps, of the cross-entropy."""
    feature_matching: float = Field(0.0, ge=0)
    """Weight of the distance of a translation to its target as the discriminator's layers see them, 10 in pix2pixHD and
    SPADE; 0 switches it off. pix2pixHD multiplies it by 4 / (discriminator.layers + 1), which is 1 for 3 layers."""
    perceptual: float = Field(0.0, ge=0)
    """Weight of the distance of a translation to its target by `perceptual_weights`, 10 in pix2pixHD and SPADE; 0
    switches it off. At least 16 pixels."""
    perceptual_weights: Path = Path("vgg19-dcbb9e9d.pth")
    """State dict of torchvision's VGG-19, as published, or another VGG without batch norm; read only in training."""
    first_turn: Literal["discriminator", "generator"] = "discriminator"
    """Who moves first in each step, on the same translations: the generator in pix2pixHD."""
    convert_mode: Literal["train", "eval"] = "train"
    """`train`, as published, keeps dropout (the only noise) and the image's own batch statistics in conversion."""
    generator: Generator = UNetSettings()
    discriminator: Discriminator = PatchSettings(normalisation="batch")

    @model_validator(mode="after")
    def _matching_is_possible(self) -> Self:
        if self.feature_matching and not self.adversarial_weight:
            raise ValueError(
                "feature_matching has no effect without a discriminator; leave it out, or adversarial_weight"
            )
        if self.feature_matching and self.adversarial.augment:
            raise ValueError(
                "feature_matching compares an image with its target, which adversarial.augment changes in other ways; "
                "leave one of them out"
            )
        return self


class Pix2Pix(Translator):
    """Generator G: input -> target, with dropout as noise. Discriminator D scores (input, image) stacked.

    min_G max_D  E log D(x, y) + E log(1 - D(x, G(x)))  +  lambda E |y - G(x)|   (eq. 4)

    Where G enlarges (super-resolution), D sees x enlarged bicubically. Label maps are a plane for each class. As
    target, G's planes are logits (see `cross_entropy`), and D does not see what nobody labelled.
    """

    Config = Pix2PixConfig
    batch_type = Paired
    takes_labels = True
    takes_layers = True
    may_enlarge = True

    def __init__(self, config: Pix2PixConfig, images: ImageSpec) -> None:
        super().__init__(config, images)
        self.config, self.given, self.target = config, images.domain(0), images.domain(1)
        self.adversary = Adversary(config.adversarial)
        inputs, targets = self.given.channels, self.target.channels
        self.generator = config.generator.between(inputs, targets, images.size)
        judged = config.adversarial_weight > 0
        self.discriminator = config.discriminator.initialised(inputs + targets, images.size) if judged else None
        if config.feature_matching and not hasattr(self.discriminator, "maps"):
            raise ConfigurationError(
                f"model.discriminator.kind {config.discriminator.kind}: does not say what its layers see, which "
                "model.feature_matching compares; set model.discriminator.kind: patch"
            )
        if config.perceptual:
            require_at_least(images.size, 16, "the five blocks of VGG", "set model.perceptual=0")
        if config.perceptual and (self.target.classes or targets not in (1, 3)):
            raise ConfigurationError(
                f"model.perceptual compares grey or RGB images, and {self.target.name} is {self.target}: set "
                "model.perceptual=0"
            )
        self.enlarged = enlargement(self.scale)

    @classmethod
    def require_images(cls, config: Pix2PixConfig, images: ImageSpec) -> None:
        """Takes any."""

    def generate(self, batch: Paired) -> Fakes:
        output = self.generator(batch.input)
        return {"output": where_labelled(output, batch.target) if self.target.classes else output}

    def turns(self) -> list[Turn]:
        if self.config.perceptual:
            _ = self._perceptual  # fails before the first step if the file is missing; converting needs none
        generator = self.adversary.generator_turn("generator", [self.generator], self._generator_losses)
        if self.discriminator is None:
            return [generator]
        losses = self._discriminator_losses
        discriminator = self.adversary.discriminator_turn("discriminator", [self.discriminator], losses)
        return [discriminator, generator][:: -1 if self.config.first_turn == "generator" else 1]

    def _discriminator_losses(self, batch: Paired, fakes: Fakes) -> Losses:
        assert self.discriminator is not None
        given = self.enlarged(batch.input)
        real, fake = (torch.cat([given, image], 1) for image in (batch.target, fakes["output"]))
        return self.adversary.discriminator_losses(self.discriminator, real, fake)

    def _generator_losses(self, batch: Paired, fakes: Fakes) -> Losses:
        output, distance = fakes["output"], cross_entropy if self.target.classes else l1
        compared = {"reconstruction": self.config.reconstruction * distance(output, batch.target)}
        if self.config.perceptual:
            compared["perceptual"] = self.config.perceptual * self._perceptual(output, batch.target)
        if self.discriminator is None:
            return compared
        given = self.enlarged(batch.input)
        fake, real = (torch.cat([given, image], 1) for image in (output, batch.target))
        return {**self._adversarial(self.discriminator, fake, real), **compared}

    def _adversarial(self, discriminator: Any, fake: Tensor, real: Tensor) -> Losses:
        """The losses that the discriminator gives to pairs of input and output."""
        weight, matching = self.config.adversarial_weight, self.config.feature_matching
        if not matching:
            return {"adversarial": weight * self.adversary.generator_loss(discriminator, fake, real)}
        seen = discriminator.maps(fake)
        with torch.no_grad():
            wanted = discriminator.maps(real)
        loss = self.adversary.loss.generator_loss(*([maps[-1] for maps in each] for each in (seen, wanted)))
        return {"adversarial": weight * loss, "feature_matching": matching * feature_matching(seen, wanted)}

    @cached_property
    def _perceptual(self) -> LayeredDistance:
        return named_by("model.perceptual_weights", LayeredDistance, self.config.perceptual_weights)

    def convert(self, images: Tensor, to: int = 1) -> Tensor:
        """Converts one image at a time, so that batch statistics and noise depend on that image only."""
        with self.in_mode(self.config.convert_mode), torch.random.fork_rng(devices=_devices(images)):
            return torch.cat([self._convert_one(image) for image in images.split(1)])

    def _convert_one(self, image: Tensor) -> Tensor:
        torch.manual_seed(self.seed)
        translated: Tensor = self.generator(image)
        return translated

    @property
    def converts_in_training_mode(self) -> bool:
        return self.config.convert_mode == "train"

    @property
    def draws_noise(self) -> bool:
        dropped = (one for one in self.generator.modules() if isinstance(one, nn.Dropout) and one.p > 0)
        return self.converts_in_training_mode and next(dropped, None) is not None

    def translate_at_once(self, images: Tensor, request: Request) -> Tensor:
        translated: Tensor = self.generator(images)
        return translated

    def port_networks(self) -> dict[str, nn.Module]:
        judged = {} if self.discriminator is None else {"D": self.discriminator}
        return {"G": self.generator, **judged}

    def targets(self) -> list[int]:
        return [1]

    @property
    def stride(self) -> int:
        return int(self.generator.stride)

    @property
    def scale(self) -> int:
        return self.generator.scale

    def show(self, batch: Paired) -> dict[str, Tensor]:
        output, target = (coloured(images, self.target) for images in (self.convert(batch.input), batch.target))
        given = columns("input", in_blocks(batch.input, self.scale), self.given)
        if self.scale != 1 and self.given.like(self.target):
            given["bicubic"] = self.enlarged(batch.input).clamp(-1, 1)
        return {**given, "output": output, "target": target}


def _devices(images: Tensor) -> list[torch.device]:
    return [images.device] if images.is_cuda else []

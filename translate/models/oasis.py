"""OASIS: photos of label maps, by a discriminator that segments (Schönfeld et al. 2021)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from translate.data.batch import Mapped
from translate.data.planes import columns
from translate.errors import ConfigurationError
from translate.losses.segmenting import as_generated, as_labelled, consistency, mask_by_class
from translate.models.base import Fakes, ImageSpec, Losses, Request, Style, Translator, Turn
from translate.models.noise import draw_noise
from translate.models.parts import Generator
from translate.models.styles import fixed_latents
from translate.networks.oasis import SegmentingSettings
from translate.networks.settings import InitialisationSettings
from translate.networks.spade import SPADESettings
from translate.utils.settings import Settings

SHOWN = 2
"""Translations that the sample grid has of each label map, each with other noise."""
PUBLISHED = SPADESettings(layout="oasis", initialisation=InitialisationSettings(kind="xavier"))


class OASISConfig(Settings):
    """Settings of `OASIS`, by default those of the paper for 256 px."""

    name: Literal["oasis"] = "oasis"
    noise: int = Field(64, ge=1)
    """How many random numbers each image is made with, the same at every pixel."""
    label_mix: float = Field(10.0, ge=0)
    """Weight of LabelMix, which holds the discriminator to outlines of classes: 10, of streets 5; 0 switches it off."""
    generator: Generator = PUBLISHED
    discriminator: SegmentingSettings = SegmentingSettings()


class OASIS(Translator):
    """Generator G: noise and label map -> image. Discriminator D sees images alone and finds each pixel's class, one of
    N of the label map, or "generated".

    L_D = E CE_w(D(x), t) + E CE(D(G(z, t)), generated) + lambda_LM |D(LabelMix(x, G)) - LabelMix(D(x), D(G))|^2
    L_G = E CE_w(D(G(z, t)), t)   (eq. 1 to 4)

    CE_w weighs classes so that all that occur in the batch, of all processes, count alike; with `training.accumulate`
    in each part of it. Nothing else holds a photo to that of its label map: no L1, no perceptual loss.
    """

    Config = OASISConfig
    batch_type = Mapped
    takes_labels = True
    styled = True
    gather: Callable[[Tensor], Tensor] | None = None
    """As in `BatchNorm2d`: what makes the batches of all processes one, whose classes are balanced."""

    def __init__(self, config: OASISConfig, images: ImageSpec) -> None:
        super().__init__(config, images)
        self.config, self.given = config, images.domain(0)
        classes, channels = self.given.channels, images.domain(1).channels
        self.generator = config.generator.between(config.noise + classes, channels, images.size)
        self.discriminator = config.discriminator.initialised(channels, classes, images.size)

    @classmethod
    def require_images(cls, config: OASISConfig, images: ImageSpec) -> None:
        given, target = images.domain(0), images.domain(1)
        if not given.classes or target.numbered:
            raise ConfigurationError(
                f"model.name {config.name} makes images of label maps, and {given.name} holds {given}, {target.name} "
                f"{target}: set data.direction to swap them, data.domains.{given.name}.kind: labels where numbers of "
                "classes were taken for images, or train with pix2pix"
            )

    def generate(self, batch: Mapped) -> Fakes:
        return {"output": self._made(batch.input, draw_noise("normal", len(batch), self.config.noise, self.generator))}

    def turns(self) -> list[Turn]:
        return [
            Turn("discriminator", [self.discriminator], self._discriminator_losses),
            Turn("generator", [self.generator], self._generator_losses, trains_generators=True),
        ]

    def _discriminator_losses(self, batch: Mapped, fakes: Fakes) -> Losses:
        real, fake = self.discriminator(batch.target), self.discriminator(fakes["output"])
        losses = {"real": as_labelled(real, batch.input, self.gather), "fake": as_generated(fake)}
        if not self.config.label_mix:
            return losses
        mask = mask_by_class(batch.input)
        mixed = self.discriminator(torch.where(mask, batch.target, fakes["output"]))
        return losses | {"label_mix": self.config.label_mix * consistency(real, fake, mixed, mask)}

    def _generator_losses(self, batch: Mapped, fakes: Fakes) -> Losses:
        return {"adversarial": as_labelled(self.discriminator(fakes["output"]), batch.input, self.gather)}

    def _made(self, planes: Tensor, noise: Tensor) -> Tensor:
        """Images of label maps, with noise (batch or 1, numbers), which goes before the planes; SPADE's generator takes
        -1 and 1 for 0 and 1."""
        spread = (2 * noise - 1)[:, :, None, None].expand(planes.shape[0], -1, *planes.shape[2:])
        made: Tensor = self.generator(torch.cat([spread.to(planes.dtype), planes], 1))
        return made

    def convert(self, images: Tensor, to: int = 1) -> Tensor:
        return self.translate(images, Request.to(to))

    def translate(self, images: Tensor, request: Request) -> Tensor:
        """With the noise that the request's style is, or else that of `seed`: the same for all images."""
        weight, style = next(self.generator.parameters()), request.style
        noise = weight.new_tensor([style.code]) if style else fixed_latents(self.seed, self.config.noise, weight)
        with self.in_mode("eval"):
            return self._made(images, noise)

    def drawn_style(self, seed: int, to: int) -> Style:
        (noise,) = fixed_latents(seed, self.config.noise, torch.empty(0))
        return Style(tuple(noise.tolist()), f"seed:{seed}")

    def read_style(self, image: Tensor, to: int, name: str) -> Style:
        raise ConfigurationError(
            f"--style {name}: its styles are random numbers, which it reads off no picture; give --style seed:7"
        )

    @property
    def draws_noise(self) -> bool:
        return True

    def targets(self) -> list[int]:
        return [1]

    @property
    def stride(self) -> int:
        return int(self.generator.stride)

    def show(self, batch: Mapped) -> dict[str, Tensor]:
        styles = [Request.to(1).in_style(self.drawn_style(seed, 1)) for seed in range(SHOWN)]
        outputs = {f"output {number}": self.translate(batch.input, one) for number, one in enumerate(styles, 1)}
        return {**columns("input", batch.input, self.given), **outputs, "target": batch.target}

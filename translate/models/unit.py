"""UNIT: two auto-encoders with a common code (Liu et al. 2017), and further losses that make two domains share a
code."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from translate.data.batch import Unpaired
from translate.losses.perceptual import PerceptualDistance
from translate.models.adversary import AdversarialSettings, Adversary
from translate.models.base import Fakes, ImageSpec, Losses, Translator, Turn, l1
from translate.models.parts import Discriminator, perceptual_distance
from translate.networks.autoencoder import AutoencoderSettings, CodeDiscriminator
from translate.networks.patchgan import StridedSettings
from translate.utils.settings import Settings


class UNITConfig(Settings):
    """Loss weights; 0 switches a loss off. "Published" refers to the 2018 release."""

    name: Literal["unit"] = "unit"
    adversarial: AdversarialSettings = AdversarialSettings(objective="lsgan")
    reconstruction: float = Field(10.0, ge=0)
    """Weight of |x - D(E(x))|, within each domain."""
    kl: float = Field(0.01, ge=0)
    """Weight of the divergence from N(0, 1) of the codes of images and of translations."""
    cycle: Literal["image", "code", "both", "none"] = "image"
    """What must survive the way to the other domain and back: the image, its code, or both (ComboGAN, XGAN)."""
    cycle_weight: float = Field(10.0, ge=0)
    """Weight of |x - the translation back of x|."""
    code_cycle_weight: float = Field(1.0, ge=0)
    """Weight of the difference between an image's code and that of its round trip."""
    identity: float = Field(0.0, ge=0)
    """Weight of the difference between an image and its translation to its own domain; keeps colours (CycleGAN, not
    UNIT)."""
    semantic: float = Field(0.0, ge=0)
    """Weight of the difference between a translation's code and its input's code (XGAN)."""
    code_adversary: float = Field(0.0, ge=0)
    """Weight of the loss that makes the encoders fool a discriminator that recognises a code's domain."""
    perceptual: float = Field(0.0, ge=0)
    """Weight of the perceptual distance between translation and input, by `perceptual_weights`; 1 as published."""
    perceptual_weights: Path = Path("vgg16-397923af.pth")
    """State dict of torchvision's VGG-16 (as published) or ResNet-18; read only in training."""
    variational: bool = True
    """Adds N(0, 1) noise to the codes in training; otherwise these are plain auto-encoders."""
    autoencoder: AutoencoderSettings = AutoencoderSettings()
    discriminator: Discriminator = StridedSettings(layers=4, scales=3)


class UNIT(Translator):
    """Encoders E_a and E_b map domains a and b to a common code z, G_a and G_b decode it; inner layers may be shared.

    Further losses that tie the codes together are options of the same model.
    """

    Config = UNITConfig
    batch_type = Unpaired

    def __init__(self, config: UNITConfig, images: ImageSpec) -> None:
        super().__init__(config, images)
        self.config, self.domains = config, images.domains
        self.adversary = Adversary(config.adversarial)
        channels = [images.domain(number).channels for number in (0, 1)]
        self.autoencoders = config.autoencoder.between(*channels)
        self.discriminator_a, self.discriminator_b = (
            config.discriminator.initialised(count, images.size) for count in channels
        )
        if config.code_adversary:
            self.code_discriminator = CodeDiscriminator(self.autoencoders.code_channels, config.discriminator.filters)

    @classmethod
    def require_images(cls, config: UNITConfig, images: ImageSpec) -> None:
        for weight in ("identity", "perceptual"):
            if getattr(config, weight):
                images.require_equal_channels(f"model.{weight}", f"set model.{weight}: 0")

    def encode(self, images: Tensor, domain: int) -> Tensor:
        """Mean codes (batch, code channels, height / stride, width / stride) of images of domain number `domain`."""
        return self.autoencoders.encode(images, domain)

    def decode(self, codes: Tensor, domain: int) -> Tensor:
        """Decodes codes to images of domain number `domain`, in [-1, 1]."""
        return self.autoencoders.decode(codes, domain)

    def generate(self, batch: Unpaired) -> Fakes:
        mean_a, mean_b = self.encode(batch.a, 0), self.encode(batch.b, 1)
        code_a, code_b = self._sample(mean_a), self._sample(mean_b)
        codes = {"mean a": mean_a, "mean b": mean_b, "code a": code_a, "code b": code_b}
        return {"a": self.decode(code_b, 0), "b": self.decode(code_a, 1), **codes}

    def turns(self) -> list[Turn]:
        discriminators: list[nn.Module] = [self.discriminator_a, self.discriminator_b]
        discriminators += [self.code_discriminator] if self.config.code_adversary else []
        if self.config.perceptual:
            _ = self._perceptual  # fails before the first step if the file is missing; converting needs none
        return [
            self.adversary.discriminator_turn("discriminators", discriminators, self._discriminators_losses),
            self.adversary.generator_turn("autoencoders", [self.autoencoders], self._coders_losses),
        ]

    def _discriminators_losses(self, batch: Unpaired, fakes: Fakes) -> Losses:
        losses = {
            **self.adversary.discriminator_losses(self.discriminator_a, batch.a, fakes["a"], "a"),
            **self.adversary.discriminator_losses(self.discriminator_b, batch.b, fakes["b"], "b"),
        }
        if self.config.code_adversary:
            losses["code"] = self._code_loss(fakes["mean a"], fakes["mean b"])
        return losses

    def _coders_losses(self, batch: Unpaired, fakes: Fakes) -> Losses:
        losses = {
            "adversarial/a": self.adversary.generator_loss(self.discriminator_a, fakes["a"], batch.a),
            "adversarial/b": self.adversary.generator_loss(self.discriminator_b, fakes["b"], batch.b),
        }
        if self.config.code_adversary:
            losses["code"] = self.config.code_adversary * self._code_loss(fakes["mean b"], fakes["mean a"])
        for own, images in enumerate((batch.a, batch.b)):
            losses |= {f"{name}/{'ab'[own]}": loss for name, loss in self._domain_losses(own, images, fakes).items()}
        return losses

    def _code_loss(self, code_a: Tensor, code_b: Tensor) -> Tensor:
        """The loss of a discriminator that treats codes of a as real and of b as fake; the encoders swap the two."""
        return self.adversary.loss.discriminator_loss(self.code_discriminator(code_a), self.code_discriminator(code_b))

    def _domain_losses(self, own: int, images: Tensor, fakes: Fakes) -> Losses:
        """The losses on images of domain number `own`: decoded as they are, translated, and translated back."""
        mean, code, translated = fakes[f"mean {'ab'[own]}"], fakes[f"code {'ab'[own]}"], fakes["ba"[own]]
        if not (self.config.semantic or self.config.cycle != "none"):
            return self._reconstruction(own, images, mean, code) | self._translation(own, images, mean, translated)
        there = self.encode(translated, 1 - own)
        back = self._way_back(own, images, mean, there)
        forth = self._translation(own, images, mean, translated) | self._semantic(mean, there)
        return self._reconstruction(own, images, mean, code) | forth | back

    def _reconstruction(self, own: int, images: Tensor, mean: Tensor, code: Tensor) -> Losses:
        """An image's code decodes to the image, and codes are distributed as N(0, 1)."""
        config, losses = self.config, {}
        if config.reconstruction:
            losses["reconstruction"] = config.reconstruction * l1(self.decode(code, own), images)
        return losses | self._prior("kl", mean)

    def _translation(self, own: int, images: Tensor, mean: Tensor, translated: Tensor) -> Losses:
        """A translation shows what its input shows, and an image of the target domain stays as it is."""
        config, losses = self.config, {}
        if config.perceptual:
            losses["perceptual"] = config.perceptual * self._perceptual(translated, images)
        if config.identity:
            as_other = self._sample(self.encode(images, 1 - own))
            losses["identity"] = config.identity * l1(self.decode(as_other, own), images)
        return losses

    def _semantic(self, mean: Tensor, there: Tensor) -> Losses:
        """A translation's code `there` is that of its input."""
        return {"semantic": self.config.semantic * l1(there, mean)} if self.config.semantic else {}

    def _way_back(self, own: int, images: Tensor, mean: Tensor, there: Tensor) -> Losses:
        """The translation, of code `there`, translates back to the image, to the image's code, or to both."""
        config, losses = self.config, self._prior("kl_translated", there)
        if config.cycle == "none":
            return {}
        back = self.decode(self._sample(there), own)
        if config.cycle in ("image", "both") and config.cycle_weight:
            losses["cycle"] = config.cycle_weight * l1(back, images)
        if config.cycle in ("code", "both") and config.code_cycle_weight:
            losses["code_cycle"] = config.code_cycle_weight * l1(self.encode(back, own), mean)
        return losses

    def _prior(self, name: str, mean: Tensor) -> Losses:
        """Codes of this mean are distributed as N(0, 1); plain auto-encoders need not care."""
        return {name: self.config.kl * _kl(mean)} if self.config.kl and self.config.variational else {}

    @cached_property
    def _perceptual(self) -> PerceptualDistance:
        return perceptual_distance("perceptual_weights", self.config.perceptual_weights)

    def _sample(self, mean: Tensor) -> Tensor:
        return mean + torch.randn_like(mean) if self.config.variational and self.training else mean

    def convert(self, images: Tensor, to: int) -> Tensor:
        with self.in_mode("eval"):
            translated: Tensor = self.autoencoders(images, 1 - to, to)
            return translated

    def targets(self) -> list[int]:
        return [1, 0]

    @property
    def stride(self) -> int:
        return int(self.autoencoders.stride)

    def show(self, batch: Unpaired) -> dict[str, Tensor]:
        a, b = self.domains
        with self.in_mode("eval"):
            code_a, code_b = self.encode(batch.a, 0), self.encode(batch.b, 1)
            return {
                a: batch.a,
                f"{a} decoded": self.decode(code_a, 0),
                f"{a} to {b}": self.decode(code_a, 1),
                b: batch.b,
                f"{b} decoded": self.decode(code_b, 1),
                f"{b} to {a}": self.decode(code_b, 0),
            }


def _kl(mean: Tensor) -> Tensor:
    """KL(N(mean, 1) || N(0, 1)), which is mean^2 / 2 per number; as released, without the half and averaged."""
    return mean.float().square().mean()

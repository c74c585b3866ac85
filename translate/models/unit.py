"""UNIT: two auto-encoders with a common code (Liu et al. 2017), and further losses that make two domains share a
code."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from translate.data.batch import Unpaired
from translate.losses.perceptual import PerceptualDistance
from translate.models.adversary import AdversarialSettings, Adversary
from translate.models.base import Fakes, ImageSpec, Losses, Translator, Turn, l1
from translate.models.parts import (
    AutoencoderSettings,
    DiscriminatorSettings,
    build_autoencoders,
    build_discriminator,
    perceptual_distance,
)
from translate.networks.autoencoder import CodeDiscriminator
from translate.utils.settings import Settings


class UNITConfig(Settings):
    """Loss weights; 0 switches a loss off. "Published" refers to the 2018 release."""

    name: Literal["unit"] = "unit"
    adversarial: AdversarialSettings = AdversarialSettings(objective="lsgan")
    reconstruction: float = Field(10.0, ge=0)
    kl: float = Field(0.01, ge=0)
    """Weight of the divergence from N(0, 1) of the codes of images and of translations."""
    cycle: Literal["image", "code", "both", "none"] = "image"
    """What must survive the way to the other domain and back: the image, its code, or both (ComboGAN, XGAN)."""
    cycle_weight: float = Field(10.0, ge=0)
    code_cycle_weight: float = Field(1.0, ge=0)
    identity: float = Field(0.0, ge=0)
    """Weight of the difference between an image and its translation to its own domain; keeps colours (CycleGAN, not
    UNIT)."""
    semantic: float = Field(0.0, ge=0)
    """Weight of the difference between a translation's code and its input's code (XGAN)."""
    code_adversary: float = Field(0.0, ge=0)
    """Weight of the loss that makes the encoders fool a discriminator that tells a code's domain."""
    perceptual: float = Field(0.0, ge=0)
    """Weight of the perceptual distance between translation and input, by `perceptual_weights`; 1 as published."""
    perceptual_weights: Path = Path("vgg16-397923af.pth")
    """State dict of torchvision's VGG-16 (as published) or ResNet-18; read only in training."""
    variational: bool = True
    """Adds N(0, 1) noise to the codes in training; otherwise these are plain auto-encoders."""
    autoencoder: AutoencoderSettings = AutoencoderSettings()
    discriminator: DiscriminatorSettings = DiscriminatorSettings(kind="strided", layers=4, scales=3)


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
        self.autoencoders = build_autoencoders(config.autoencoder, images.channels)
        self.discriminator_a, self.discriminator_b = (
            build_discriminator(config.discriminator, images.channels, images.size) for _ in "ab"
        )
        if config.code_adversary:
            self.code_discriminator = CodeDiscriminator(self.autoencoders.code_channels, config.discriminator.filters)

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
        pace = self.config.adversarial.discriminator_turns
        discriminators: list[nn.Module] = [self.discriminator_a, self.discriminator_b]
        discriminators += [self.code_discriminator] if self.config.code_adversary else []
        clip = partial(self.adversary.constrain, discriminators)
        if self.config.perceptual:
            _ = self._perceptual  # fails before the first step if the file is missing; converting needs none
        return [
            Turn("discriminators", discriminators, self._discriminators_losses, after_step=clip),
            Turn("autoencoders", [self.autoencoders], self._coders_losses, trains_generators=True, every=pace),
        ]

    def _discriminators_losses(self, batch: Unpaired, fakes: Fakes) -> Losses:
        losses = {
            **self.adversary.discriminator_losses(self.discriminator_a, batch.a, fakes["a"], "a"),
            **self.adversary.discriminator_losses(self.discriminator_b, batch.b, fakes["b"], "b"),
        }
        if self.config.code_adversary:
            losses["code"] = self._log(fakes["mean a"], fakes["mean b"])
        return losses

    def _coders_losses(self, batch: Unpaired, fakes: Fakes) -> Losses:
        losses = {
            "adversarial a": self.adversary.generator_loss(self.discriminator_a, fakes["a"]),
            "adversarial b": self.adversary.generator_loss(self.discriminator_b, fakes["b"]),
        }
        if self.config.code_adversary:
            losses["code"] = self.config.code_adversary * self._log(fakes["mean b"], fakes["mean a"])
        for own, images in enumerate((batch.a, batch.b)):
            kept = self._kept(own, images, fakes)
            losses |= {f"{name} {'ab'[own]}": loss for name, loss in kept.items()}
        return losses

    def _log(self, code_a: Tensor, code_b: Tensor) -> Tensor:
        """The loss of a discriminator that treats codes of a as real and of b as fake; the encoders swap the two."""
        return self.adversary.loss.discriminator_loss(self.code_discriminator(code_a), self.code_discriminator(code_b))

    def _kept(self, own: int, images: Tensor, fakes: Fakes) -> Losses:
        """The losses on images of domain `own`, their codes, their translations and the way back."""
        config, cycle = self.config, self.config.cycle
        mean, code, translated = fakes[f"mean {'ab'[own]}"], fakes[f"code {'ab'[own]}"], fakes["ba"[own]]
        there = self.encode(translated, 1 - own) if config.semantic or cycle != "none" else mean
        back = self.decode(self._sample(there), own) if cycle != "none" else images
        kl = config.kl if config.variational else 0.0
        terms: dict[str, tuple[float, Callable[[], Tensor]]] = {
            "reconstruction": (config.reconstruction, lambda: l1(self.decode(code, own), images)),
            "kl": (kl, lambda: _kl(mean)),
            "perceptual": (config.perceptual, lambda: self._perceptual(translated, images)),
            "identity": (
                config.identity,
                lambda: l1(self.decode(self._sample(self.encode(images, 1 - own)), own), images),
            ),
            "semantic": (config.semantic, lambda: l1(there, mean)),
            "kl of translation": (kl if cycle != "none" else 0.0, lambda: _kl(there)),
            "cycle": (config.cycle_weight if cycle in ("image", "both") else 0.0, lambda: l1(back, images)),
            "code cycle": (
                config.code_cycle_weight if cycle in ("code", "both") else 0.0,
                lambda: l1(self.encode(back, own), mean),
            ),
        }
        return {name: weight * term() for name, (weight, term) in terms.items() if weight}

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

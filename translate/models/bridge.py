"""Bridges: a network walks from an image to its translation in as many steps as wanted; learnt from pairs.

BBDM (Li et al. 2023), I2SB (Liu et al. 2023) and rectified flow (Liu et al. 2023) differ in `path` alone.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from translate.data.batch import Paired
from translate.errors import ConfigurationError
from translate.losses.bridges import EARLIEST, Bridge, Brownian, evenly
from translate.models.adversary import AdversarialSettings, Adversary
from translate.models.base import Fakes, ImageSpec, Losses, Request, Translator, Turn
from translate.models.parts import Discriminator
from translate.networks.patchgan import PatchSettings
from translate.networks.time_unet import TimeUNetSettings
from translate.utils.settings import Settings


class BridgeConfig(Settings):
    """Settings of `BridgeModel`, by default those of BBDM between images themselves."""

    name: Literal["bridge"] = "bridge"
    path: Bridge = Brownian()
    """What lies between an image and its translation, and what the network tells of it."""
    steps: int = Field(200, ge=1, le=1000)
    """In how many steps images are translated, each a pass of the network; `translate convert --steps` asks for
    others."""
    sees_input: bool = True
    """Whether the network also sees the image that the path began with, at every step."""
    adversarial: AdversarialSettings = AdversarialSettings(objective="nonsaturating")
    adversarial_weight: float = Field(0.0, ge=0)
    """Weight of what a discriminator says of the translation in one step, 0.01 to 0.1; 0 trains without one."""
    generator: TimeUNetSettings = TimeUNetSettings()
    discriminator: Discriminator = PatchSettings()


class BridgeModel(Translator):
    """The generator G looks at a point x_t of a random path from input y to target x0, at a random time, and tells x0.

    min_G  E d(G(x_t, y, t), (x_t - x0) / unit(t))  +  lambda GAN(D, x0'),   x0' = what G takes x0 for at t = 1, x_t = y

    Without the second term there is no adversary, and many steps are needed for detail; with it D, which scores y and
    x0' stacked, teaches G the answer in one step. Translating walks from y to its translation (see `BridgeSettings`).
    """

    Config = BridgeConfig
    batch_type = Paired
    stepped = True

    def __init__(self, config: BridgeConfig, images: ImageSpec) -> None:
        super().__init__(config, images)
        self.config = config
        self.adversary = Adversary(config.adversarial)
        channels = images.channels
        self.generator = config.generator.build(channels * (1 + config.sees_input), channels, images.size)
        judged = config.adversarial_weight > 0
        self.discriminator = config.discriminator.initialised(2 * channels, images.size) if judged else None

    def generate(self, batch: Paired) -> Fakes:
        """What G tells at a point of each pair's path, and what it should; with an adversary also the translations in
        one step, `output`."""
        path, target, source = self.config.path, batch.target, batch.input
        time = EARLIEST + (1 - EARLIEST) * torch.rand(len(target), device=target.device, dtype=target.dtype)
        point = path.point(target, source, torch.randn_like(target), time)
        told = {"told": self._told(source, point, time), "wanted": path.wanted(point, target, time)}
        return told if self.discriminator is None else {**told, "output": self._in_one_step(source)}

    def turns(self) -> list[Turn]:
        generator = self.adversary.generator_turn("generator", [self.generator], self._generator_losses)
        if self.discriminator is None:
            return [generator]
        losses = self._discriminator_losses
        return [self.adversary.discriminator_turn("discriminator", [self.discriminator], losses), generator]

    def _discriminator_losses(self, batch: Paired, fakes: Fakes) -> Losses:
        assert self.discriminator is not None
        real, fake = (torch.cat([batch.input, image], 1) for image in (batch.target, fakes["output"]))
        return self.adversary.discriminator_losses(self.discriminator, real, fake)

    def _generator_losses(self, batch: Paired, fakes: Fakes) -> Losses:
        bridge = {"bridge": self.config.path.distance(fakes["told"], fakes["wanted"])}
        if self.discriminator is None:
            return bridge
        fake, real = (torch.cat([batch.input, image], 1) for image in (fakes["output"], batch.target))
        adversarial = self.adversary.generator_loss(self.discriminator, fake, real)
        return {**bridge, "adversarial": self.config.adversarial_weight * adversarial}

    def _told(self, source: Tensor, point: Tensor, time: Tensor) -> Tensor:
        told: Tensor = self.generator(torch.cat([point, source], 1) if self.config.sees_input else point, time)
        return told

    def _in_one_step(self, source: Tensor) -> Tensor:
        """What G takes the target for at the beginning of the path."""
        time = source.new_ones(len(source))
        return self.config.path.guess(source, self._told(source, source, time), time)

    def convert(self, images: Tensor, to: int = 1) -> Tensor:
        return self.translate(images, Request.to(to))

    def translate(self, images: Tensor, request: Request) -> Tensor:
        """In the steps of the request, or else in those of the settings; with noise of `seed`, the same for all."""
        rng = np.random.default_rng(self.seed)

        def noise() -> Tensor:
            """NumPy's, the same on every device."""
            drawn = rng.standard_normal(images.shape[1:], dtype=np.float32) if self.config.path.share else 0.0
            return torch.as_tensor(drawn, dtype=images.dtype, device=images.device)

        with self.in_mode("eval"):
            return self.config.path.walk(
                lambda point, time: self._told(images, point, time), images, evenly(self._steps(request)), noise
            )

    def _steps(self, request: Request) -> int:
        return request.steps or self.config.steps

    def require_graph(self, request: Request) -> None:
        steps = self._steps(request)
        if self.config.generator.attention:
            raise ConfigurationError(
                "torch.export makes no graph for batches of any length of this network's attention: export it with "
                "--format hub, which holds the model itself, or train with model.generator.attention: 0"
            )
        if self.config.path.share and steps > 1:
            raise ConfigurationError(
                f"this bridge draws random numbers in each of its {steps} steps, which a graph cannot: export it with "
                "--steps 1, or --format hub, which holds the model itself"
            )
        if steps > MOST_UNROLLED:
            raise ConfigurationError(
                f"a graph holds the network once for each of the {steps} steps, and {MOST_UNROLLED} are the most: "
                f"export it with --steps {MOST_UNROLLED} or fewer, or --format hub, which holds the model itself"
            )

    @property
    def draws_noise(self) -> bool:
        return self.config.path.share > 0 and self.config.steps > 1

    def targets(self) -> list[int]:
        return [1]

    @property
    def stride(self) -> int:
        return int(self.generator.stride)

    def show(self, batch: Paired) -> dict[str, Tensor]:
        """Translations in one step beside those in all steps."""
        source, steps = batch.input, self.config.steps
        made = {f"{steps} steps": self.convert(source)} if steps > 1 else {}
        one = self.translate(source, Request.to(1).in_steps(1))
        return {"input": source, "1 step": one, **made, "target": batch.target}


MOST_UNROLLED = 32
"""Steps that an exported graph may have."""

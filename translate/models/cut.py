"""CUT and FastCUT: one generator, whose translations resemble their inputs place by place (Park et al. 2020)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from translate.data.batch import Unpaired
from translate.losses.patch_nce import PatchNCE, PatchNCESettings
from translate.models.adversary import AdversarialSettings, Adversary
from translate.models.base import Fakes, ImageSpec, Losses, Translator, Turn
from translate.models.parts import Discriminator, Generator, require_features
from translate.networks.patchgan import PatchSettings
from translate.networks.resnet import ResnetSettings
from translate.utils.settings import Settings


class CUTConfig(Settings):
    """As published means as in the paper's released code."""

    name: Literal["cut"] = "cut"
    adversarial: AdversarialSettings = AdversarialSettings(objective="lsgan")
    nce: float = Field(1.0, gt=0)
    """Weight of PatchNCE: every place of a translation resembles the same place of its input more than others. 1 as
    published, 10 in FastCUT; larger holds translations nearer to their inputs."""
    identity: float = Field(1.0, ge=0)
    """How much PatchNCE of images of the second domain, which the generator is to leave as they are, counts beside that
    of the first, in their mean; keeps colours. 1 as published, 0 in FastCUT."""
    flip_equivariance: bool = False
    """Half of the steps mirror what the generator takes, and mirror back what is compared (FastCUT)."""
    patches: PatchNCESettings = PatchNCESettings()
    generator: Generator = ResnetSettings(upsampling="blur")
    discriminator: Discriminator = PatchSettings(downsampling="blur")


class CUT(Translator):
    """G translates images of domain a to domain b, which D distinguishes from real ones. One way only: to reverse it,
    swap the domains.

    L = GAN(G, D) + lambda (NCE(a, G(a)) + NCE(b, G(b))) / 2   (eq. 5), or without G(b): GAN(G, D) + lambda NCE(a, G(a))

    NCE compares what G's own inner layers see of an image and of its translation, as small networks, the heads,
    describe it; these move together with G.
    """

    Config = CUTConfig
    batch_type = Unpaired
    only_for_losses = frozenset({"heads"})

    def __init__(self, config: CUTConfig, images: ImageSpec) -> None:
        super().__init__(config, images)
        self.config, self.domains = config, images.domains
        self.adversary = Adversary(config.adversarial)
        self.generator = config.generator.initialised(images.channels, images.size)
        require_features(self.generator, config.generator.kind, config.name)
        self.discriminator = config.discriminator.initialised(images.channels, images.size)
        heads = PatchNCE(self.generator.feature_channels, **dict(config.patches))
        self.heads = config.generator.initialisation.draw(heads)

    def generate(self, batch: Unpaired) -> Fakes:
        """The translation `b`, what G makes of batch.b as `same`, and the keys: what G's layers see of the batch in
        that pass, where it is not mirrored."""
        images = self._taken(batch)
        if self.config.flip_equivariance:
            mirrored = torch.rand((), device=images.device) < 0.5  # one coin for all
            made, more = self.generator(_mirrored(images, mirrored)), {"mirrored": mirrored}
        else:
            made, keys = self.generator.with_features(images)
            more = {f"key {number}": self._by_domain(key.detach()) for number, key in enumerate(keys)}
        return dict(zip(("b", "same"), self._by_domain(made).unbind(1), strict=False)) | more

    def turns(self) -> list[Turn]:
        return [
            self.adversary.discriminator_turn("discriminator", [self.discriminator], self._discriminator_losses),
            self.adversary.generator_turn("generator", [self.generator, self.heads], self._generator_losses),
        ]

    def _discriminator_losses(self, batch: Unpaired, fakes: Fakes) -> Losses:
        return self.adversary.discriminator_losses(self.discriminator, batch.b, fakes["b"])

    def _generator_losses(self, batch: Unpaired, fakes: Fakes) -> Losses:
        losses = {"adversarial": self.adversary.generator_loss(self.discriminator, fakes["b"], batch.b)}
        queries, keys = self._queries(fakes), self._keys(batch, fakes)
        shares = [share / (1 + self.config.identity) for share in (1, self.config.identity)]
        for number, domain in enumerate("ab"[: self._domains_taken]):
            parts = ([maps[:, number] for maps in side] for side in (queries, keys))
            losses[f"nce/{domain}"] = self.config.nce * shares[number] * self.heads(*parts)
        return losses

    def _queries(self, fakes: Fakes) -> list[Tensor]:
        """What G's layers see of what it made, mirrored back where it took mirrored images."""
        made = torch.cat([fakes[name] for name in ("b", "same")[: self._domains_taken]])
        queries = self.generator.features(made)
        if self.config.flip_equivariance:
            queries = [_mirrored(query, fakes["mirrored"]) for query in queries]
        return list(map(self._by_domain, queries))

    def _keys(self, batch: Unpaired, fakes: Fakes) -> list[Tensor]:
        """What G's layers see of the images as they are."""
        if not self.config.flip_equivariance:
            return [fakes[f"key {number}"] for number in range(len(self.generator.feature_channels))]
        with torch.no_grad():
            return list(map(self._by_domain, self.generator.features(self._taken(batch))))

    @property
    def _domains_taken(self) -> int:
        return 2 if self.config.identity else 1

    def _taken(self, batch: Unpaired) -> Tensor:
        """The images that G takes: domain a's, then b's."""
        return torch.cat([batch.a, batch.b]) if self.config.identity else batch.a

    def _by_domain(self, images: Tensor) -> Tensor:
        """Images or maps that were taken together, (batch, domains, channels, height, width)."""
        return images.reshape(self._domains_taken, -1, *images.shape[1:]).transpose(0, 1)

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

    def show(self, batch: Unpaired) -> dict[str, Tensor]:
        a, b = self.domains
        return {a: batch.a, f"{a} to {b}": self.convert(batch.a, 1), b: batch.b}


def _mirrored(images: Tensor, whether: Tensor) -> Tensor:
    """All images or maps, with left and right exchanged if the scalar `whether` is true."""
    return torch.where(whether, images.flip(-1), images)

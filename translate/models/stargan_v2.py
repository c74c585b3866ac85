"""StarGAN v2: many domains, and in each of them many styles (Choi et al. 2020)."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from translate.data.batch import Labelled, Referenced
from translate.errors import ConfigurationError
from translate.models.adversary import AdversarialSettings, Adversary
from translate.models.base import Fakes, ImageSpec, Losses, Request, Translator, Turn, l1
from translate.models.images import Style
from translate.models.noise import draw_noise
from translate.models.styles import fixed_latents, require_classes
from translate.networks.stargan_v2 import FunnelSettings, MappingSettings, StyledGeneratorSettings
from translate.utils.settings import Settings

SHOWN = 2
"""Styles of random numbers that the sample grid has of each domain, beside one of a reference."""


class StarGANv2Config(Settings):
    """Settings of `StarGANv2`, by default those of the paper for 256 px."""

    name: Literal["stargan-v2"] = "stargan-v2"
    adversarial: AdversarialSettings = AdversarialSettings(objective="nonsaturating", r1=1.0)
    style: int = Field(64, ge=1)
    """How many numbers a style is."""
    style_reconstruction: float = Field(1.0, ge=0)
    """Weight of |s - E(G(x, s))|: the style that the encoder reads off a translation is the one that it was made in."""
    diversity: float = Field(1.0, ge=0)
    """Weight of |G(x, s) - G(x, s')|, which is enlarged, in the first step: 1 for faces, 2 for animals as published."""
    diversity_steps: int = Field(100_000, ge=1)
    """The step from which that weight is 0; it falls to it in a straight line, so that late training is for quality."""
    cycle: float = Field(1.0, ge=0)
    """Weight of |x - G(G(x, s), s_x)|, where s_x is the style that the encoder reads off x."""
    generator: StyledGeneratorSettings = StyledGeneratorSettings()
    mapping: MappingSettings = MappingSettings()
    style_encoder: FunnelSettings = FunnelSettings()
    discriminator: FunnelSettings = FunnelSettings()


class StarGANv2(Translator):
    """G(x, s) translates image x in style s. F makes styles of a domain from random numbers, E reads them off images,
    and D scores an image as one of a domain.

    L_G = L_adv + lambda_sty L_sty - lambda_ds L_ds + lambda_cyc L_cyc   (eq. 1 to 5)

    Two turns of the discriminator, one for each source of styles; then G, F and E move for styles from F, and G alone
    for styles that E reads off references. All heads of F, E and D are computed, and the domain's is picked with a
    product: heads that were not picked get gradients of 0, so that weight decay moves them, as published.
    """

    Config = StarGANv2Config
    batch_type = Referenced
    styled = True

    def __init__(self, config: StarGANv2Config, images: ImageSpec) -> None:
        super().__init__(config, images)
        self.config, self.size, self.domains = config, images.crop, images.domains
        channels, style, count = images.channels, config.style, len(images.domains)
        self.adversary = Adversary(config.adversarial, pairs=False)
        self.generator = config.generator.build(channels, style)
        self.mapping = config.mapping.build(style, count)
        self.style_encoder = config.style_encoder.encoder(channels, style, count, images.size)
        self.discriminator = config.discriminator.discriminator(channels, count, images.size)

    @classmethod
    def require_images(cls, config: StarGANv2Config, images: ImageSpec) -> None:
        super().require_images(config, images)
        require_classes(images, f"model.name {config.name}")

    def generate(self, batch: Referenced) -> Fakes:
        drawn = self._drawn(batch)
        read = picked(self.style_encoder(batch.reference), batch.wanted)
        made = {"latent": drawn, "reference": read}
        styles = {f"style_{source}": style for source, style in made.items()}
        return {source: self.generator(batch.images, style) for source, style in made.items()} | styles

    def turns(self) -> list[Turn]:
        both, losses = [self.generator, self.mapping, self.style_encoder], self._generator_losses
        discriminator = partial(self.adversary.discriminator_turn, networks=[self.discriminator])
        return [
            discriminator("discriminator_latent", losses=partial(self._discriminator_losses, "latent")),
            discriminator("discriminator_reference", losses=partial(self._discriminator_losses, "reference")),
            self.adversary.generator_turn("generator_latent", both, partial(losses, "latent", self._drawn)),
            self.adversary.generator_turn(
                "generator_reference", [self.generator], partial(losses, "reference", self._partners)
            ),
        ]

    def _discriminator_losses(self, source: str, batch: Referenced, fakes: Fakes) -> Losses:
        own, wanted = (partial(self._score, labels=labels) for labels in (batch.labels, batch.wanted))
        return self.adversary.discriminator_losses(own, batch.images, fakes[source], of_fakes=wanted)

    def _generator_losses(
        self, source: str, another: Callable[[Referenced], Tensor], batch: Referenced, fakes: Fakes
    ) -> Losses:
        """`another`: a second style of the wanted domain, from the same source."""
        fake, style = fakes[source], fakes[f"style_{source}"]
        with torch.no_grad():
            other = self.generator(batch.images, another(batch))
        spread = l1(fake, other)
        back = self.generator(fake, picked(self.style_encoder(batch.images), batch.labels))
        return {
            "adversarial": self.adversary.generator_loss(partial(self._score, labels=batch.wanted), fake),
            "style_reconstruction": self.config.style_reconstruction
            * l1(picked(self.style_encoder(fake), batch.wanted), style),
            "diversity": -self._diversity() * spread,
            "cycle": self.config.cycle * l1(back, batch.images),
            "spread": spread.detach(),
        }

    def _diversity(self) -> Tensor:
        """The weight of the diversity, which the step itself lowers."""
        return self.config.diversity * (1 - self.step / self.config.diversity_steps).clamp(min=0)

    def _drawn(self, batch: Referenced) -> Tensor:
        latents = draw_noise("normal", len(batch), self.mapping.latent, self.mapping)
        return picked(self.mapping(latents), batch.wanted)

    def _partners(self, batch: Referenced) -> Tensor:
        return picked(self.style_encoder(batch.partner), batch.wanted)

    def _score(self, images: Tensor, labels: Tensor) -> Tensor:
        return picked(self.discriminator(images), labels)

    def drawn_style(self, seed: int, to: int) -> Style:
        return Style(tuple(self._of_seed(seed, to).tolist()), f"seed:{seed}")

    def read_style(self, image: Tensor, to: int, name: str) -> Style:
        with self.in_mode("eval"), torch.no_grad():
            (style,) = self.style_encoder(image)[:, to].float()
        return Style(tuple(style.tolist()), name)

    def _of_seed(self, seed: int, to: int) -> Tensor:
        like = next(self.mapping.parameters())
        with self.in_mode("eval"), torch.no_grad():
            styles: Tensor = self.mapping(fixed_latents(seed, self.mapping.latent, like))
        return styles[0, to]

    def convert(self, images: Tensor, to: int) -> Tensor:
        return self.translate(images, Request.to(to))

    def translate(self, images: Tensor, request: Request) -> Tensor:
        """In the style of the request, or else in that of `seed`. Clamped to [-1, 1], which training does not do."""
        (to,) = request.set
        weight = self.generator.stem.weight
        style = weight.new_tensor(request.style.code) if request.style else self._of_seed(self.seed, to)
        with self.in_mode("eval"):
            translated: Tensor = self.generator(images, style[None])
        return translated.clamp(-1, 1)

    def way_back(self, request: Request) -> Callable[[Tensor], Request]:
        """To the other of two domains, in the style that is read off the input."""
        if len(self.domains) != 2:
            raise ConfigurationError(
                f"a model of {len(self.domains)} domains with styles does not tell which of them an image is from, and "
                "so knows no way back; leave --cycle-error out"
            )
        (to,) = request.set
        return lambda image: Request.to(1 - to).in_style(self.read_style(image, 1 - to, "the input"))

    def targets(self) -> list[int]:
        return list(range(len(self.domains)))

    @property
    def stride(self) -> int:
        return int(self.generator.stride)

    @property
    def draws_noise(self) -> bool:
        return True

    def show(self, batch: Labelled) -> dict[str, Tensor]:
        """Each image in every domain: in styles of random numbers, and in that of the batch's next image of it."""
        columns = {"input": batch.images}
        for to, name in enumerate(self.domains):
            for seed in range(SHOWN):
                request = Request.to(to).in_style(self.drawn_style(seed, to))
                columns[f"{name}, style {seed + 1}"] = self.translate(batch.images, request)
            if (references := next_of(batch.labels, to)) is not None:
                columns[f"{name}, as the next"] = self._as(batch.images, batch.images[references], to)
        return columns

    def _as(self, images: Tensor, references: Tensor, to: int) -> Tensor:
        """Images in the styles of references of domain `to`, one for each."""
        with self.in_mode("eval"):
            translated: Tensor = self.generator(images, self.style_encoder(references)[:, to])
        return translated.clamp(-1, 1)


def picked(heads: Tensor, labels: Tensor) -> Tensor:
    """The domain's own of what all heads say (batch, domains, ...), by one-hot labels (batch, domains)."""
    weights = labels.to(heads.dtype)
    return (heads * weights.view(*weights.shape, *[1] * (heads.dim() - 2))).sum(1)


def next_of(labels: Tensor, to: int) -> list[int] | None:
    """For each image of a batch the place of the next one of domain `to`, round about; None if there is none."""
    there = labels[:, to].tolist()
    members = [place for place, label in enumerate(there) if label == 1]
    if not members:
        return None
    return [next((member for member in members if member > place), members[0]) for place in range(len(there))]

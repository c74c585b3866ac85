"""StarGAN: one generator for all domains, steered by labels (Choi et al. 2018)."""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from translate.data.batch import Labelled
from translate.errors import ConfigurationError
from translate.models.adversary import AdversarialSettings, Adversary
from translate.models.base import Fakes, ImageSpec, Losses, Relabeller, Request, Turn, l1
from translate.models.labels import Labels
from translate.networks.stargan import StarGANDiscriminatorSettings, StarGANGeneratorSettings
from translate.utils.settings import Settings


class StarGANConfig(Settings):
    """Settings of `StarGAN`, by default those of the paper: WGAN-GP with five discriminator turns."""

    name: Literal["stargan"] = "stargan"
    adversarial: AdversarialSettings = AdversarialSettings(
        objective="wasserstein", gradient_penalty=10.0, discriminator_turns=5
    )
    classification: float = Field(1.0, ge=0)
    """Weight of the label loss: of real images for the discriminator, of generated ones for the generator."""
    reconstruction: float = Field(10.0, ge=0)
    """Weight of |x - G(G(x, c), c')|, where c' are x's own labels."""
    penalised: Literal["mean", "sum"] = "sum"
    """Reduction of the score map for the gradient penalty; the released code sums it (at 64 px it is one score)."""
    generator: StarGANGeneratorSettings = StarGANGeneratorSettings()
    discriminator: StarGANDiscriminatorSettings = StarGANDiscriminatorSettings()


class StarGAN(Relabeller):
    """G(x, c) translates image x to the domains given by label vector c; D scores an image and reads its labels.

    L_D = -L_adv + lambda_cls L_cls(real), L_G = L_adv + lambda_cls L_cls(fake) + lambda_rec L_rec   (eq. 5 and 6)

    The target labels are the batch's own labels, permuted. So an image of one labelled set may be sent to a domain of
    another, jointly trained set, with the mask that says so.
    """

    Config = StarGANConfig
    batch_type = Labelled

    def __init__(self, config: StarGANConfig, images: ImageSpec) -> None:
        super().__init__(config, images)
        self.config, self.size, self.domains = config, images.crop, images.domains
        self.labels = Labels(images)
        self.adversary = Adversary(config.adversarial)
        self.generator = config.generator.build(images.channels, self.labels.width)
        self.discriminator = config.discriminator.build(images.channels, len(images.domains), images.size)

    def require_batch(self, size: int) -> None:
        if size < 2:
            raise ConfigurationError(
                "StarGAN takes wanted labels from the batch's other images: "
                "training.batch_size / training.accumulate must be 2 or more"
            )

    def generate(self, batch: Labelled) -> Fakes:
        self.require_batch(len(batch))
        wanted = batch.labels[torch.randperm(len(batch), device=batch.labels.device)]
        return {"fake": self._generate(batch.images, wanted), "wanted": wanted}

    def turns(self) -> list[Turn]:
        return [
            self.adversary.discriminator_turn("discriminator", [self.discriminator], self._discriminator_losses),
            self.adversary.generator_turn("generator", [self.generator], self._generator_losses),
        ]

    def _discriminator_losses(self, batch: Labelled, fakes: Fakes) -> Losses:
        augment = self.adversary.augment
        score, read = self.discriminator(augment(batch.images))
        fake_score = self.discriminator.score(augment(fakes["fake"]))
        return {
            "adversarial": self.adversary.discriminator_loss(score, fake_score),
            **self.adversary.penalties(self._penalised, batch.images, fakes["fake"]),
            "classification": self.config.classification * self.labels.loss(read, batch.labels),
            "label_accuracy/real": self.labels.accuracy(read, batch.labels),
        }

    def _generator_losses(self, batch: Labelled, fakes: Fakes) -> Losses:
        fake, wanted = fakes["fake"], fakes["wanted"]
        score, read = self.discriminator(self.adversary.augment(fake))
        standard = self.adversary.standard(self.discriminator.score, batch.images)
        back = self._generate(fake, batch.labels)
        return {
            "adversarial": self.adversary.loss.generator_loss(score, standard),
            "classification": self.config.classification * self.labels.loss(read, wanted),
            "reconstruction": self.config.reconstruction * l1(back, batch.images),
            "label_accuracy/generated": self.labels.accuracy(read, wanted),
        }

    def _penalised(self, images: Tensor) -> Tensor:
        score = self.discriminator.score(images)
        return score.flatten(1).sum(1) if self.config.penalised == "sum" else score

    def _generate(self, images: Tensor, labels: Tensor) -> Tensor:
        translated: Tensor = self.generator(images, self.labels.planes(labels))
        return translated

    def read(self, images: Tensor) -> Tensor:
        """The labels that the discriminator reads off images of any size: (batch, domains) of 0 and 1."""
        # A graph for any image size cannot branch on the size; at `size` the resizing changes nothing.
        fits = not torch.compiler.is_exporting() and images.shape[2:] == torch.Size(self.size)
        fitting = images if fits else F.interpolate(images, self.size, mode="bilinear", antialias=True)
        return self.labels.decide(self.discriminator(fitting)[1])

    def relabel(self, images: Tensor, labels: Tensor) -> Tensor:
        with self.in_mode("eval"):
            return self._generate(images, labels)

    def convert(self, images: Tensor, to: int) -> Tensor:
        return self.translate(images, Request.to(to))

    def translate(self, images: Tensor, request: Request) -> Tensor:
        """Sets and clears attributes; others stay as the discriminator reads them off each image."""
        with self.in_mode("eval"):
            labels = self.labels.change(self.read(images), request)
        return self.relabel(images, labels)

    def way_back(self, request: Request) -> Callable[[Tensor], Request]:
        """The way back to the labels that the discriminator reads off the input."""
        return lambda image: self.labels.restoring(self.read(image)[0], request)

    def port_networks(self) -> dict[str, nn.Module]:
        return {"G": self.generator, "D": self.discriminator}

    def targets(self) -> list[int]:
        return list(range(len(self.domains)))

    @property
    def attributes(self) -> list[int]:
        return self.labels.attributes

    @property
    def stride(self) -> int:
        return int(self.generator.stride)

    def show(self, batch: Labelled) -> dict[str, Tensor]:
        """Each image in every class, or with each attribute flipped."""
        columns = {"input": batch.images}
        for number, name in enumerate(self.domains):
            caption = f"{name} flipped" if self.labels.has_opposite(number) else name
            columns[caption] = self.relabel(batch.images, self.labels.flip(batch.labels, number))
        return columns

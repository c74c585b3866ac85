"""UNIT on digits: translation and a classifier that learns from the labels of one domain only (Liu et al. 2017)."""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from translate.data.batch import SourceLabelled
from translate.errors import ConfigurationError
from translate.model import ImageSpec, Losses, Painted, Translator, Turn
from translate.models.adversary import AdversarialSettings, Adversary
from translate.models.gaussian import kl_to_standard
from translate.networks.coupled_digits import CoupledDigitAutoencoders, CoupledDigitDiscriminators
from translate.networks.digits import SIZE
from translate.settings import Settings


class UNITDigitsConfig(Settings):
    """Weights of losses, as released; sums over pixels or features, means over images."""

    name: Literal["unit-digits"] = "unit-digits"
    adversarial: AdversarialSettings = AdversarialSettings(objective="nonsaturating")
    adversarial_weight: float = Field(1.0, ge=0)
    """0 leaves out all that needs the target: then the classifier learns from the source alone."""
    reconstruction: float = Field(1e-3, ge=0)
    """Of the summed squared difference between image and decoded code."""
    kl: float = Field(1e-4, ge=0)
    cycle: float = Field(0.0, ge=0)
    """Of the summed squared difference between an image and what comes back from the other domain; not published."""
    judged: Literal["all", "translations"] = "all"
    """What the discriminators take for fake: what is decoded into its own domain too, as published, or not."""
    features: float = Field(1e-4, ge=0)
    """Of the squared difference between what the discriminators see in a decoded image and in its translation."""
    classification: float = Field(10.0, ge=0)
    translated: float = Field(0.0, ge=0)
    """Of the class loss on translated source images, which keep their labels; not published."""
    alike: bool = False
    """Both domains start from the same weights; not published."""
    filters: int = Field(96, ge=1)
    discriminator_filters: int = Field(64, ge=1)


class UNITDigits(Translator):
    """Domain a has labels, b none. The discriminators share their inner layers with a classifier, so that b's images
    are classified by what was learnt from a's."""

    Config = UNITDigitsConfig
    batch_type = SourceLabelled

    def __init__(self, config: UNITDigitsConfig, images: ImageSpec) -> None:
        super().__init__(config, images)
        if images.size != SIZE:
            raise ConfigurationError(
                f"unit-digits has networks for {SIZE} px: set data.size to {SIZE}, not {images.size}"
            )
        self.config, self.domains = config, images.domains
        self.adversary = Adversary(config.adversarial)
        self.autoencoders = CoupledDigitAutoencoders(images.channels, config.filters)
        self.discriminators = CoupledDigitDiscriminators(
            images.channels, config.discriminator_filters, sum(g.size for g in images.groups)
        )
        if config.alike:
            self.autoencoders.start_alike()
            self.discriminators.start_alike()

    def paint(self, batch: SourceLabelled) -> Painted:
        return self.autoencoders(batch.a, batch.b)._asdict()

    def turns(self) -> list[Turn]:
        pace = self.config.adversarial.discriminator_turns
        clip = partial(self.adversary.constrain, [self.discriminators])
        return [
            Turn("discriminators", [self.discriminators], self._discriminators_losses, afterwards=clip),
            Turn("autoencoders", [self.autoencoders], self._coders_losses, paints=True, every=pace),
        ]

    def _discriminators_losses(self, batch: SourceLabelled, painted: Painted) -> Losses:
        config, augment = self.config, self.adversary.augment
        score_a, classes = self.discriminators(augment(batch.a), 0)
        losses = {"classification": config.classification * F.cross_entropy(classes.float(), batch.labels)}
        if config.adversarial_weight:
            score_b, _ = self.discriminators(augment(batch.b), 1)
            score_drawn, read = self._judge_drawn(painted)
            judged = self.adversary.verdict(torch.cat([score_a, score_b]), score_drawn)
            losses |= {
                "adversarial": config.adversarial_weight * judged,
                **self._penalties(0, batch.a, painted["ba"]),
                **self._penalties(1, batch.b, painted["ab"]),
                **self._kept_label(read, batch.labels),
            }
            if config.features:
                losses["features"] = config.features * self._feature_distance(painted)
        losses["digits read right"] = (classes.detach().argmax(1) == batch.labels.argmax(1)).float().mean()
        return losses

    def _coders_losses(self, batch: SourceLabelled, painted: Painted) -> Losses:
        config, images = self.config, torch.cat([batch.a, batch.b])
        decoded = torch.cat([painted["aa"], painted["bb"]])
        losses = {
            "reconstruction": config.reconstruction * _squared(decoded, images),
            "kl": config.kl * _divergence(painted["mean"], painted["deviation"]),
        }
        if config.cycle:
            b, a = self.autoencoders.swap(painted["ba"], painted["ab"])
            losses["cycle"] = config.cycle * _squared(torch.cat([a, b]), images)
        if config.adversarial_weight:
            score, read = self._judge_drawn(painted)
            losses["adversarial"] = config.adversarial_weight * self.adversary.loss.generator_loss(score)
            losses |= self._kept_label(read, batch.labels)
        return losses

    def _kept_label(self, read: Tensor, labels: Tensor) -> Losses:
        """That a translated source image is read as its input, where that is wanted."""
        weight = self.config.translated
        return {"classification of translations": weight * F.cross_entropy(read, labels)} if weight else {}

    def _judge_drawn(self, painted: Painted) -> tuple[Tensor, Tensor]:
        """Scores of all that was drawn, and the classes read off the translated source images."""
        augment, kinds = self.adversary.augment, 2 if self.config.judged == "all" else 1
        score_a, _ = self.discriminators(augment(torch.cat([painted["ba"], painted["aa"]][:kinds])), 0)
        score_b, classes = self.discriminators(augment(torch.cat([painted["ab"], painted["bb"]][:kinds])), 1)
        return torch.cat([score_a, score_b]), classes[: len(painted["ab"])].float()

    def _penalties(self, domain: int, real: Tensor, fake: Tensor) -> Losses:
        penalties = self.adversary.penalties(lambda images: self.discriminators(images, domain)[0], real, fake)
        return {f"{kind} {'ab'[domain]}": penalty for kind, penalty in penalties.items()}

    def _feature_distance(self, painted: Painted) -> Tensor:
        """Squared, between what the discriminators see in an image decoded into its own and into the other domain."""
        features = self.discriminators.features
        as_a = features(painted["aa"], 0) - features(painted["ab"], 1)
        as_b = features(painted["bb"], 1) - features(painted["ba"], 0)
        return torch.cat([as_a, as_b]).float().square().sum(1).mean()

    def classify(self, images: Tensor, domain: int) -> Tensor:
        """Class logits (batch, classes) of images (batch, channels, 32, 32) of a (0) or of b (1)."""
        learnt = domain if self.config.adversarial_weight else 0  # from a alone, b's own layer learns nothing
        with self.in_mode("eval"):
            return self.discriminators(images, learnt)[1]

    def convert(self, images: Tensor, to: int) -> Tensor:
        """Images of another size than 32 x 32 are resized to it and back."""
        with self.in_mode("eval"):
            small = F.interpolate(images, (SIZE, SIZE), mode="bilinear", antialias=True)
            translated = self.autoencoders.translate(small, 1 - to, to)
            return F.interpolate(translated, images.shape[2:], mode="bilinear").clamp(-1, 1)

    def targets(self) -> list[int]:
        return [1, 0]

    @property
    def stride(self) -> int:
        return 1

    def show(self, batch: SourceLabelled) -> dict[str, Tensor]:
        a, b = self.domains
        to_b, to_a = self.convert(batch.a, 1), self.convert(batch.b, 0)
        return {a: batch.a, f"{a} to {b}": to_b, b: batch.b, f"{b} to {a}": to_a}


def _squared(images: Tensor, wanted: Tensor) -> Tensor:
    """Squared differences, summed over an image, the mean over images."""
    return (images - wanted).float().square().flatten(1).sum(1).mean()


def _divergence(mean: Tensor, deviation: Tensor) -> Tensor:
    """KL(N(mean, deviation^2) || N(0, I)) in nats, the mean over images."""
    log_variance = 2 * deviation.float().clamp(min=1e-6).log()
    return kl_to_standard(mean.flatten(1), log_variance.flatten(1)).mean()

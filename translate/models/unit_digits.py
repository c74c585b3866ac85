"""UNIT on digits: translation, and a classifier that learns from labels of one domain only (Liu et al. 2017)."""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from translate.data.batch import SourceLabelled
from translate.errors import ConfigurationError
from translate.losses.gaussian import kl_to_standard
from translate.models.adversary import AdversarialSettings, Adversary, with_name
from translate.models.base import ClassifyingTranslator, Fakes, ImageSpec, Losses, Turn
from translate.networks.digits import SIZE, CoupledDigitAutoencoders, CoupledDigitDiscriminators
from translate.utils.settings import Settings


class UNITDigitsConfig(Settings):
    """Loss weights, as released; losses are sums over pixels or features, averaged over images."""

    name: Literal["unit-digits"] = "unit-digits"
    adversarial: AdversarialSettings = AdversarialSettings(objective="nonsaturating")
    adversarial_weight: float = Field(1.0, ge=0)
    """0 switches off everything that needs the target, so that the classifier learns from the source alone."""
    reconstruction: float = Field(1e-3, ge=0)
    """Weight of the summed squared difference between an image and its reconstruction."""
    kl: float = Field(1e-4, ge=0)
    """Weight of the divergence from N(0, 1) of the codes."""
    cycle: float = Field(0.0, ge=0)
    """Weight of the summed squared difference between an image and its round trip; not published."""
    judged: Literal["all", "translations"] = "all"
    """What counts as fake: also reconstructions in the own domain (`all`, as published), or only translations."""
    features: float = Field(1e-4, ge=0)
    """Weight of the squared difference of the discriminators' features of reconstruction and translation."""
    classification: float = Field(10.0, ge=0)
    """Weight of the loss of the digits that the discriminator reads."""
    both_layers: bool = False
    """The target's own layer also learns to classify the source's images, not only translations; not published."""
    translated: float = Field(0.0, ge=0)
    """Weight, for the classifier, of the class loss on translations of labelled images; not published."""
    semantic: float = Field(0.0, ge=0)
    """Weight, for the auto-encoders, of the class loss that makes translations keep their digit: a source image's
    label, or what the source's layer reads in a target image. CyCADA's semantic consistency (Hoffman et al. 2018,
    equation 4)."""
    content: float = Field(0.0, ge=0)
    """Weight of the summed squared difference between an image and its translation; not published."""
    alike: bool = False
    """Both domains start from the same weights; not published."""
    filters: int = Field(96, ge=1)
    """Channels of the encoders' first layer; deeper ones have multiples of them."""
    discriminator_filters: int = Field(64, ge=1)
    """Channels of the discriminators' first layer."""


class _Scored(NamedTuple):
    """Scores (images, 1) of all generated images, and class logits (batch, classes) of the translations."""

    scores: Tensor
    read_ab: Tensor
    read_ba: Tensor


class UNITDigits(ClassifyingTranslator):
    """UNIT with labels for domain a and none for b. The discriminators share their inner layers with a classifier, so
    that images of b are classified by what was learnt from a."""

    Config = UNITDigitsConfig
    batch_type = SourceLabelled

    def __init__(self, config: UNITDigitsConfig, images: ImageSpec) -> None:
        super().__init__(config, images)
        if images.crop != (SIZE, SIZE):
            raise ConfigurationError(
                f"unit-digits has networks for {SIZE} px: set data.size to {SIZE}, not {images.crop}"
            )
        self.config, self.domains = config, images.domains
        self.adversary = Adversary(config.adversarial, pairs=False)
        self.autoencoders = CoupledDigitAutoencoders(images.channels, config.filters)
        self.discriminators = CoupledDigitDiscriminators(
            images.channels, config.discriminator_filters, sum(g.size for g in images.groups)
        )
        if config.alike:
            self.autoencoders.start_alike()
            self.discriminators.start_alike()

    def generate(self, batch: SourceLabelled) -> Fakes:
        fakes: Fakes = self.autoencoders(batch.a, batch.b)._asdict()
        return fakes

    def turns(self) -> list[Turn]:
        return [
            self.adversary.discriminator_turn("discriminators", [self.discriminators], self._discriminators_losses),
            self.adversary.generator_turn("autoencoders", [self.autoencoders], self._coders_losses),
        ]

    def _discriminators_losses(self, batch: SourceLabelled, fakes: Fakes) -> Losses:
        config = self.config
        score_a, classes = self._read(batch.a, 0)
        losses = {"classification": config.classification * _class_loss(classes, batch.labels)}
        if config.adversarial_weight:
            drawn, real = self._score(fakes), torch.cat([score_a, self._read(batch.b, 1)[0]])
            losses["adversarial"] = config.adversarial_weight * self.adversary.discriminator_loss(real, drawn.scores)
            losses |= self._penalties(0, batch.a, fakes["ba"]) | self._penalties(1, batch.b, fakes["ab"])
            if config.both_layers:
                _, by_b = self._read(batch.a, 1)
                losses["classification/b"] = config.classification * _class_loss(by_b, batch.labels)
            if config.translated:
                lesson = _class_loss(drawn.read_ab, batch.labels)
                losses["classification/translated"] = config.translated * lesson
            if config.features:
                losses["features"] = config.features * self._feature_distance(fakes)
        losses["label_accuracy/real"] = (classes.detach().argmax(1) == batch.labels.argmax(1)).float().mean()
        return losses

    def _coders_losses(self, batch: SourceLabelled, fakes: Fakes) -> Losses:
        config, images = self.config, torch.cat([batch.a, batch.b])
        losses = {
            "reconstruction": config.reconstruction * _squared(torch.cat([fakes["aa"], fakes["bb"]]), images),
            "kl": config.kl * _divergence(fakes["mean"], fakes["deviation"]),
        }
        if config.cycle:
            b, a = self.autoencoders.swap(fakes["ba"], fakes["ab"])
            losses["cycle"] = config.cycle * _squared(torch.cat([a, b]), images)
        if config.content:
            losses["content"] = config.content * _squared(torch.cat([fakes["ab"], fakes["ba"]]), images)
        if config.adversarial_weight:
            drawn = self._score(fakes)
            losses["adversarial"] = config.adversarial_weight * self.adversary.loss.generator_loss(drawn.scores)
            if config.semantic:
                read_b = self.pseudo_labels(batch.b)
                same_digit = _class_loss(drawn.read_ab, batch.labels) + _class_loss(drawn.read_ba, read_b)
                losses["semantic"] = config.semantic * same_digit
        return losses

    def _read(self, real: Tensor, domain: int) -> tuple[Tensor, Tensor]:
        """Scores (batch, 1) and class logits (batch, classes) of real images, read as images of `domain`."""
        scores, classes = self.discriminators(self.adversary.augment(real), domain)
        return scores, classes

    def _score(self, fakes: Fakes) -> _Scored:
        ask, augment, count = self.discriminators, self.adversary.augment, len(fakes["ab"])
        kinds = 2 if self.config.judged == "all" else 1
        score_a, read_a = ask(augment(torch.cat([fakes["ba"], fakes["aa"]][:kinds])), 0)
        score_b, read_b = ask(augment(torch.cat([fakes["ab"], fakes["bb"]][:kinds])), 1)
        return _Scored(torch.cat([score_a, score_b]), read_b[:count], read_a[:count])

    def _penalties(self, domain: int, real: Tensor, fake: Tensor) -> Losses:
        penalties = self.adversary.penalties(lambda images: self.discriminators(images, domain)[0], real, fake)
        return with_name(penalties, "ab"[domain])

    def _feature_distance(self, fakes: Fakes) -> Tensor:
        """Squared distance of the discriminators' features of an image decoded into its own and the other domain."""
        features = self.discriminators.features
        as_a = features(fakes["aa"], 0) - features(fakes["ab"], 1)
        as_b = features(fakes["bb"], 1) - features(fakes["ba"], 0)
        return torch.cat([as_a, as_b]).float().square().sum(1).mean()

    @torch.no_grad()
    def pseudo_labels(self, images: Tensor) -> Tensor:
        """Class probabilities (batch, classes) that a's layer assigns to images of b; without gradient."""
        probabilities: Tensor = self.discriminators(images, 0)[1].float().softmax(1)
        return probabilities

    def classify(self, images: Tensor, domain: int) -> Tensor:
        learnt = domain if self.config.adversarial_weight else 0  # trained on a alone, b's own layer learns nothing
        with self.in_mode("eval"):
            logits: Tensor = self.discriminators(images, learnt)[1]
            return logits

    def convert(self, images: Tensor, to: int) -> Tensor:
        """Translates images; sizes other than 32 x 32 are resized to it and back."""
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


def _class_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy between logits and soft labels (probabilities), both (batch, classes), in float32."""
    return F.cross_entropy(logits.float(), labels)


def _squared(images: Tensor, wanted: Tensor) -> Tensor:
    """Squared differences, summed over each image and averaged over images."""
    return (images - wanted).float().square().flatten(1).sum(1).mean()


def _divergence(mean: Tensor, deviation: Tensor) -> Tensor:
    """KL(N(mean, deviation^2) || N(0, I)) in nats, averaged over images."""
    log_variance = 2 * deviation.float().clamp(min=1e-6).log()
    return kl_to_standard(mean.flatten(1), log_variance.flatten(1)).mean()

"""The adversarial game as configured by a recipe: a common core for every method's discriminators and generators."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Self

import torch
from pydantic import AfterValidator, Field, WithJsonSchema, model_validator
from torch import Tensor, nn

from translate.errors import ConfigurationError
from translate.losses.adversarial import (
    OBJECTIVES,
    Logits,
    Score,
    clip_weights,
    gradient_penalty,
    r1_penalty,
    r2_penalty,
)
from translate.losses.diffaugment import AugmentationKind, DifferentiableAugment
from translate.models.base import Losses, Turn, TurnLosses
from translate.utils.settings import Settings


def _known(objective: str) -> str:
    if objective not in OBJECTIVES:
        raise ValueError(f"expected one of {', '.join(OBJECTIVES)}")
    return objective


class AdversarialSettings(Settings):
    """Objective, penalties and pace of the game."""

    objective: Annotated[str, AfterValidator(_known), WithJsonSchema({"enum": [*OBJECTIVES]})] = "nonsaturating"
    """What real and generated images are to score, and so the losses of both players."""
    discriminator_weight: float = Field(1.0, gt=0)
    """Factor on the discriminator's loss. The PyTorch port halves it to slow the discriminator down; with Adam that has
    almost no effect."""
    gradient_penalty: float = Field(0.0, ge=0)
    """Weight of WGAN-GP's penalty, 10 as published; as with r1 and r2, 0 switches it off."""
    penalty_centre: float = Field(1.0, ge=0)
    """The slope that this penalty draws the discriminator's to: 1 as published, 0 in UVCGAN v2."""
    r1: float = Field(0.0, ge=0)
    """Weight gamma of R1, at real images."""
    r2: float = Field(0.0, ge=0)
    """Weight gamma of R2, at generated images."""
    clip: float | None = Field(None, gt=0)
    """WGAN's bound on every weight of the discriminator, 0.01 as published."""
    discriminator_turns: int = Field(1, ge=1)
    """Discriminator turns per generator turn."""
    augment: tuple[AugmentationKind, ...] = ()
    """Differentiable augmentation of everything the discriminator sees, for small sets."""

    @model_validator(mode="after")
    def _critic_is_lipschitz(self) -> Self:
        if self.objective == "wasserstein" and not (self.gradient_penalty or self.clip):
            raise ValueError(
                "a Wasserstein critic must be Lipschitz: set gradient_penalty (10 as published) or clip (0.01)"
            )
        return self


class Adversary(nn.Module):
    """The losses under `settings`. `score` maps images (batch, channels, height, width) to logits: a discriminator, or
    a lambda around one that adds its condition."""

    def __init__(self, settings: AdversarialSettings, pairs: bool = True) -> None:
        """`pairs`: whether the method's discriminators see as many generated as real images, under the same conditions.
        Raises ConfigurationError where they do not and the objective compares them in pairs."""
        super().__init__()
        if OBJECTIVES[settings.objective].sees_real and not pairs:
            raise ConfigurationError(
                f"model.adversarial.objective {settings.objective} compares each real image with a generated one, and "
                "this method's discriminator sees more of these than of those: set model.adversarial.objective: "
                "nonsaturating"
            )
        self.settings = settings
        self.loss = OBJECTIVES[settings.objective]
        self.augment = DifferentiableAugment(settings.augment)

    @property
    def unsure(self) -> float | None:
        """The lowest possible discriminator loss, before penalties, while it scores real and generated images alike;
        None for a critic, whose scores have no scale. This is for one score map; several scales add up."""
        return None if self.loss.unsure is None else self.settings.discriminator_weight * self.loss.unsure

    def discriminator_turn(self, name: str, networks: Sequence[nn.Module], losses: TurnLosses) -> Turn:
        """The turn of discriminators, after which WGAN's clipping follows, if switched on. Those that need a file read
        it now, before the first step; converting needs none."""
        for network in networks:
            if prepare := getattr(network, "prepare", None):
                prepare()
        return Turn(name, networks, losses, after_step=partial(self._constrain, networks))

    def generator_turn(self, name: str, networks: Sequence[nn.Module], losses: TurnLosses) -> Turn:
        """The turn of generators, which comes once in `discriminator_turns` steps."""
        return Turn(name, networks, losses, trains_generators=True, every=self.settings.discriminator_turns)

    def discriminator_losses(
        self, score: Score, real: Tensor, fake: Tensor, name: str = "", of_fakes: Score | None = None
    ) -> Losses:
        """The discriminator's losses: `adversarial` and one per active penalty, those of `name` if it is given.
        `of_fakes`: what scores generated images, if that is not what scores real ones (and what is between them)."""
        of_fakes = of_fakes or score
        loss = self.discriminator_loss(score(self.augment(real)), of_fakes(self.augment(fake)))
        return with_name({"adversarial": loss} | self.penalties(score, real, fake, of_fakes), name)

    def discriminator_loss(self, real: Logits, fake: Logits) -> Tensor:
        """The discriminator's weighted loss, given its scores of real and generated images."""
        return self.settings.discriminator_weight * self.loss.discriminator_loss(real, fake)

    def penalties(
        self,
        score: Score,
        real: Tensor,
        fake: Tensor,
        of_fakes: Score | None = None,
        between: Callable[[Tensor], Score] | None = None,
    ) -> Losses:
        """The weighted penalties that are switched on, by name; `of_fakes` as above, `between` as `gradient_penalty`
        takes it."""
        settings = self.settings
        penalties: dict[str, tuple[float, Callable[[], Tensor]]] = {
            "gradient_penalty": (
                settings.gradient_penalty,
                lambda: gradient_penalty(score, real, fake, settings.penalty_centre, between),
            ),
            "r1": (settings.r1, lambda: r1_penalty(score, real)),
            "r2": (settings.r2, lambda: r2_penalty(of_fakes or score, fake)),
        }
        return {kind: weight * penalty() for kind, (weight, penalty) in penalties.items() if weight}

    def generator_loss(self, score: Score, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """The generator's loss, a scalar, given generated images, which are augmented before they are scored, and real
        ones, with which some objectives compare them. Raises ValueError if these lack."""
        return self.loss.generator_loss(score(self.augment(fake)), self.standard(score, real))

    @torch.no_grad()
    def standard(self, score: Score, real: Tensor | None) -> Logits | None:
        """The scores of real images that generated ones are compared with; None if the objective compares nothing."""
        return score(self.augment(real)) if self.loss.sees_real and real is not None else None

    def _constrain(self, discriminators: Sequence[nn.Module]) -> None:
        if self.settings.clip:
            clip_weights(discriminators, self.settings.clip)


def with_name(losses: Losses, name: str) -> Losses:
    """The losses as those of `name`, a domain or a stage: `adversarial` is `adversarial/a`. Unchanged without one."""
    return {f"{kind}/{name}".rstrip("/"): loss for kind, loss in losses.items()}

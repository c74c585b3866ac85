"""What is measured in training where no truth is known: how like real images of their target translations are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from translate.data.domain import Domain
from translate.data.planes import as_images_of
from translate.evaluation.enlarged import BICUBIC, enlarged
from translate.evaluation.patches import patch_distance
from translate.evaluation.validation import rounded_to, translated
from translate.models.base import Translator
from translate.models.noise import fixed_rng
from translate.training.runtime import Runtime

MEASURE = "patch_distance"


@dataclass(frozen=True)
class Likeness:
    """How like unseen real images of domain number `to`, `reals`, translations of unseen `inputs` are, both (images,
    channels, height, width) in [-1, 1], on the CPU; `given` and `target` say what they are."""

    name: str
    to: int
    inputs: Tensor
    reals: Tensor
    given: Domain
    target: Domain
    part: str = ""
    """As of a `Direction`."""

    @property
    def protocol(self) -> str:
        height, width = self.reals.shape[-2:]
        part = f", {self.part}," if self.part else ""
        rounded = f"; translations are {rounding}" if (rounding := rounded_to(self.target)) else ""
        return (
            f"{len(self.inputs)} test images of {width} x {height} pixels{part} beside {len(self.reals)} of the "
            f"target, as no true translations are known{rounded}"
        )

    def measure(self, model: Translator, runtime: Runtime) -> dict[str, float]:
        """The model's translations, compared with the real images as a set."""
        with fixed_rng(runtime.device):
            return {MEASURE: patch_distance(translated(model, self.inputs, self.to, self.target, runtime), self.reals)}

    def baselines(self) -> dict[str, dict[str, float]]:
        """The measure of the untouched inputs, or of smaller ones enlarged, if they could be translations."""
        alike = as_images_of(enlarged(self.inputs, self.reals), self.given, self.target)
        if alike is None or alike.shape[1:] != self.reals.shape[1:]:
            return {}
        name = "untouched input" if self.inputs.shape[-2:] == self.reals.shape[-2:] else BICUBIC
        return {name: {MEASURE: patch_distance(alike, self.reals)}}


def likenesses(
    model: Translator, domains: Sequence[str], sides: Sequence[Tensor], kinds: Sequence[Domain]
) -> list[Likeness]:
    """One for each domain that `model` converts to; `sides` are unseen images of both domains, as in `Likeness`."""
    return [
        Likeness(f"to {domains[to]}", to, sides[1 - to], sides[to], kinds[1 - to], kinds[to]) for to in model.targets()
    ]

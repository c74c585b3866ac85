"""Validations of models that draw images from noise: coverage of modes, and evidence for unseen images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from translate.data.synthetic.points import PointSet
from translate.models.base import Sampler
from translate.models.sampler_parts import fixed_rng
from translate.models.vae import VAE, binarised
from translate.training.runtime import Runtime


@dataclass(frozen=True)
class ModeCoverage:
    """How `count` generated points cover a set's modes, as counted by `PointSet.coverage`."""

    points: PointSet
    count: int = 2500
    """As in VEEGAN (Srivastava et al. 2017)."""

    @property
    def name(self) -> str:
        return self.points.name

    @property
    def protocol(self) -> str:
        return f"{self.count:,} points drawn by the model, as many real ones beside them"

    def measure(self, model: Sampler, runtime: Runtime) -> dict[str, float]:
        with torch.no_grad(), runtime.autocast(), fixed_rng(runtime.device):
            return self.points.coverage(model.sample(self.count).float())

    def baselines(self) -> dict[str, dict[str, float]]:
        return {"real points": self.points.coverage(self.points.draw(self.count, np.random.default_rng(0)))}


@dataclass(frozen=True)
class Evidence:
    """Lower bounds of log p(x), in nats per image, for test images (count, channels, size, size) in [-1, 1].

    If the model is trained on binarised images, the test images are binarised too, once. `evidence lower bound` is what
    training maximises; `log likelihood` is a tighter bound, from `draws` codes per image.
    """

    images: Tensor
    name: str = "test images"
    draws: int = 100

    @property
    def protocol(self) -> str:
        return f"{len(self.images):,} test images: nats per image, which lie below the true log p(x)"

    def measure(self, model: VAE, runtime: Runtime, batch_size: int = 256) -> dict[str, float]:
        images = self._binarised() if model.config.binarise else self.images
        bounds, likelihoods = [], []
        with torch.no_grad(), runtime.autocast(), fixed_rng(runtime.device), model.in_mode("eval"):
            for part in images.split(batch_size):
                placed = runtime.layout(part.to(runtime.device))
                bounds.append(torch.stack([model.log_evidence(placed) for _ in range(10)]).mean(0).cpu())
                likelihoods.append(model.log_evidence(placed, self.draws).cpu())
        return {
            "evidence lower bound": float(torch.cat(bounds).mean()),
            f"log likelihood by {self.draws} draws": float(torch.cat(likelihoods).mean()),
        }

    def baselines(self) -> dict[str, dict[str, float]]:
        """The bound of independent pixels, each white with its own best probability, in nats per binarised image."""
        white = (1 + self._binarised()) / 2
        odds = white.mean(0)
        return {
            "pixels alone": {
                "evidence lower bound": float(-torch.special.entr(odds).add(torch.special.entr(1 - odds)).sum())
            }
        }

    def _binarised(self) -> Tensor:
        with fixed_rng(torch.device("cpu")):
            return binarised(self.images)

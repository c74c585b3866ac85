"""Validation of models with a density: how likely unseen images are to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from translate.models.noise import fixed_rng


@dataclass(frozen=True)
class Evidence:
    """Lower bounds of log p(x), in nats per image, for test images (count, channels, size, size) in [-1, 1].

    With `binarise`, for models trained on binarised images, the test images are binarised too, once.
    `evidence_lower_bound` is what training maximises; `log_likelihood_by_100_draws` is a tighter bound, from `draws`
    codes per image.
    """

    images: Tensor
    binarise: bool = False
    name: str = "test images"
    draws: int = 100

    @property
    def protocol(self) -> str:
        return f"{len(self.images):,} test images: nats per image, which lie below the true log p(x)"

    def measure(self, model: Any, runtime: Any, batch_size: int = 256) -> dict[str, float]:
        images = self.binarised() if self.binarise else self.images
        bounds, likelihoods = [], []
        with torch.no_grad(), runtime.autocast(), fixed_rng(runtime.device), model.in_mode("eval"):
            for part in images.split(batch_size):
                placed = runtime.layout(part.to(runtime.device))
                bounds.append(torch.stack([model.log_evidence(placed) for _ in range(10)]).mean(0).cpu())
                likelihoods.append(model.log_evidence(placed, self.draws).cpu())
        return {
            "evidence_lower_bound": float(torch.cat(bounds).mean()),
            f"log_likelihood_by_{self.draws}_draws": float(torch.cat(likelihoods).mean()),
        }

    def baselines(self) -> dict[str, dict[str, float]]:
        """The bound of independent pixels, each white with its own best probability, in nats per binarised image."""
        white = (1 + self.binarised()) / 2
        odds = white.mean(0)
        return {
            "pixels alone": {
                "evidence_lower_bound": float(-torch.special.entr(odds).add(torch.special.entr(1 - odds)).sum())
            }
        }

    def binarised(self) -> Tensor:
        with fixed_rng(torch.device("cpu")):
            return binarised(self.images)


def binarised(images: Tensor) -> Tensor:
    """Draws -1 or 1 for each value in [-1, 1]: 1 with probability (1 + value) / 2 (Burda et al. 2016, section 5.1)."""
    return 2 * torch.bernoulli((1 + images) / 2) - 1

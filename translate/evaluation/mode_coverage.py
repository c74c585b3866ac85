"""Validation of models that draw points: how many modes of a known density they cover."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from translate.data.synthetic.points import PointSet
from translate.models.base import Sampler
from translate.models.noise import fixed_rng
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

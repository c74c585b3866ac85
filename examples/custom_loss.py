"""A plugin with a loss of its own: CycleGAN whose translations keep the edges of their inputs.

    translate train cyclegan --plugin examples/custom_loss.py --data horse2zebra model.name=cyclegan-edges
    translate convert runs/cyclegan-horse2zebra photos/ zebras/ --plugin examples/custom_loss.py

The other settings are CycleGAN's; `model.edges=0.5` sets the weight of the new term.
"""

from __future__ import annotations

from typing import Literal

from kornia.filters import spatial_gradient
from pydantic import Field
from torch import Tensor

from translate.data.batch import Unpaired
from translate.models import MODELS
from translate.models.base import Fakes, Losses, Turn, l1
from translate.models.cyclegan import CycleGAN, CycleGANConfig


class EdgesConfig(CycleGANConfig):
    name: Literal["cyclegan-edges"] = "cyclegan-edges"
    edges: float = Field(1.0, ge=0)
    """Weight of the mean absolute difference between the gradients of an image and of its translation."""


class CycleGANWithEdges(CycleGAN):
    """Adds one term to CycleGAN: the gradients of an image's translation are those of the image."""

    Config = EdgesConfig

    def turns(self) -> list[Turn]:
        return [turn.plus(self.edge_losses) if turn.trains_generators else turn for turn in super().turns()]

    def edge_losses(self, batch: Unpaired, fakes: Fakes) -> Losses:
        return {
            "edges/a": self.config.edges * edge_distance(fakes["b"], batch.a),
            "edges/b": self.config.edges * edge_distance(fakes["a"], batch.b),
        }


def edge_distance(images: Tensor, others: Tensor) -> Tensor:
    """The mean absolute difference of the Sobel gradients, both ways, of images (batch, channels, height, width)."""
    return l1(spatial_gradient(images), spatial_gradient(others))


MODELS["cyclegan-edges"] = CycleGANWithEdges

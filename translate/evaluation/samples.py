"""What the comparing measures need of a set of images, gathered batch by batch: no images are kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from translate.data.batch import Plain
from translate.engine import Engine
from translate.evaluation.spaces import Missing, Space
from translate.metrics import RANGE

THUMBNAIL = 16
"""Side in pixels to which images are reduced, to tell how far apart they are."""
Spaces = Sequence[Space | Missing]


@dataclass(frozen=True)
class Sample:
    """`thumbnails` (images, numbers): the Euclidean distance of two is their root mean squared difference on the scale
    where black is 0 and white is 1. `features` (images, features) of each space by name. On the CPU, float32."""

    thumbnails: Tensor
    features: dict[str, Tensor]

    def __len__(self) -> int:
        return len(self.thumbnails)

    def at(self, rows: Tensor) -> Sample:
        """Those images alone, by number or by a mask (images,)."""
        rows = rows.cpu()
        return Sample(self.thumbnails[rows], {name: values[rows] for name, values in self.features.items()})


class Gathering:
    """Sets of images in `spaces`, as they come."""

    def __init__(self, spaces: Spaces) -> None:
        self._spaces = [space for space in spaces if isinstance(space, Space)]
        self._thumbnails: list[Tensor] = []
        self._features: dict[str, list[Tensor]] = {space.name: [] for space in self._spaces}

    @torch.no_grad()
    def add(self, images: Tensor) -> None:
        """(batch, channels, height, width) in [-1, 1]; may be empty."""
        if not len(images):
            return
        self._thumbnails.append(thumbnails(images.cpu()))
        for space in self._spaces:
            self._features[space.name].append(space.features(images).float().cpu())

    def sample(self) -> Sample:
        features = {name: _joined(parts) for name, parts in self._features.items()}
        return Sample(_joined(self._thumbnails), features)


def gather(batches: Iterable[Plain], engine: Engine, spaces: Spaces) -> Sample:
    """The sample of all images of `batches`, as the loader gives them."""
    gathering = Gathering(spaces)
    for batch in map(engine.place, batches):
        gathering.add(batch.images)
    return gathering.sample()


def thumbnails(images: Tensor) -> Tensor:
    """As `Sample` keeps them."""
    small = F.interpolate(images.float(), (THUMBNAIL, THUMBNAIL), mode="bilinear", antialias=True).flatten(1)
    return small / (RANGE * small.shape[1] ** 0.5)


def _joined(parts: list[Tensor]) -> Tensor:
    """(images, numbers)."""
    return torch.cat(parts) if parts else torch.zeros(0, 0)

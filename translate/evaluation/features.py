"""Gathers what the comparing measures need from a set of images, batch by batch, without keeping the images."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from translate.data.batch import Plain
from translate.evaluation.metrics import RANGE, THUMBNAIL
from translate.evaluation.spaces import Missing, Space
from translate.training.runtime import Runtime

Spaces = Sequence[Space | Missing]


def unchanged(images: Tensor) -> Tensor:
    """The images as they are."""
    return images


def greyed(images: Tensor) -> Tensor:
    """The mean of all channels: (batch, 1, height, width)."""
    return images.mean(1, keepdim=True)


@dataclass(frozen=True)
class Features:
    """`thumbnails` (images, numbers): the Euclidean distance of two equals the root mean squared difference of the
    reduced images, on the scale where black is 0 and white is 1. `features`: (images, features) for each space, by
    name. On the CPU, float32."""

    thumbnails: Tensor
    features: dict[str, Tensor]

    def __len__(self) -> int:
        return len(self.thumbnails)

    def at(self, rows: Tensor) -> "Features":
        """Those of some images, given by number or by a mask (images,)."""
        rows = rows.cpu()
        return Features(self.thumbnails[rows], {name: values[rows] for name, values in self.features.items()})


class FeatureCollector:
    """Collects images batch by batch, with their features in `spaces`."""

    def __init__(self, spaces: Spaces) -> None:
        self._spaces = [space for space in spaces if isinstance(space, Space)]
        self._thumbnails: list[Tensor] = []
        self._features: dict[str, list[Tensor]] = {space.name: [] for space in self._spaces}

    @torch.no_grad()
    def add(self, images: Tensor) -> None:
        """Adds images (batch, channels, height, width) in [-1, 1]; the batch may be empty."""
        if not len(images):
            return
        self._thumbnails.append(thumbnails(images.cpu()))
        for space in self._spaces:
            self._features[space.name].append(space.features(images).float().cpu())

    def features(self) -> Features:
        features = {name: _joined(parts) for name, parts in self._features.items()}
        return Features(_joined(self._thumbnails), features)


def gather(
    batches: Iterable[Plain], runtime: Runtime, spaces: Spaces, shown: Callable[[Tensor], Tensor] = unchanged
) -> Features:
    """The features of all images of `batches`, which come from the loader, `shown` as these are to the spaces."""
    collector = FeatureCollector(spaces)
    for batch in map(runtime.place, batches):
        collector.add(shown(batch.images))
    return collector.features()


def thumbnails(images: Tensor) -> Tensor:
    """Images reduced and scaled as `Features` keeps them: (batch, numbers)."""
    small = F.interpolate(images.float(), (THUMBNAIL, THUMBNAIL), mode="bilinear", antialias=True).flatten(1)
    return small / (RANGE * small.shape[1] ** 0.5)


def _joined(parts: list[Tensor]) -> Tensor:
    """The parts concatenated: (images, numbers)."""
    return torch.cat(parts) if parts else torch.zeros(0, 0)

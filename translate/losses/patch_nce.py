"""PatchNCE: a place in a translation resembles the same place of its input more than others (Park et al. 2020)."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from translate.losses.adversarial import full_precision
from translate.networks.blocks import named
from translate.utils.settings import Settings

_NEGLIGIBLE = 1e-6
"""Length of a vector below which its direction fades to 0: one of zeros has none, and its gradient stays finite."""


class PatchNCESettings(Settings):
    """How places are compared."""

    width: int = Field(256, ge=1)
    """Numbers that describe a place: the width of the two-layer network of each feature map."""
    places: int = Field(256, ge=2)
    """Places of each map that are compared with one another, drawn anew each time; all of a smaller map."""
    temperature: float = Field(0.07, gt=0)
    """Divides the similarities: the smaller, the more the likest wrong place counts."""
    negatives: Literal["image", "batch"] = "image"
    """Where the wrong places lie: in the same image, or in all of the batch (SinCUT)."""


class PatchNCE(nn.Module):
    """InfoNCE between the places of feature maps, as they are described by a network of two layers for each map.

    For S places s of a map, q_s of a translation and k_s of its input, both projected and of length 1, it is the mean
    of -log softmax(q_s . k_1 / t, ..., q_s . k_S / t)_s over places, images and maps (eq. 3 and 4). `channels`: those
    of the maps. `options` are those of `PatchNCESettings`.
    """

    def __init__(self, channels: Sequence[int], **options: object) -> None:
        super().__init__()
        self.settings = own = PatchNCESettings.model_validate(options)
        self.heads = nn.ModuleList(
            named(inner=nn.Linear(count, own.width), relu=nn.ReLU(), outer=nn.Linear(own.width, own.width))
            for count in channels
        )

    def forward(self, queries: Sequence[Tensor], keys: Sequence[Tensor]) -> Tensor:
        """The loss, a scalar, of maps (batch, channels, height, width) of translations and of their inputs.

        The keys get no gradient, neither their maps nor, by them, the heads. Places are drawn from torch's global
        random numbers of the maps' device, the same in both and in all images.
        """
        places = [self.draw(query) for query in queries]
        return torch.stack(
            [self.of_map(*parts) for parts in zip(self.heads, queries, keys, places, strict=True)]
        ).mean()

    def draw(self, features: Tensor) -> Tensor:
        """Numbers of different places in a map, row by row: `places` of them, or all."""
        count = features.shape[-2] * features.shape[-1]
        return torch.rand(count, device=features.device).topk(min(self.settings.places, count)).indices

    def of_map(self, head: nn.Module, query: Tensor, key: Tensor, places: Tensor) -> Tensor:
        """The loss of one map at these places."""
        described = head(_at(query, places))
        with torch.no_grad():
            wanted = head(_at(key, places))
        # Similarities differ by less than bf16 tells apart, once they are divided by the temperature.
        with torch.autocast(query.device.type, enabled=False):
            described, wanted = _direction(described), _direction(wanted)
            if self.settings.negatives == "batch":
                described, wanted = described.flatten(0, 1)[None], wanted.flatten(0, 1)[None]
            similarities = described @ wanted.transpose(1, 2) / self.settings.temperature
            own = torch.arange(similarities.shape[1], device=query.device).expand(len(similarities), -1)
            return F.cross_entropy(similarities.transpose(1, 2), own)


def _at(features: Tensor, places: Tensor) -> Tensor:
    """What a map holds at the places: (batch, places, channels)."""
    return features.permute(0, 2, 3, 1).flatten(1, 2).index_select(1, places)


def _direction(vectors: Tensor) -> Tensor:
    """The vectors (..., numbers) divided by their lengths, in float32 or better."""
    vectors = full_precision(vectors)
    return vectors * (vectors.square().sum(-1, keepdim=True) + _NEGLIGIBLE**2).rsqrt()

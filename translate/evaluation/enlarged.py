"""What needs no model where translations are larger: inputs enlarged to their size, the floor of super-resolution."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from translate.data.io.images import resize

BICUBIC = "bicubic"
"""What is said of inputs that were enlarged so."""


def enlarged(images: Tensor, like: Tensor) -> Tensor:
    """Images (batch, channels, height, width) in [-1, 1] in the height and width of `like`, by Pillow's bicubic filter;
    those of its size as they are."""
    height, width = like.shape[-2:]
    if images.shape[-2:] == (height, width):
        return images
    arrays = images.detach().float().cpu().permute(0, 2, 3, 1).numpy()
    made = torch.from_numpy(np.stack([resize(array, height, width) for array in arrays]))
    return made.permute(0, 3, 1, 2).clamp(-1, 1).to(images.device)

"""Random numbers that samplers draw: codes for a generator, and the same ones again for a grid of samples."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

Noise = Literal["normal", "uniform"]


def draw_noise(kind: Noise, count: int, width: int, like: nn.Module) -> Tensor:
    """Noise (count, width) from N(0, 1), or uniform in [-1, 1], with device and type of the weights of `like`."""
    weight = next(like.parameters())
    noise = torch.empty(count, width, device=weight.device, dtype=weight.dtype)
    return noise.normal_() if kind == "normal" else noise.uniform_(-1, 1)


@contextmanager
def fixed_rng(device: torch.device, seed: int = 0) -> Iterator[None]:
    """Context in which random numbers follow from `seed`; restores the random state on exit."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield

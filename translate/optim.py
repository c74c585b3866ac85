"""Optimizers per network, learning-rate curves as pure functions of the step, and the average of weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer, RMSprop

Schedule = Literal["constant", "linear", "cosine", "halving"]


def learning_rate(
    schedule: Schedule, steps: int, decay_from: float, halve_every: int = 100_000
) -> Callable[[int], float]:
    """The curve: step (0-based, below `steps`) to a factor in (0, 1] on the recipe's learning rate.

    `linear` stays at 1 for the share `decay_from` of all steps, then falls in equal steps towards 0, which it would
    reach one step after the last: no step is taken at learning rate 0. `cosine` falls likewise along half a cosine.
    `halving` halves it after every `halve_every` steps.
    """
    start = round(decay_from * steps)

    def remaining(step: int) -> float:
        return 1.0 if step < start else (steps - step) / (steps - start + 1)

    curves: dict[Schedule, Callable[[int], float]] = {
        "constant": lambda step: 1.0,
        "linear": remaining,
        "cosine": lambda step: (1 - math.cos(math.pi * remaining(step))) / 2,
        "halving": lambda step: 0.5 ** (step // halve_every),
    }
    return curves[schedule]


def build_optimizer(
    network: nn.Module,
    kind: Literal["adam", "rmsprop"],
    lr: float,
    betas: tuple[float, float],
    weight_decay: float,
) -> Optimizer:
    """One network's optimizer. Adam is the fused one: the same numbers in one pass over the weights."""
    weights = list(network.parameters())
    if kind == "rmsprop":
        return RMSprop(weights, lr=lr, weight_decay=weight_decay)
    fused = weights[0].device.type in ("cpu", "cuda")
    return Adam(weights, lr=lr, betas=betas, weight_decay=weight_decay, fused=fused)


class WeightAverage:
    """Exponential moving average of networks' weights, for the images that are kept (Yazici et al. 2019).

    `decay` is approached from below, min(decay, (1 + n) / (10 + n)), so that the first weights are soon forgotten.
    Buffers, e.g. running statistics, are copied.
    """

    def __init__(self, networks: Mapping[str, nn.Module], decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self._live = {
            f"{name}.{key}": value for name, net in networks.items() for key, value in net.state_dict().items()
        }
        self.values = {key: value.clone() for key, value in self._live.items()}

    @torch.no_grad()
    def update(self) -> None:
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for key, live in self._live.items():
            if live.is_floating_point():
                self.values[key].lerp_(live, 1 - decay)
            else:
                self.values[key].copy_(live)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within, the networks hold the averaged weights."""
        live = {key: value.clone() for key, value in self._live.items()}
        self._write(self.values)
        try:
            yield
        finally:
            self._write(live)

    @torch.no_grad()
    def _write(self, values: Mapping[str, Tensor]) -> None:
        for key, live in self._live.items():
            live.copy_(values[key])

"""Optimizers, one for each network, and the moving average of weights."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer, RMSprop


def build_optimizer(
    network: nn.Module,
    kind: Literal["adam", "adamw", "rmsprop"],
    lr: float,
    betas: tuple[float, float],
    weight_decay: float,
    clip: float = 0.0,
    fused: bool = True,
) -> Optimizer:
    """Builds one network's optimizer, whose gradients `clip_gradients` keeps to the norm `clip`, unless that is 0.

    `fused` selects the Adam that makes one pass over the weights, where the device supports it. On CUDA the group's
    `lr` is a tensor, so that a recorded step reads the value written before each replay.
    """
    weights = list(network.parameters())
    device = weights[0].device
    on_cuda = device.type == "cuda"
    rate = torch.tensor(lr, device=device) if on_cuda else lr
    group = [{"params": weights, "initial_lr": lr, "clip": clip}]
    if kind == "rmsprop":
        return RMSprop(group, lr=rate, weight_decay=weight_decay, capturable=on_cuda)
    one_pass = fused and device.type in ("cpu", "cuda")
    kind_of_adam, decoupled = (_DenseAdam if one_pass else Adam), kind == "adamw"
    common: dict[str, Any] = {"fused": one_pass, "capturable": on_cuda, "decoupled_weight_decay": decoupled}
    return kind_of_adam(group, lr=rate, betas=betas, weight_decay=weight_decay, **common)


def weights_of(optimizer: Optimizer) -> list[nn.Parameter]:
    """All weights that the optimizer moves, in the order in which it numbers them."""
    return [weight for group in optimizer.param_groups for weight in group["params"]]


def moments(optimizer: Optimizer) -> tuple[str, ...]:
    """What an optimizer of `build_optimizer` keeps of each weight, in its shape; beside it, `step` is a scalar."""
    return ("square_avg",) if isinstance(optimizer, RMSprop) else ("exp_avg", "exp_avg_sq")


def set_rates(optimizer: Optimizer, factor: float) -> None:
    """Sets every group's rate to `factor` times its initial one; a rate on the device stays there."""
    for group in optimizer.param_groups:
        rate = group["initial_lr"] * factor
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def clip_gradients(optimizer: Optimizer) -> Tensor | None:
    """Shortens the network's gradient, all its weights' together, to the Euclidean norm `clip` if it is longer. Returns
    the norm that it had, a scalar; None if gradients are left as they are.

    The host reads nothing. A gradient that is not finite becomes NaN.
    """
    (group,) = optimizer.param_groups
    return nn.utils.clip_grad_norm_(group["params"], group["clip"]) if group["clip"] else None


class _DenseAdam(Adam):
    """One-pass Adam that views channels-last tensors in their memory order.

    Otherwise torch (2.11 to 2.15) on a CPU copies every gradient in that format, which takes longer than Adam itself.
    If a gradient's strides differ from its weight's, even only in a dimension of 1, a CPU gives silently wrong results;
    CUDA's kernel, according to its source, refuses.
    """

    def _init_group(
        self, group: dict[str, Any], weights: list[Tensor], gradients: list[Tensor], *moments: list[Tensor]
    ) -> bool:
        has_complex: bool = super()._init_group(group, weights, gradients, *moments)  # type: ignore[no-untyped-call]
        gradients[:] = map(_laid_as, gradients, weights)
        for tensors in (weights, gradients, *moments):
            tensors[:] = map(_as_it_lies, tensors)
        return has_complex


def _laid_as(gradient: Tensor, weight: Tensor) -> Tensor:
    return gradient if gradient.stride() == weight.stride() else torch.empty_like(weight).copy_(gradient)


def _as_it_lies(tensor: Tensor) -> Tensor:
    """Returns a contiguous view of a channels-last tensor; other tensors unchanged."""
    if tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last):
        return tensor.permute(0, 2, 3, 1)
    return tensor


class WeightAverage:
    """Exponential moving average of networks' weights, for generating better images (Yazici et al. 2019).

    `decay`, one for all or one for each network by name, is approached from below, min(decay, (1 + n) / (10 + n)) after
    n updates, so that the first weights are soon forgotten. Buffers, e.g. running statistics, are averaged too, or
    copied if they are integers.
    """

    def __init__(self, networks: Mapping[str, nn.Module], decay: float | Mapping[str, float]) -> None:
        self._live = {
            f"{name}.{key}": value for name, net in networks.items() for key, value in net.state_dict().items()
        }
        self.values = {key: value.clone() for key, value in self._live.items()}
        self.updates = torch.zeros((), device=next(iter(self.values.values())).device)
        self._averaged: dict[float, list[str]] = {}
        for key, live in self._live.items():
            if live.is_floating_point():
                own = decay[key.partition(".")[0]] if isinstance(decay, Mapping) else decay
                self._averaged.setdefault(own, []).append(key)

    @torch.no_grad()
    def update(self, skipped: Tensor | None = None) -> None:
        """To be called once after the networks moved. Does nothing if the scalar `skipped` is 1."""
        taken = torch.ones_like(self.updates) if skipped is None else 1 - skipped
        self.updates += taken
        for decay, averaged in self._averaged.items():
            # 1 - min(decay, (1 + n) / (10 + n)), without the rounding of a decay near 1.
            share = (9 / (10 + self.updates)).clamp(min=1 - decay) * taken
            values = [self.values[key] for key in averaged]
            change = torch._foreach_sub([self._live[key] for key in averaged], values)
            torch._foreach_mul_(change, share)
            torch._foreach_add_(values, change)
        for key, live in self._live.items():
            if not live.is_floating_point():
                self.values[key].copy_(live)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Context in which the networks hold the averaged weights."""
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

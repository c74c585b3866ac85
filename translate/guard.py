"""Keeps NaN and infinity out of weights and statistics, without making the host wait for the device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


def not_finite(total: Tensor, weights: Sequence[nn.Parameter]) -> Tensor:
    """1.0 where the loss `total` (a scalar) or a gradient is not finite, else 0.0; a scalar on their device.

    Gradients so large that their squared norm overflows count as not finite: Adam squares them as well.
    """
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    # The Euclidean norm: the maximum norm is 25 times slower on a CPU.
    norm = nn.utils.get_total_norm(gradients)
    return (~(norm.isfinite() & total.detach().isfinite())).float()


def step_unless(bad: Tensor, optimizer: Optimizer) -> None:
    """`optimizer.step()`, which leaves weights and state as they are where `bad`, a scalar, is 1."""
    if optimizer.defaults.get("fused"):
        optimizer.found_inf = bad  # type: ignore[attr-defined]  # what torch's GradScaler sets
        optimizer.step()
    elif bad.device.type == "cpu":
        if not bad:  # nobody waits for a number that the host itself has computed
            optimizer.step()
    else:
        step_and_undo(bad, optimizer)


def step_and_undo(bad: Tensor, optimizer: Optimizer) -> None:
    """`step_unless` for an optimizer that cannot be told on its device: it steps, and copies undo that."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    with torch.no_grad():
        before = [weight.clone() for weight in weights]
        state_before = {(weight, key): value.clone() for weight, key, value in _state(optimizer, weights)}
    optimizer.step()
    with torch.no_grad():
        for weight, was in zip(weights, before, strict=True):
            weight.copy_(torch.where(bad > 0, was, weight))
        for weight, key, value in _state(optimizer, weights):
            if value.device == bad.device:  # a count kept on the host would have to wait for the device
                was = state_before.get((weight, key), torch.zeros_like(value))
                value.copy_(torch.where(bad > 0, was, value))


def _state(optimizer: Optimizer, weights: Iterable[nn.Parameter]) -> Iterator[tuple[nn.Parameter, str, Tensor]]:
    for weight in weights:
        for key, value in optimizer.state.get(weight, {}).items():
            yield weight, key, value


class Statistics:
    """The networks' floating-point buffers, e.g. batch norm's running statistics, which a forward pass moves."""

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        found = {id(buffer): buffer for network in networks for buffer in network.buffers()}
        self._buffers = [buffer for buffer in found.values() if buffer.is_floating_point()]

    @contextmanager
    @torch.no_grad()
    def kept_finite(self) -> Iterator[None]:
        """What is not finite at the end is as it was at the beginning."""
        if not self._buffers:
            yield
            return
        before = self._flat()
        yield
        after = self._flat()
        finite = torch.where(after.isfinite(), after, before)
        parts = finite.split([buffer.numel() for buffer in self._buffers])
        torch._foreach_copy_(
            self._buffers, [part.view_as(buffer) for buffer, part in zip(self._buffers, parts, strict=True)]
        )

    def _flat(self) -> Tensor:
        return torch.cat([buffer.flatten() for buffer in self._buffers])

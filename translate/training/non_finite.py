"""Keeps NaN and infinity out of weights and statistics, without making the host wait for the device."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from translate.training.optim import weights_of


def not_finite(total: Tensor, weights: Sequence[nn.Parameter]) -> Tensor:
    """1.0 if the loss `total` (a scalar) or any gradient is not finite, or so large that Adam's squares overflow, else
    0.0; a scalar on their device."""
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    # The Euclidean norm: the maximum norm is 25 times slower on a CPU.
    norm = nn.utils.get_total_norm(gradients)
    return (~(norm.isfinite() & total.detach().isfinite())).float()


def step_unless(bad: Tensor, optimizer: Optimizer) -> None:
    """Calls `optimizer.step()`, but leaves weights and state unchanged if the scalar `bad` is 1."""
    if optimizer.defaults.get("fused"):
        optimizer.found_inf = bad  # type: ignore[attr-defined]  # what torch's GradScaler sets
        optimizer.step()
    elif bad.device.type == "cpu":
        if not bad:  # no wait: the host computed this number itself
            optimizer.step()
    else:
        step_and_undo(bad, optimizer)


def step_and_undo(bad: Tensor, optimizer: Optimizer) -> None:
    """`step_unless` for an optimizer without such a switch on the device: steps, then undoes it from copies."""
    weights = weights_of(optimizer)
    with torch.no_grad():
        before = [weight.clone() for weight in weights]
        state_before = {(weight, key): value.clone() for weight, key, value in _state(optimizer, weights)}
    optimizer.step()
    with torch.no_grad():
        for weight, was in zip(weights, before, strict=True):
            weight.copy_(torch.where(bad > 0, was, weight))
        for weight, key, value in _state(optimizer, weights):
            if value.device == bad.device:  # undoing a count on the host would mean waiting for the device
                was = state_before.get((weight, key), torch.zeros_like(value))
                value.copy_(torch.where(bad > 0, was, value))


def _state(optimizer: Optimizer, weights: Iterable[nn.Parameter]) -> Iterator[tuple[nn.Parameter, str, Tensor]]:
    for weight in weights:
        for key, value in optimizer.state.get(weight, {}).items():
            yield weight, key, value


class Statistics:
    """The floating-point buffers of networks that a forward pass changes, e.g. the running statistics of batch norm."""

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        found = {id(buffer): buffer for network in networks for buffer in network.buffers()}
        self._buffers = [buffer for buffer in found.values() if buffer.is_floating_point()]

    @contextmanager
    @torch.no_grad()
    def kept_finite(self) -> Iterator[None]:
        """On exit, restores every value that is not finite to its value on entry."""
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

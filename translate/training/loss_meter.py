"""A turn's losses and skips, in tensors on the device: the host waits only when it reads them."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from translate.reporting.keys import current_name


class Skips(NamedTuple):
    """How often a turn was skipped because a loss or a gradient was not finite: in total, and in the current streak."""

    ever: int = 0
    in_a_row: int = 0


class LossMeter:
    """The losses of one turn, summed since they were last read, and how often it was skipped."""

    def __init__(self, turn: str, device: torch.device) -> None:
        self.turn = turn
        self._names: tuple[str, ...] = ()
        self._sums = self._counts = torch.zeros(0, device=device)
        self._skips = torch.zeros(2, dtype=torch.long, device=device)

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Adds the losses that are finite. Raises ValueError if their names differ from before."""
        if tuple(losses) != self._names:
            self._arrange(tuple(losses))
        values = torch.stack([loss.detach() for loss in losses.values()])
        finite = values.isfinite()
        self._sums += torch.where(finite, values, 0)
        self._counts += finite

    def count(self, skipped: Tensor) -> None:
        """Counts whether the turn was skipped: `skipped` is a scalar, 1 if it was and 0 if not."""
        now = skipped.long()
        self._skips.copy_(torch.stack([self._skips[0] + now, (self._skips[1] + 1) * now]))

    @property
    def sums_and_counts(self) -> list[Tensor]:
        """The losses' sums and counts, for processes to average in place."""
        return [self._sums, self._counts]

    def read(self) -> dict[str, float]:
        """Mean losses since the last reading, keyed `turn/name`; a loss that was never finite is absent."""
        sums, counts = self._sums.tolist(), self._counts.tolist()
        self._sums.zero_()
        self._counts.zero_()
        found = zip(self._names, sums, counts, strict=True)
        return {f"{self.turn}/{name}": total / count for name, total, count in found if count}

    def read_skips(self) -> Skips:
        return Skips(*self._skips.tolist())

    def state(self) -> dict[str, Tensor]:
        """The complete state, for `restore`; each key names the turn."""
        sums = {f"sum/{self.turn}/{name}": value for name, value in zip(self._names, self._sums, strict=True)}
        counts = {f"count/{self.turn}/{name}": value for name, value in zip(self._names, self._counts, strict=True)}
        return {**sums, **counts, f"skips/{self.turn}": self._skips}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Restores what `state` returned; other keys are ignored."""
        sums, counts = f"sum/{self.turn}/", f"count/{self.turn}/"
        self._names = tuple(key.removeprefix(sums) for key in state if key.startswith(sums))
        self._sums = self._sums.new_tensor([float(state[sums + name]) for name in self._names])
        self._counts = self._counts.new_tensor([float(state[counts + name]) for name in self._names])
        if f"skips/{self.turn}" in state:  # missing in checkpoints of earlier versions
            self._skips.copy_(state[f"skips/{self.turn}"])

    def _arrange(self, names: tuple[str, ...]) -> None:
        """Puts sums and counts in the turn's order, at the first step after the start or after `restore`."""
        # A checkpoint may have names of version 0.1.
        before = {name if name in names else current_name(name): place for place, name in enumerate(self._names)}
        if before and before.keys() != set(names):
            raise ValueError(f"turn '{self.turn}' has the losses {names}, and had {self._names} before")
        if before:
            order = [before[name] for name in names]
            self._sums, self._counts = self._sums[order], self._counts[order]
        else:
            self._sums, self._counts = self._sums.new_zeros(len(names)), self._counts.new_zeros(len(names))
        self._names = names

"""A map of which only the last rows are held, and which is computed again from its inputs whenever it is gone through.

Bounds memory and disk at once. Normalisation needs a pass over all rows for its statistics before the next one can
begin, so that a network of N normalisations takes N + 1 passes, the k-th of which computes all layers up to the k-th.
No pass computes a row twice: windows hold what the next band reads again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

from translate.inference.tiling.account import Account


class Window:
    """Rows of a map (1, channels, height, width), from `compute(top, bottom)`.

    Every step asks for rows no higher than the step before did, so those above are let go. Rows that are asked for
    again all the same (a new pass begins at the top) are computed again.
    """

    def __init__(self, compute: Callable[[int, int], Tensor], account: Account, form: torch.memory_format) -> None:
        self._compute, self._account, self._form = compute, account, form
        self._chunks: deque[tuple[int, Tensor]] = deque()
        """The first row of each, and the rows; one follows the other."""
        self._step, self._asked = 0, 0
        """The last step that asked, and the topmost row that it asked for."""

    def rows(self, top: int, bottom: int) -> Tensor:
        """Rows `top` to `bottom` - 1, at least one."""
        if self._step == self._account.step:
            self._asked = min(self._asked, top)
        else:
            self._drop(self._asked)
            self._step, self._asked = self._account.step, top
        if not self._chunks or not self._chunks[0][0] <= top <= self._end:
            self._drop(self._end)
            self._extend(top, bottom)
        elif bottom > self._end:
            self._extend(self._end, bottom)
        found = [
            rows[:, :, max(0, top - first) : bottom - first]
            for first, rows in self._chunks
            if first < bottom and first + rows.shape[2] > top
        ]
        return (found[0] if len(found) == 1 else torch.cat(found, 2)).contiguous(memory_format=self._form)

    @property
    def _end(self) -> int:
        if not self._chunks:
            return 0
        first, rows = self._chunks[-1]
        return first + rows.shape[2]

    def _extend(self, top: int, bottom: int) -> None:
        rows = self._compute(top, bottom)
        self._account.hold(rows.nbytes)
        self._chunks.append((top, rows))

    def _drop(self, floor: int) -> None:
        """Lets go of the rows above `floor`."""
        while self._chunks and self._chunks[0][0] + self._chunks[0][1].shape[2] <= floor:
            self._account.hold(-self._chunks.popleft()[1].nbytes)

"""Where a run stops for a signal: between steps, while waiting for a batch, or before a layer that is only shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from torch.nn.modules.module import register_module_forward_pre_hook

from translate.data.batch import Batch
from translate.training.distributed import Distributed
from translate.utils.signals import Signals, Stop


class StopPoints:
    """Where a signal that `signals` noted raises Stop. Of several processes none may leave the others, so all stop
    between the same two steps and nowhere else."""

    def __init__(self, signals: Signals, distributed: Distributed) -> None:
        self._signals, self._distributed = signals, distributed

    def between_steps(self) -> None:
        """Raises Stop if a signal was noted, by any process."""
        if number := self._distributed.largest(self._signals.noted or 0):
            raise Stop(number)

    def while_waiting(self, stream: Iterator[Batch]) -> Iterator[Batch]:
        """Yields the batches of `stream`; a signal that comes while the next one is waited for raises Stop at once."""
        while True:
            with self._signals.raising() if self._distributed.size == 1 else nullcontext():
                batch = next(stream)
            yield batch

    @contextmanager
    def between_layers(self) -> Iterator[None]:
        """Context in which a signal raises Stop before the next layer of any network, where nothing is half written."""
        if self._distributed.size > 1:
            yield
            return
        hook = register_module_forward_pre_hook(lambda layer, inputs: self._signals.check())
        try:
            yield
        finally:
            hook.remove()

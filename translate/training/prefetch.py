"""Places batches on the device for the next step, and measures how long the step waits for them."""

from collections.abc import Iterator

import torch

from translate.data.batch import Batch
from translate.data.waiting import Waiting
from translate.training.runtime import Runtime


class OneStream:
    """Places batches on the stream of the step. `share`: of the host's time, that spent waiting for the loader."""

    def __init__(self, runtime: Runtime, stream: Iterator[Batch]) -> None:
        self._runtime, self._waiting = runtime, Waiting(stream)

    def __next__(self) -> Batch:
        return self._runtime.place(next(self._waiting))

    @property
    def share(self) -> float:
        return self._waiting.share


class SecondStream:
    """Makes and places batches on a separate CUDA stream, while the step before runs.

    The host stays at most one step ahead, so that batches do not pile up. `share`: of the device's time, that in which
    it had finished all its work and the next batch was not ready.
    """

    def __init__(self, runtime: Runtime, stream: Iterator[Batch]) -> None:
        self._runtime, self._batches = runtime, stream
        self._main = torch.cuda.current_stream(runtime.device)
        self._second = torch.cuda.Stream(runtime.device)
        self._waited = self._elapsed = 0.0
        self._since = _mark(self._main)
        self._since.synchronize()  # a data set cached on the device was moved there by the main stream
        self._before: tuple[torch.cuda.Event, torch.cuda.Event] | None = None

    def __next__(self) -> Batch:
        idle = _mark(self._main)
        self._wait_for_the_step_before_the_last()
        with torch.cuda.stream(self._second):
            placed = self._runtime.place(next(self._batches))
        ready = _mark(self._second)
        self._main.wait_event(ready)
        for tensor in placed.tensors():
            tensor.record_stream(self._main)  # keeps later batches out of this memory until the step has read it
        self._before = idle, ready
        return placed

    @property
    def share(self) -> float:
        """Up to the batch before the last."""
        return self._waited / self._elapsed if self._elapsed else 0.0

    def _wait_for_the_step_before_the_last(self) -> None:
        """Waits for that step, and records how long the device waited for the batch after it."""
        if self._before is None:
            return
        idle, ready = self._before
        idle.synchronize()
        ready.synchronize()
        until_idle, until_ready = self._since.elapsed_time(idle), self._since.elapsed_time(ready)
        self._waited += max(0.0, until_ready - until_idle)
        self._elapsed += max(until_idle, until_ready)
        self._since = ready if until_ready > until_idle else idle


Prefetcher = OneStream | SecondStream
"""Placed batches, one per step; `share` is the share of the time so far that was spent waiting for data."""


def prefetch(runtime: Runtime, stream: Iterator[Batch]) -> Prefetcher:
    """The batches of `stream`, placed by `runtime.place`; on CUDA this happens while the previous step runs."""
    return SecondStream(runtime, stream) if runtime.device.type == "cuda" else OneStream(runtime, stream)


def _mark(stream: torch.cuda.Stream) -> torch.cuda.Event:
    """An event that fires when all work queued on `stream` so far is done; a thread that waits for it sleeps."""
    event = torch.cuda.Event(enable_timing=True, blocking=True)
    event.record(stream)
    return event

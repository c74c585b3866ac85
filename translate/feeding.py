"""Batches on their way to a step: placed on the device, and how long it waited for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch

from translate.data.batch import Batch
from translate.data.waiting import Waiting
from translate.engine import Engine


class Feed(Protocol):
    """Placed batches, one for each step, and `share`: of the time so far, that in which data was waited for."""

    def __next__(self) -> Batch: ...

    @property
    def share(self) -> float: ...


def feed(engine: Engine, stream: Iterator[Batch]) -> Feed:
    """The batches of `stream`, as `engine.place` makes them; on CUDA while the step before runs."""
    return SecondStream(engine, stream) if engine.device.type == "cuda" else OneStream(engine, stream)


class OneStream:
    """Batches placed where the step runs; `share` is that of the host's time, which waits for the loader."""

    def __init__(self, engine: Engine, stream: Iterator[Batch]) -> None:
        self._engine, self._waiting = engine, Waiting(stream)

    def __next__(self) -> Batch:
        return self._engine.place(next(self._waiting))

    @property
    def share(self) -> float:
        return self._waiting.share


class SecondStream:
    """Batches made and placed on a CUDA stream of their own.

    The host is ahead of the device: what it asks for while a step runs is copied, cast and cut beside that step. It
    stays one step ahead and no more, so that batches do not pile up. `share` is that of the device's time in which all
    that it was given was done and the next batch was not there: waiting while a step runs is none.
    """

    def __init__(self, engine: Engine, stream: Iterator[Batch]) -> None:
        self._engine, self._batches = engine, stream
        self._main = torch.cuda.current_stream(engine.device)
        self._second = torch.cuda.Stream(engine.device)
        self._waited = self._elapsed = 0.0
        self._since = _mark(self._main)
        self._since.synchronize()  # a set that lies on the device was moved there by the main stream
        self._before: tuple[torch.cuda.Event, torch.cuda.Event] | None = None

    def __next__(self) -> Batch:
        idle = _mark(self._main)
        self._wait_for_the_step_before_the_last()
        with torch.cuda.stream(self._second):
            placed = self._engine.place(next(self._batches))
        ready = _mark(self._second)
        self._main.wait_event(ready)
        for tensor in placed.tensors():
            tensor.record_stream(self._main)  # no later batch is put there before the step has read this one
        self._before = idle, ready
        return placed

    @property
    def share(self) -> float:
        """Up to the batch before the last."""
        return self._waited / self._elapsed if self._elapsed else 0.0

    def _wait_for_the_step_before_the_last(self) -> None:
        """And takes down how long the device waited for the batch after it."""
        if self._before is None:
            return
        idle, ready = self._before
        idle.synchronize()
        ready.synchronize()
        until_idle, until_ready = self._since.elapsed_time(idle), self._since.elapsed_time(ready)
        self._waited += max(0.0, until_ready - until_idle)
        self._elapsed += max(until_idle, until_ready)
        self._since = ready if until_ready > until_idle else idle


def _mark(stream: torch.cuda.Stream) -> torch.cuda.Event:
    """When all that `stream` was given till now is done; whoever waits for it sleeps."""
    event = torch.cuda.Event(enable_timing=True, blocking=True)
    event.record(stream)
    return event

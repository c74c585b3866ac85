"""A training step as CUDA graphs: recorded once for each set of due turns, then replayed with a single launch.

A step must be a pure program of tensors: no reads by the host, no random numbers from Python, and persistent tensors
keep their addresses. torch's CUDA generator registers with a graph being recorded, and each replay starts from its
current seed and offset: a replay after `torch.manual_seed(s)` draws the same numbers as the eager step.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from translate.data.batch import Batch
from translate.models.base import Turn

Program = Callable[[Sequence[Turn], Batch], None]
WARM_UP = 3
"""Eager steps before recording, in which libraries choose their algorithms and optimizers create their state."""


class Recorder(Protocol):
    """Turns work on a device into something repeatable."""

    def warm_up(self, work: Callable[[], None]) -> None:
        """Runs `work` in the environment in which it will be recorded."""

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Records `work` without running it; what it returns runs it on the current contents of the same memory."""


class GraphedStep:
    """Wraps a trainer's `program`: eager at first, replayed later; every call is a real training step.

    Each combination of due turns and batch shapes has a recording, into whose own tensors the batch is copied.
    """

    def __init__(self, program: Program, recorder: Recorder) -> None:
        self._program, self._recorder = program, recorder
        self._recordings: dict[Hashable, _Recording] = {}

    def __call__(self, due: Sequence[Turn], batch: Batch) -> None:
        shapes = tuple((tensor.shape, tensor.dtype, tensor.stride()) for tensor in batch.tensors())
        key = tuple(turn.name for turn in due), shapes
        if key not in self._recordings:
            self._recordings[key] = _Recording(batch.map(torch.empty_like))
        recording = self._recordings[key]
        for mine, given in zip(recording.inputs.tensors(), batch.tensors(), strict=True):
            mine.copy_(given, non_blocking=True)
        if recording.seen < WARM_UP:
            self._recorder.warm_up(lambda: self._program(due, recording.inputs))
        else:
            if recording.replay is None:
                recording.replay = self._recorder.record(lambda: self._program(due, recording.inputs))
            recording.replay()
        recording.seen += 1


@dataclass
class _Recording:
    inputs: Batch
    seen: int = 0
    replay: Callable[[], None] | None = None


class CudaRecorder:
    """Records on its own stream. All recordings share one memory pool, because none passes data to another."""

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()

    def warm_up(self, work: Callable[[], None]) -> None:
        current = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            work()
        current.wait_stream(self._stream)

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        # thread_local: the loader's threads may pin memory during the recording.
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
            work()
        return graph.replay

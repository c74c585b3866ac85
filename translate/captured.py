"""A training step as CUDA graphs: recorded once for each set of due turns, then replayed by a single launch.

All that a step does must be a program of tensors: no host reads, no dice of Python's, what stays keeps its address.
Dice: torch's default CUDA generator registers with a graph that is recorded, and each replay starts from the seed and
offset that the generator has at that moment; a replay after `torch.manual_seed(s)` throws what the eager step does.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from translate.data.batch import Batch
from translate.model import Turn

Program = Callable[[Sequence[Turn], Batch], None]
WARM_UP = 3
"""Steps taken eagerly before one is recorded: libraries choose their algorithms, optimizers make their state."""


class Recorder(Protocol):
    """What turns work on a device into something that can be done again."""

    def warm_up(self, work: Callable[[], None]) -> None:
        """Does `work`, in the surroundings in which it will be recorded."""

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """What does `work` when it is called, on whatever the same memory holds then; nothing is done yet."""


class CapturedProgram:
    """`program` for a trainer: eager at first, later replayed. Every call is a step of the training, none is for show.

    A recording belongs to the turns that are due and to the shapes of the batch, which is copied into the recording's
    own tensors.
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
        recording.fill(batch)
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

    def fill(self, batch: Batch) -> None:
        for mine, given in zip(self.inputs.tensors(), batch.tensors(), strict=True):
            mine.copy_(given, non_blocking=True)


class CudaRecorder:
    """Records on a stream of its own; all recordings share one memory pool, as none leaves anything to another."""

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
        # thread_local: the loader's threads may pin memory meanwhile.
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
            work()
        return graph.replay

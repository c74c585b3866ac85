"""Several processes that train one model, as started by torchrun: their ranks and what they exchange.

All take the same steps on their own images, and run the same validations and samples; only the main one writes.
Gradients are averaged after each turn's backward pass, so n processes with batches of b take the step of one process
with a batch of n * b.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import accumulate, groupby
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from translate.errors import ConfigurationError, TranslateError

TIMEOUT = timedelta(seconds=60)
"""For gradients: a process that does not answer in this time counts as dead."""
PATIENCE = timedelta(minutes=30)
"""For work that one process does while the others wait: rendering a set, saving."""
BUCKET = 8 * 2**20
"""How many numbers are averaged in one message."""


class Distributed:
    """One process: number `rank` of `size`, and `local_rank` on its machine. A single one communicates nothing.

    `device` is for `choose_runtime`. Methods raise TranslateError if another process does not answer.
    """

    def __init__(self, device: str = "auto", rank: int = 0, size: int = 1, local_rank: int = 0) -> None:
        self.device, self.rank, self.size, self.local_rank = device, rank, size, local_rank
        # For everything but gradients: CPU tensors, and a longer timeout.
        self._hosts: Any = dist.new_group(backend="gloo", timeout=PATIENCE) if size > 1 else None
        self._asked: tuple[Tensor, Any] | None = None

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes files."""
        return self.rank == 0

    @torch.no_grad()
    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replaces each tensor by its mean over all processes, which pass the same shapes in the same order."""
        if self.size == 1:
            return
        buckets = _buckets(tensors)
        flat = [torch.cat([tensor.reshape(-1) for tensor in bucket]) for bucket in buckets]
        with _answered():
            for handle in [dist.all_reduce(values, async_op=True) for values in flat]:
                handle.wait()
        for bucket, values in zip(buckets, flat, strict=True):
            means = (values / self.size).split([tensor.numel() for tensor in bucket])
            for tensor, mean in zip(bucket, means, strict=True):
                tensor.copy_(mean.view(tensor.shape))

    def gather(self, values: Tensor) -> Tensor:
        """The `values` of all processes, (size, ...) in order of rank; differentiable any number of times."""
        nothing = torch.zeros_like(values)
        return _sum_of_all(torch.stack([values if rank == self.rank else nothing for rank in range(self.size)]))

    def largest(self, number: int) -> int:
        """The largest `number` that any process passed in the call before, 0 in the first; of a single process its own.

        Lagging by one call, no process waits for the message, yet all get the same answer at the same step.
        """
        if self.size == 1:
            return number
        asked = torch.tensor(number)
        with _answered():
            handle = dist.all_reduce(asked, dist.ReduceOp.MAX, group=self._hosts, async_op=True)
            before, self._asked = self._asked, (asked, handle)
            if before is None:
                return 0
            before[1].wait()
        return int(before[0])

    def of_main(self, number: int) -> int:
        """The `number` of the main process, for all, who wait for it."""
        if self.size == 1:
            return number
        said = torch.tensor(number)
        with _answered():
            dist.broadcast(said, 0, group=self._hosts)
        return int(said)

    def collect(self, tensors: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
        """For the main process, the tensors of all in order of rank, on the CPU; an empty list for the others. All pass
        the same names and shapes."""
        mine = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        if self.size == 1:
            return [mine]
        everyone = [{name: torch.empty_like(value) for name, value in mine.items()} for _ in range(self.size)]
        for name, value in mine.items():
            with _answered():
                dist.gather(value, [one[name] for one in everyone] if self.is_main else None, dst=0, group=self._hosts)
        return everyone if self.is_main else []

    def require_same(self, facts: Mapping[str, object]) -> None:
        """Raises TranslateError naming the facts that differ between processes, compared by their repr."""
        if self.size == 1:
            return
        digests = [hashlib.sha256(repr(fact).encode()).digest()[:7] for fact in facts.values()]
        mine = torch.tensor([int.from_bytes(digest) for digest in digests])
        everyone = [torch.empty_like(mine) for _ in range(self.size)]
        with _answered():
            dist.all_gather(everyone, mine, group=self._hosts)
        rows = torch.stack(everyone)
        different = [name for name, same in zip(facts, (rows == rows[0]).all(0).tolist(), strict=True) if not same]
        if different:
            others = [rank for rank, same in enumerate((rows == rows[0]).all(1).tolist()) if not same]
            raise TranslateError(
                f"process {self.rank} of {self.size}: not the same everywhere: {', '.join(different)} (process 0 "
                f"differs from {', '.join(map(str, others))}). Every machine needs the same command, version and data, "
                "and for --resume the run's folder, on a disk that all see"
            )

    def wait(self) -> None:
        """Waits for every process, for up to half an hour, since the main one may be writing for minutes."""
        if self.size > 1:
            with _answered():
                dist.barrier(group=self._hosts)

    @contextmanager
    def one_first(self) -> Iterator[None]:
        """Context that a machine's first process runs before its others, who find what it leaves on disk."""
        if self.local_rank > 0:
            self.wait()
        yield
        if self.local_rank == 0:
            self.wait()

    def finish(self) -> None:
        """Waits for the last pending answer, so that no message is under way when the processes part."""
        if self._asked:
            with _answered():
                self._asked[1].wait()
            self._asked = None


@contextmanager
def join(device: str = "auto") -> Iterator[Distributed]:
    """Joins the processes that torchrun started, if any. On CUDA each takes the GPU of its local rank; on a CPU they
    share the cores. Raises ConfigurationError if there is no such GPU, or the processes do not find each other."""
    rank, size, local_rank = (int(os.environ.get(name, default)) for name, default in _TORCHRUN.items())
    if size == 1:
        yield Distributed(device)
        return
    chosen = _own_device(device, local_rank)
    cuda = torch.device(chosen) if chosen.startswith("cuda") else None
    if cuda:
        torch.cuda.set_device(cuda)
    try:
        dist.init_process_group("nccl" if cuda else "gloo", timeout=TIMEOUT, device_id=cuda)
    except (ValueError, RuntimeError) as error:
        raise ConfigurationError(
            f"WORLD_SIZE is {size}, but the processes do not find each other ({error}); start them with torchrun"
        ) from error
    try:
        distributed = Distributed(chosen, rank, size, local_rank)
        yield distributed
        distributed.finish()
    finally:
        dist.destroy_process_group()


_TORCHRUN = {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": 0}


def fingerprint(model: nn.Module) -> list[int]:
    """The sum of the bits of each weight tensor, as integers, so that their order does not matter."""
    return [int(weight.detach().float().view(torch.int32).sum(dtype=torch.int64)) for weight in model.parameters()]


def _own_device(device: str, local_rank: int) -> str:
    if device == "auto" and not torch.cuda.is_available():
        return "cpu"
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigurationError(
            f"--device {device}: several processes take cpu, or cuda and each the GPU of its number; "
            "CUDA_VISIBLE_DEVICES says which GPUs there are"
        )
    if device == "cpu":
        return "cpu"
    if local_rank >= torch.cuda.device_count():
        raise ConfigurationError(
            f"--device {device}: {torch.cuda.device_count()} CUDA devices are visible, and this is process "
            f"{local_rank + 1} of its machine; start as many as there are (torchrun --nproc-per-node), or take the CPU "
            "(--device cpu)"
        )
    return f"cuda:{local_rank}"


def _buckets(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    """Groups the tensors, in order, into messages of about BUCKET numbers."""
    starts = accumulate((tensor.numel() for tensor in tensors), initial=0)
    placed = groupby(zip(starts, tensors, strict=False), key=lambda at: at[0] // BUCKET)
    return [[tensor for _, tensor in bucket] for _, bucket in placed]


class _SumOfAll(torch.autograd.Function):
    """The sum of a tensor over all processes. Its gradient is the sum of their gradients: the same function again."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone(memory_format=torch.contiguous_format)
        with _answered():
            dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _sum_of_all(gradient)


def _sum_of_all(values: Tensor) -> Tensor:
    total: Tensor = _SumOfAll.apply(values)
    return total


@contextmanager
def _answered() -> Iterator[None]:
    """Converts the error torch raises when a process does not answer into one for the user."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise TranslateError(
            f"process {dist.get_rank()} of {dist.get_world_size()}: another one has ended or does not answer "
            f"({reason}); its own message says why. Go on with --resume"
        ) from error

"""A folder converted on a Ray cluster: its machines take blocks of files, and one that dies loses nothing.

Tasks, not actors: a lost machine leaves actors waiting for ever. Inputs and outputs lie where all machines see them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from translate.errors import TranslateError
from translate.inference.cluster import ClusterOptions
from translate.inference.folder import convert_folder, pending
from translate.inference.jobs import Job, Jobs
from translate.inference.options import ModelOptions, OutputOptions
from translate.inference.records import Outcome, Record
from translate.inference.sources import Sources
from translate.models.base import Request
from translate.recipe.plugins import given_files, load_plugins
from translate.runs.on_ray.cluster import connected, died, machines, on_gpus, places, require_alike
from translate.runs.prepared import prepared
from translate.utils.printing import shown

if TYPE_CHECKING:
    from translate.inference.converter import Converter

BLOCK = 32
"""Files of a task: what a machine that dies has to be done again."""
AHEAD = 2
"""Blocks under way for each place that works, so that none waits."""
HELD = 8
"""Blocks for each place that are done, or under way, before the oldest is: rows of the manifest keep their order."""
ALONE = "ended the process that converted it, alone, too; it may be damaged, or too large for the memory"


@dataclass(frozen=True)
class Work:
    """What a process has to know to convert files; paths are absolute, and the same on all machines."""

    run: Path
    output: Path
    to: tuple[str, ...]
    style: str | None
    steps: int | None
    model: ModelOptions
    writing: OutputOptions
    plugins: tuple[Path, ...] = ()


def work_of(
    run: Path, output: Path, to: tuple[str, ...], request: Request, model: ModelOptions, writing: OutputOptions
) -> Work:
    """What the processes of a cluster are told."""
    style = request.style.name if request.style else None
    if style and not style.startswith("seed:"):
        style = str(Path(style).absolute())
    return Work(run.absolute(), output.absolute(), to, style, request.steps, model, writing, given_files())


def convert_on_ray(
    cluster: ClusterOptions,
    work: Work,
    jobs: Jobs,
    sources: Sources | None,
    done: Callable[[Record], None],
    log: Callable[[str], None],
) -> Outcome:
    """Like `convert_folder`, on the machines of a cluster; records come in the order of the jobs.

    Outputs are on disk exactly once, whatever dies: what a lost process had written is not converted again, and a file
    that ends its process again and again fails alone. Raises ConfigurationError for a cluster that is not there, has
    another version of this package, or does not see the files, and whatever else ends a conversion.
    """
    outcome = Outcome()
    with connected(cluster) as ray:
        count = places(ray, cluster, work.model.device)
        require_alike(ray, jobs[0].source.absolute(), work.output)
        log(f"converting on {count} {'process' if count == 1 else 'processes'} of {machines(ray)}")
        for record in _records(ray, cluster, count, work, jobs, sources):
            outcome.add(record)
            done(record)
    return outcome


def _task(ray: Any, cluster: ClusterOptions, work: Work, **more: Any) -> Any:
    """A block as a task: retried once where its machine died, in a process that keeps the model for the next."""
    resources = {"num_cpus": cluster.cpus_per_worker, "num_gpus": int(on_gpus(ray, work.model.device))}
    options = {"max_retries": 1, "max_calls": 0, "scheduling_strategy": "SPREAD", **resources}
    return ray.remote(**options, **more)(_block)


def _records(
    ray: Any, cluster: ClusterOptions, count: int, work: Work, jobs: Jobs, sources: Sources | None
) -> Iterator[Record]:
    """The records of all jobs, in order."""
    task, blocks = _task(ray, cluster, work), _blocks(pending(jobs, work.writing.overwrite, sources))
    order: deque[_Block] = deque()
    running: dict[Any, _Block] = {}
    more = True
    while more or order:
        while more and len(running) < AHEAD * count and len(order) < HELD * count:
            block = next(blocks, None)
            if block is None:
                more = False
                break
            order.append(block)
            block.send(task, work, running)
        if running:
            (ready,), _ = ray.wait(list(running), num_returns=1)
            block = running.pop(ready)
            try:
                block.take(ready, ray.get(ready))
            except died(ray):
                block.halve(ready, task, work, running)
            except ray.exceptions.RayTaskError as error:
                cause = error.cause
                raise cause if isinstance(cause, TranslateError) else error from None
        while order and order[0].whole:
            yield from order.popleft().records


class _Block:
    """Jobs that go to a process together, and those that need no work, as records in their places."""

    def __init__(self, jobs: Sequence[Job | Record]) -> None:
        self._found: list[Record | None] = [job if isinstance(job, Record) else None for job in jobs]
        self._jobs = {place: job for place, job in enumerate(jobs) if isinstance(job, Job)}
        self._sent: dict[Any, list[int]] = {}

    def send(self, task: Any, work: Work, running: dict[Any, _Block], places: Sequence[int] | None = None) -> None:
        places = list(self._jobs) if places is None else places
        if places:
            sent = task.remote(work, [self._jobs[place] for place in places])
            self._sent[sent], running[sent] = list(places), self

    def take(self, sent: Any, records: Sequence[Record]) -> None:
        """What a process returns. A retried one finds what the lost one has written, and skips it."""
        for place, record in zip(self._sent.pop(sent), records, strict=True):
            self._found[place] = replace(record, status="written") if record.status == "skipped" else record

    def halve(self, sent: Any, task: Any, work: Work, running: dict[Any, _Block]) -> None:
        """A block that ends its processes is done again in halves, until the file that does it is alone."""
        places = self._sent.pop(sent)
        if len(places) == 1:
            job = self._jobs[places[0]]
            self._found[places[0]] = job.record("failed", error=f"{shown(job.source)}: {ALONE}")
            return
        middle = len(places) // 2
        for half in (places[:middle], places[middle:]):
            self.send(task, work, running, half)

    @property
    def whole(self) -> bool:
        return all(self._found)

    @property
    def records(self) -> list[Record]:
        return [record for record in self._found if record is not None]


def _blocks(jobs: Iterator[Job | Record]) -> Iterator[_Block]:
    """Blocks of up to `BLOCK` jobs that need work, and as many thousand that need none."""
    held: list[Job | Record] = []
    waiting = 0
    for job in jobs:
        held.append(_absolute(job) if isinstance(job, Job) else job)
        waiting += isinstance(job, Job)
        if waiting == BLOCK or len(held) == 1000 * BLOCK:
            yield _Block(held)
            held, waiting = [], 0
    if held:
        yield _Block(held)


def _absolute(job: Job) -> Job:
    beside = {layer: path and path.absolute() for layer, path in job.beside.items()}
    return replace(job, source=job.source.absolute(), output=job.output.absolute(), beside=beside)


def _block(work: Work, jobs: list[Job]) -> list[Record]:
    """In a process of the cluster: the records of these jobs, in their order."""
    converter, request, sources = _loaded(work)
    found: dict[Path, Record] = {}
    convert_folder(
        converter,
        jobs,
        request,
        work.writing,
        inputs={job.source for job in jobs},
        sources=sources,
        done=lambda record: found.__setitem__(record.source, record),
    )
    return [found[job.source] for job in jobs]


@lru_cache(1)
def _loaded(work: Work) -> tuple[Converter, Request, Sources]:
    """The model, loaded once a process, and where it notes what outputs are made of, which is long in large folders."""
    load_plugins(work.plugins)
    converter, request = prepared(work.run, work.to, work.style, work.steps, work.model, work.writing)
    return converter, request, Sources(work.output).__enter__()  # open as long as the process

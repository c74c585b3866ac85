"""Batches placed on a second CUDA stream: what comes before what, on pretended streams that keep their own time."""

from collections import Counter
from contextlib import contextmanager

import pytest
import torch
from loaders import make_loader
from tiny import CPU, tiny_model, write_images
from torch import Tensor

from translate.data.batch import Paired, Unpaired
from translate.data.cache.choice import stream_of
from translate.data.loader import Loader
from translate.data.source_file import Source
from translate.training.optim import build_optimizer
from translate.training.prefetch import OneStream, SecondStream, prefetch
from translate.training.runtime import Runtime
from translate.training.trainer import Trainer
from translate.utils.signals import Stop

STEPS = 8


class Streams:
    """Stands in for torch.cuda: operations have an order (what each stream and the host know of the others, counted as
    in a vector clock) and a time (they start when their stream and what it waits for are done)."""

    def __init__(self, monkeypatch):
        self.now, self.host = 0.0, Counter()
        self.main = self.current = PretendedStream(self, "main")
        self.done, self.kept = {}, []
        monkeypatch.setattr(torch.cuda, "Stream", lambda device: PretendedStream(self, "second"))
        monkeypatch.setattr(torch.cuda, "Event", lambda **options: PretendedEvent(self, **options))
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device: self.current)
        monkeypatch.setattr(torch.cuda, "stream", self.within)
        monkeypatch.setattr(Tensor, "record_stream", lambda tensor, stream: self.kept.append((id(tensor), stream)))

    @contextmanager
    def within(self, stream):
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    def do(self, name, seconds=0.0):
        """Gives the current stream something to do."""
        stream = self.current
        start = max(stream.busy_until, self.now)
        stream.busy_until = start + seconds
        stream.known |= self.host
        stream.known[stream.name] += 1
        self.done[name] = (stream.name, stream.known.copy(), start, stream.busy_until)

    def before(self, one, other):
        """Whether `other` surely starts after `one` has ended, however long anything takes."""
        stream, known, *_ = self.done[one]
        return self.done[other][1][stream] >= known[stream]


class PretendedStream:
    def __init__(self, streams, name):
        self.streams, self.name = streams, name
        self.busy_until, self.known = 0.0, Counter()

    def wait_stream(self, other):
        event = PretendedEvent(self.streams)
        event.record(other)
        self.wait_event(event)

    def wait_event(self, event):
        self.busy_until = max(self.busy_until, event.time)
        self.known |= event.known


class PretendedEvent:
    def __init__(self, streams, enable_timing=False, blocking=False):
        self.streams, self.timed = streams, enable_timing

    def record(self, stream):
        self.time = max(stream.busy_until, self.streams.now)
        self.known = stream.known | self.streams.host

    def synchronize(self):
        self.streams.now = max(self.streams.now, self.time)
        self.streams.host |= self.known

    def elapsed_time(self, end):
        assert self.timed and end.timed
        assert max(self.time, end.time) <= self.streams.now, "the host has not seen both"
        assert self.time <= end.time
        return end.time - self.time


class PretendedCuda:
    """An engine."""

    device = torch.device("cuda")

    def __init__(self, streams, seconds):
        self.streams, self.seconds = streams, seconds

    def place(self, batch):
        self.streams.do(f"place {int(batch.input[0])}", self.seconds)
        return batch.map(torch.clone)


def loaded(streams, seconds):
    """What a loader gives: each batch after its seconds of the host's time, and cut on the current stream."""
    for number, taken in enumerate(seconds):
        streams.now += taken
        streams.do(f"cut {number}")
        yield Paired(torch.tensor([number]), torch.tensor([number]))


def trained(streams, loading, placing, step):
    """The feed after a training of so many steps, each of which the host hands over at once."""
    batches = prefetch(PretendedCuda(streams, placing), loaded(streams, loading))
    for number in range(len(loading)):
        batch = next(batches)
        assert int(batch.input[0]) == number
        assert streams.kept[-2:] == [(id(tensor), streams.main) for tensor in batch.tensors()]
        streams.do(f"step {number}", step)
    return batches


@pytest.mark.parametrize("loading", [0.0, 1.0, 10.0])
def test_a_batch_is_placed_beside_the_step_before_it_and_used_when_it_is_there(monkeypatch, loading):
    streams = Streams(monkeypatch)
    trained(streams, [loading] * STEPS, placing=0.5, step=8.0)
    for number in range(STEPS):
        assert streams.before(f"cut {number}", f"place {number}")
        assert streams.before(f"place {number}", f"step {number}")
        assert streams.done[f"cut {number}"][0] == streams.done[f"place {number}"][0] == "second"
        if number:
            assert not streams.before(f"step {number - 1}", f"cut {number}"), "it waits for the step"
        if number > 1:
            assert streams.before(f"step {number - 2}", f"cut {number}"), "batches pile up"


def test_what_lies_on_the_device_was_moved_there_before_it_is_cut(monkeypatch):
    streams = Streams(monkeypatch)
    streams.do("move the set", 100.0)
    trained(streams, [0.0] * 2, placing=0.5, step=8.0)
    assert streams.before("move the set", "cut 0")


@pytest.mark.parametrize(
    ("loading", "least", "most"),
    [
        ([1.0] * STEPS, 0.0, 0.04),
        ([10.0] * STEPS, 0.2, 0.4),
        ([8.0] * STEPS, 0.0, 0.2),
        ([0, 0, 0, 40, 0, 0, 0, 0], 0.3, 0.5),
    ],
)
def test_the_share_of_waiting_is_that_in_which_the_device_had_nothing_to_do(monkeypatch, loading, least, most):
    streams = Streams(monkeypatch)
    batches = trained(streams, loading, placing=0.5, step=8.0)
    # Up to the start of the step before the last.
    starts, ends = zip(*(streams.done[f"step {number}"][2:] for number in range(STEPS - 1)), strict=True)
    waited = sum(start - end for start, end in zip(starts, (0.0, *ends), strict=False))
    assert batches.share == pytest.approx(waited / starts[-1])
    assert least <= batches.share <= most


def test_the_share_is_zero_before_anything_is_known(monkeypatch):
    assert trained(Streams(monkeypatch), [5.0], placing=0.5, step=8.0).share == 0


@pytest.mark.parametrize("error", [Stop(2), OSError("a broken image")])
def test_what_ends_the_waiting_leaves_the_step_s_stream(monkeypatch, error):
    def broken():
        raise error
        yield

    streams = Streams(monkeypatch)
    batches = prefetch(PretendedCuda(streams, 0.0), broken())
    with pytest.raises(type(error)):
        next(batches)
    assert streams.current is streams.main


def test_on_a_cpu_nothing_is_read_ahead():
    taken = []

    def numbered():
        for number in range(10):
            taken.append(number)
            yield Paired(*(torch.full((1, 3, 2, 2), 255 * number % 256, dtype=torch.uint8) for _ in "ab"))

    batches = prefetch(CPU, numbered())
    assert isinstance(batches, OneStream)
    for number in range(3):
        assert next(batches).input.dtype == torch.float32
        assert taken == list(range(number + 1))
    assert 0 <= batches.share <= 1


def image_loader(folder, **settings) -> Loader:
    names = [[f"{domain}{number}.png" for number in range(6)] for domain in "ab"]
    write_images(folder, [name for domain in names for name in domain])
    split = tuple(tuple(Source(folder / name) for name in domain) for domain in names)
    return make_loader(split, make=Unpaired, channels=3, size=16, load_size=18, batch_size=4, workers=2, **settings)


needs_cuda = pytest.mark.gpu


@needs_cuda
@pytest.mark.parametrize("where", ["ram", "device"])
def test_batches_on_a_second_stream_are_whole_however_long_a_step_takes(tmp_path, where):
    cuda = Runtime(torch.device("cuda"), channels_last=True)
    loader = image_loader(tmp_path)
    stream = stream_of(loader, where, None, cuda.device, lambda line: None)(0, 1)
    batches, seen = prefetch(cuda, stream), []
    assert isinstance(batches, SecondStream)
    heavy = torch.randn(4096, 4096, device=cuda.device)
    for _ in range(30):
        batch = next(batches)
        for _ in range(10):  # the step reads its batch late, when the host has long let go of it
            heavy = (heavy @ heavy).clamp(-1, 1)
        seen.append([tensor.clone() for tensor in batch.tensors()])
        del batch
    stream.close()
    for step, tensors in enumerate(seen):
        expected = cuda.place(loader.batch(step)).tensors()
        assert all(torch.equal(one, other) for one, other in zip(tensors, expected, strict=True))
    assert 0 <= batches.share <= 1


@needs_cuda
@pytest.mark.parametrize("cuda_graphs", [False, True])
def test_a_training_fed_on_a_second_stream_is_the_one_fed_in_line(tmp_path, cuda_graphs):
    def trained_by(way):
        model = tiny_model("cyclegan")
        runtime = Runtime(torch.device("cuda"), cuda_graphs=cuda_graphs)
        runtime.adopt(model.train())
        moved = {id(net) for turn in model.turns() for net in turn.networks}
        networks = {key: net for key, net in model.named_children() if id(net) in moved}
        optimizers = {key: build_optimizer(net, "adam", 1e-3, (0.5, 0.999), 0.0) for key, net in networks.items()}
        trainer = Trainer(model, optimizers, runtime, seed=5)
        stream = image_loader(tmp_path).stream(pin=True)
        batches = way(runtime, stream)
        for _ in range(12):
            trainer.step(next(batches))
        stream.close()
        return model.state_dict()

    second, line = trained_by(SecondStream), trained_by(OneStream)
    for key, value in line.items():
        torch.testing.assert_close(second[key], value, rtol=1e-3, atol=1e-4)

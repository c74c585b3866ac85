"""Images cached on the device: the same batches, decoded once, and what cannot lie there."""

import threading

import numpy as np
import pytest
import torch
from test_cache import CPU, DECODED, SIDE, assert_same, counting_from_zero, loader, make_files  # noqa: F401

from translate.data.augment import Augmentation
from translate.data.batch import Labelled, Paired, Plain, SourceLabelled, Unpaired
from translate.data.cache import device as on_device
from translate.data.cache.choice import stream_of
from translate.data.cache.device import gather
from translate.data.loader import Loader
from translate.training.runtime import Runtime
from translate.utils.sides import Sides


def device_stream(batches: Loader, limit: int | None = None, told: list[str] | None = None):
    lines = [] if told is None else told
    return stream_of(batches, "device", limit, CPU, lines.append)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("make", [Unpaired, Paired, Plain, SourceLabelled, Labelled])
def test_batches_on_the_device_are_the_same_and_decoded_once(tmp_path, monkeypatch, make, workers):
    monkeypatch.setattr(on_device, "CHUNK", 2 * SIDE * SIDE * 3)
    counts = {Plain: (7,), Paired: (5, 5)}.get(make, (5, 3))
    split = make_files(tmp_path, *counts)
    rows = [np.eye(count, 5, dtype=np.float32) for count in counts]
    labels = {Labelled: rows, SourceLabelled: rows[:1]}.get(make, [])
    told: list[str] = []
    stream = device_stream(loader(split, make, labels=labels, workers=workers), told=told)
    assert told[0].startswith(f"the training set is cached on cpu: {sum(counts)} images")
    DECODED.clear()
    for start in (0, 3):
        batches, reference = stream(start), loader(split, make, labels=labels, cache_bytes=10**6)
        for step in range(start, start + 6):
            one, other = next(batches), reference.batch(step)
            assert type(one) is type(other)
            for a, b in zip(one.tensors(), other.tensors(), strict=True):
                assert a.dtype == b.dtype and torch.equal(a, b)
                assert a.ndim == 2 or a.is_contiguous(memory_format=torch.channels_last)
        batches.close()
    assert set(DECODED.values()) == {2}, "by the two references alone"
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("loader")]


def test_sixteen_bits_lie_on_the_device_too():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 65536, (3, 9, 8, 1), np.uint16, endpoint=False)
    cuts = torch.tensor([[2, 0], [4, 1], [0, 3], [0, 1]])
    for height, width in ((5, 5), (3, 5), (5, 4)):
        crops = gather(torch.from_numpy(images), cuts, Sides(height, width))
        assert crops.dtype == torch.uint16
        assert np.array_equal(crops[0, 0].numpy(), images[2, 4 : 4 + height, :width, 0])
        assert np.array_equal(crops[1, 0].numpy(), images[0, 1 : 1 + height, 3 : 3 + width, 0][:, ::-1])


@pytest.mark.parametrize(
    ("settings", "limit", "why"),
    [
        ({"resize": "short_side"}, None, "its images differ in size or depth"),
        ({"deep": True}, None, "its images differ in size or depth"),
        ({"augment": (Augmentation(name="Rotate", p=0.5),)}, None, "data.augment works on the host"),
        ({}, 8 * SIDE * SIDE * 3 - 1, "the training set takes"),
    ],
)
def test_what_cannot_lie_on_the_device_is_told_and_read_from_the_host(tmp_path, settings, limit, why):
    split = make_files(tmp_path, 5, 3, deep=settings.pop("deep", False))
    told: list[str] = []
    stream = device_stream(loader(split, **settings), limit, told)
    assert len(told) == 1 and why in told[0]
    assert_same(stream(0), loader(split, **settings))


@pytest.mark.gpu
@pytest.mark.parametrize("where", ["ram", "device"])
def test_batches_for_a_cuda_device_are_the_same(tmp_path, where):
    """Pinned for copies that the host does not wait for, or cut on the device: no synchronisation in either."""
    split = make_files(tmp_path, 5, 3)
    cuda, told = torch.device("cuda"), []
    stream = stream_of(loader(split, workers=2), where, None, cuda, told.append)(0)
    reference = loader(split)
    assert bool(told) == (where == "device")
    for step in range(6):
        batch = next(stream)
        assert all(tensor.is_cuda if where == "device" else tensor.is_pinned() for tensor in batch.tensors())
        for one, other in zip(batch.tensors(), reference.batch(step).tensors(), strict=True):
            assert torch.equal(one.cpu(), other)
    torch.cuda.set_sync_debug_mode("error")
    try:
        Runtime(cuda, channels_last=True).place(next(stream))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    stream.close()

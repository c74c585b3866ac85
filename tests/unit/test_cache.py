"""Resized images kept in memory, in files that runs share, or on the device: the same batches, decoded once."""

import os
import shutil
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from loaders import make_loader
from tiny import paired_folder

from translate.data.augment import Augmentation
from translate.data.batch import Labelled, Paired, Plain, SourceLabelled, Unpaired
from translate.data.cache import device as on_device
from translate.data.cache import disk as disk_cache
from translate.data.cache import shelf
from translate.data.cache.choice import open_cache, stream_of
from translate.data.cache.device import gather
from translate.data.cache.disk import DiskCache
from translate.data.decoding import Decoding
from translate.data.io import images
from translate.data.io.images import Interpolation, Picture, resize, write
from translate.data.labelled.digits import Digit
from translate.data.layouts.folders import Source
from translate.data.loader import Loader
from translate.data.waiting import Waiting
from translate.errors import ConfigurationError, ImageError
from translate.training.runtime import Runtime
from translate.utils.atomic_files import held

SIDE = 18
CPU = torch.device("cpu")
DECODED: Counter[Path] = Counter()


@dataclass(frozen=True)
class Counted(Source):
    """A file that counts how often it is decoded."""

    def read(self, channels: int) -> np.ndarray:
        DECODED[self.path] += 1
        return super().read(channels)

    def square(self, channels: int, side: int, interpolation: Interpolation = "bicubic") -> np.ndarray:
        DECODED[self.path] += 1
        return super().square(channels, side, interpolation)


@pytest.fixture(autouse=True)
def _counting_from_zero():
    DECODED.clear()


def make_files(folder: Path, *counts: int, deep: bool = False, square: bool = False) -> tuple[tuple[Counted, ...], ...]:
    """Files of several sizes in as many domains as there are counts; `deep` makes the second of each 16 bits."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, split = np.random.default_rng(0), []
    for domain, count in enumerate(counts):
        paths = [folder / f"{domain}-{i}.png" for i in range(count)]
        for i, path in enumerate(paths):
            size = (24, 24, 3) if square else (20 + i, 30 - i, 3)
            kind = np.uint16 if deep and i == 1 else np.uint8
            write(path, Picture(rng.integers(0, np.iinfo(kind).max, size, kind, endpoint=True)))
        split.append(tuple(map(Counted, paths)))
    return tuple(split)


def disk(folder: Path, limit: int = 10**7, resize="square", log=pytest.fail) -> DiskCache:
    return DiskCache(folder, limit, Decoding(3, SIDE, resize), log)


def loader(split, make=Unpaired, **settings) -> Loader:
    settings = {"load_size": SIDE, "size": 16, "batch_size": 4, "seed": 5, **settings}
    return make_loader(split, make=make, channels=3, **settings)


def assert_same(stream, reference, steps: int = 8) -> None:
    compared = 0
    for batch, expected in zip(islice(stream, steps), (reference.batch(step) for step in range(steps)), strict=True):
        assert type(batch) is type(expected)
        for one, other in zip(batch.tensors(), expected.tensors(), strict=True):
            assert one.dtype == other.dtype and torch.equal(one, other) and one.stride() == other.stride()
            compared += 1
    assert compared >= steps
    stream.close()


# The dice of a batch, one image at a time, as the loader threw and cut them before it wrote into a batch's memory.


def one_by_one(split, step: int, paired: bool) -> list[torch.Tensor]:
    size, seed, batch_size, domains = 16, 5, 4, []
    for number, sources in enumerate(split):
        leader, images = 0 if paired else number, []
        for position in range(step * batch_size, (step + 1) * batch_size):
            round_, place = divmod(position, len(sources))
            index = np.random.default_rng([seed, 1, leader, round_]).permutation(len(sources))[place]
            image = resize(Source.read(sources[index], 3), SIDE, SIDE)
            rng = np.random.default_rng([seed, 2, leader, position])
            top, left = rng.integers(SIDE - size + 1), rng.integers(SIDE - size + 1)
            image = image[top : top + size, left : left + size]
            images.append(image[:, ::-1] if rng.random() < 0.5 else image)
        if len({image.dtype for image in images}) > 1:
            images = [image if image.dtype == np.uint16 else image.astype(np.uint16) * 257 for image in images]
        domains.append(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2))
    return domains


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("make", [Unpaired, Paired])
def test_a_batch_is_what_cutting_one_image_after_another_gives(tmp_path, make, deep):
    split = make_files(tmp_path, 5, 5, deep=deep)
    batches = loader(split, make)
    types = set()
    for step in range(8):
        tensors = batches.batch(step).tensors()
        for one, other in zip(tensors, one_by_one(split, step, make is Paired), strict=True):
            assert one.dtype == other.dtype and torch.equal(one, other) and one.stride() == other.stride()
            types.add(one.dtype)
    assert types == ({torch.uint8, torch.uint16} if deep else {torch.uint8})


# On disk


@pytest.mark.parametrize("resize", ["square", "centre", "short_side", "short_side_floor", "none"])
@pytest.mark.parametrize("workers", [0, 3])
def test_batches_from_files_are_the_same_and_a_second_run_decodes_nothing(tmp_path, resize, workers):
    split = make_files(tmp_path / "images", 5, 3, deep=True)
    reference = loader(split, resize=resize)
    for run in range(2):
        again = loader(split, resize=resize, workers=workers, cache=disk(tmp_path / "kept", resize=resize))
        DECODED.clear()
        stream = again.stream()
        first = list(islice(stream, 8))
        stream.close()
        if run == 1:
            assert not DECODED
        for step, batch in enumerate(first):
            expected = reference.batch(step)
            assert all(torch.equal(a, b) for a, b in zip(batch.tensors(), expected.tensors(), strict=True))


def test_images_in_files_are_augmented_alike(tmp_path):
    split = make_files(tmp_path / "images", 5, 5)
    augment = (Augmentation(name="Rotate", p=0.5), Augmentation(name="CoarseDropout", p=0.5))
    for make in (Paired, Unpaired):
        reference = loader(split, make, augment=augment)
        for _ in range(2):
            assert_same(loader(split, make, augment=augment, cache=disk(tmp_path / "kept")).stream(), reference)


def test_a_changed_file_and_another_recipe_are_decoded_anew(tmp_path):
    (sources,) = make_files(tmp_path / "images", 3)
    kept = tmp_path / "kept"
    loader([sources], Plain, cache=disk(kept)).batch(0)
    DECODED.clear()
    write(sources[1].path, Picture(np.full((20, 20, 3), 7, np.uint8)))
    os.utime(sources[2].path, ns=(1, 1))
    changed = loader([sources], Plain, cache=disk(kept))
    seen = {int(value) for step in range(2) for value in changed.batch(step).images[:, 0, 0, 0]}
    assert set(DECODED) == {sources[1].path, sources[2].path} and 7 in seen
    DECODED.clear()
    loader([sources], Plain, resize="centre", cache=disk(kept, resize="centre")).batch(0)
    assert len(DECODED) == 3


def test_halves_of_a_file_are_kept_apart(tmp_path):
    path = tmp_path / "pair.png"
    write(path, Picture(np.repeat(np.uint8([[10, 200]]), 20, 0).repeat(20, 1)[..., None].repeat(3, 2)))
    split = ((Source(path, "left"),), (Source(path, "right"),))
    for _ in range(2):
        batch = loader(split, Paired, cache=disk(tmp_path / "kept")).batch(0)
        assert (batch.input == 10).all() and (batch.target == 200).all()


def test_two_runs_at_once_see_what_the_other_has_decoded(tmp_path):
    (sources,) = make_files(tmp_path / "images", 6)
    one, other = (loader([sources], Plain, cache=disk(tmp_path / "kept"), seed=seed) for seed in (1, 2))
    for step in range(3):
        one.batch(step)
        other.batch(step)
    assert [DECODED[source.path] for source in sources] == [1] * 6


def on_disk(kept: Path) -> int:
    """What the images of a cache take, by blocks."""
    return sum(shelf._on_disk(path.stat().st_size) for path in kept.rglob("*.pixels"))


def test_images_that_another_run_uses_are_not_removed_and_come_to_rest(tmp_path):
    """Two runs whose sets do not fit together: neither removes what the other used since both began."""
    mine, other = (make_files(tmp_path / name, 4)[0] for name in ("mine", "other"))
    kept, limit = tmp_path / "kept", 5 * 4096
    told: list[str] = []
    caches = [disk(kept, limit, log=told.append) for _ in range(2)]
    runs = [loader([mine], Plain, batch_size=1, cache=caches[0]), loader([other], Plain, batch_size=1, cache=caches[1])]
    for step in range(16):
        if step == 4:
            DECODED.clear()
            files = sorted(kept.rglob("*.pixels"))
        for run in runs:
            run.batch(step)
    assert sorted(kept.rglob("*.pixels")) == files and len(files) == 5
    assert sorted(DECODED.values()) == [3] * 3, "those without a place, each time; the others never"
    assert len(told) == 2


@pytest.mark.parametrize("damage", ["a bit", "cut", "empty", "longer", "another shape", "gone"])
def test_what_is_damaged_is_decoded_anew(tmp_path, damage):
    (sources,) = make_files(tmp_path / "images", 4)
    kept = tmp_path / "kept"
    reference = loader([sources], Plain)
    loader([sources], Plain, cache=disk(kept)).batch(0)
    target = sorted(kept.rglob("*.pixels"))[0]
    data = bytearray(target.read_bytes())
    if damage == "a bit":
        data[len(data) // 2] ^= 1
    elif damage == "another shape":  # of as many bytes
        at = len(data) - disk_cache._END.size + 8
        data[at : at + 8] = np.array([2 * SIDE, SIDE // 2], "<u4").tobytes()
    elif damage == "longer":
        data += b"more"
    else:
        del data[{"cut": len(data) // 2, "empty": 0, "gone": 0}[damage] :]
    target.write_bytes(data)
    if damage == "gone":
        shutil.rmtree(kept)
    for decoded in ([2, 2, 2, 2] if damage == "gone" else [1, 1, 1, 2]), [1, 1, 1, 1]:
        DECODED.clear()
        again = loader([sources], Plain, cache=disk(kept))
        assert torch.equal(again.batch(0).images, reference.batch(0).images)
        again.batch(1)
        assert sorted(DECODED[source.path] for source in sources) == decoded, "by the reference once each"


def test_another_set_with_the_same_names_sizes_and_times_is_decoded(tmp_path):
    """As when another disk is mounted where the first one was."""
    (sources,) = make_files(tmp_path / "images", 3, square=True)
    for source in sources:
        write(source.path.with_suffix(".bmp"), Picture(Source(source.path).read(3)))
    files = tuple(Counted(source.path.with_suffix(".bmp")) for source in sources)
    before = files[0].path.stat()
    kept = tmp_path / "kept"
    loader([files], Plain, cache=disk(kept)).batch(0)
    with open(files[0].path, "r+b") as file:  # in place, so that the inode stays; of the same size
        file.seek(-24 * 24 * 3, os.SEEK_END)
        file.write(bytes([9]) * (24 * 24 * 3))
    os.utime(files[0].path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = files[0].path.stat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)
    DECODED.clear()
    again = loader([files], Plain, cache=disk(kept), batch_size=3).batch(0)
    assert set(DECODED) == {files[0].path} and (again.images == 9).flatten(1).all(1).sum() == 1


@pytest.mark.parametrize("fact", ["st_ino", "st_ctime_ns", "the first bytes", "the last bytes"])
def test_each_fact_of_a_file_alone_tells_it_from_another(tmp_path, monkeypatch, fact):
    path = tmp_path / "image.bin"
    content = bytearray(3 * images.ENDS)
    path.write_bytes(content)
    status = path.stat()
    known = {name: getattr(status, name) for name in ("st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")}
    monkeypatch.setattr(images.os, "fstat", lambda file: SimpleNamespace(**known))
    first = images.version(path)
    assert images.version(path) == first
    if fact.startswith("st_"):
        known[fact] += 1
    else:
        content[0 if fact == "the first bytes" else -1] = 1
        path.write_bytes(content)
    assert images.version(path) != first


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_in_the_place_of_an_image_is_an_error_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "image.png")
    with pytest.raises(ImageError, match="not a file"):
        disk(tmp_path / "kept").get((0, 0), Source(tmp_path / "image.png"))


def test_what_changes_while_it_is_decoded_is_not_kept_for_what_it_became(tmp_path):
    (sources,) = make_files(tmp_path / "images", 1)
    old = Source(sources[0].path).read(3)

    class Changing(Counted):
        def square(self, *settings) -> np.ndarray:
            pixels = super().square(*settings)
            write(self.path, Picture(np.full_like(old, 200)))
            return pixels

    kept = tmp_path / "kept"
    loader([[Changing(sources[0].path)]], Plain, batch_size=1, cache=disk(kept)).batch(0)
    assert (loader([sources], Plain, batch_size=1, cache=disk(kept)).batch(0).images == 200).all()


def test_digits_are_kept_by_their_pixels(tmp_path):
    file = tmp_path / "train-images-idx3-ubyte"
    file.write_bytes(b"")
    one, other = (np.full((2, 28, 28), value, np.uint8) for value in (3, 4))
    names = [Digit(file, pixels, 1).identity() for pixels in (one, other, one.copy(), one.reshape(2, 14, 56))]
    assert names[0] == names[2] and len(set(names)) == 3


def test_a_full_cache_says_so_once_and_the_batches_go_on(tmp_path):
    split = make_files(tmp_path / "images", 5, 3)
    told: list[str] = []
    kept, limit = tmp_path / "kept", 3 * 4096
    for _ in range(2):
        assert_same(loader(split, cache=disk(kept, limit, log=told.append)).stream(), loader(split))
    assert len(told) == 2 and all("is full" in line for line in told)
    assert on_disk(kept) == limit
    again = loader(split, cache=disk(kept, limit, log=told.append))
    for step in range(6):
        if step == 3:
            DECODED.clear()
        again.batch(step)
    assert len(DECODED) == 8 - 3


def test_a_disk_without_space_says_so_once_and_the_batches_go_on(tmp_path, monkeypatch):
    split = make_files(tmp_path / "images", 5, 3)
    told: list[str] = []

    @contextmanager
    def full(path):
        raise OSError(28, "No space left on device")
        yield

    monkeypatch.setattr(shelf, "atomic_file", full)
    assert_same(loader(split, cache=disk(tmp_path / "kept", log=told.append)).stream(), loader(split))
    assert len(told) == 1 and "No space left on device" in told[0]


def test_a_process_that_does_not_let_go_holds_up_no_other(tmp_path, monkeypatch):
    """As one that was suspended while it counted."""
    split = make_files(tmp_path / "images", 5, 3)
    told: list[str] = []
    monkeypatch.setattr(shelf, "_PATIENCE", 0.01)
    kept = disk(tmp_path / "kept", log=told.append)
    with held(tmp_path / "kept" / "bytes"):
        assert_same(loader(split, cache=kept).stream(), loader(split))
    assert len(told) == 1 and "another process holds it" in told[0]


@pytest.mark.parametrize(("spare", "kept"), [(0, 0), (3, 3)])
def test_a_share_of_the_disk_is_left_free(tmp_path, monkeypatch, spare, kept):
    """Of a million bytes 50,000: an image would fit into them, and none is put there."""
    (sources,) = make_files(tmp_path / "images", 4)
    folder, told = tmp_path / "kept", []

    def usage(path):
        free = 50_000 + spare * 4096 - on_disk(folder)
        return shutil._ntuple_diskusage(10**6, 10**6 - free, free)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    loader([sources], Plain, cache=disk(folder, log=told.append)).batch(0)
    assert len(told) == 1 and on_disk(folder) == kept * 4096


def test_another_users_cache_is_read_though_nothing_in_it_may_be_changed(tmp_path, monkeypatch):
    """Permission is refused by hand, because root is never refused it."""
    (sources,) = make_files(tmp_path / "images", 3)
    kept, told = tmp_path / "kept", []
    loader([sources[:2]], Plain, batch_size=2, cache=disk(kept)).batch(0)

    def refuse(*arguments, **settings):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "utime", refuse)
    monkeypatch.setattr(shelf, "_made", refuse)
    DECODED.clear()
    loader([sources], Plain, batch_size=3, cache=disk(kept, log=told.append)).batch(0)
    assert list(DECODED) == [sources[2].path]
    assert len(told) == 1 and "Permission denied" in told[0]


def test_a_cache_that_is_deleted_or_miscounted_begins_anew(tmp_path):
    (sources,) = make_files(tmp_path / "images", 3)
    kept = tmp_path / "kept"
    for content in (None, b"", b"x" * 20, b"%020d" % 10**15, b"7"):
        run = loader([sources], Plain, batch_size=3, cache=disk(kept))
        shutil.rmtree(kept)
        if content is not None:
            kept.mkdir()
            (kept / "bytes").write_bytes(content)
        run.batch(0)
        assert len(list(kept.rglob("*.pixels"))) == 3
        assert int((kept / "bytes").read_text()) == on_disk(kept)


def test_what_older_versions_kept_is_removed_and_nothing_else(tmp_path):
    kept = tmp_path / "kept"
    old, notes = kept / "1-3-square-bicubic-286-pillow-12.0.0", kept / "1-notes"
    for folder in (old, notes):
        folder.mkdir(parents=True)
    for name in ("0a.pack", "0a.index"):
        (old / name).write_bytes(bytes(100))
    (notes / "mine.txt").touch()
    disk(kept)
    assert sorted(path.name for path in kept.iterdir()) == ["1-notes", "bytes"] and (notes / "mine.txt").exists()


def test_a_full_cache_lets_go_of_what_was_used_longest_ago(tmp_path):
    old, used, new = (make_files(tmp_path / name, 4)[0] for name in ("old", "used", "new"))
    kept = tmp_path / "kept"
    for age, sources in ((50, old), (100, used)):
        before = set(kept.rglob("*.pixels"))
        loader([sources], Plain, cache=disk(kept)).batch(0)
        for path in set(kept.rglob("*.pixels")) - before:
            os.utime(path, (time.time() - age, time.time() - age))
    loader([used], Plain, cache=disk(kept)).batch(0)  # from its files, which makes it the youngest
    room = 9 * 4096
    loader([new], Plain, cache=disk(kept, limit=room)).batch(0)
    assert on_disk(kept) <= room
    DECODED.clear()
    loader([used], Plain, cache=disk(kept)).batch(0)
    loader([new], Plain, cache=disk(kept)).batch(0)
    assert not DECODED
    loader([old], Plain, cache=disk(kept)).batch(0)
    assert len(DECODED) >= 3


def test_a_folder_that_cannot_be_made_is_named(tmp_path, monkeypatch):
    (tmp_path / "resized").write_text("a file")
    monkeypatch.setenv("TRANSLATE_HOME", str(tmp_path))
    with pytest.raises(ConfigurationError, match="the cache folder cannot be created"):
        open_cache("disk", None, Decoding(3, SIDE))


# On the device


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
    squares = gather(torch.from_numpy(images), cuts, 5)
    assert squares.dtype == torch.uint16
    assert np.array_equal(squares[0, 0].numpy(), images[2, 4:9, 0:5, 0])
    assert np.array_equal(squares[1, 0].numpy(), images[0, 1:6, 3:8, 0][:, ::-1])


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


# Waiting


def test_the_share_of_waiting_is_that_of_the_consumers_clock():
    now = 0.0

    def slow():
        nonlocal now
        for number in range(3):
            now += 3
            yield number

    waiting = Waiting(slow(), clock=lambda: now)
    assert waiting.share == 0
    for _ in waiting:
        now += 1
    assert waiting.share == 0.75


# Through the command line


@pytest.mark.parametrize("where", ["off", "disk", "device"])
def test_where_images_are_kept_changes_no_number_of_a_run(run_cli, tiny_recipe, tmp_path, where):
    common = ["train", tiny_recipe("pix2pix"), "--data", paired_folder(tmp_path / "data"), "--device", "cpu"]
    for name in ("ram", where):
        result = run_cli(*common, "--out", name, "--cache", name)
        assert result.exit_code == 0, result.output
        assert "waiting for data" in result.stderr
        assert "waiting" not in (tmp_path / name / "metrics.jsonl").read_text()
    weights = [tmp_path / name / "checkpoints/step-00000004/training.safetensors" for name in ("ram", where)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert ("the training set is cached on cpu" in result.stderr) == (where == "device")
    assert any((tmp_path / "home").rglob("*.pixels")) == (where == "disk")

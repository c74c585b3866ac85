"""Resized images kept in memory, in files that runs share, or on the device: the same batches, decoded once."""

import os
import shutil
from collections import Counter
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
from translate.data.batch import Paired, Plain, Unpaired
from translate.data.cache import disk as disk_cache
from translate.data.cache.disk import DiskCache
from translate.data.decoding import Decoding
from translate.data.io import images
from translate.data.io.images import Interpolation, Picture, resize, write
from translate.data.labelled.digits import Digit
from translate.data.loader import Loader
from translate.data.source_file import Source
from translate.data.waiting import Waiting
from translate.errors import ImageError

SIDE = 18
CPU = torch.device("cpu")
DECODED: Counter[Path] = Counter()


@dataclass(frozen=True)
class Counted(Source):
    """A file that counts how often it is decoded."""

    def read(self, channels: int) -> np.ndarray:
        DECODED[self.path] += 1
        return super().read(channels)

    def stretched(self, channels: int, height: int, width: int, interpolation: Interpolation = "bicubic") -> np.ndarray:
        DECODED[self.path] += 1
        return super().stretched(channels, height, width, interpolation)


@pytest.fixture(autouse=True)
def counting_from_zero():
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
        def stretched(self, *settings) -> np.ndarray:
            pixels = super().stretched(*settings)
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

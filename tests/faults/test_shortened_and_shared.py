"""The cache of resized images and checkpoints, while other processes fill, shorten or die over the same files."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch
import warm
from patience import PATIENCE
from safetensors.torch import save_file

from translate.data.cache import disk as disk_cache
from translate.data.cache import shelf
from translate.data.cache.shelf import Shelf

WRITE_FOR_EVER = """
import sys, pathlib, itertools, numpy as np
from translate.data.cache.disk import _content
from translate.data.cache.shelf import Shelf
folder, limit = pathlib.Path(sys.argv[1]), int(sys.argv[2])
for number in itertools.count():
    if number % 60 == 0:  # a run after another
        images = Shelf(folder, limit)
    name = f"{sys.argv[3]}-{number:06d}.pixels"
    images.add(folder / "own" / name, _content(np.full((64, 64, 3), number % 251, np.uint8)))
"""


def on_disk(kept: Path) -> int:
    """What the images of a cache take, by blocks."""
    return sum(shelf._on_disk(path.stat().st_size) for path in kept.rglob("*.pixels"))


def test_a_writer_that_is_killed_leaves_whole_images_and_none_half(tmp_path):
    process = warm.Warm([sys.executable, "-c", WRITE_FOR_EVER, tmp_path, str(10**9), "a"])
    until = time.monotonic() + PATIENCE
    while len(list(tmp_path.rglob("*.pixels"))) < 50:
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.005)
    process.kill()
    process.wait()
    found = sorted(tmp_path.rglob("*.pixels"))
    for number, path in enumerate(found):
        assert (disk_cache._read(path, checked=False) == number % 251).all()
    room = Shelf(tmp_path, 10**9)
    assert room._made_room(0) == on_disk(tmp_path) <= int((tmp_path / "bytes").read_text())
    left = sorted(path for path in (tmp_path / "own").iterdir() if path.stat().st_size)
    assert left == found, "what was half written is gone"


def held_unlinked(process: subprocess.Popen) -> int:
    """Bytes of files that a process has open or mapped and that have no name any more."""
    found: dict[int, int] = {}
    for kind in ("fd", "map_files"):
        with suppress(OSError):
            for entry in os.scandir(f"/proc/{process.pid}/{kind}"):
                with suppress(OSError):
                    status = entry.stat()
                    found.update({status.st_ino: status.st_size} if not status.st_nlink else {})
    return sum(found.values())


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system does not tell which files are open")
def test_processes_that_fill_one_cache_hold_no_more_than_its_limit(tmp_path):
    """Run after run, each removing what the other kept; they stay below, in files and in what has no name."""
    limit = 40 * 16384
    command = [sys.executable, "-c", WRITE_FOR_EVER, tmp_path, str(limit)]
    processes = [warm.Warm([*command, name]) for name in "ab"]
    try:
        most, added, until = 0, set(), time.monotonic() + PATIENCE
        while not all(any(name.startswith(who) for name in added) for who in "ab") or len(added) < 100:
            assert [process.poll() for process in processes] == [None, None] and time.monotonic() < until
            sizes = []
            for path in tmp_path.rglob("*.pixels"):
                with suppress(FileNotFoundError):
                    sizes.append(path.stat().st_size)
                    added.add(path.name)
            most = max(most, sum(sizes), sum(map(held_unlinked, processes)))
        assert 0 < most <= limit
    finally:
        for process in processes:
            process.kill()
            process.wait()


SHORTEN_IMAGE = """
import sys, pathlib, numpy as np
from translate.data.cache.disk import DiskCache
from translate.data.decoding import Decoding
class Image:
    def identity(self): return "image"
kept = DiskCache(pathlib.Path(sys.argv[1]), 10**9, Decoding(3, 512))
kept.get((0, 0), Image())
kept.put((0, 0), Image(), np.full((512, 512, 3), 7, np.uint8))
pixels = kept.get((0, 0), Image())
for path in pathlib.Path(sys.argv[1]).rglob("*"):
    if path.is_file():
        path.open("r+b").truncate(10)
print(pixels.sum() == 7 * pixels.size, kept.get((0, 0), Image()))
"""


def test_a_file_that_is_shortened_while_it_is_used_kills_nothing(tmp_path):
    """Mapped, its pixels would be gone from memory: the system then ends the process (SIGBUS)."""
    run = warm.run([sys.executable, "-c", SHORTEN_IMAGE, tmp_path])
    assert (run.returncode, run.stdout.strip()) == (0, "True None"), run.stderr


SHORTEN_CHECKPOINT = """
import pathlib, sys
from translate.training.checkpoint import Checkpoint
folder = pathlib.Path(sys.argv[1])
tensors = Checkpoint(folder, {}).tensors("model")
(folder / "model.safetensors").open("r+b").truncate(4096)
print(float(sum(tensor.double().sum() for tensor in tensors.values())))
"""


def test_a_checkpoint_that_is_shortened_after_it_was_read_kills_nothing(tmp_path):
    """As a copy over it does; mapped, its tensors would end the process (SIGBUS)."""
    save_file({"weight": torch.ones(1000, 1000), "bias": torch.ones(5)}, tmp_path / "model.safetensors")
    run = warm.run([sys.executable, "-c", SHORTEN_CHECKPOINT, tmp_path])
    assert (run.returncode, run.stdout.strip()) == (0, "1000005.0"), run.stderr

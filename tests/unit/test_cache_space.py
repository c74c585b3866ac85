"""The folder of cached images: its limit and that of the disk, other runs, users and versions."""

import os
import shutil
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_cache import DECODED, SIDE, assert_same, counting_from_zero, disk, loader, make_files  # noqa: F401

from translate.data.batch import Plain
from translate.data.cache import shelf
from translate.data.cache.choice import open_cache
from translate.data.decoding import Decoding
from translate.errors import ConfigurationError
from translate.utils.atomic_files import held


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

"""A memory-mapped disk cache of resized images, shared by all runs: each image is decoded once."""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import PIL

from translate.data.images import Interpolation, shown
from translate.data.packs import ALIGNMENT, Entry, Pack, Writer
from translate.data.resized import Place, Resize
from translate.data.source import Readable
from translate.errors import ConfigurationError
from translate.printing import Tell, say

FORMAT = 1
RESERVE = 0.05
"""Share of the disk to leave free."""
_STRIDE = 64 << 20  # bytes written between checks of free space
_SECONDS_BETWEEN_LOOKS = 1.0  # between checks for what other runs added


class DiskCache:
    """A `Cache` of images resized in one way, in a folder shared by all runs and limited to `limit` bytes.

    Each way of resizing has a subfolder of packs; a run reads all packs and writes its own. Images are keyed by
    `identity`, so a changed file is decoded again. When space runs out, packs that this run does not use are deleted,
    least recently used first. If that is not enough, or the disk fails, the user is told once and images that are not
    cached are decoded each time. Raises ConfigurationError if the folder cannot be created.
    """

    def __init__(
        self,
        folder: Path,
        limit: int,
        *,
        channels: int,
        side: int,
        resize: Resize,
        interpolation: Interpolation = "bicubic",
        tell: Tell = say,
    ) -> None:
        # Other versions of Pillow may decode and resize to different pixels.
        way = "none" if resize == "none" else f"{resize}-{interpolation}-{side}"
        recipe = f"{FORMAT}-{channels}-{way}-pillow-{PIL.__version__}"
        self._root, self._folder = folder, folder / recipe
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"{shown(self._folder)}: no folder for resized images can be made ({error.strerror}); "
                "set TRANSLATE_HOME to another place, or use --cache ram"
            ) from error
        self._limit, self._tell = limit, tell
        self._packs: dict[Path, Pack] = {}
        self._entries: dict[bytes, Entry] = {}
        self._places: dict[Place, Entry] = {}
        self._writer: Writer | None = None
        self._granted, self._stopped, self._looked = 0, False, 0.0
        self._lock = threading.Lock()
        self._look()

    def get(self, place: Place, source: Readable) -> np.ndarray | None:
        entry = self._places.get(place) or self._find(place, source)
        return entry.pixels() if entry else None

    def put(self, place: Place, source: Readable, pixels: np.ndarray) -> None:
        key = _key(source)
        with self._lock:
            if self._stopped or key in self._entries:
                return
            try:
                if self._has_room(pixels.nbytes + ALIGNMENT):
                    self._entries[key] = self._append(key, pixels)
            except OSError as error:
                self._stop(f"cannot be written to ({error.strerror})")

    def _find(self, place: Place, source: Readable) -> Entry | None:
        """Returns an image's entry, or None. Verifies its checksum on first use."""
        key = _key(source)
        if key not in self._entries:
            with self._lock:
                if time.monotonic() > self._looked + _SECONDS_BETWEEN_LOOKS:
                    self._look()
        entry = self._entries.get(key)
        if entry is None:
            return None
        if not entry.is_sound():
            with self._lock:
                self._entries.pop(key, None)
            return None
        entry.pack.use()
        self._places[place] = entry
        return entry

    def _look(self) -> None:
        """Reads the entries that other runs have added."""
        self._looked = time.monotonic()
        for index in self._folder.glob("*.index"):
            pack = self._packs.setdefault(index, Pack(index.with_suffix(".pack")))
            try:
                self._entries.update(pack.added())
            except FileNotFoundError:  # deleted by another run
                del self._packs[index]

    def _append(self, key: bytes, pixels: np.ndarray) -> Entry:
        if self._writer is None:
            self._writer = Writer(self._folder)
            self._packs[self._writer.pack.path.with_suffix(".index")] = self._writer.pack
        self._granted -= pixels.nbytes + ALIGNMENT
        return self._writer.append(key, pixels)

    def _has_room(self, size: int) -> bool:
        if size > self._granted:
            self._granted = self._room(max(size, _STRIDE))
        if size > self._granted:
            self._stop(f"is full ({self._limit / 1e9:g} GB by data.cache_gb, or what the disk has free)")
        return size <= self._granted

    def _room(self, wanted: int) -> int:
        """Returns how many of `wanted` bytes may be written, after deleting unused packs as needed."""
        packs = sorted((path.stat().st_mtime_ns, path) for path in self._root.glob("*/*.pack"))
        sizes = {path: path.stat().st_size for _, path in packs}
        disk = shutil.disk_usage(self._root)
        room = min(self._limit - sum(sizes.values()), disk.free - int(RESERVE * disk.total))
        in_use = {pack.path for pack in self._packs.values() if pack.used}
        for path in (path for _, path in packs if path not in in_use):
            if room >= wanted:
                break
            self._delete(path)
            room += sizes[path]
        return min(room, wanted)

    def _delete(self, path: Path) -> None:
        index = path.with_suffix(".index")
        index.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        if self._packs.pop(index, None):
            self._entries = {key: entry for key, entry in self._entries.items() if entry.pack.path != path}

    def _stop(self, why: str) -> None:
        self._stopped = True
        self._tell(f"warning: {shown(self._root)}: {why}; images that are not there yet are decoded each time")


def _key(source: Readable) -> bytes:
    return hashlib.blake2b(source.identity().encode("utf-8", "surrogateescape"), digest_size=16).digest()

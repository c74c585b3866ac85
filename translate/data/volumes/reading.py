"""Volumes of either format: found, looked at, and read; what was read last is kept for the next slice."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from translate.data.layouts.listing import MAX_DEPTH, is_private, natural_key
from translate.data.volumes import dicom, nifti
from translate.data.volumes.volume_file import VolumeFile
from translate.errors import ConfigurationError
from translate.utils.printing import shown

FORMATS = {"nifti": nifti, "dicom": dicom}
KEPT = 1 << 30
"""Bytes of volumes that are kept in memory; the one that was read last is kept in any case."""


def is_volume(path: Path) -> bool:
    """Whether a path is a NIfTI file, or a folder that directly holds DICOM files."""
    return nifti.is_nifti(path) or dicom.is_series(path)


def look(path: Path) -> VolumeFile:
    """What the headers of a volume say. Raises ImageError."""
    return nifti.look(path) if path.name.lower().endswith(nifti.SUFFIXES) else dicom.look(path)


def volumes_in(folder: Path, depth: int = 0) -> Iterator[Path]:
    """Yields the volumes in a folder, at any depth, in natural order. Hidden files are passed over. Raises
    ConfigurationError."""
    if depth > MAX_DEPTH:
        raise ConfigurationError(f"{shown(folder)}: more than {MAX_DEPTH} folders within folders; move them apart")
    try:
        inside = sorted(folder.iterdir(), key=lambda path: natural_key(path.name))
    except OSError as error:
        raise ConfigurationError(f"{shown(folder)}: cannot be listed: {error.strerror}") from error
    if any(map(dicom.looks_like_dicom, inside)):
        yield folder
    for path in inside:
        if is_private(path.name):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from volumes_in(path, depth + 1)
        elif nifti.is_nifti(path):
            yield path


def holds_volumes(folder: Path) -> bool:
    """Whether there is a volume in the folder or anywhere below; stops at the first."""
    return folder.is_dir() and next(volumes_in(folder), None) is not None


def values_of(file: VolumeFile) -> np.ndarray:
    """The values of a volume (slices, height, width), turned as `Grid` says; not to be changed. Raises ImageError."""
    return _KEPT.values_of(file)


def read(file: VolumeFile) -> np.ndarray:
    """Like `values_of`, for reading once: nothing is kept."""
    return FORMATS[file.format].read(file)


class _Kept:
    """The volumes that were read last, as far as there is room; each is read by one thread, and the others wait."""

    def __init__(self) -> None:
        self._volumes: OrderedDict[str, np.ndarray] = OrderedDict()
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def values_of(self, file: VolumeFile) -> np.ndarray:
        key = file.version
        with self._lock:
            own = self._locks.setdefault(key, threading.Lock())
        with own:
            found = self._volumes.get(key)
            if found is None:
                found = read(file)
            self._keep(key, found)
        return found

    def _keep(self, key: str, values: np.ndarray) -> None:
        with self._lock:
            self._volumes[key] = values
            self._volumes.move_to_end(key)
            held = sum(one.nbytes for one in self._volumes.values())
            while held > KEPT and len(self._volumes) > 1:
                _, dropped = self._volumes.popitem(last=False)
                held -= dropped.nbytes


_KEPT = _Kept()

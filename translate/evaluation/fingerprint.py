"""What a classifier learns from, as a number: other images under the same names give another."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from translate.data.folders import Source
from translate.data.images import shown
from translate.data.source import Readable
from translate.errors import ImageError

_ENDS = 4096


def fingerprint(sources: Sequence[Readable], labels: np.ndarray) -> str:
    """SHA-256 of the images' names in order, of their contents (of a file its size, its beginning and its end, as to
    read all would take as long as to train) and of the labels.

    Neither where a file lies nor when it was written counts. Raises ImageError for one that cannot be read.
    """
    found = hashlib.sha256(np.ascontiguousarray(labels).tobytes())
    for source in sources:
        found.update(os.fsencode(f"{source.path.parent.name}/{source.path.name}\n"))
        found.update(_ends(source.path) if isinstance(source, Source) else source.read(1).tobytes())
    return found.hexdigest()


def _ends(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            begins = file.read(_ENDS)
            file.seek(max(0, size - _ENDS))
            return b"%d:" % size + begins + file.read(_ENDS)
    except OSError as error:
        raise ImageError(f"{shown(path)}: cannot be read: {error.strerror}") from error

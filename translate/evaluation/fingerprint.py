"""A fingerprint of a classifier's training data: different images under the same names change it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from translate.data.layouts.folders import Source
from translate.data.source import Readable
from translate.errors import ImageError
from translate.utils.printing import shown

_ENDS = 4096


def fingerprint(sources: Sequence[Readable], labels: np.ndarray) -> str:
    """SHA-256 of the labels and of the images' names, in order, and contents.

    For a file the contents are its size, beginning and end, because reading all would take as long as training. Its
    location and modification time do not matter. Raises ImageError if a file cannot be read.
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

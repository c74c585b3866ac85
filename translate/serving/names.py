"""Names of the files that are answered: the client's, made harmless, with the suffix of what is in there."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import quote

from translate.data.io import codec
from translate.inference.naming import SUFFIXES

TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".tif": "image/tiff",
    ".bmp": "image/bmp",
}
_LONGEST = 80
_STRANGE = re.compile(r"[^\w .()+-]+")


def suffix_for(kind: str) -> str:
    """The suffix of files of a format; of those that are not written, PNG's."""
    return ".bmp" if kind == "bmp" else SUFFIXES.get(kind, (".png",))[0]


def name_for(name: str, suffix: str) -> str:
    """The last part of a client's name, short and without anything strange, with a suffix of the same format."""
    last = PurePosixPath(name.replace("\\", "/")).name
    clean = _STRANGE.sub("_", last).strip(" .") or "picture"
    stem, given = PurePosixPath(clean).stem, PurePosixPath(clean).suffix
    same = codec.FORMATS.get(given.lower()) == codec.FORMATS[suffix]
    return stem[:_LONGEST] + (given if same else suffix)


def disposition(name: str) -> str:
    """The header Content-Disposition for a file to be stored under a name, as RFC 6266 wants it."""
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"

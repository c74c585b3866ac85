"""Lists the image files below a folder in natural order, without links that lead out of it."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path

from translate.data.images import shown
from translate.errors import ConfigurationError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".gif"})

UNREAD = frozenset({
    ".dcm", ".dicom", ".ima", ".nii", ".gz", ".mha", ".mhd", ".nrrd", ".npy", ".npz", ".mat", ".h5", ".hdf5", ".exr",
    ".hdr", ".jp2", ".j2k", ".jxl", ".heic", ".heif", ".avif", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".svs", ".ndpi",
    ".czi", ".nd2", ".lif", ".pgm", ".ppm", ".pnm", ".tga", ".psd", ".svg",
})  # fmt: skip
"""Suffixes of image files that are not supported."""

ASIDE = ".cycle-error.png"
"""Suffix of pictures written next to outputs; never listed, so that they are not converted."""

KINDS = 100
"""Most suffixes counted separately: with names like x.20240131 each file has its own."""

MAX_DEPTH = 200
"""Folders within folders: more is a mistake, such as a folder copied into itself."""

_NUMBER = re.compile(r"0*([0-9]+)")


def find_images(folder: Path) -> list[Path]:
    """Returns the image files below `folder`, recognised by suffix, in natural order (2 before 10).

    Skips hidden files and folders, devices, pipes, links to folders (targets inside `folder` are found anyway), links
    to files elsewhere, and names that end in `ASIDE`. Raises ConfigurationError.
    """
    return scan(folder)[0]


def scan(folder: Path) -> tuple[list[Path], list[Path]]:
    """Like `find_images`, but also returns the links that it skipped."""
    links: list[Path] = []
    return list(iterate_images(folder, links)), links


def iterate_images(folder: Path, links: list[Path] | None = None, others: Counter[str] | None = None) -> Iterator[Path]:
    """Yields what `find_images` returns, in the same order; holds only one folder's and its parents' names in memory.

    Adds skipped links to `links`. Counts other visible files in `others` by lower-case suffix ("" if there is none, or
    if there are `KINDS` suffixes already). Raises ConfigurationError.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"{shown(folder)}: no such folder")
    links, others = [] if links is None else links, Counter() if others is None else others
    return map(Path, _below([os.fspath(folder)], folder.resolve(), links, others))


def unread(others: Counter[str]) -> str:
    """Describes the unsupported images that `iterate_images` counted, and what to do; "" if there are none."""
    kinds = sorted((suffix, count) for suffix, count in others.items() if suffix in UNREAD)
    if not kinds:
        return ""
    listed = ", ".join(f"{suffix} {count:,}" for suffix, count in kinds)
    return f"images of kinds that are not read here are left out ({listed}): save them as TIFF or PNG"


def natural_key(name: str) -> str:
    """Returns a sort key that puts img2 before img10 on every system, and treats 01 as 1."""
    # Names cannot contain \0, so the text before a number sorts first, then the number's length, then its digits.
    return _NUMBER.sub(_number_key, name)


def _below(folders: list[str], home: Path, links: list[Path], others: Counter[str], depth: int = 0) -> Iterator[str]:
    """Yields the images below folders with equal sort keys (1 and 01), merged as if they were one folder."""
    if depth > MAX_DEPTH:
        raise ConfigurationError(f"{shown(folders[0])}: more than {MAX_DEPTH} folders within folders; move them apart")
    found: list[tuple[str, bool, str]] = []
    for entry in chain.from_iterable(map(_visible, folders)):
        stem, suffix = os.path.splitext(entry.name)
        kind, aside = suffix.lower(), entry.name.endswith(ASIDE)
        image, is_folder = kind in SUFFIXES and not aside, _leads_to_folder(entry)
        if entry.is_symlink() and (image or is_folder) and not _file_inside(Path(entry.path), home):
            links.append(Path(entry.path))
        elif is_folder:
            found.append((natural_key(entry.name), True, entry.path))
        elif image and entry.is_file():
            # Without the suffix, so that img.png comes before img2.png.
            found.append((natural_key(stem), False, entry.path))
        elif not image and not aside and entry.is_file(follow_symlinks=False):
            others[kind if kind in others or len(others) < KINDS else ""] += 1
    found.sort()
    for (_, is_folder), same in groupby(found, itemgetter(0, 1)):
        paths = [path for *_, path in same]
        yield from _below(paths, home, links, others, depth + 1) if is_folder else paths


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a circular link
        return False


def _visible(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise ConfigurationError(f"{shown(folder)}: cannot be listed: {error.strerror}") from error


def _file_inside(path: Path, folder: Path) -> bool:
    return path.is_file() and path.resolve().is_relative_to(folder)


def _number_key(match: re.Match[str]) -> str:
    digits = match[1]
    return f"\0{chr(len(digits))}{digits}"

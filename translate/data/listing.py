"""The image files below a folder, in the order that people expect, without links that lead out of it."""

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
"""Of files that surely were meant as images, and are none to us."""

ASIDE = ".cycle-error.png"
"""How the names of pictures end that are written beside outputs; no folder's images, so that none is converted."""

KINDS = 100
"""Suffixes that are told apart: in names like x.20240131 every file has its own."""

_NUMBER = re.compile(r"0*([0-9]+)")


def find_images(folder: Path) -> list[Path]:
    """The image files below `folder`, by suffix, in natural order (2 before 10).

    Hidden files and folders, devices and pipes are left out, and so are links to folders (what they lead to
    inside `folder` is found without them), links to files elsewhere, and what ends in `ASIDE`. Raises
    ConfigurationError.
    """
    return scan(folder)[0]


def scan(folder: Path) -> tuple[list[Path], list[Path]]:
    """What `find_images` finds, and the links that it left out."""
    links: list[Path] = []
    return list(iterate_images(folder, links)), links


def iterate_images(folder: Path, links: list[Path] | None = None, others: Counter[str] | None = None) -> Iterator[Path]:
    """What `find_images` finds, in the same order, one by one: only the names of a folder, and of those that it lies
    in, are in memory. Links that are left out are added to `links`, and to `others` the visible files of other kinds,
    counted by suffix in lower case ("" where there is none, and once there are `KINDS`). Raises ConfigurationError.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"{shown(folder)}: no such folder")
    links, others = [] if links is None else links, Counter() if others is None else others
    return map(Path, _below([os.fspath(folder)], folder.resolve(), links, others))


def unread(others: Counter[str]) -> str:
    """What `iterate_images` counted of images of kinds that are not read, with what to do; "" where there are none."""
    kinds = sorted((suffix, count) for suffix, count in others.items() if suffix in UNREAD)
    if not kinds:
        return ""
    listed = ", ".join(f"{suffix} {count:,}" for suffix, count in kinds)
    return f"images of kinds that are not read here are left out ({listed}): save them as TIFF or PNG"


def natural_key(name: str) -> str:
    """A sorting key under which img2 comes before img10, whatever the system, and 01 is 1."""
    # No name holds \0, so that what stands before a number decides first; then its length decides, then its digits.
    return _NUMBER.sub(_number_key, name)


def _below(folders: list[str], home: Path, links: list[Path], others: Counter[str]) -> Iterator[str]:
    """The images below folders whose natural order is the same (1 and 01), as if they were one."""
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
        yield from _below(paths, home, links, others) if is_folder else paths


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads round in a circle
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

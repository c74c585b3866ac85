"""Lists the image files below a folder in natural order, links to files included; or, of sound, the sound files."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path

from translate.data.messages import few
from translate.data.sound.files import SUFFIXES as SOUNDS
from translate.errors import ConfigurationError, folded
from translate.utils.printing import shown

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".gif"})

UNREAD = frozenset({
    ".dcm", ".dicom", ".ima", ".nii", ".gz", ".mha", ".mhd", ".nrrd", ".npy", ".npz", ".mat", ".h5", ".hdf5", ".exr",
    ".hdr", ".jp2", ".j2k", ".jxl", ".heic", ".heif", ".avif", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".svs", ".ndpi",
    ".czi", ".nd2", ".lif", ".pgm", ".ppm", ".pnm", ".tga", ".psd", ".svg",
})  # fmt: skip
"""Suffixes of image files that are not supported."""

ASIDE = ".cycle-error.png"
"""Suffix of pictures written next to outputs; never listed, so that they are not converted."""

PRIVATE = frozenset({"@eadir", "@recycle", "#recycle", "$recycle.bin", "__macosx", "thumbs.db", "ehthumbs.db"})
"""Names, beside hidden ones, of what systems keep for themselves: thumbnails, shadows of files, deleted files."""

KINDS = 100
"""Most suffixes counted separately: with names like x.20240131 each file has its own."""

MAX_DEPTH = 200
"""Folders within folders: more is a mistake, such as a folder copied into itself."""

_NUMBER = re.compile(r"0*([0-9]+)")


@dataclass
class ListingReport:
    """What listings met beside images: what they leave out, and the links that they took."""

    away: list[str] = field(default_factory=list)
    """Links to files outside of the folder. They are images like others, unless links are not to be followed."""
    refused: list[Path] = field(default_factory=list)
    """Links that are left out: broken, in a circle, to a folder or to what is no file; or out of the folder, if these
    are not to be followed."""
    private: Counter[str] = field(default_factory=Counter)
    """Hidden folders and images, and what is named as in `PRIVATE`."""
    others: Counter[str] = field(default_factory=Counter)
    """Other visible files by lower-case suffix ("" if there is none, or if there are `KINDS` suffixes already)."""

    def pass_over(self, folder: Path) -> None:
        """Counts what is `private` directly in a folder that is not listed as a whole."""
        for entry in _entries(os.fspath(folder)):
            if is_private(entry.name):
                self.keep_out(entry.name, _leads_to(entry.is_dir))

    def keep_out(self, name: str, is_folder: bool) -> None:
        """Counts as `private` what might be missed: neither .gitignore nor .DS_Store."""
        if is_folder:
            self.private[f"{name}/"] += 1
        elif name.lower() in PRIVATE:
            self.private[name] += 1
        elif os.path.splitext(name)[1].lower() in SUFFIXES:
            self.private["._*" if name.startswith("._") else ".*"] += 1

    def take(self, other: ListingReport) -> None:
        """Adds what another listing met."""
        self.away += other.away
        self.refused += other.refused
        self.private.update(other.private)
        self.others.update(other.others)

    def notes(self, root: Path, option: str) -> list[str]:
        """Describes what is worth knowing; `option` is what leaves out the links that lead out of `root`."""
        count, lines = len(self.away), []
        if count:
            links = "1 link to a file elsewhere is" if count == 1 else f"{count:,} links to files elsewhere are"
            lines.append(f"{shown(root)}: {links} followed; {option} leaves them out")
        if self.private:
            names = folded([f"{shown(name)} {count:,}" for name, count in sorted(self.private.items())])
            lines.append(f"{shown(root)}: hidden and system files are left out: {names}")
        return lines

    def warnings(self, root: Path) -> list[str]:
        """Describes the links that are left out."""
        if not self.refused:
            return []
        why = "links that lead to no file, to a folder or, if they are not followed, out of it are left out"
        return [f"{shown(root)}: {why}: {few(self.refused)}"]


def iterate_images(folder: Path, report: ListingReport | None = None, follow: bool = True) -> Iterator[Path]:
    """Yields the image files below `folder`, recognised by suffix, in natural order (2 before 10); holds only one
    folder's and its parents' names in memory. Where there is no image, but sound, yields the sound files.

    Takes links to files, wherever these are, under the link's own name; without `follow`, only to files in `folder`.
    Skips hidden files and folders and those of systems (`is_private`), devices, pipes, links to folders (targets inside
    `folder` are found anyway) and names that end in `ASIDE`; `report` learns of them. Raises ConfigurationError.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"{shown(folder)}: no such folder")
    return _of_one_kind(folder, ListingReport() if report is None else report, follow)


def _of_one_kind(folder: Path, report: ListingReport, follow: bool) -> Iterator[Path]:
    said = ListingReport()
    for number, suffixes in enumerate((SUFFIXES, SOUNDS)):
        met, found = ListingReport(), False
        for path in _Listing(folder.resolve(), met, follow, suffixes).below([os.fspath(folder)]):
            found = True
            yield Path(path)
        if found or number == 0:
            said = met
        if found:
            break
    report.take(said)


def is_private(name: str) -> bool:
    """Returns whether a file or folder of that name is hidden, or kept by a system for itself."""
    return name.startswith(".") or name.lower() in PRIVATE


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
    return _NUMBER.sub(lambda match: f"\0{chr(len(match[1]))}{match[1]}", name)


@dataclass(frozen=True)
class _Listing:
    """One listing of the folder `home`, which is resolved."""

    home: Path
    report: ListingReport
    follow: bool
    suffixes: frozenset[str]

    def below(self, folders: list[str], depth: int = 0) -> Iterator[str]:
        """Yields the images below folders with equal sort keys (1 and 01), merged as if they were one folder."""
        if depth > MAX_DEPTH:
            raise ConfigurationError(
                f"{shown(folders[0])}: more than {MAX_DEPTH} folders within folders; move them apart"
            )
        found: list[tuple[str, bool, str]] = []
        for entry in chain.from_iterable(map(_entries, folders)):
            stem, suffix = os.path.splitext(entry.name)
            kind, aside = suffix.lower(), entry.name.endswith(ASIDE)
            image, is_folder = kind in self.suffixes and not aside, _leads_to(entry.is_dir)
            if is_private(entry.name):
                self.report.keep_out(entry.name, is_folder)
            elif entry.is_symlink() and (image or is_folder) and not self._takes(entry, is_folder):
                self.report.refused.append(Path(entry.path))
            elif is_folder:
                found.append((natural_key(entry.name), True, entry.path))
            elif image and _leads_to(entry.is_file):
                # Without the suffix, so that img.png comes before img2.png.
                found.append((natural_key(stem), False, entry.path))
            elif not image and not aside and entry.is_file(follow_symlinks=False):
                self.report.others[kind if kind in self.report.others or len(self.report.others) < KINDS else ""] += 1
        found.sort()
        for (_, is_folder), same in groupby(found, itemgetter(0, 1)):
            paths = [path for *_, path in same]
            yield from self.below(paths, depth + 1) if is_folder else paths

    def _takes(self, link: os.DirEntry[str], is_folder: bool) -> bool:
        """Returns whether a link is an image: it leads to a plain file, here or, if so wanted, elsewhere."""
        if is_folder or not _leads_to(link.is_file):
            return False
        if Path(link.path).resolve().is_relative_to(self.home):
            return True
        if self.follow:
            self.report.away.append(link.path)
        return self.follow


def _leads_to(kind: Callable[[], bool]) -> bool:
    try:
        return kind()
    except OSError:  # a circular link
        return False


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise ConfigurationError(f"{shown(folder)}: cannot be listed: {error.strerror}") from error

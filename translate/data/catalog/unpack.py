"""Unpacks the images of an archive safely: nothing is written elsewhere, and no archive can fill the disk."""

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import IO

from translate.data.io.images import MAX_BYTES
from translate.data.layouts.listing import SUFFIXES, is_private
from translate.errors import TranslateError
from translate.utils.atomic_files import clear_leftovers, hidden_folder
from translate.utils.printing import shown

MAX_IMAGES = 1_000_000
MAX_TOTAL = 128 << 30
MAX_RATIO = 50
"""Images hardly compress, so an archive that unpacks to more than this times its size is a bomb."""
BLOCK = 1 << 20


@dataclass(frozen=True)
class Member:
    """An entry of an archive, whose content can be read now."""

    name: str
    kind: str
    """"file", "folder", or what it is instead, such as "a link or device"."""
    content: IO[bytes] | None


def unpack(archive: Path, destination: Path, texts: dict[str, str]) -> None:
    """Unpacks the images of a .zip or .tar(.gz) into the new folder `destination`, and adds `texts` by file name.

    The folder appears once complete. A single folder around everything is stripped. Raises TranslateError, and leaves
    nothing behind, if the archive is damaged, holds links, devices or names that lead outside, or is far too large.
    """
    clear_leftovers(destination.parent)
    try:
        with hidden_folder(destination) as partial:
            _extract(archive, partial)
            inside = list(partial.iterdir())
            content = inside[0] if len(inside) == 1 and inside[0].is_dir() else partial
            for name, text in texts.items():
                (content / name).write_text(text, encoding="utf-8")
            content.rename(destination)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise TranslateError(f"{shown(archive)}: a damaged archive: {error}") from error


def _extract(archive: Path, folder: Path) -> None:
    images, room = 0, min(MAX_TOTAL, MAX_RATIO * archive.stat().st_size + MAX_BYTES // 64)
    for member in _zip_members(archive) if zipfile.is_zipfile(archive) else _tar_members(archive):
        path = _inside(archive, member)
        if member.content is None or path.suffix.lower() not in SUFFIXES or any(map(is_private, path.parts)):
            continue
        images += 1
        if images > MAX_IMAGES:
            raise TranslateError(f"{shown(archive)}: more than {MAX_IMAGES:,} images; not unpacked")
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(target, "xb") as file:
                room -= _copy(member.content, file, min(room, MAX_BYTES), archive)
        except FileExistsError:
            raise TranslateError(f"{shown(archive)}: holds {shown(member.name)} twice; not unpacked") from None
    if not images:
        raise TranslateError(f"{shown(archive)}: no images in it, of {' '.join(sorted(SUFFIXES))}")


def _zip_members(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            mode = stat.S_IFMT(info.external_attr >> 16)
            if info.is_dir():
                yield Member(info.filename, "folder", None)
            elif mode not in (0, stat.S_IFREG):
                yield Member(info.filename, "a link or device", None)
            elif info.flag_bits & 1:
                yield Member(info.filename, "an encrypted file", None)
            else:
                with file.open(info) as content:
                    yield Member(info.filename, "file", content)


def _tar_members(archive: Path) -> Iterator[Member]:
    with tarfile.open(archive, "r|*") as file:  # sequential, so nothing is looked up by name
        for info in file:
            if info.isdir():
                yield Member(info.name, "folder", None)
            elif info.isreg():
                yield Member(info.name, "file", file.extractfile(info))
            else:
                yield Member(info.name, "a link or device", None)


def _inside(archive: Path, member: Member) -> Path:
    """Returns the member's path below the folder. Raises TranslateError if it leads outside, or for other kinds."""
    windows = PureWindowsPath(member.name)  # the stricter parser: it knows drives and both slashes
    if windows.drive or windows.root or ".." in windows.parts or set(member.name) & {"\0", "\\"}:
        raise TranslateError(
            f"{shown(archive)}: {shown(member.name)} would be written outside the folder; not unpacked"
        )
    if member.kind not in ("file", "folder"):
        raise TranslateError(f"{shown(archive)}: {shown(member.name)} is {member.kind}; not unpacked")
    return Path(member.name)


def _copy(content: IO[bytes], file: IO[bytes], limit: int, archive: Path) -> int:
    """Copies, and counts the actual bytes rather than trusting the header. Raises TranslateError above `limit`."""
    copied = 0
    while block := content.read(BLOCK):
        copied += len(block)
        if copied > limit:
            raise TranslateError(f"{shown(archive)}: unpacks to far more than images would; not unpacked")
        file.write(block)
    return copied

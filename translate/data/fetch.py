"""Downloads a named data set: resumes partial downloads, verifies the archive, and unpacks its images."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import yaml

from translate.data.catalog import Card
from translate.data.description import FILE_NAME, Description
from translate.data.images import shown
from translate.data.unpack import unpack
from translate.errors import ConfigurationError, TranslateError
from translate.printing import Tell, say
from translate.whole_file import sha256_of

Progress = Callable[[int, int | None], None]
TIMEOUT = 30.0
"""Seconds without data before giving up on a server."""
ATTEMPTS = 3
"""Attempts per server; each resumes where the last one broke off."""
MAX_ARCHIVE = 64 << 30
BLOCK = 1 << 20


class Unreachable(Exception):
    """A server delivered no file, or not the right one."""


def fetch(card: Card, destination: Path, progress: Progress, say: Tell = say) -> Path:
    """Downloads the set's images into the new folder `destination`, adds a `dataset.yaml`, and returns the folder.

    `progress` gets the bytes present and those expected (None if unknown). An interrupted download is kept as
    `ARCHIVE.part` next to `destination` and resumed by the next call.
    Raises ConfigurationError if `destination` exists, or no server delivers the file (the message says how to get it
    by hand), TranslateError if the archive is not the published one or cannot be stored.
    """
    if destination.exists():
        raise ConfigurationError(f"{shown(destination)}: exists; remove it to fetch {card.name} anew, or use it")
    if card.url is None:
        raise ConfigurationError(_not_to_fetch(card, destination))
    archive = destination.parent / f"{card.url.rsplit('/', 1)[1]}.part"
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        _download(card, (card.url, *card.mirrors), destination, archive, progress)
        _verify(card, archive, say)
        description = Description(**card.model_dump(include=set(Description.model_fields)))
        values = description.model_dump(mode="json", exclude_none=True)
        try:
            unpack(archive, destination, {FILE_NAME: yaml.safe_dump(values, sort_keys=False)})
        except TranslateError:
            archive.unlink()  # unpacking it again would fail too
            raise
        archive.unlink()
    except OSError as error:
        raise TranslateError(f"{shown(destination)}: cannot be stored: {error.strerror or error}") from error
    return destination


def _not_to_fetch(card: Card, destination: Path) -> str:
    if card.a and card.b:
        return f"{card.name}: made of the sets {card.a} and {card.b}; nothing else to fetch"
    return f"{card.name}: no archive of it to fetch and unpack. By hand, into {shown(destination)}: {card.by_hand}"


def _download(card: Card, urls: Sequence[str], destination: Path, archive: Path, progress: Progress) -> None:
    reasons = []
    for url in urls:
        for _ in range(ATTEMPTS):
            before = _length(archive)
            try:
                _continue(url, archive, card.bytes, progress)
                return
            except Unreachable as reason:
                reasons.append(f"{url}: {reason}")
                if _length(archive) == before:  # another attempt would get no further
                    break
    tried = "; ".join(dict.fromkeys(reasons))
    raise ConfigurationError(
        f"{card.name}: cannot be downloaded ({tried}). By hand: fetch {urls[0]} where there is a network, "
        f"unpack it, and put its folders into {shown(destination)}"
    )


def _continue(url: str, archive: Path, expected: int | None, progress: Progress) -> None:
    """Downloads what `archive` lacks. Raises Unreachable if the connection breaks, or the server has another file."""
    have = _length(archive)
    if have and have == expected:
        return
    request = urllib.request.Request(url, headers={"User-Agent": "translate"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            resumed = response.status == http.client.PARTIAL_CONTENT
            if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                raise Unreachable("the server sent another part than was asked for")
            have = have if resumed else 0
            left = response.headers.get("Content-Length")
            total = have + int(left) if left and left.isdecimal() else expected
            if expected and total != expected:
                raise Unreachable(f"has {total} bytes where {expected} were published")
            if (total or 0) > MAX_ARCHIVE:
                raise Unreachable(f"has {total} bytes, more than any data set known")
            with open(archive, "ab" if resumed else "wb") as file:
                have = _copy(response, file, have, total, progress)
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            _complete_or_gone(archive, error.headers.get("Content-Range", ""))
            return
        raise Unreachable(f"HTTP {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise Unreachable(str(error.reason)) from error
    if total is not None and have != total:
        raise Unreachable(f"the connection broke off at {have} of {total} bytes")


def _copy(response: IO[bytes], file: IO[bytes], have: int, total: int | None, progress: Progress) -> int:
    while True:
        progress(have, total)
        try:
            block = response.read(BLOCK)
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"the connection broke off: {error}") from error
        if not block:
            return have
        have += len(block)
        if have > (total or MAX_ARCHIVE):
            raise Unreachable("sends more than it announced")
        file.write(block)


def _complete_or_gone(archive: Path, content_range: str) -> None:
    """Handles "range not satisfiable": either `archive` is complete, or it is not the server's file and is deleted.

    Raises Unreachable in the latter case.
    """
    if content_range == f"bytes */{_length(archive)}":
        return
    archive.unlink()
    raise Unreachable("what was downloaded before does not belong to its file; removed, fetch again")


def _verify(card: Card, archive: Path, say: Callable[[str], None]) -> None:
    digest = sha256_of(archive)
    if card.sha256 is None:
        say(f"{card.name}: SHA-256 {digest}; not verified, for none was published")
    elif digest != card.sha256:
        archive.unlink()
        raise TranslateError(
            f"{card.name}: the download is not the published archive: its SHA-256 is {digest}, "
            f"expected {card.sha256}; removed, fetch again"
        )


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0

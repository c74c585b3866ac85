"""Downloads a named data set from the first server that has it, verifies the archive, and unpacks its images."""

import time
from contextlib import suppress
from pathlib import Path

import yaml

from translate.data.catalog.cards import Card
from translate.data.catalog.description import FILE_NAME, Description
from translate.data.catalog.download import Progress, Unreachable, add_to
from translate.data.catalog.unpack import unpack
from translate.errors import ConfigurationError, TranslateError
from translate.utils.atomic_files import clear_leftovers, held, sha256_of
from translate.utils.printing import Log, say, shown

ATTEMPTS = 3
"""Attempts per server; each resumes where the last one broke off."""
LONGEST = 24 * 3600.0
"""Seconds for all servers together."""
LONGEST_REASON = 200
"""Characters: what a server says may be of any length."""


def fetch(card: Card, destination: Path, progress: Progress, say: Log = say) -> Path:
    """Downloads the set's images into the new folder `destination`, adds a `dataset.yaml`, and returns the folder.

    `progress` gets the bytes present and those expected (None if unknown). An interrupted download is kept as
    `ARCHIVE.part` next to `destination` and resumed by the next call.
    Raises ConfigurationError if `destination` exists, another process fetches the set, or no server delivers it (the
    message names each and its reason, and says how to get it by hand), TranslateError if the published archive cannot
    be unpacked or stored.
    """
    archive = destination.parent / f"{card.url.rsplit('/', 1)[1]}.part" if card.url else None
    if destination.exists():
        _clear(destination, archive)
        raise ConfigurationError(f"{shown(destination)}: exists; use it, or remove it to fetch {card.name} again")
    if archive is None:
        raise ConfigurationError(_not_to_fetch(card, destination))
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with held(archive):
            try:
                _from_any_server(card, destination, archive, progress, say)
            finally:
                if destination.exists() or not archive.stat().st_size:
                    archive.write_bytes(b"")
                    with suppress(PermissionError):  # Windows removes no file that is open
                        archive.unlink()
    except BlockingIOError as error:
        raise ConfigurationError(f"{shown(archive)}: another process is fetching {card.name}; wait for it") from error
    except OSError as error:
        raise TranslateError(f"{shown(destination)}: cannot be stored: {error.strerror or error}") from error
    return destination


def _clear(destination: Path, archive: Path | None) -> None:
    """Removes what a process left that was killed when the set was there already."""
    clear_leftovers(destination.parent)
    if archive and archive.is_file():
        with suppress(OSError), held(archive):  # another process's, or on a disk that is read only
            archive.unlink()


def _not_to_fetch(card: Card, destination: Path) -> str:
    if card.a and card.b:
        return f"{card.name}: made of the sets {card.a} and {card.b}; nothing else to fetch"
    return f"{card.name}: no archive of it to fetch and unpack. By hand, into {shown(destination)}: {card.by_hand}"


def _from_any_server(card: Card, destination: Path, archive: Path, progress: Progress, say: Log) -> None:
    urls, reasons, latest = (card.url or "", *card.mirrors), [], time.monotonic() + LONGEST
    for url in urls:
        for _ in range(ATTEMPTS):
            before = archive.stat().st_size
            try:
                add_to(archive, url, card.bytes, latest, progress)
                _verify(card, archive, say)
                _unpack(card, archive, destination)
                return
            except Unreachable as reason:
                reasons.append(f"{url}: {shown(str(reason))[:LONGEST_REASON]}")
                if archive.stat().st_size == before:  # another attempt would get no further
                    break
    tried = "; ".join(dict.fromkeys(reasons))
    raise ConfigurationError(
        f"{card.name}: cannot be downloaded ({tried}). By hand: fetch {urls[0]} where there is a network, "
        f"unpack it, and put its folders into {shown(destination)}"
    )


def _verify(card: Card, archive: Path, say: Log) -> None:
    """Raises Unreachable, and empties the archive, if it is not the published one."""
    digest = sha256_of(archive)
    if card.sha256 is None:
        say(f"{card.name}: SHA-256 {digest}; not verified, as none was published")
    elif digest != card.sha256:
        archive.write_bytes(b"")
        raise Unreachable(f"not the published archive: its SHA-256 is {digest}, expected {card.sha256}; removed")


def _unpack(card: Card, archive: Path, destination: Path) -> None:
    """Empties an archive that fails. Raises TranslateError, or Unreachable if another server's may be sound."""
    description = Description(**card.model_dump(include=set(Description.model_fields)))
    values = description.model_dump(mode="json", exclude_none=True)
    try:
        unpack(archive, destination, {FILE_NAME: yaml.safe_dump(values, sort_keys=False)})
    except TranslateError as error:
        archive.write_bytes(b"")
        if card.sha256 is None:
            raise Unreachable(str(error)) from error
        raise

"""Keeps a folder of outputs to one translation: a hidden file marks which it holds, another which is being written."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import IO

from translate.data.layouts.listing import iterate_images
from translate.errors import ConfigurationError
from translate.inference.converter import Converter
from translate.inference.options import Depth
from translate.inference.records import Outcome
from translate.models.base import Request
from translate.utils.atomic_files import is_at, lock, sha256_of, unlock, write_atomic
from translate.utils.printing import shown
from translate.utils.stored import UnreadableError, json_text, parse_json, read_json

MARK = ".translate.json"
LOCK = ".translate.lock"
"""Lies in a folder while it is converted into, and says by whom; processes of one translation share it."""
_PATIENCE = 60.0
"""Seconds to wait while another process looks at the mark, which takes it a moment."""


@dataclass(frozen=True)
class Translation:
    """Everything that determines the output pixels, up to rounding.

    `to`: the target domains; a cleared attribute is written "-Male".
    """

    model: str
    """SHA-256 of the model's file, or of the file that lists a checkpoint's files."""
    to: list[str]
    evaluated: bool
    name: str = field(compare=False)
    """The model's name, for display only."""
    silenced: bool = False
    """Whether another project's dropout is off, see `ImageTranslator`."""
    depth: Depth = "target"
    """What the outputs are written as."""
    size: str = ""
    """At which size pictures are translated, if not at their own, in words."""
    beside: tuple[str, ...] = ()
    """Where the further images of samples are from, as NAME=DIR."""
    ahead: int = 0
    """By how many frames clips go on beyond their ends; 0 where their own frames are predicted, or nothing is."""
    style: str = ""
    """Of which styles the outputs are, for a model that knows styles, if any were asked for."""
    steps: int = 0
    """In how many steps, for a model that translates in steps, if it was said."""
    mixed: bool = False
    """Whether the folder may still hold another translation's images, which are being overwritten."""

    def __str__(self) -> str:
        more = (", with --eval" if self.evaluated else "") + (", without dropout" if self.silenced else "")
        more += f", with --depth {self.depth}" if self.depth != "target" else ""
        more += f", at {self.size}" if self.size else ""
        more += "".join(f", with {place}" for place in self.beside)
        more += f", with --roll-out {self.ahead}" if self.ahead else ""
        more += f", with --{self.style}" if self.style else ""
        more += f", with --steps {self.steps}" if self.steps else ""
        more += ", mixed with others" if self.mixed else ""
        return f"{self.name} ({self.model[:8]}) to {', '.join(self.to)}{more}"


def translation(
    converter: Converter,
    request: Request,
    beside: Mapping[str, Path] = MappingProxyType({}),
    ahead: int = 0,
    styles: int | None = None,
) -> Translation:
    """Describes what `converter` does with `request`, and with the further images of samples from `beside`, by layer;
    `ahead`: by how many frames clips go on; `styles`: in how many styles each image is, if not in the one requested.
    Raises ValueError if the converter was not read from a file."""
    origin = converter.origin
    if origin is None:
        raise ValueError("this converter was read from no file")
    model, to = converter.model, sorted(request.names(converter.images.domains))
    of_run = origin.parent.name == "checkpoints"
    name = f"{origin.resolve().parent.parent.name}/{origin.name}" if of_run else origin.resolve().name
    digest, size = sha256_of(_identifying_file(origin)), str(converter.sizing(request))
    places = tuple(sorted(f"{layer}={shown(place.resolve())}" for layer, place in beside.items()))
    one = f"style {request.style.name}" if request.style else ""
    style = one if styles is None else f"styles {styles}"
    return Translation(
        model=digest,
        to=to,
        evaluated=model.evaluated,
        name=shown(name),
        silenced=model.without_dropout,
        depth=converter.depth,
        size=size,
        beside=places,
        ahead=ahead,
        style=style,
        steps=request.steps or 0,
    )


@contextmanager
def locked_folder(folder: Path, wanted: Translation, overwrite: bool) -> Iterator[LockedFolder]:
    """Context in which this process writes into `folder`, which it creates and marks, see `begin_translation`.

    Other processes may write there meanwhile, if their translation is the same. Raises ConfigurationError if one of
    another translation does.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _entered(folder, wanted, overwrite)
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        yield LockedFolder(folder, wanted, file)
    finally:
        _leave(file, folder / LOCK)


@dataclass(frozen=True)
class LockedFolder:
    """A folder that this process writes into."""

    folder: Path
    wanted: Translation
    file: IO[bytes]

    @property
    def all_ours(self) -> bool:
        """Whether every image in the folder is of this translation."""
        return held_in(self.folder / MARK, forgiving=True) == self.wanted

    def settle(self, outcome: Outcome) -> None:
        """Marks the folder as holding this translation only, after all was converted again.

        Not if another process is still at it, which will do so, or a file failed and an older output is still there, or
        others are.
        """
        if outcome.others or any(os.path.lexists(record.output) for record in outcome.failed):
            return
        try:
            if lock(self.file):
                mark(self.folder, self.wanted)
            else:
                unlock(self.file)  # one of the others is the last now
        except OSError as error:
            outcome.missing.append(str(_unwritable(self.folder, error)))


def _entered(folder: Path, wanted: Translation, overwrite: bool) -> IO[bytes]:
    """The folder's lock file, shared with others of this translation; the first marks the folder and writes which."""
    path, until = folder / LOCK, time.monotonic() + _PATIENCE
    while True:
        file = path.open("a+b")
        try:
            if lock(file) and is_at(file, path):
                begin_translation(folder, wanted, overwrite)
                _write(file, wanted)
            if lock(file, shared=True) and is_at(file, path) and (held := _read(file)):
                if held == wanted:
                    return file
                if not lock(file):
                    raise ConfigurationError(
                        f"{shown(folder)}: another process is converting into it, by {held}; this would be by "
                        f"{wanted}. Wait until it ends, or give another folder"
                    )
        except BaseException:
            _leave(file, path)
            raise
        file.close()
        if time.monotonic() > until:
            raise ConfigurationError(f"{shown(path)}: another process holds it; wait until that ends")
        time.sleep(0.01)


def _leave(file: IO[bytes], path: Path) -> None:
    """Closes the lock file; the last one removes it."""
    with suppress(OSError), file:
        if lock(file) and is_at(file, path):
            path.unlink()


def _write(file: IO[bytes], wanted: Translation) -> None:
    file.truncate(0)
    file.write(json_text(asdict(wanted)).encode())
    file.flush()


def _read(file: IO[bytes]) -> Translation | None:
    """The translation of those that hold the file; None if nobody has written it yet."""
    file.seek(0)
    with suppress(UnreadableError):
        held: Translation = parse_json(file.read(1 << 20), Translation, LOCK)
        return held
    return None


def require_no_others(folder: Path, places: Iterable[str], wanted: Translation) -> None:
    """Raises ConfigurationError if one of `places`, paths of folders in `folder` to be written into, lies in one that
    another translation has marked as its own."""
    around = {folder / at for place in map(Path, places) for at in (place, *place.parents)} - {folder}
    for at in sorted(around):
        held = held_in(at / MARK, forgiving=True)
        if held and held != wanted:
            raise ConfigurationError(
                f"{shown(at)}: holds translations by {held}, and INPUT has a folder of that name; these are by "
                f"{wanted}. Give another folder"
            )


def begin_translation(folder: Path, wanted: Translation, overwrite: bool) -> None:
    """Marks `folder`, which exists, with the translation that it will hold.

    Folders in it that have marks of their own are others'. A folder that holds images but no mark stays unmarked
    without `overwrite`, unless it lies in one of another translation. With `overwrite`, a folder with other
    images is marked as mixed until `mark` is called, so that nothing continues in it if the conversion is interrupted.
    Raises ConfigurationError if the folder holds another translation's images, OSError if it cannot be written.
    """
    held = held_in(folder / MARK, forgiving=overwrite)
    if held == wanted:
        return
    if next(own_images(folder), None) is None:
        mark(folder, wanted)
    elif overwrite:
        mark(folder, replace(wanted, mixed=True))
    elif held := held or _held_around(folder):
        if held == wanted:
            return
        raise ConfigurationError(
            f"{shown(folder)}: holds translations by {held}; these are by {wanted}. "
            "Give another folder, or --overwrite to convert all again"
        )


def own_images(folder: Path) -> Iterator[Path]:
    """The images below `folder` but for those in folders that have a mark of their own."""
    others: dict[Path, bool] = {folder: False}

    def is_others(place: Path) -> bool:
        if place not in others:
            others[place] = (place / MARK).exists() or is_others(place.parent)
        return others[place]

    return (path for path in iterate_images(folder) if not is_others(path.parent))


def _held_around(folder: Path) -> Translation | None:
    """What the nearest folder around `folder` that has a mark holds."""
    return next(filter(None, (held_in(place / MARK, forgiving=True) for place in folder.resolve().parents)), None)


def mark(folder: Path, wanted: Translation) -> None:
    """Records that `folder` holds the translation `wanted`. Raises OSError."""
    write_atomic(folder / MARK, json_text(asdict(wanted)) + "\n")


def require_writable(folder: Path) -> None:
    """Raises ConfigurationError if `folder`, which need not exist yet, is not writable. Creates nothing."""
    try:
        nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"{shown(folder)}: cannot be written into: {error.strerror}")


def held_in(path: Path, forgiving: bool) -> Translation | None:
    """The translation that the mark at `path` names; None without a mark, and, if `forgiving`, with one that cannot be
    read, which else raises ConfigurationError."""
    if not os.path.lexists(path):
        return None
    try:
        return read_json(path, Translation)
    except UnreadableError as error:
        if forgiving:
            return None
        raise ConfigurationError(
            f"{shown(path)}: not one that `translate convert` wrote; remove it, or add --overwrite"
        ) from error


def _identifying_file(origin: Path) -> Path:
    """The file that identifies the model: the model file itself, or the small one that lists the others' hashes."""
    lists = (origin / name for name in ("manifest.json", "config.json"))
    return origin if origin.is_file() else next(path for path in lists if path.is_file())

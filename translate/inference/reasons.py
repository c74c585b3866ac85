"""Why a single file failed, in words, so that the others are converted: what is its fault, and what is nobody's."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from torch import Tensor

from translate.errors import ImageError, TranslateError
from translate.utils.out_of_memory import out_of_memory
from translate.utils.printing import shown

T = TypeVar("T")


class NotFiniteError(TranslateError):
    """The network gave numbers that are not finite, which would be written as black pixels."""


def finite(images: Tensor) -> Tensor:
    """Returns `images`. Raises NotFiniteError."""
    if not bool(images.isfinite().all()):
        raise NotFiniteError(
            "the network's output has numbers that are not finite; convert with --precision float32, or with another "
            "checkpoint"
        )
    return images


def reason(error: BaseException, path: Path, too_large: str) -> str:
    """A line that names the file, `path` unless the error does; `too_large`: what to say where memory was short. Raises
    an error that is not the file's fault."""
    if isinstance(error, ImageError):
        return str(error)
    if out_of_memory(error):
        return f"{shown(path)}: {too_large}"
    if isinstance(error, OSError):
        return f"{shown(path)}: {error.strerror or error}"
    if isinstance(error, NotFiniteError):
        return f"{shown(path)}: {error}"
    raise error


def attempt(path: Path, what: Callable[[], T], failed: list[str], too_large: str) -> T | None:
    """What `what` returns; None, with the `reason` in `failed`, if the file is at fault."""
    try:
        return what()
    except Exception as error:
        failed.append(reason(error, path, too_large))
    return None

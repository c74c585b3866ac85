"""Small files of this package: strict JSON, read again as what may be damaged, forged or something else by now.

Only plain files are read, never a pipe or a device, which could block or never end; none beyond a limit of size; JSON
only through a model of its types, strictly, and at most 200 levels deep.
"""

import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from translate.errors import TranslateError

MOST = 16 << 20
"""Bytes of the largest small file: a checkpoint that lists 100,000 images left out."""
MOST_OF_A_LINE = 1 << 20


class UnreadableError(TranslateError):
    """A file is missing, no plain file, too large, or not what it should hold; the message starts with its path."""


def read_bytes(path: Path, most: int = MOST) -> bytes:
    """The content of a plain file of at most `most` bytes. Raises UnreadableError."""
    try:
        # Without O_NONBLOCK, opening a pipe would wait for its other end.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UnreadableError(f"{path}: cannot be read: not a plain file")
            content = file.read(most + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        raise UnreadableError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > most:
        raise UnreadableError(f"{path}: cannot be read: larger than {most} bytes, the most that is read of such a file")
    return content


def read_text(path: Path, most: int = MOST) -> str:
    """Like `read_bytes`, for text in UTF-8."""
    try:
        return read_bytes(path, most).decode()
    except UnicodeDecodeError as error:
        raise UnreadableError(f"{path}: cannot be read: not text in UTF-8 ({error.reason})") from error


def read_json(path: Path, kind: Any) -> Any:
    """The JSON in a plain file as a `kind`, any type that pydantic knows. Raises UnreadableError, naming the key."""
    return parse_json(read_bytes(path), kind, str(path))


def parse_json(text: bytes | str, kind: Any, source: str) -> Any:
    """Like `read_json`, for text that comes from `source`."""
    try:
        try:
            return _adapter(kind).validate_json(text, strict=True)
        except ValidationError as error:
            if "surrogate" not in str(error):
                raise
        # Names that are not UTF-8, which pydantic's own parser refuses.
        return _adapter(kind).validate_python(json.loads(text), strict=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise UnreadableError(f"{source}: {f'{key}: ' if key else ''}{first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{source}: not JSON ({error})") from error


@lru_cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yields number and content of each line, with its line end. Raises UnreadableError for a line that is too long,
    or a file that is no plain one."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UnreadableError(f"{path}: cannot be read: not a plain file")
        with open(path, "rb") as file:
            for number in range(1, 1 << 62):
                line = file.readline(MOST_OF_A_LINE + 1)
                if not line:
                    return
                if len(line) > MOST_OF_A_LINE:
                    raise UnreadableError(f"{path}, line {number}: longer than {MOST_OF_A_LINE:,} bytes")
                yield number, line
    except OSError as error:
        raise UnreadableError(f"{path}: cannot be read: {error.strerror or error}") from error


def json_text(value: Any, *, indent: int | None = None, ensure_ascii: bool = True) -> str:
    """The value as JSON; numbers that are not finite, such as an infinite PSNR, become null. Raises TypeError."""
    return json.dumps(finite(value), indent=indent, ensure_ascii=ensure_ascii, allow_nan=False)


def finite(value: Any) -> Any:
    """Returns `value` with None in place of every number that is not finite."""
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

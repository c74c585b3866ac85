"""Lines of text that are longer than a terminal is wide, broken between words and not, as terminals do, within one."""

import os
import re
from typing import TextIO

_DEEPEST = 0.6
"""A second column that begins beyond this part of the width is none: what follows it would have no room."""
_COLUMNS = re.compile(r" *\S+(?: \S+)* {2,}(?=\S)")
_WORDS = re.compile(r"(?:`[^`]*`|\S)+|\s+")


def width_of(stream: TextIO | None) -> int | None:
    """The columns of the terminal that a stream writes to; None if it is none, or does not say."""
    try:
        if stream is None or not stream.isatty():
            return None
        return int(os.environ.get("COLUMNS") or os.get_terminal_size(stream.fileno()).columns) or None
    except (OSError, ValueError):
        return None


def wrapped(text: str, width: int | None) -> str:
    """The text with each line broken between words before its last of `width` columns, in which some terminals break
    themselves; None leaves it as it is. What stands in `backquotes` is one word, however long: a command can be copied.
    A line continues below its beginning, or below its second column if two spaces set that apart."""
    return text if width is None else "\n".join(_wrapped(line, width - 1) for line in text.split("\n"))


def _wrapped(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    indent = len(line) - len(line.lstrip())
    second = _COLUMNS.match(line)
    below = second.end() if second and second.end() <= _DEEPEST * width else indent
    lines, current = [], line[:below]
    for word in _WORDS.findall(line[below:]):
        if current.strip() and len(current) + len(word) > width and not word.isspace():
            lines.append(current.rstrip())
            current = " " * below
        current += word if current.strip() or not word.isspace() else ""
    return "\n".join([*lines, current])

"""Errors for users: every message names the file or key, what was expected and what to do."""

import difflib
import shlex
from collections.abc import Iterable, Sequence


class TranslateError(Exception):
    """A failure with a message for the user; the command line prints it and exits with `exit_code`."""

    exit_code = 1


class ConfigurationError(TranslateError):
    """Wrong usage, recipe or data folder; nothing was started (exit code 2)."""

    exit_code = 2


class ImageError(TranslateError):
    """One image file cannot be read or written; the message starts with its path."""


def command(*words: object) -> str:
    """`translate ...` between backticks, quoted so that a shell reads the same words."""
    return f"`translate {shlex.join(map(str, words))}`"


def nearest(word: str, known: Iterable[str], listed: Iterable[str] = ()) -> str:
    """`; did you mean 'x'?`, or, if no known word is close, the words of `listed` (by default all known ones, the first
    ones of many)."""
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    words = list(listed) or known
    every = ", ".join(words) if len(words) <= CHOICES else folded(words)
    return f"; did you mean '{close[0]}'?" if close else f"; known: {every}"


LINE, LEAST = 100, 3
"""A list in a message takes at most one line of so many letters, but names at least so many."""
CHOICES = 40
"""Most known words that are all listed, as an answer to an unknown one."""


def folded(words: Sequence[str]) -> str:
    """The words as a list of one line: `a, b, c and 17 more`."""
    taken, length = 0, 0
    for word in words:
        length += len(word) + 2
        if taken >= LEAST and length > LINE:
            break
        taken += 1
    more = f" and {len(words) - taken:,} more" if taken < len(words) else ""
    return ", ".join(words[:taken]) + more

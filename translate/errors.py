"""Errors for users: every message names the file or key, what was expected and what to do."""

import difflib
import shlex
from collections.abc import Iterable


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
    """`; did you mean 'x'?`, or, if no known word is close, the words of `listed` (by default all known ones)."""
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else f"; known: {', '.join(list(listed) or known)}"

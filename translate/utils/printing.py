"""Everything that is printed comes through here: no text commands a terminal, and no lost terminal ends a command.

Names of classes, files and runs, messages of libraries and answers of servers may hold anything; standard streams may
be closed, full or gone.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, cast

from translate.utils.wrapping import width_of, wrapped

Log = Callable[[str], None]
"""Takes a line of text for the user."""

_CONTROLS = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029]
_DIRECTIONS = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_UNDECODED = range(0xD800, 0xE000)
_COLOURS = {"warning:": "1;33", "error:": "1;31"}
_ESCAPED = {code: repr(chr(code))[1:-1] for code in (*_CONTROLS, *_DIRECTIONS, *_UNDECODED) if chr(code) not in "\n\t"}


class Unread(Exception):
    """Nobody reads standard output any more: `| head` has read enough."""


def safe(text: str) -> str:
    """The text with all controls but line ends and tabs escaped, and what turns the direction of writing."""
    return text.translate(_ESCAPED)


def say(line: str) -> None:
    """Prints a line to standard error, so that standard output stays free for results. Never fails. On a terminal,
    a long one is broken between words, and `warning:` or `error:` at its start is in colour."""
    line = wrapped(line, width_of(sys.stderr))
    mark = next((mark for mark in _COLOURS if line.startswith(mark)), "")
    if mark and shows_colours(sys.stderr):
        written = coloured(sys.stderr)
        written.write(f"\x1b[{_COLOURS[mark]}m{mark}\x1b[0m{safe(line.removeprefix(mark))}\n")
        written.flush()
    else:
        _print(sys.stderr, f"{line}\n", forgives=True)


def then(*steps: str, quiet: bool = False) -> None:
    """Says what a user may do next, as every command does at its end; nothing if `quiet`."""
    for step in () if quiet else steps:
        say(f"next: {step}")


def shows_colours(stream: TextIO | None) -> bool:
    """Whether it is a terminal that may be written in colours."""
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return stream is not None and not plain and stream.isatty()


def answer(line: object, end: str = "\n") -> None:
    """Prints a result to standard output. Raises Unread if nobody reads it, OSError if it cannot be written."""
    _print(sys.stdout, f"{line}{end}", forgives=False)


def answer_in_words(line: str, width: int | None = None) -> None:
    """Prints a result that is a sentence, or a name and a sentence, broken between words on a terminal, elsewhere to
    this width; raises as `answer` does. Not for tables nor for what programs read."""
    answer(wrapped(line, columns() or width))


def columns() -> int | None:
    """The width of the terminal that results go to; None if they go elsewhere."""
    return width_of(sys.stdout)


def logger(quiet: bool) -> Log:
    """`say`, or a function that drops the line if `quiet`."""
    return (lambda line: None) if quiet else say


def _print(stream: TextIO | None, text: str, forgives: bool) -> None:
    if stream is not None:  # Python has none where the process was started without
        outlet = Outlet(stream, forgives=forgives)
        outlet.write(text)
        outlet.flush()


class Outlet:
    """A text stream in front of `stream`, which escapes what is written unless `escapes` is off.

    If it `forgives`, what cannot be written is dropped; else raises Unread or OSError.
    """

    def __init__(self, stream: TextIO, *, escapes: bool = True, forgives: bool = True) -> None:
        self.behind, self._escapes, self._forgives = stream, escapes, forgives

    def write(self, text: str) -> int:
        shown = safe(text) if self._escapes else text
        with self._forgiving():
            try:
                self.behind.write(shown)
            except UnicodeEncodeError:
                encoding = self.behind.encoding
                self.behind.write(shown.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        with self._forgiving():
            self.behind.flush()

    @contextmanager
    def _forgiving(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if self._forgives:
                return
            if isinstance(error, BrokenPipeError):
                raise Unread from error
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self.behind, name)


def guarded(stream: TextIO, *, forgives: bool = True) -> TextIO:
    """The stream for texts that may hold anything."""
    return cast(TextIO, Outlet(stream, forgives=forgives))


def coloured(stream: TextIO) -> TextIO:
    """The stream for a writer that makes sequences of its own, colours or a bar, and escapes whatever else it shows."""
    return cast(TextIO, Outlet(stream.behind if isinstance(stream, Outlet) else stream, escapes=False))


@contextmanager
def guarded_streams() -> Iterator[None]:
    """Context in which whatever is printed is escaped, be it by a library, as a warning or a traceback, and in which
    standard error, or a terminal that has gone, never fails."""
    _open_missing()
    before = sys.stdin, sys.stdout, sys.stderr
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 (to be used as long as the context)
    out = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    error = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    sys.stdout, sys.stderr = guarded(out, forgives=out.isatty()), guarded(error)
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
        _drain(out)
        _drain(error)


def show_cursor() -> None:
    """Shows a terminal's cursor again, which a bar has hidden; for a process that ends without closing the bar."""
    with suppress(OSError):
        if os.isatty(2):
            os.write(2, b"\x1b[?25h\n")


def _open_missing() -> None:
    """Opens missing standard streams on nothing: else the next file opened takes its number, and what is printed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _drain(stream: TextIO) -> None:
    """Lets go of what can never be written: Python would try again at its end, and leave with another exit code."""
    try:
        stream.flush()
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            stream.flush()


def shown(path: Path | str) -> str:
    """Formats a path as one line for any terminal: escapes undecodable bytes and unprintable characters."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)

"""Options of a command, declared once: each is a field of a frozen value that the command passes on whole."""

from collections.abc import Callable, Collection
from dataclasses import Field, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Option:
    """How a field is given on a command line; its type says the rest: bool is a flag, a Literal a choice, a Path a
    file, a tuple may be given repeatedly."""

    name: str | None
    """Where it does not follow from the field's, as --max-pixels from max_pixels."""
    help: str
    earlier: str | None = None
    """A name that still works."""
    metavar: str | None = None
    text: str | None = None
    """The default as it is typed and shown, for a value that is parsed."""
    parse: Callable[[str | None], Any] | None = None
    """The value of what was typed. Raises ValueError, which says what was expected."""
    least: float | None = None
    most: float | None = None
    choices: Collection[str] | None = None
    """What can be chosen; a table may still grow."""
    folder: bool = False
    """Whether a Path is that of a folder to write."""


def name_of(declared: Field[Any]) -> str:
    """The option's name on the command line."""
    return declared.metadata["option"].name or f"--{declared.name.replace('_', '-')}"


def option(default: Any, name: str | None = None, *, help: str, **how: Any) -> Any:
    """A field with its default and its `Option`."""
    return field(default=default, metadata={"option": Option(name, help, **how)})


def number_or(most: int, **words: Any) -> Callable[[str | None], Any]:
    """A parser of a number from 1 to `most`, or of one of the `words`, which stand for values."""

    def parse(text: str | None) -> Any:
        if text in words:
            return words[text]
        if text is None or not text.isdecimal() or not 1 <= int(text) <= most:
            raise ValueError(f"{text}: expected {', '.join(words)} or a number from 1 to {most}")
        return int(text)

    return parse

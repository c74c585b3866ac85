"""Makes click's options of a value's fields: each is declared once, and a command gets the whole value."""

import functools
from collections.abc import Callable, Collection
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import click

from translate.cli.common import FOLDER
from translate.cli.completing import SETTING
from translate.utils.options import Option, name_of

Command = Callable[..., Any]


def takes(**values: type) -> Callable[[Command], Command]:
    """Gives a command the options of these values, and passes it the values by these names."""

    def decorate(command: Command) -> Command:
        def with_values(**given: Any) -> Any:
            made: dict[str, Any] = {name: value_of(kind, given) for name, kind in values.items()}
            return command(**given, **made)

        called: Command = functools.wraps(command)(with_values)
        declared = [(each, get_type_hints(kind)[each.name]) for kind in values.values() for each in fields(kind)]
        for each, kind in reversed(declared):
            called = _click_option(each, kind)(called)
        return called

    return decorate


Value = TypeVar("Value")


def value_of(kind: type[Value], given: dict[str, Any]) -> Value:
    """The value whose options are among what is `given` to a command, out of which they are taken."""
    declared: Any = kind
    return kind(**{each.name: given.pop(each.name) for each in fields(declared)})


def _click_option(declared: Field[Any], kind: Any) -> Callable[[Command], Command]:
    option: Option = declared.metadata["option"]
    default = option.text or declared.default
    return click.option(
        *filter(None, (name_of(declared), option.earlier, declared.name)),
        default=default,
        show_default=kind is not bool and default not in (None, ()),
        help=option.help,
        metavar=option.metavar,
        is_flag=kind is bool,
        multiple=get_origin(kind) is tuple,
        type=None if kind is bool else _click_type(option, kind),
        callback=_callback(option),
    )


def _click_type(option: Option, kind: Any) -> Any:
    if option.choices is not None:
        return _Choice(option.choices)
    if option.metavar == "KEY=VALUE":
        return SETTING
    if option.parse is not None:
        return str
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    kinds = [one for one in get_args(kind) or (kind,) if isinstance(one, type)]
    if Path in kinds:
        return FOLDER if option.folder else click.Path(path_type=Path)
    if int in kinds or float in kinds:
        limits: Any = click.IntRange if int in kinds else click.FloatRange
        return limits(option.least, option.most)
    return str


def _callback(option: Option) -> Callable[[click.Context, click.Parameter, Any], Any] | None:
    if option.parse is None:
        return None
    parse = option.parse

    def value(context: click.Context, parameter: click.Parameter, text: str | None) -> Any:
        if context.resilient_parsing:  # while a shell completes, which needs no values
            return text
        try:
            return parse(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error

    return value


class _Choice(click.Choice):
    """One of the words that a table has by then."""

    def __init__(self, choices: Collection[str]) -> None:
        self.case_sensitive, self._table = True, choices

    @property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(self._table)

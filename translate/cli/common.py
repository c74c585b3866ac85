"""Shared by the commands: exit codes, and options that mean the same everywhere."""

import functools
import json
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from translate.errors import ConfigurationError, TranslateError
from translate.utils.options import option
from translate.utils.printing import Unread, guarded_streams, say
from translate.utils.signals import Interrupted, orderly_end
from translate.utils.user_paths import expanded, folder_named


class Commands(click.Group):
    """A click group whose commands end with the project's exit codes, and without a traceback for a user's mistake."""

    def main(self, args: Sequence[str] | None = None, **kwargs: Any) -> Any:  # type: ignore[override]
        with guarded_streams():
            code = self._code(args, **{**kwargs, "standalone_mode": False})
        sys.exit(code)

    def _code(self, args: Sequence[str] | None, **kwargs: Any) -> int:
        try:
            with orderly_end():
                code = super().main(args, **kwargs)
                sys.stdout.flush()
            return code if isinstance(code, int) else 0
        except Unread:
            return 141  # as by SIGPIPE
        except (click.exceptions.Abort, KeyboardInterrupt):
            return 130
        except click.ClickException as error:
            error.show()
            if isinstance(error, click.NoSuchOption) and error.ctx and _takes_settings(error.ctx):
                _say_setting(error.option_name)
            return error.exit_code
        except Interrupted as stop:
            say(str(stop))
            return stop.exit_code
        except (TranslateError, OSError) as error:  # OSError: a full disk, a folder that disappeared; it names the file
            say(f"error: {error}")
            return getattr(error, "exit_code", 1)
        except Exception as error:
            say(_unexpected(error))
            return 1

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Whole sentences, where click would cut them to the width."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.get_short_help_str(1000)) for name, one in self.commands.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:  # of any other pipe than standard output; click would end without a word
            raise TranslateError(str(error)) from error


def _takes_settings(context: click.Context) -> bool:
    """Whether the command takes KEY=VALUE."""
    return any(
        isinstance(one, click.Argument) and "KEY=VALUE" in one.make_metavar(context) for one in context.command.params
    )


def _say_setting(option: str) -> None:
    """Says which setting an unknown option may be meant for."""
    from translate.recipe.keys import keys_of, meant
    from translate.recipe.schema import Recipe

    if key := meant(option.lstrip("-").replace("-", "_"), list(keys_of(Recipe))):
        say(f"It may be a setting: {key}=VALUE, which `translate explain {key}` explains.")


def _unexpected(error: Exception) -> str:
    """What to say of an error that nobody foresaw: what and where it is, or all of it if TRANSLATE_DEBUG is set."""
    if os.environ.get("TRANSLATE_DEBUG"):
        return "".join(traceback.format_exception(error)).rstrip()
    *_, last = traceback.extract_tb(error.__traceback__)
    where = "/".join(Path(last.filename).parts[-2:])
    return (
        f"error: {''.join(traceback.format_exception_only(error)).strip()} (in {where}, line {last.lineno}): a fault "
        "of this program; please report it with the command and what it prints with TRANSLATE_DEBUG=1"
    )


class Output(click.Path):
    """The name of a file or a folder to write, as it was typed: a slash at its end says folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path, slash = expanded(value), "/" if str(value).endswith("/") else ""
        return f"{path}{slash}"


class Folder(Output):
    """The name of a folder to write: not one of a file, unless it ends with a slash or is a folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        named = param.opts[0] if param is not None else "OUTPUT"
        return folder_named(super().convert(value, param, ctx), named if named.startswith("-") else named.upper())


OUTPUT, FOLDER = Output(), Folder()
PLUGIN = click.option(
    "--plugin",
    type=click.Path(path_type=Path),
    metavar="FILE",
    multiple=True,
    help="A Python file that adds a method, a network, a loss, a layout, a kind of domain, a measure or a tracker, and "
    "that this command runs.",
)


def with_plugins(function: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the option --plugin, whose files it runs first."""

    @functools.wraps(function)
    def run(*args: Any, plugin: Sequence[Path], **options: Any) -> None:
        if plugin:
            from translate.recipe.plugins import load_plugins

            load_plugins(plugin)
        function(*args, **options)

    return PLUGIN(run)


QUIET = click.option("-q", "--quiet", is_flag=True, help="Print results and errors only.")


@dataclass(frozen=True)
class Changes:
    """What a command changes of a recipe's settings."""

    domains: str | None = option(
        None,
        metavar="A,B,...",
        help="Names of the two domains, if the folders do not say; of several folders, the two, or the classes or "
        "attributes, to take.",
    )
    overrides: tuple[str, ...] = option((), "--set", metavar="KEY=VALUE", help="Override a key, e.g. training.lr=1e-4.")

    def settings(self, words: Sequence[str], after: str) -> tuple[str, ...]:
        """All KEY=VALUE of a command: bare words `after` its first argument, those of --set, and --domains.

        Raises ConfigurationError for a bare word that is none; `after` may hold {} for it.
        """
        for word in words:
            if "=" not in word:
                raise ConfigurationError(f"{word}: expected KEY=VALUE after {after.format(shlex.quote(word))}")
        if self.domains is None:
            return (*words, *self.overrides)
        named = json.dumps([name.strip() for name in self.domains.split(",")])
        return (f"data.domains={named}", *words, *self.overrides)

    def written(self, words: Sequence[str]) -> tuple[str, ...]:
        """The same as a user writes it, for a command to go on with."""
        return (*(() if self.domains is None else ("--domains", self.domains)), *words, *self.overrides)

"""What a shell completes of a command: recipes, data sets, keys and runs; nothing slow is imported for it."""

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import click
from click.shell_completion import BashComplete, CompletionItem, ZshComplete, add_completion_class

from translate.utils.shipped import shipped

MOST = 1000
"""Most entries of a folder that are looked at, so that a folder of images does not hold the shell up."""
DRAWN = ("shapes", "ring", "grid", "lines")
"""Data sets that lie nowhere."""
_KEYS = Path(__file__).with_name("keys.txt")


def keys() -> list[str]:
    """The keys of recipes that `KEY=VALUE` may set, from a file, as the types that say them take seconds to import."""
    return _KEYS.read_text().split()


def recipes() -> list[str]:
    """The names of the shipped recipes."""
    return sorted(path.stem for path in shipped("recipes").glob("*.yaml"))


def data_sets() -> list[str]:
    """The names of the data sets that can be fetched."""
    return sorted(path.stem for path in shipped("datasets").glob("*.yaml"))


def runs(beginning: str) -> Iterator[str]:
    """The runs whose path begins so: in its folder, and one below, such as in `runs`."""
    for folder in folders(beginning):
        if (Path(folder) / "recipe.yaml").is_file():
            yield folder.rstrip("/")
        else:
            yield from (one.rstrip("/") for one in folders(folder) if (Path(one) / "recipe.yaml").is_file())


def folders(beginning: str) -> list[str]:
    """The folders whose path begins so, each with a slash at its end; without hidden ones."""
    name = beginning.rpartition("/")[2]
    before = beginning.removesuffix(name)
    try:
        with os.scandir(os.path.expanduser(before) or ".") as entries:
            there = [entry.name for entry in islice(entries, MOST) if entry.is_dir()]
    except OSError:
        return []
    return [f"{before}{one}/" for one in sorted(there) if one.startswith(name) and not one.startswith(".")]


class Word(click.ParamType):
    """A word that is taken as it is; the shell offers those that begin as it does, else files."""

    name = "text"

    def known(self, context: click.Context, beginning: str) -> Iterable[str]:
        """The words to choose from."""
        return []

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """See click."""
        found = [CompletionItem(word) for word in self.known(ctx, incomplete) if word.startswith(incomplete)]
        return found or [CompletionItem(incomplete, type="file")]


class RecipeName(Word):
    """A recipe's name, or a file."""

    def known(self, context: click.Context, beginning: str) -> Iterable[str]:
        """See `Word`."""
        return recipes()


class DataName(Word):
    """A data set's name, or a folder."""

    def known(self, context: click.Context, beginning: str) -> Iterable[str]:
        """See `Word`."""
        return [*DRAWN, *data_sets(), *folders(beginning)]


class FetchName(Word):
    """The name of a data set that can be fetched."""

    def known(self, context: click.Context, beginning: str) -> Iterable[str]:
        """See `Word`."""
        return data_sets()


class Explained(Word):
    """A word that `translate explain` knows."""

    def known(self, context: click.Context, beginning: str) -> Iterable[str]:
        """See `Word`."""
        return [*keys(), *recipes()]


class Setting(Word):
    """KEY=VALUE. Bash takes a word apart at the equals sign, so that the value comes as a word of its own."""

    def known(self, context: click.Context, beginning: str) -> Iterable[str]:
        """See `Word`."""
        given = [word for name in ("settings", "overrides") for word in context.params.get(name) or ()][-1:]
        return [] if "=" in given or set(given) & set(keys()) else [f"{key}=" for key in keys()]


class RunFolder(click.Path):
    """A run's folder, or whatever else holds a model."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """See click."""
        found = [CompletionItem(run) for run in runs(incomplete)]
        return found or super().shell_complete(ctx, param, incomplete)


class Bash(BashComplete):
    """As click completes in bash, but without a space where a word goes on: behind KEY= and FOLDER/."""

    source_template = BashComplete.source_template.replace(
        "    return 0\n", '    [[ "${COMPREPLY[0]}" == *[=/] ]] && compopt -o nospace\n\n    return 0\n', 1
    )


class Zsh(ZshComplete):
    """As click completes in zsh, but without a space where a word goes on: behind KEY= and FOLDER/."""

    source_template = ZshComplete.source_template.replace(
        "        compadd -U -V unsorted -a completions\n",
        """\
        local -a going_on=(${(M)completions:#*[=/]}) whole=(${completions:#*[=/]})
        (( $#going_on )) && compadd -U -V unsorted -S '' -a going_on
        (( $#whole )) && compadd -U -V unsorted -a whole
""",
        1,
    )


add_completion_class(Bash)
add_completion_class(Zsh)
RECIPE, DATA, FETCHED, EXPLAINED, SETTING = RecipeName(), DataName(), FetchName(), Explained(), Setting()
RUN = RunFolder(path_type=Path)

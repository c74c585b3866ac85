"""Plugins: Python files of users that add entries to the public tables, run only where a user names or installs them.

    train my.yaml --plugin my_model.py      or an entry point of the group `translate.plugins` in an installed package

A plugin adds what it likes to `TABLES`: MODELS["mine"] = Mine, ... A run remembers the plugins that made its model, by
name and SHA-256, and asks for them again. Nothing is ever run because a run or a checkpoint names it.
"""

import hashlib
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from translate.data.domain import KINDS, Kind
from translate.data.labelled import classes
from translate.data.layouts import two_domains
from translate.errors import ConfigurationError
from translate.evaluation.metrics import MEASURES, Measure
from translate.losses.adversarial import OBJECTIVES, Objective
from translate.models import MODELS
from translate.models.base import Model
from translate.models.parts import DISCRIMINATORS, EXTENDED, GENERATORS, SAMPLER_NETWORKS
from translate.reporting.tracking import TRACKERS, Tracker
from translate.training.checkpoint_json import PluginFacts
from translate.utils.printing import say, shown
from translate.utils.stored import UnreadableError, read_bytes, read_json

TABLES: dict[str, dict[str, Any]] = {
    "MODELS": MODELS,
    "GENERATORS": GENERATORS,
    "DISCRIMINATORS": DISCRIMINATORS,
    "SAMPLER_NETWORKS": SAMPLER_NETWORKS,
    "OBJECTIVES": OBJECTIVES,
    "two_domains.LAYOUTS": two_domains.LAYOUTS,
    "classes.LAYOUTS": classes.LAYOUTS,
    "KINDS": KINDS,
    "MEASURES": MEASURES,
    "TRACKERS": TRACKERS,
}
CLASSES: dict[str, type] = {"MODELS": Model, **EXTENDED, "TRACKERS": Tracker}
"""What the entries of a table extend, where they are classes."""
INSTANCES: dict[str, type] = {"OBJECTIVES": Objective, "KINDS": Kind, "MEASURES": Measure}
"""What the entries of a table are, where they are values. The entries of other tables are functions."""
ONLY_WATCH = {"MEASURES", "TRACKERS"}
"""Tables whose entries change nothing of a model: a run does not ask for a plugin that adds to these alone."""
GROUP = "translate.plugins"
BESIDE_RECIPE = "plugins.json"
"""File in a run's folder that lists the plugins that it was made with."""


@dataclass(frozen=True)
class Plugin:
    """A plugin that this process has run."""

    name: str
    sha256: str
    path: Path
    given: bool
    """Whether a user named the file, rather than having it installed."""
    entries: frozenset[tuple[str, str]]
    """What it added: table and name."""

    @property
    def names(self) -> set[str]:
        """Those of its entries that make a model what it is."""
        return {name for table, name in self.entries if table not in ONLY_WATCH}

    def facts(self) -> PluginFacts:
        """Returns what a run remembers of it: its name and the SHA-256 of its file."""
        return {"name": self.name, "sha256": self.sha256}


_loaded: dict[Path, Plugin] = {}
"""By where the file lies, for two may have the same name."""


def load_plugin(file: str | Path) -> Plugin:
    """Runs a plugin's file, once while it stays the same, and returns what it added.

    Raises ConfigurationError if it cannot be read, fails, or adds nothing.
    """
    path = Path(file)
    try:
        source = read_bytes(path)
    except UnreadableError as error:
        raise ConfigurationError(f"--plugin {error}") from error
    digest, before = hashlib.sha256(source).hexdigest(), _loaded.get(path.resolve())
    if before is not None and before.given and before.sha256 == digest:
        return before
    try:
        with _adding() as added:
            _run(source, path)
    except (Exception, SystemExit) as error:
        raise ConfigurationError(f"--plugin {shown(path)}: {_what(error, path)}") from error
    if not added:
        raise ConfigurationError(f"--plugin {shown(path)}: adds nothing to {', '.join(TABLES)}")
    return _remember(Plugin(path.name, digest, path, True, frozenset(added)))


def _remember(plugin: Plugin) -> Plugin:
    """Takes the place of those whose entries it has replaced."""
    for path in [path for path, other in _loaded.items() if other.entries <= plugin.entries]:
        del _loaded[path]
    _loaded[plugin.path.resolve()] = plugin
    return plugin


def _run(source: bytes, path: Path) -> None:
    module = ModuleType(f"translate_plugin_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # where type hints of its classes are looked up
    exec(compile(source, str(path), "exec"), module.__dict__)


def load_plugins(files: str | Path | Iterable[str | Path] | None) -> list[Plugin]:
    """See `load_plugin`; None are no files."""
    return [load_plugin(file) for file in ([files] if isinstance(files, str | Path) else files or ())]


def given_files() -> tuple[Path, ...]:
    """Where the plugins lie whose files a user named in this process."""
    return tuple(path for path, plugin in _loaded.items() if plugin.given)


@cache
def load_installed() -> None:
    """Imports the plugins of installed packages, once; warns of one that fails."""
    for entry in entry_points(group=GROUP):
        try:
            plugin = _installed(entry)
        except (Exception, SystemExit) as error:
            say(f"warning: the installed plugin {entry.name} ({entry.value}) is left out: {_what(error)}")
        else:
            _remember(plugin)


def _installed(entry: EntryPoint) -> Plugin:
    """Imports the plugin, unless a user gave its file."""
    spec = find_spec(entry.module)
    path = Path(str(spec and spec.origin))
    if (given := _loaded.get(path.resolve())) is not None and given.given:
        return replace(given, name=entry.name)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with _adding() as added:
        entry.load()
    return Plugin(entry.name, digest, path, False, frozenset(added))


@contextmanager
def _adding() -> Iterator[set[tuple[str, str]]]:
    """The table and name of what is added, once it has been; all is taken out again if one entry cannot be."""
    before, added = {table: dict(held) for table, held in TABLES.items()}, set[tuple[str, str]]()
    try:
        yield added
        for table, held in TABLES.items():
            new = {name: entry for name, entry in held.items() if before[table].get(name) is not entry}
            for name, entry in new.items():
                _require_entry(table, name, entry)
                added.add((table, name))
    except BaseException:
        for table, held in TABLES.items():
            held.clear()
            held.update(before[table])
        raise


def _require_entry(table: str, name: str, entry: Any) -> None:
    """Raises TypeError for an entry that the table cannot hold."""
    if wanted := CLASSES.get(table):
        fits = isinstance(entry, type) and issubclass(entry, wanted)
        expected = f"a class that extends {wanted.__name__}"
    elif kind := INSTANCES.get(table):
        fits, expected = isinstance(entry, kind), f"an instance of {kind.__name__}"
    else:
        fits, expected = callable(entry), "a function"
    if not fits:
        raise TypeError(f"{table}[{name!r}]: expected {expected}, got {entry!r:.80}")


def _what(error: BaseException, path: Path | None = None) -> str:
    """The error in one line, with the line of the file `path` that led to it."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{'line ' + str(lines[-1]) + ': ' if lines else ''}{type(error).__name__}: {error}"


def used_by(recipe: Mapping[str, Any], given: Iterable[Plugin] = ()) -> list[PluginFacts]:
    """What a run by `recipe` (plain values) remembers: plugins `given` or named that do more than watch."""
    named, given = set(_words(recipe)), list(given)
    return [plugin.facts() for plugin in _loaded.values() if (plugin in given and plugin.names) or plugin.names & named]


def _words(value: Any) -> Iterable[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [word for each in value for word in _words(each)]
    return [value] if isinstance(value, str) else []


def beside(recipe: Path) -> Sequence[PluginFacts]:
    """The plugins that the file beside a run's recipe.yaml lists. Raises UnreadableError if it lists none rightly."""
    path = recipe.parent / BESIDE_RECIPE
    return read_json(path, list[PluginFacts]) if recipe.name == "recipe.yaml" and path.is_file() else []


def require_plugins(wanted: Iterable[PluginFacts], place: Path) -> None:
    """Raises ConfigurationError unless the plugins that what lies at `place` was made with have been loaded.

    One that a user gave may have changed since, with a warning; an installed one has to be the same.
    """
    load_installed()
    for facts in wanted:
        if facts["sha256"] in [plugin.sha256 for plugin in _loaded.values()]:
            continue
        named = [plugin for plugin in _loaded.values() if plugin.name == facts["name"]]
        found, made = next(iter(named), None), f"{shown(place)}: made with"
        if found is None:
            raise ConfigurationError(
                f"{made} the plugin {facts['name']} (SHA-256 {facts['sha256']}): give its file as --plugin FILE "
                "(plugin=FILE in Python)"
            )
        changed = f"{made} another version of the plugin {found.name} (SHA-256 {facts['sha256']}, now {found.sha256})"
        if not found.given:
            raise ConfigurationError(f"{changed}; install that one, or give --plugin {found.path} to take this one")
        say(f"warning: {changed}")

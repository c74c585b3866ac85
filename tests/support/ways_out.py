"""Every message of the package that names a command, an option, a setting or a variable, and what tries its advice.

`messages()` reads them from the source. `test_ways_out.py` holds them against the registry here: a message stands in it
by its module and a piece of its text, as one whose advice is

- run (`@tried`): the mistake is made for real, the advice is taken out of the text, and it gets past the mistake,
- looked at only (`@parsed`, with the reason why it cannot be run here): its options and settings exist, or
- none (`SAYS_NO_WAY`): the message names what was given, or what was found.

To enter a new message, add a `Row` to `test_ways_out_rows.py`: the mistake, what is taken out of the message, and the
command that works with it. What takes more than one command is a function under `@tried`, in any test module: a test
that already does what a message advises is marked with it.
"""

from __future__ import annotations

import ast
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import pytest
import tiny
import yaml
from click.testing import Result

from translate.cli import main
from translate.recipe import load_recipe

PACKAGE = Path(__file__).resolve().parents[2] / "translate"
NAMES_ONE = re.compile(
    r"(?<![\w-])--[a-z]"
    r"|\btranslate (train|convert|evaluate|export|compare|recipes|quickstart|data|sample|serve|watch)\b"
    r"|pip install|\b(data|training|model|adversarial)\.[a-z]|(?<!\.)\b(TRANSLATE|WANDB|CUDA|WORLD)_[A-Z_]+|torchrun"
)


@dataclass(frozen=True)
class Message:
    module: str
    line: int
    text: str
    """{} stands for what is put in."""


def messages() -> Iterator[Message]:
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        apart = _apart(tree)
        for node in ast.walk(tree):
            text = "" if node in apart else _text(node)
            if " " in text.strip() and NAMES_ONE.search(text):
                yield Message(path.relative_to(PACKAGE).with_suffix("").as_posix(), node.lineno, text)


def _apart(tree: ast.Module) -> set[ast.AST]:
    """Docstrings, the help of commands and options, and parts of longer strings."""
    apart: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            apart.add(node.value)
        elif isinstance(node, ast.FunctionDef):
            apart.update(part for decorator in node.decorator_list for part in ast.walk(decorator))
        elif isinstance(node, ast.keyword) and node.arg == "help":
            apart.add(node.value)
        elif isinstance(node, ast.JoinedStr):
            apart.update(part for part in ast.walk(node) if part is not node)
    return apart


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or "{}" for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return _text(node.value) if isinstance(node.value, ast.Call) else ""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "command":
        return f"`translate {' '.join(_text(word) or '{}' for word in node.args)}`"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "shown":
        return _text(node.args[0])
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


@dataclass
class Way:
    pieces: tuple[tuple[str, str], ...]
    trial: Callable[..., Any]
    reason: str = ""
    """Why it is only looked at."""


WAYS: list[Way] = []
SAYS_NO_WAY: dict[tuple[str, str], str] = {}


def tried(*pieces: tuple[str, str], reason: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def note(trial: Callable[..., Any]) -> Callable[..., Any]:
        WAYS.append(Way(pieces, trial, reason))
        return trial

    return note


def parsed(reason: str, *pieces: tuple[str, str]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return tried(*pieces, reason=reason)


def ways_of(module: str) -> list[Any]:
    """The trials that this test module has registered, as parameters."""
    return [pytest.param(way.trial, id=way.trial.__name__) for way in WAYS if way.trial.__module__ == module]


@dataclass(frozen=True)
class Row:
    """A mistake in one command: `wrong` ends with `code` and says the message that `piece` is of; `right`, with what
    `advice` finds in it in the place of {}, ends with `ends`.

    What commands name is made for them: run-MODEL is a trained run, MODEL.yaml its recipe, photos two images, and
    paired, unpaired or labelled a data set.
    """

    module: str
    piece: str
    wrong: str
    advice: str
    right: str
    code: int = 2
    ends: int = 0

    def __call__(self, user: User) -> None:
        user.has(f"{self.wrong} {self.right}")
        text = user.refused(*_on_cpu(self.wrong), code=self.code)
        taken(text, re.escape(self.piece).replace(r"\{\}", ".*?"))
        user.refused(*_on_cpu(self.right.format(taken(text, self.advice))), code=self.ends)


def _on_cpu(line: str) -> list[str]:
    words = shlex.split(line)
    return [*words, "--device", "cpu"] if words[0] in ("train", "convert", "evaluate", "sample") else words


def taken(text: str, pattern: str) -> str:
    """What the pattern (or its group) finds in a message; fails with the message where it finds nothing."""
    found = re.search(pattern, text)
    assert found, f"{pattern} is not in: {text}"
    return found[1] if found.groups() else found[0]


def command_in(text: str, beginning: str = "") -> list[str]:
    """The words behind `translate` of the command between backticks, as a shell would read them."""
    return shlex.split(taken(text, rf"`translate ({beginning}[^`]*)`"))


def settings_in(text: str, recipe: str) -> list[str]:
    """The dotted settings in a message; fails for one that the recipe does not know."""
    named = re.findall(r"\b(?:data|training|model)(?:\.[a-z_0-9]+)+", text)
    for key in named:
        section: Any = load_recipe(recipe).to_json()
        for name in key.split("."):
            assert name in section, f"{key} is no setting of {recipe}: {text}"
            section = section[name]
    return named


def options_in(text: str, command: str) -> list[str]:
    """The options in a message; fails for one that the command does not have."""
    known = {name for parameter in _command(command).params for name in parameter.opts}
    named = re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)
    assert set(named) <= known, f"{set(named) - known} are no options of {command}: {text}"
    return named


def _command(name: str) -> click.Command:
    found = main.commands[name]
    assert isinstance(found, click.Command)
    return found


@dataclass
class User:
    """Somebody in an empty folder, who types commands and believes what they answer."""

    type: Callable[..., Result]
    folder: Path
    monkeypatch: pytest.MonkeyPatch
    trained: Callable[[str], Path]
    said: list[str] = field(default_factory=list)

    def refused(self, *words: object, code: int = 2) -> str:
        result = self.type(*words)
        assert result.exit_code == code, f"exit {result.exit_code}: {result.output}{result.exception!r}"
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.output

    def gets(self, *words: object) -> str:
        """What a command says that works."""
        return self.refused(*words, code=0)

    def recipe(self, model: str, data: dict[str, Any] | None = None, name: str = "", **training: Any) -> str:
        path = self.folder / f"{name or model}.yaml"
        values = {"data": {**tiny.TINY_DATA, **(data or {})}, "training": {**tiny.TINY_TRAINING, **training}}
        path.write_text(yaml.safe_dump({"model": _plain(tiny.TINY[model]), **values}))
        return path.name

    def data(self, kind: str = "unpaired") -> str:
        make = {"unpaired": tiny.unpaired_folder, "paired": tiny.paired_folder, "labelled": tiny.labelled_folder}
        make[kind](self.folder / kind)
        return kind

    def run(self, model: str) -> str:
        """A trained run here, beside its data and its recipe."""
        shutil.copytree(self.trained(model), self.folder, dirs_exist_ok=True)
        return f"run-{model}"

    def has(self, line: str) -> None:
        """Makes what a command line names."""
        for model in filter(DATA_OF.get, re.findall(r"\brun-(\w+)", line)):
            self.run(model)
        for model in filter(tiny.TINY.get, re.findall(r"\b(\w+)\.yaml", line)):
            self.recipe(model)
        for kind in set(re.findall(r"\b(paired|unpaired|labelled)\b", line)):
            self.data(kind)
        if "photos" in line:
            self.photos()

    def photos(self, *names: str, size: int = 24) -> str:
        tiny.write_images(self.folder / "photos", list(names or ("one.png", "two.png")), size=size)
        return "photos"

    def train(self, recipe: str, *more: object, data: str | None = "unpaired") -> list[object]:
        return ["train", recipe, *([] if data is None else ["--data", data]), "--device", "cpu", *more]


def _plain(value: Any) -> Any:
    """Without shared parts, which YAML would write as aliases."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


DATA_OF = {"cyclegan": "unpaired", "pix2pix": "paired", "bridge": "paired"} | dict.fromkeys(
    ("stargan", "stargan-v2", "gan", "cgan"), "labelled"
)

"""An option of a command is one field of a value: declared once, and passed on with the value."""

from __future__ import annotations

import ast
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import click
import pytest
from click.testing import CliRunner

import translate
from translate.cli import main
from translate.cli.options import takes
from translate.inference.options import (
    ExportOptions,
    Extras,
    InputOptions,
    ModelOptions,
    OutputOptions,
    SampleOptions,
    Target,
)
from translate.utils.options import name_of, option

VALUES = [Target, ModelOptions, InputOptions, OutputOptions, Extras, ExportOptions, SampleOptions]


@dataclass(frozen=True)
class Sharper(OutputOptions):
    """What adding options takes."""

    sharpen: float = option(0.5, least=0, most=1, help="How much sharper.")
    edges: Literal["soft", "hard"] = option("soft", "--kind-of-edges", help="Which edges.")
    twice: bool = option(False, "--twice", help="Do it twice.")


def _given(*words):
    found = []

    @click.command()
    @takes(value=Sharper)
    def command(value):
        found.append(value)

    result = CliRunner().invoke(command, list(words))
    return result, found


def test_a_field_is_an_option():
    result, (value,) = _given()
    assert result.exit_code == 0 and value == Sharper()
    _, (value,) = _given("--sharpen", ".25", "--kind-of-edges", "hard", "--twice", "--batch", "3", "--format", "jpg")
    assert value == Sharper(sharpen=0.25, edges="hard", twice=True, batch=3, format="jpeg")
    text = _given("--help")[0].output
    assert "How much sharper. [default: 0.5; 0<=x<=1]" in " ".join(text.split())
    for wrong in (("--sharpen", "2"), ("--kind-of-edges", "round"), ("--batch", "0"), ("--tile", "many")):
        assert _given(*wrong)[0].exit_code == 2, wrong


@pytest.mark.parametrize("kind", VALUES)
def test_the_values_defaults_are_the_commands(kind):
    found = []

    @click.command()
    @takes(value=kind)
    def command(value):
        found.append(value)

    assert CliRunner().invoke(command, []).exit_code == 0
    assert found == [kind()]


def test_an_option_stands_in_one_file():
    """Its name on the command line is declared where its field is, and nowhere else."""
    package = Path(translate.__file__).parent
    declared: dict[object, set[str]] = {}
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "option":
                for word in node.args:
                    declared.setdefault(getattr(word, "value", None), set()).add(path.relative_to(package).as_posix())
    for name in {name_of(each) for kind in VALUES for each in fields(kind)}:
        assert declared.get(name, set()) <= {"inference/options.py"}, name


def test_no_command_has_a_parameter_for_each_option():
    for command in main.commands.values():
        taken = command.callback.__wrapped__ if hasattr(command.callback, "__wrapped__") else command.callback
        assert taken.__code__.co_argcount <= 9, command.name

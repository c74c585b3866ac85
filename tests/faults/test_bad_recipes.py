"""Fault 43: recipes that are hostile, damaged, or mean something else than they say."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from images_child import run_commands, translate

from translate.errors import ConfigurationError
from translate.recipe import Recipe, load_recipe
from translate.utils.shipped import shipped

MINE = "model: {name: cyclegan}\ntraining:\n  steps: 10\n"
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)

# What stands in the file, and what must stand in the error.
HOSTILE: dict[str, tuple[str | bytes, str]] = {
    "object": ("a: !!python/object/apply:os.system [touch ran]\n", "line 1: tag"),
    "module": ("a: 1\nb: !!python/module:os\n", "line 2: tag"),
    "new": ("!!python/object/new:os.system [touch ran]\n", "line 1: tag"),
    "own tag": (MINE + "  lr: !secret 3\n", "line 4: tag"),
    "laughs": (LAUGHS, "line 1: anchors and aliases"),
    "merge": (MINE + "data: &d {size: 64}\nmore: {<<: *d}\n", "line 4: anchors and aliases"),
    "itself": ("a: &a [*a]\n", "line 1: anchors and aliases"),
    "brackets": ("a: " + "[" * 5000, "line 1: nested more than 50 deep"),
    "closed brackets": (MINE + "a: " + "[" * 5000 + "]" * 5000, "line 4: nested more than 50 deep"),
    "braces": ("{a: " * 5000, "line 1: nested more than 50 deep"),
    "dashes": ("- " * 5000, "line 1: nested more than 50 deep"),
    "questions": ("? " * 5000, "line 1: nested more than 50 deep"),
    "duplicate": (MINE + "  lr: 1\n  lr: 2\n", "line 5: the key 'lr' is given twice (first in line 4)"),
    "two models": (MINE + "model: {name: pix2pix}\n", "line 4: the key 'model' is given twice (first in line 1)"),
    "unknown": (MINE + "  learning_rate: 1\n", "line 4: unknown key 'training.learning_rate'"),
    "on as a word": (MINE + "data: {flip: on}\n", "line 4: 'data.flip': expected true or false, e.g. flip: true, got "),
    "no as a word": (MINE + "data: {flip: no}\n", "line 4: 'data.flip': expected true or false, e.g. flip: true, got "),
    "octal": (MINE.replace("10", "0o17"), "line 3: 'training.steps': expected a whole number, 1 or more"),
    "old octal": (MINE.replace("10", "017"), "line 3: 'training.steps': expected a whole number, 1 or more"),
    "sexagesimal": (MINE.replace("10", "1:30"), "line 3: 'training.steps': expected a whole number, 1 or more"),
    "date": (MINE.replace("10", "2026-01-01"), "line 3: 'training.steps': expected a whole number, 1 or more"),
    "true as a key": ("true: 1\n", "line 1: the key 'true' is not a word"),
    "a list as a key": ("[a, b]: 1\n", "line 1: the key"),
    "an endless number": (MINE.replace("10", "9" * 5000), "line 3"),
    "infinity": (MINE + "  lr: 1e999\n", "line 4: 'training.lr'"),
    "not a number": (MINE + "  lr: .nan\n", "line 4: 'training.lr'"),
    "too large": (MINE + "#" + "x" * 1_000_000, "larger than 32768 bytes"),
    "dense": ("a: [" + "1," * 500_000 + "]", "larger than 32768 bytes"),
    "just not too large": ("a: [" + "1," * 16_000 + "]", "line 1: unknown key 'a'"),
    "many mistakes": (MINE + "".join(f"key{number}: 1\n" for number in range(2500)), "and 2490 more mistakes"),
    "a long word": (MINE + "k" * 30_000 + ": 1\n", "could not find expected ':'"),
    "a long value": (MINE.replace("10", "x" * 30_000), "line 3: 'training.steps'"),
    "not UTF-8": (MINE.encode() + b"  optimizer: ad\xffam\n", "not text in UTF-8"),
    "UTF-16": (MINE.encode("utf-16"), "not text in UTF-8"),
    "NUL": (MINE + "  optimizer: ad\0am\n", "line 4: "),
    "bell": (MINE + "  optimizer: ad\aam\n", "line 4: "),
    "surrogate": (MINE + 'summary: "\\ud800"\n', "line 4: "),
    "an image": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "not text in UTF-8"),
    "two documents": (MINE + "---\n" + MINE, "line 4: "),
    "other YAML": ("%YAML 9.9\n---\n" + MINE, "line 1: "),
    "cut": (MINE + "data: {size: 64", "line 4: "),
    "tabs": (MINE + "\tlr: 1\n", "line 4: "),
    "empty": ("", "'model' is missing: expected a section"),
    "words": ("just words\n", "expected `key: value` lines"),
    "circle": ("base: circle.yaml\n", "in a circle"),
}  # fmt: skip


def test_malicious_yaml_is_refused_with_its_line_in_under_a_second(tmp_path):
    lines = []
    for name, (text, _) in HOSTILE.items():
        (tmp_path / f"{name}.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        lines.append(["train", f"{name}.yaml", "--data", "shapes", "--out", "run"])
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    special = ["pipe.yaml", "folder.yaml", "zero.yaml", "nothing.yaml"]
    overrides = ["a=!!python/name:os.system", "data.size=[[", "training.lr=&a 1", "data.size=9\nmore: 3"]
    lines += [["recipes", name] for name in special]
    lines += [["train", "cyclegan", "--data", "shapes", "--out", "run", "--set", text] for text in overrides]
    rows = run_commands([["recipes", "cyclegan"], *lines], tmp_path)[1:]
    for (name, (_, says)), row in zip(HOSTILE.items(), rows, strict=False):
        assert row["code"] == 2, (name, row)
        assert says in row["stderr"] and f"{name}.yaml" in row["stderr"], (name, row["stderr"][:500])
        assert len(row["stderr"]) < 4000, (name, len(row["stderr"]))
    for row in rows:
        assert row["code"] == 2 and "Traceback" not in row["stderr"], row
        assert row["seconds"] < 10, row
    assert not (tmp_path / "ran").exists() and not (tmp_path / "run").exists()


def test_malicious_yaml_ends_the_real_command_with_exit_2(tmp_path):
    (tmp_path / "bad.yaml").write_text(str(HOSTILE["object"][0]))
    ended = translate("train", "bad.yaml", "--data", "shapes", cwd=tmp_path).ended_in_words(2)
    assert ended.stderr.startswith("error: bad.yaml, line 1: tag")
    assert not (tmp_path / "ran").exists()


def test_malicious_yaml_of_sound_words_keeps_the_value_that_is_meant(tmp_path):
    text = MINE + "  lr: 1e-4\n  ema: .999\n  weight_decay: 1E-2\ndata: {set: no, domains: [on, off]}\nsummary: 0o17\n"
    (tmp_path / "plain.yaml").write_text(text)
    (row,) = run_commands([["recipes", "plain.yaml"]], tmp_path)
    assert row["code"] == 0, row
    values = yaml.safe_load(row["stdout"])
    training = values["training"]
    assert (training["lr"], training["ema"], training["weight_decay"]) == (1e-4, 0.999, 0.01)
    assert (values["data"]["set"], values["data"]["domains"], values["summary"]) == ("no", ["on", "off"], "0o17")


SHIPPED = [path.read_text() for path in sorted(shipped("recipes").glob("*.yaml"))]
PIECES = ["[", "{", "&a ", "*a", "!!python/name:os ", "- ", "? ", ": ", "\n", "\t", "'", '"', "#", "|", ">", "%",
          "---\n", "\0", "\x85", "\ufeff", "\U0001f993", "1e999", "9" * 5000, "<<: ", "base: cyclegan\n",
          "null", "\\ud800"]  # fmt: skip


@st.composite
def recipes(draw: st.DrawFn) -> str:
    """Any text, or a shipped recipe with one to four edits: a piece put in, a range left out, two lines swapped."""
    if draw(st.integers(0, 3)) == 0:
        return draw(st.text(max_size=200))
    text = draw(st.sampled_from(SHIPPED))
    for kind in draw(st.lists(st.sampled_from(["insert", "remove", "swap", "replace"]), min_size=1, max_size=4)):
        place = draw(st.integers(0, len(text)))
        length = draw(st.integers(1, 30))
        if kind == "insert":
            text = text[:place] + draw(st.sampled_from(PIECES)) * draw(st.sampled_from([1, 1, 2, 60])) + text[place:]
        elif kind == "remove":
            text = text[:place] + text[place + length :]
        elif kind == "replace":
            text = text[:place] + draw(st.text(max_size=5)) + text[place + length :]
        else:
            lines = text.split("\n")
            one, other = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
            lines[one], lines[other] = lines[other], lines[one]
            text = "\n".join(lines)
    return text


def _is_a_recipe_or_an_error_with_its_file(text: str, path: Path) -> None:
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    began = time.process_time()
    try:
        assert isinstance(load_recipe(str(path)), Recipe)
    except ConfigurationError as error:
        assert str(error).startswith((f"{path}", "no recipe '")) and len(str(error)) < 20_000
    assert time.process_time() - began < 10


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_malicious_yaml_of_any_kind_is_a_recipe_or_an_error_with_its_file(count, tmp_path):
    @settings(max_examples=count, derandomize=True, database=None, deadline=None)
    @given(recipes())
    def attempt(text: str) -> None:
        _is_a_recipe_or_an_error_with_its_file(text, tmp_path / "mutant.yaml")

    attempt()

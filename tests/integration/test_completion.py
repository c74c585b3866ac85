"""What a shell completes, and that it is quick: nothing slow is imported, and bash itself is asked, too."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from patience import PATIENCE

from translate.cli import completing, main
from translate.data.catalog.cards import cards
from translate.data.synthetic.points import POINT_SETS
from translate.recipe import recipe_names
from translate.recipe.keys import keys_of
from translate.recipe.schema import Recipe

ROOT = Path(__file__).resolve().parents[2]


def completed(*words: str) -> list[str]:
    """What the shell offers for the last of the words."""
    *given, begun = words
    return [item.value for item in ShellComplete(main, {}, "translate", "_X").get_completions(given, begun)]


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    for run in ("runs/cyclegan-a", "runs/pix2pix-b", "elsewhere"):
        (tmp_path / run).mkdir(parents=True)
        (tmp_path / run / "recipe.yaml").touch()
    (tmp_path / "photos" / "trainA").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "mine.yaml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_file_of_keys_is_that_of_the_types() -> None:
    keys = sorted({key.name for key in keys_of(Recipe) if not key.section and "NAME" not in key.name})
    assert completing.keys() == keys, f"write these lines to translate/cli/keys.txt:\n{chr(10).join(keys)}"


def test_names_are_those_that_commands_know() -> None:
    assert completing.recipes() == recipe_names()
    assert completing.data_sets() == sorted(cards())
    assert set(completing.DRAWN) == {"shapes", *POINT_SETS}


def test_commands_recipes_data_sets_and_keys(place) -> None:
    assert completed("tr") == ["train"] and completed("data", "ch") == ["check"]
    assert completed("train", "cyclegan-") == completed("recipes", "cyclegan-")
    assert {"cyclegan-fast", "cyclegan-paper", "cyclegan-vit"} <= set(completed("recipes", "cyclegan-"))
    assert completed("train", "pix2pix", "training.lr") == ["training.lr="]
    assert (
        completed("train", "pix2pix", "--set", "data.bal")
        == ["data.balanced="]
        == completed("data", "check", "photos", "data.bal")
    )
    assert completed("train", "pix2pix", "--data", "fac") == ["facades"]
    assert completed("train", "pix2pix", "--data", "ph") == ["photos/"] == completed("data", "check", "ph")
    assert completed("data", "check", "photos/") == ["photos/trainA/"]
    assert completed("data", "fetch", "horse") == ["horse2zebra"]
    assert completed("explain", "training.ep") == ["training.epochs"] and completed("explain", "unit-s") == [
        "unit-shapes"
    ]
    assert completed("train", "pix2pix", "--resu") == ["--resume"]
    assert completed("train", "mine") == ["mine"], "a file, which the shell completes itself"


def test_runs_here_and_one_below(place) -> None:
    everything = ["elsewhere", "runs/cyclegan-a", "runs/pix2pix-b"]
    for command in ("convert", "evaluate", "report", "export", "sample", "serve", "compare"):
        assert completed(command, "") == everything, command
    assert completed("convert", "ru") == everything[1:] == completed("convert", "runs/")
    assert completed("compare", "runs/cyclegan-a", "runs/p") == ["runs/pix2pix-b"]
    assert completed("convert", "zebra.on") == ["zebra.on"] and completed("convert", "no/such") == ["no/such"]


def test_a_value_is_no_place_for_a_key() -> None:
    """Bash gives `data.size=128` as three words."""
    assert completed("train", "pix2pix", "data.size", "=") == [
        "",
    ]
    assert completed("train", "pix2pix", "data.size", "=", "1") == ["1"]
    assert completed("train", "pix2pix", "--set", "data.size", "=") == [""]
    assert completed("train", "pix2pix", "data.size", "=", "128", "data.bal") == ["data.balanced="]


ASKED = [
    ["tr"], ["train", "c"], ["train", "pix2pix", "training.l"], ["train", "c", "--data", ""], ["convert", "r"],
    ["sweep", "x.yaml", "data."], ["explain", "t"], ["data", "fetch", "h"], ["convert", "a", "b", "c", "--"],
    ["serve", "a", "--"], ["train", "c", "--seeds", "0..4", "--"], ["evaluate", "a", "--"], ["export", "a", "b", "--"],
]  # fmt: skip
CHILD = f"""
import json, sys
from click.shell_completion import ShellComplete
from translate.cli import main
found = [len(ShellComplete(main, {{}}, "translate", "_X").get_completions(words[:-1], words[-1])) for words in {ASKED}]
print(json.dumps([found, sorted({{"torch", "numpy", "pydantic", "PIL", "yaml"}} & sys.modules.keys())]))
"""


def test_nothing_slow_is_imported() -> None:
    ended = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True, cwd=ROOT)
    found, slow = json.loads(ended.stdout)
    assert all(found) and slow == []


@pytest.fixture
def program(tmp_path) -> Path:
    """The command `translate` of this checkout."""
    path = tmp_path / "bin" / "translate"
    path.parent.mkdir()
    path.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from translate.cli import main\nmain(prog_name='translate')\n"
    )
    path.chmod(0o755)
    return path


SCRIPT = """
eval "$(_TRANSLATE_COMPLETE=bash_source translate)"
compopt() { options="$1 $2"; }
complete -p translate
tab() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=() options=
    _translate_completion translate
    echo "${COMPREPLY[*]}|$options"
}
tab translate tra
tab translate train pix2pix data.bal
tab translate train pix2pix data.size = 128 data.bal
tab translate train pix2pix data.size =
tab translate convert runs/cy
tab translate train pix2pix --data pho
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_itself_completes(place, program) -> None:
    """By the line that docs/installing.md gives; without a space where the word goes on."""
    environment = os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    ended = subprocess.run(
        ["bash", "--norc", "--noprofile", "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True,
        timeout=PATIENCE, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert ended.stdout.splitlines() == [
        "complete -o nosort -F _translate_completion translate",
        "train|",
        "data.balanced=|-o nospace",
        "data.balanced=|-o nospace",
        "|-o default",
        "runs/cyclegan-a|",
        "photos/|-o nospace",
    ], ended.stderr


ZSH = """
compdef() {}
eval "$(_TRANSLATE_COMPLETE=zsh_source translate)"
_describe() { print -r -- "${${(P)argv[3]}%%:*}|described" }
compadd() { print -r -- "${(j: :)${(P)argv[-1]}}|${argv[*]}" }
tab() { words=("$@") CURRENT=$# ; _translate_completion }
tab translate tra
tab translate train pix2pix data.bal
tab translate train pix2pix --data pho
tab translate convert runs/cy
"""


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh")
def test_zsh_itself_completes(place, program) -> None:
    """By the line that docs/installing.md gives; `-S ''` leaves out the space where the word goes on."""
    environment = os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    ended = subprocess.run(
        ["zsh", "-f", "-c", ZSH], env=environment, capture_output=True, text=True, check=True,
        timeout=PATIENCE, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert ended.stdout.splitlines() == [
        "train|described",
        "data.balanced=|-U -V unsorted -S  -a going_on",
        "photos/|-U -V unsorted -S  -a going_on",
        "runs/cyclegan-a|-U -V unsorted -a whole",
    ], ended.stderr


FISH = """
_TRANSLATE_COMPLETE=fish_source translate | source
for line in 'translate tra' 'translate train pix2pix data.bal' 'translate convert runs/cy'
    complete --do-complete $line
end
"""


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish")
def test_fish_itself_completes(place, program) -> None:
    """By the line that docs/installing.md gives; fish itself leaves out the space behind an equals sign."""
    environment = os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}", "HOME": str(place)}
    ended = subprocess.run(
        ["fish", "--no-config", "-c", FISH], env=environment, capture_output=True, text=True, check=True,
        timeout=PATIENCE, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert [line.partition("\t")[0] for line in ended.stdout.splitlines()] == [
        "train", "data.balanced=", "runs/cyclegan-a",
    ], ended.stderr  # fmt: skip

"""The main job in one command: stopped anywhere and given again, it goes on and does all that it promised."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import warm
import yaml
from tiny import TINY, put
from ways_out import command_in, options_in, tried

import translate.runs.quickstart
from translate.training.checkpoint import saved_steps
from translate.training.trainer import Trainer

TRAINING = {"steps": 6, "batch_size": 2, "log_every": 2, "sample_every": 3, "validate_every": 3}
DATA = {"set": "shapes", "size": 32, "load_size": 32, "workers": 0, "shapes": {"train": 8, "test": 3}}


class Killed(BaseException):
    """As if the process were gone: nothing of ours handles it."""


@pytest.fixture
def quickstart(run_cli, tmp_path, monkeypatch):
    """The command with tiny networks."""
    paths = {}
    for method in translate.runs.quickstart.RECIPES:
        training = TRAINING | {"checkpoint_every": 3, "precision": "float32"}
        recipe = {"model": TINY[method], "data": DATA, "training": training}
        paths[method] = tmp_path / f"tiny-{method}.yaml"
        paths[method].write_text(yaml.safe_dump(json.loads(json.dumps(recipe))))
    monkeypatch.setattr(translate.runs.quickstart, "RECIPES", {method: str(path) for method, path in paths.items()})
    return lambda *more: run_cli("quickstart", *more, "--device", "cpu")


def kept_its_promise(result, out: Path) -> None:
    assert result.exit_code == 0, result.output
    assert len(list((out / "converted").glob("*.png"))) == 3
    assert (out / "comparison.png").is_file() and (out / "run" / "summary.json").is_file()
    assert (out / "run" / "report.html").read_text().endswith("</html>\n")
    assert saved_steps(out / "run" / "checkpoints")[-1] == 6
    assert "on 3 test images" in result.stdout and f"next: look at {out / 'comparison.png'} and " in result.stderr


def at_step(number: int, what):
    step = Trainer.step

    def stepping(self, batch):
        step(self, batch)
        if self.steps == number:
            what()

    return stepping


def killed(*_: object, **__: object) -> None:
    raise Killed


PLACES = {
    "before its recipe is written": ("translate.runs.setup.write_recipe", killed, None),
    "in training": ("translate.training.trainer.Trainer.step", at_step(4, killed), "resuming after step 3"),
    "before its report": ("translate.runs.train._close", killed, "resuming after step 6"),
    "before it converts": ("translate.runs.quickstart.convert_folder", killed, None),
    "before it compares": ("translate.runs.quickstart.save_grid", killed, None),
}


@pytest.mark.parametrize("place", PLACES)
def test_killed_and_run_again_it_goes_on_and_keeps_its_promise(quickstart, monkeypatch, place: str) -> None:
    name, what, told = PLACES[place]
    with monkeypatch.context() as patched:
        patched.setattr(name, what)
        if place == "before its report":
            patched.setattr("translate.runs.train.write_summary", lambda *words: None)
        with pytest.raises(Killed):
            raise AssertionError(quickstart("--out", "q").output)
    again = quickstart("--out", "q")
    kept_its_promise(again, Path("q"))
    assert (told or "resuming") in again.stderr if told else "resuming" not in again.stderr


@pytest.mark.parametrize("more", [(), ("--resume",)])
def test_stopped_by_ctrl_c_it_names_a_way_out_that_works(quickstart, monkeypatch, more: tuple[str, ...]) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "step", at_step(4, lambda: os.kill(os.getpid(), signal.SIGINT)))
        stopped = quickstart("pix2pix", "--out", "q")
    signal.signal(signal.SIGINT, before)
    assert stopped.exit_code == 130 and "after step 4; saved, continue with --resume" in stopped.stderr
    again = quickstart("pix2pix", "--out", "q", *more)
    kept_its_promise(again, Path("q"))
    assert "resuming after step 4" in again.stderr


def test_a_finished_one_is_only_shown_again(quickstart, monkeypatch) -> None:
    first = quickstart("--out", "q")
    monkeypatch.setattr(Trainer, "step", killed)
    again = quickstart("--out", "q")
    kept_its_promise(again, Path("q"))
    assert again.stdout == first.stdout
    assert "q/run: trained to its end already; converted and compared again" in again.stderr
    assert "trained to its end" not in first.stderr


def test_what_a_user_put_beside_the_translations_is_left_alone(quickstart) -> None:
    assert quickstart("--out", "q").exit_code == 0
    put(Path("q"), "converted/mine.png", width=40)
    (Path("q") / "converted" / ".DS_Store").write_text("x")
    kept_again = quickstart("--out", "q")
    assert kept_again.exit_code == 0 and (Path("q") / "converted" / "mine.png").is_file()


@tried(("runs/quickstart", "holds {} but not a quickstart; give another --out"))
def test_a_folder_that_is_not_a_quickstarts_is_refused_by_name(quickstart, run_cli) -> None:
    put(Path("photos"), "one.png")
    Path("file").write_text("x")
    before = sorted(map(str, Path().rglob("*")))
    for out, reason in {
        "photos": "photos: holds one.png but not a quickstart; give another --out",
        "file": "--out file: cannot be written into: it is a file; give another name",
    }.items():
        refused = quickstart("--out", out)
        assert refused.exit_code == 2 and reason in refused.stderr
        assert options_in(refused.stderr, "quickstart") == ["--out"]
    assert sorted(map(str, Path().rglob("*"))) == before
    assert quickstart("--out", "another").exit_code == 0


@tried(
    ("runs/quickstart", "`translate quickstart {} --out {}` goes on with it"), ("runs/quickstart", "give another --out")
)
def test_the_other_methods_quickstart_is_refused_with_the_command_that_goes_on_with_it(quickstart, run_cli) -> None:
    assert quickstart("pix2pix", "--out", "q").exit_code == 0
    refused = quickstart("cyclegan", "--out", "q")
    assert refused.exit_code == 2 and "holds the run of tiny-pix2pix, not tiny-cyclegan's" in refused.stderr
    command = command_in(refused.stderr)
    assert command == ["quickstart", "pix2pix", "--out", "q"]
    kept_its_promise(run_cli(*command, "--device", "cpu"), Path("q"))


@pytest.mark.parametrize("method", ["cyclegan", "pix2pix"])
def test_it_says_once_how_long_it_will_take(quickstart, monkeypatch, method: str) -> None:
    monkeypatch.setattr("translate.training.loop.STEPS", 5)
    told = quickstart(method, "--out", "q").stderr
    assert len(re.findall(r"the 1 steps to go will take about \d+:\d\d at this pace", told)) == 1


CHILD = """
import os, signal, sys
import translate.runs.quickstart
from translate.cli import main
from translate.training.trainer import Trainer

translate.runs.quickstart.RECIPES = {"cyclegan": sys.argv[1]}
step, last = Trainer.step, int(sys.argv[2])

def stepping(self, batch):
    step(self, batch)
    if self.steps == last:
        os.kill(os.getpid(), signal.SIGKILL)

Trainer.step = stepping
main(["quickstart", "--out", "q", "--device", "cpu"])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL")
def test_killed_for_good_the_same_command_goes_on(quickstart, tmp_path) -> None:
    path = tmp_path / "tiny-cyclegan.yaml"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

    def child(last: int) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", CHILD, str(path), str(last)]
        return warm.run(words, env=environment)

    assert child(4).returncode == -signal.SIGKILL
    again = child(-1)
    assert again.returncode == 0 and "resuming after step 3" in again.stderr, again.stderr
    assert "next: look at q/comparison.png and q/run/report.html" in again.stderr
    finished = quickstart("--out", "q")
    kept_its_promise(finished, Path("q"))
    assert "q/run: trained to its end already" in finished.stderr

"""Every command ends with what can be done next, alike: one line a step on standard error, which works as it stands."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml
from ways_out import User, command_in, taken, tried, ways_of


def steps(text: str) -> list[str]:
    """What is said of the next steps, which are the last lines."""
    found = [line.removeprefix("next: ") for line in text.splitlines() if line.startswith("next: ")]
    assert found, text
    return found


@tried(
    ("runs/next_steps", "convert with `translate convert {} {} {}`"),
    ("runs/next_steps", "convert with `translate convert {} photos/ out/`"),
)
def from_training_to_translations(user: User) -> None:
    words = user.train(user.recipe("cyclegan"), "--out", "a run", data=user.data())
    look, convert = steps(user.gets(*words))
    assert look == "look at a run/report.html" and Path("a run/report.html").is_file()
    user.photos()
    assert steps(user.gets(*command_in(convert), "--device", "cpu")) == ["look at out/"]
    assert not any(line.startswith("next") for line in user.gets(*command_in(convert), "--device", "cpu").splitlines())
    assert len(list(Path("out").glob("*.png"))) == 2
    (gallery,) = steps(user.gets(*command_in(convert), "--device", "cpu", "--gallery", "page.html", "--overwrite"))
    assert gallery == "look at page.html"
    (exported,) = steps(user.gets("export", "a run", "the model"))
    user.gets(*command_in(exported)[:-3], "again/", *command_in(exported)[-2:], "--device", "cpu")


@tried(
    ("cli/evaluating", "see runs side by side with `translate compare {} OTHER-RUN`"),
    ("cli/evaluating", "make a page of it with `translate compare {} --html compare.html`"),
)
def from_scores_to_a_page(user: User) -> None:
    user.gets(*user.train(user.recipe("pix2pix"), "--out", "a run", data=user.data("paired")))
    (compare,) = steps(user.gets("evaluate", "a run", "--device", "cpu"))
    Path("OTHER-RUN").symlink_to("a run")
    (page,) = steps(user.gets(*command_in(compare)))
    assert steps(user.gets(*command_in(page))) == ["open compare.html in a browser"]
    assert steps(user.gets("report", "a run")) == ["open a run/report.html in a browser"]


@tried(("runs/next_steps", "generate images with `translate sample {} samples/`"))
def from_training_to_samples(user: User) -> None:
    words = user.train(user.recipe("gan"), "--out", "run", data=user.data("labelled"))
    look, sample = steps(user.gets(*words))
    assert look == "look at run/report.html"
    assert steps(user.gets(*command_in(sample), "--device", "cpu")) == ["look at samples"]


@tried(("cli/training", "the same command without --dry-run trains"))
def from_a_dry_run_to_a_run(user: User) -> None:
    words = user.train(user.recipe("pix2pix"), "--out", "run", data=user.data("paired"))
    (step,) = steps(user.gets(*words, "--dry-run"))
    option = taken(step, r"without (--dry-run) trains")
    user.gets(*(word for word in [*words, "--dry-run"] if word != option))


@tried(
    ("cli/training", "keep it with `translate recipes {}` > mine.yaml, change it, and train it with {}"),
    ("cli/training", "`translate train mine.yaml --data FOLDER`"),
    ("runs/next_steps", "train with `translate train {} --data {} {}`"),
    ("cli/data", "`translate train {} --data {} {}`"),
    ("cli/data", "look at one, or at a folder, with `translate data check NAME-OR-FOLDER`"),
)
def from_a_list_to_training(user: User) -> None:
    small = ("data.size=32", "data.load_size=32", "training.steps=1", "model.generator.filters=2", "--device", "cpu")
    explain, train = steps(user.gets("recipes"))
    assert "pix2pix" in user.gets(*command_in(explain))
    assert command_in(train) == ["train", "pix2pix", "--data", "FOLDER"]
    (step,) = steps(user.gets("recipes", "pix2pix"))
    printed = user.type(*command_in(step, "recipes")).stdout
    Path("mine.yaml").write_text(printed)
    Path("FOLDER").symlink_to(user.data("paired"))
    user.gets(*command_in(step, "train"), "--dry-run", *small)
    (check,) = steps(user.gets("data"))
    Path("NAME-OR-FOLDER").symlink_to("paired")
    for kind, recipe in {
        "NAME-OR-FOLDER": "pix2pix",
        user.data(): "cyclegan",
        user.data("labelled"): "stargan",
    }.items():
        (train,) = steps(user.gets(*command_in(check)[:-1], kind))
        assert command_in(train) == ["train", recipe, "--data", kind]
    (train,) = steps(user.gets("data", "check", "paired", "--recipe", "pix2pix", "data.size=32"))
    user.gets(*command_in(train), "--dry-run", *small[1:])


@tried(("cli/data", "`translate data check {} {} {}`"))
def from_a_problem_to_a_sound_set(user: User) -> None:
    damaged = next((Path(user.data()) / "trainA").iterdir()).with_name("damaged.png")
    damaged.write_bytes(b"words")
    (step,) = steps(user.refused("data", "check", user.data(), "--recipe", "cyclegan", "data.size=32", code=3))
    damaged.unlink()
    assert command_in(step)[-1] == "data.size=32"
    user.gets(*command_in(step))


@tried(("cli/sweeping", "see the runs side by side with `translate compare {}`"))
def from_a_sweep_to_a_table(user: User) -> None:
    words = ["translate", *user.train(user.recipe("pix2pix", steps=1), data=user.data("paired"))]
    parameters, metric = {"training.seed": {"values": [1, 2]}}, {"name": "validation/to_B/l1", "goal": "minimize"}
    command = ["${env}", *map(str, words), "${args_no_hyphens}"]
    sweep = {"method": "grid", "command": command, "parameters": parameters, "metric": metric}
    Path("sweep.yaml").write_text(yaml.safe_dump(sweep))
    (step,) = steps(user.gets("sweep", "sweep.yaml"))
    assert len(command_in(step)) == 3
    user.gets(*command_in(step))


@tried(("cli/training", "train on images of your own with `translate train {} --data FOLDER`"))
def from_the_quickstart_to_images_of_ones_own(user: User) -> None:
    user.monkeypatch.setattr("translate.runs.quickstart.quickstart", lambda *words, **more: {})
    look, train = steps(user.gets("quickstart", "pix2pix", "--out", "q"))
    assert look == "look at q/comparison.png and q/run/report.html"
    Path("FOLDER").symlink_to(user.data("paired"))
    user.gets(*command_in(train), "--dry-run", "data.size=32", "training.steps=1", "--device", "cpu")


@pytest.mark.parametrize("trial", ways_of(__name__))
def test_the_next_steps_work(trial, user: User) -> None:
    trial(user)


def test_no_step_is_told_to_who_wants_quiet_nor_on_standard_output(user: User) -> None:
    words = user.train(user.recipe("pix2pix"), "--out", "run", data=user.data("paired"))
    assert user.type(*words, "-q").stderr == ""
    assert user.type("evaluate", "run", "--device", "cpu", "-q").stderr.count("next:") == 0
    for line in ("schema", "recipes", "recipes pix2pix", "data", "report run", "compare run", "data check paired"):
        result = user.type(*shlex.split(line))
        assert result.stderr.splitlines()[-1].startswith("next: ") and "next: " not in result.stdout, line

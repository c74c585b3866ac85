"""The advice of messages about many runs, their best steps, folds and sweeps, followed. See `ways_out.py`."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ways_out import SAYS_NO_WAY, User, command_in, options_in, settings_in, taken, tried, ways_of

SAYS_NO_WAY |= {
    ("runs/best_by", "training.best_by: no measure '{}' in this run's validations"): "names what was given",
    ("runs/comparing/page", "Made by translate compare"): "says what was found",
    ("runs/comparing/run_files", "{} folds, data.fold_seed {}"): "says what was found",
}


@tried(
    ("runs/best_by", "`translate train {} --out {} --resume training.patience=null`"),
    ("runs/best_by", "validations in a row were not better than"),
)
def a_run_that_stopped_early(user: User) -> None:
    user.monkeypatch.setattr("translate.training.best.Choice.better", lambda *_: False)
    data = user.data("paired")
    text = user.gets(*user.train(user.recipe("pix2pix"), "--out", "run", data=data), "training.patience=1")
    text = user.gets(*command_in(text, "train"), "--device", "cpu")
    assert "stopped early" not in text and "4 of 4\n" in user.gets("compare", "run")


@tried(("runs/best_by", "needs a measure to wait for; set training.best_by"))
def patience_without_a_measure(user: User) -> None:
    words = user.train(user.recipe("stargan"), "--out", "run", data=user.data("labelled"))
    text = user.refused(*words, "training.patience=2")
    assert settings_in(text, "stargan") == [taken(text, r"(training\.patience): nothing is validated")]
    user.gets(*words)
    user.data("labelled")
    words = user.train(user.recipe("vae"), "--out", "another", "training.patience=2", data="labelled")
    text = user.refused(*words)
    (setting, *_) = [key for key in settings_in(text, "vae") if key != "training.patience"]
    user.gets(*words, f"{setting}=" + taken(text, r"to one of (\w+)"))


@tried(("runs/best_by", "training.best_by: of '{}' neither higher nor lower is better"))
def a_best_measure_without_a_direction(user: User) -> None:
    user.monkeypatch.setattr("translate.evaluation.metrics.MEASURES", {"l1": _change(), "ssim": _ssim()})
    words = user.train(user.recipe("pix2pix"), "--out", "run", data=user.data("paired"))
    assert "choose another" in user.refused(*words, "training.best_by=l1")
    user.gets(*words, "training.best_by=ssim")


def _change() -> object:
    from translate.evaluation.metrics import Measure, absolute_error

    return Measure("change", absolute_error)


def _ssim() -> object:
    from translate.evaluation.metrics import MEASURES

    return MEASURES["ssim"]


@tried(("cli/training", "--dry-run measures a single run; leave out --seeds and --folds"))
def a_dry_run_of_many(user: User) -> None:
    words = user.train(user.recipe("cyclegan"), "--dry-run", "--seeds", "0,1", data=user.data())
    assert "--seeds" in taken(user.refused(*words), "leave out (.*)")
    user.gets(*words[:-2])


@tried(("cli/many", "see this again with `translate compare {}`"))
def many_runs_to_compare(user: User) -> None:
    words = user.train(user.recipe("pix2pix"), "--out", "run", "--seeds", "0,1", data=user.data("paired"))
    result = user.gets(*words)
    assert "(2)" in user.gets(*command_in(result, "compare"))


@tried(("runs/many", "under torchrun start one command for each"))
def seeds_under_torchrun(user: User) -> None:
    words = user.train(user.recipe("cyclegan"), "--out", "run", data=user.data())
    with user.monkeypatch.context() as patched:
        patched.setenv("WORLD_SIZE", "2")
        text = user.refused(*words, "--seeds", "0,1")
    for setting in (taken(text, r"(training\.seed=)N") + "1", taken(text, r"(data\.fold=1/)N") + "2"):
        user.gets(*words[:-2], setting, taken(text, "its own (--out)"), setting.replace("/", "-"))


@tried(("data/folds", "data.fold is one of {}, and there are {} samples to train on"))
def more_folds_than_images(user: User) -> None:
    words = user.train(user.recipe("pix2pix"), "--out", "run", data=user.data("paired"))
    count = int(taken(user.refused(*words, "data.fold=1/99"), r"there are (\d+) samples"))
    user.gets(*words, f"data.fold=1/{count}")


@tried(("runs/image_sets/opening", "data.fold: points are drawn afresh for every batch; leave it out"))
def folds_of_points(user: User) -> None:
    words = ["train", user.recipe("gan", {"size": 8, "load_size": 8}), "--data", "ring", "--device", "cpu"]
    assert "points are drawn" in user.refused(*words, "data.fold=1/2")


def _sweep(user: User, **values: object) -> None:
    command = [
        "translate",
        "train",
        user.recipe("cyclegan"),
        "--data",
        user.data(),
        "--device",
        "cpu",
        "${args_no_hyphens}",
    ]
    parameters = {"training.lr": {"min": 0.001, "max": 0.01}}
    given = {"method": "random", "parameters": parameters, "command": command, **values}
    Path("sweep.yaml").write_text(yaml.safe_dump({key: value for key, value in given.items() if value is not None}))


@tried(("runs/sweep_file", "a random search has no end: set run_cap in the file, or give --runs N"))
def a_sweep_without_end(user: User) -> None:
    _sweep(user)
    text = user.refused("sweep", "sweep.yaml")
    user.gets("sweep", "sweep.yaml", taken(text, "give (--runs) N"), "1")
    _sweep(user, **{taken(text, r"set (\w+) in the file"): 1})
    user.gets("sweep", "sweep.yaml")


@tried(("runs/sweep_file", "translate, train, RECIPE, --data, DATA"))
def a_sweep_without_its_command(user: User) -> None:
    _sweep(user, run_cap=1, command=None)
    line = taken(user.refused("sweep", "sweep.yaml"), r"\n(command: .*)")
    line = line.replace("RECIPE", user.recipe("cyclegan")).replace("DATA", "unpaired, --device, cpu")
    Path("sweep.yaml").write_text(f"{Path('sweep.yaml').read_text()}{line}\n")
    user.gets("sweep", "sweep.yaml")


@tried(("cli/sweeping", "--out, --resume, --dry-run, --seeds and --folds"))
def a_sweep_that_chooses_folders(user: User) -> None:
    _sweep(user, run_cap=1, command=["translate", "train", user.recipe("cyclegan"), "--out", "x", "${args_no_hyphens}"])
    assert "--out" in options_in(taken(user.refused("sweep", "sweep.yaml"), "leave out (.*)"), "train")
    _sweep(user, run_cap=1)
    user.gets("sweep", "sweep.yaml")


@tried(("cli/sweeping", "without effect here; training.patience=N ends a run that gets no better"))
def a_sweep_whose_runs_their_server_would_end(user: User) -> None:
    pairs = ["--data", user.data("paired"), "--device", "cpu"]
    given = {"run_cap": 1, "command": ["translate", "train", user.recipe("pix2pix"), *pairs, "${args_no_hyphens}"]}
    _sweep(user, **given, early_terminate={"type": "hyperband"}, metric={"name": "step", "target": 1})
    text = user.gets("sweep", "sweep.yaml")
    assert text.count("early_terminate and metric.target: for the server") == 1
    key = taken(text, r"(training\.patience)=N")
    user.gets("sweep", "sweep.yaml", f"{key}=2", "--out", "other")
    _sweep(user, **given)
    assert "without effect" not in user.gets("sweep", "sweep.yaml")


@pytest.mark.parametrize("trial", ways_of(__name__))
def test_the_advice_works(trial, user: User) -> None:
    trial(user)

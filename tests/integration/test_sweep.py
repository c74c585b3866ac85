"""A sweep from its file: a run for each point, those that fail, going on, and the table of the best."""

import json
from pathlib import Path

import pytest
import yaml
from tiny import paired_folder

from translate.errors import TranslateError
from translate.recipe import load_recipe
from translate.runs import many
from translate.runs.sweep_file import Metric
from translate.runs.sweeping import ranked
from translate.training.loop import TrainingRun


@pytest.fixture
def sweep(run_cli, tiny_recipe, tmp_path):
    """Writes a sweep file of pix2pix, and types its command."""
    data = paired_folder(tmp_path / "pairs")

    def run(*more, rates=(1e-3, 1e-4), command=(), parameters=None, **keys):
        given = {"training.lr": {"values": list(rates)}, "training.keep": {"value": 2}}
        words = [
            "${env}",
            "translate",
            "train",
            tiny_recipe("pix2pix"),
            "--data",
            str(data),
            "--device",
            "cpu",
            *command,
        ]
        values = {"method": "grid", "metric": {"name": "validation/to_B/l1"}, "parameters": parameters or given, **keys}
        (tmp_path / "search.yaml").write_text(yaml.safe_dump(values | {"command": [*words, "${args_no_hyphens}"]}))
        return run_cli("sweep", "search.yaml", "-q", *more)

    return run


def _l1(run: str) -> float:
    rows = [json.loads(line) for line in Path(run, "metrics.jsonl").read_text().splitlines()]
    return next(row["validation/to_B/l1"] for row in reversed(rows) if "validation/to_B/l1" in row)


def test_every_point_is_a_run_and_the_best_comes_first(sweep):
    result = sweep("training.steps=3")
    assert result.exit_code == 0, result.output
    runs = ["runs/search/1", "runs/search/2"]
    recipes = [load_recipe(Path(run) / "recipe.yaml") for run in runs]
    assert [(one.training.lr, one.training.keep, one.training.steps) for one in recipes] == [(1e-3, 2, 3), (1e-4, 2, 3)]
    head, *rows = [line.split() for line in result.stdout.splitlines() if not line.startswith("runs\n")]
    assert head == ["training.lr", "validation/to_B/l1", "step"], "what is the same in all points is not told"
    best = sorted(runs, key=_l1)
    assert [row[0] for row in rows] == best and rows[0][2] == f"{_l1(best[0]):.4g}"
    other = sweep("training.steps=3", metric={"name": "best/l1", "goal": "maximize"})
    assert [line.split()[0] for line in other.stdout.splitlines()[1:]] == best[::-1]


def test_a_point_that_fails_loses_no_other_and_the_same_command_goes_on(sweep, monkeypatch):
    go = TrainingRun.go

    def instead(run):
        if run.records.folder.name == "1":
            raise TranslateError("no room")
        return go(run)

    with monkeypatch.context() as patched:
        patched.setattr(TrainingRun, "go", instead)
        result = sweep("--out", "mine")
    assert result.exit_code == 3 and "error: mine/1: no room" in result.output and "\nmine/2 " in result.stdout
    trained, train = [], many.train
    monkeypatch.setattr(many, "train", lambda recipe, **more: trained.append(more["out"].name) or train(recipe, **more))
    assert sweep("--out", "mine").exit_code == 0 and trained == ["1"]


def test_a_random_search_draws_as_many_points_as_are_wanted(sweep):
    parameters = {"training.lr": {"min": 0.0001, "max": 0.01, "distribution": "log_uniform_values"}}
    drawn = {"method": "random", "parameters": parameters, "run_cap": 1}
    assert sweep(**drawn).exit_code == 0 and sweep("--runs", "2", **drawn).exit_code == 0
    rates = [load_recipe(run / "recipe.yaml").training.lr for run in sorted(Path("runs/search").iterdir())]
    assert len(set(rates)) == 2 and all(1e-4 <= rate <= 1e-2 for rate in rates)


def test_a_point_that_is_no_recipe_is_refused_before_anything_is_trained(sweep):
    result = sweep(parameters={"training.lr": {"values": [0.1, -1]}})
    assert result.exit_code == 2 and "training.lr" in result.output and not Path("runs").exists()
    result = sweep(parameters={"training.rate": {"value": 0.1}})
    assert result.exit_code == 2 and "did you mean 'training.lr'" in result.output


@pytest.mark.parametrize("more", [["--out", "x"], ["--resume"], ["--dry-run"], ["--seeds", "0,1"], ["--folds", "2"]])
def test_what_a_sweep_decides_is_not_in_its_command(sweep, more):
    result = sweep(command=more)
    assert result.exit_code == 2 and "a sweep chooses the folders" in result.output and not Path("runs").exists()


def test_a_metric_that_no_run_has_is_told_with_the_nearest(sweep):
    result = sweep(metric={"name": "validation/to_B/l2"})
    assert result.exit_code == 2 and "did you mean 'validation/to_B/l1'" in result.output


def test_a_run_without_the_metric_comes_last(tmp_path, monkeypatch):
    values = {tmp_path / "1": float("nan"), tmp_path / "2": 2.0, tmp_path / "3": 1.0, tmp_path / "4": None}
    found = {run: {"step": 1.0, **({} if value is None else {"m": value})} for run, value in values.items()}
    monkeypatch.setattr("translate.runs.sweeping._measured", found.get)
    points = [{"a": number} for number in range(5)]
    for goal, order in (("minimize", "3214"), ("maximize", "2314")):
        lines = ranked(points, [*values, None], Metric(name="m", goal=goal))
        assert "".join(line.split()[0][-1] for line in lines[1:]) == order

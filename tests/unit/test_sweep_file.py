"""Sweep files: read as Weights & Biases reads them, refused where they cannot, and the points that they ask for."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import yaml

from translate.errors import ConfigurationError
from translate.recipe import load_recipe
from translate.runs.sweep_file import DISTRIBUTIONS, Sweep, overrides, read_sweep

COMMAND = ["${env}", "translate", "train", "cyclegan", "--data", "shapes", "${args_no_hyphens}"]
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "sweep.yaml"


@pytest.fixture
def sweep(tmp_path):
    """Writes a sweep file and reads it."""

    def read(parameters, method="grid", **more):
        path = tmp_path / "sweep.yaml"
        path.write_text(yaml.safe_dump({"method": method, "parameters": parameters, "command": COMMAND, **more}))
        return read_sweep(path)

    return read


def test_a_grid_is_every_combination_in_the_order_of_the_file(sweep):
    found = sweep(
        {"training.lr": {"values": [0.1, 0.2]}, "model.cycle": {"value": 5}, "data.size": {"min": 1, "max": 2}}
    )
    points = [(p["training.lr"], p["data.size"], p["model.cycle"]) for p in found.points()]
    assert sorted(points) == [(0.1, 1, 5), (0.1, 2, 5), (0.2, 1, 5), (0.2, 2, 5)]
    assert found.points(3) == found.points()[:3] and sweep({"a": {"values": [1, 2, 3]}}, run_cap=2).points() == [
        {"a": 1},
        {"a": 2},
    ]


def test_a_random_point_follows_from_seed_and_number_alone(sweep):
    found = sweep({"a": {"min": 0.0, "max": 1.0}, "b": {"values": [1, 2, 3]}}, "random", run_cap=8)
    assert found.points(20)[:8] == found.points() == found.points(8, seed=0)
    assert found.points(8, seed=1) != found.points() and len({repr(point) for point in found.points()}) == 8


DRAWN = [
    ({"min": 2, "max": 4}, [2, 3, 4]),
    ({"values": ["x", "y"]}, ["x", "y"]),
    ({"values": ["x", "y"], "probabilities": [1.0, 0.0]}, ["x"]),
    ({"value": None}, [None]),
    ({"min": 0, "max": 1, "q": 0.25, "distribution": "q_uniform"}, [0.0, 0.25, 0.5, 0.75, 1.0]),
]


@pytest.mark.parametrize(("parameter", "values"), DRAWN, ids=lambda of: str(of))
def test_what_is_drawn_of_few_values_is_all_of_them(sweep, parameter, values):
    assert {point["a"] for point in sweep({"a": parameter}, "random").points(200)} == set(values)


@pytest.mark.parametrize(
    ("parameter", "low", "high", "middle"),
    [
        ({"min": 1, "max": 3.0}, 1, 3, 2),
        ({"min": 0.0001, "max": 0.01, "distribution": "log_uniform_values"}, 1e-4, 1e-2, 1e-3),
        ({"min": -2, "max": 2, "distribution": "log_uniform"}, math.exp(-2), math.exp(2), 1),
        ({"mu": 5, "sigma": 1, "distribution": "normal"}, -math.inf, math.inf, 5),
        ({"mu": 1, "sigma": 0.5, "distribution": "log_normal"}, 0, math.inf, math.e),
        ({"min": 10.0, "max": 1000.0, "q": 10, "distribution": "q_log_uniform_values"}, 10, 1000, 100),
    ],
    ids=lambda of: str(of),
)
def test_what_is_drawn_of_a_span_lies_in_it_with_the_median_where_it_belongs(sweep, parameter, low, high, middle):
    drawn = [point["a"] for point in sweep({"a": parameter}, "random").points(400)]
    assert low <= min(drawn) and max(drawn) <= high
    assert np.median(drawn) == pytest.approx(middle, rel=0.25)


def test_every_distribution_can_be_drawn_from(sweep):
    given = {"min": 1, "max": 5, "values": [1], "probabilities": [1.0], "value": 1}
    for name, kind in DISTRIBUTIONS.items():
        one = {key: given[key] for key in kind.needs} | {"distribution": name}
        assert isinstance(sweep({"a": one}, "random").points(1)[0]["a"], int | float)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"method": "bayes"}, "bayes is searched by the server of Weights & Biases; set method: random"),
        ({"method": "gird"}, "'method'"),
        ({"metod": "grid"}, "unknown key 'metod'"),
        ({"parameters": {}}, "'parameters'"),
        ({"parameters": {"a": {}}}, "constant needs value"),
        ({"parameters": {"a": {"values": []}}}, "'parameters.a.values'"),
        ({"parameters": {"a": {"vals": [1]}}}, "line 12: unknown key 'vals'"),
        ({"parameters": {"a": {"min": 1}}}, "uniform needs max"),
        ({"parameters": {"a": {"min": 2, "max": 1}}}, "min must be less than max"),
        ({"parameters": {"a": {"min": 0.5, "max": 1}}}, "a grid needs values for a"),
        ({"parameters": {"a": {"min": 0, "max": 1, "distribution": "log_uniform_values"}}}, "a min above 0"),
        ({"parameters": {"a": {"min": 0, "max": 1, "distribution": "beta"}}}, "no distribution 'beta'"),
        ({"parameters": {"a": {"values": [1], "q": 2}}}, "takes no q"),
        ({"parameters": {"a": {"values": [1, 2], "probabilities": [1.0]}}}, "probabilities are one for each"),
        ({"parameters": {"a": {"parameters": {"b": {"value": 1}}}}}, "a is nested; write its settings as a.KEY"),
        ({"metric": {"name": "x", "goal": "up"}}, "'metric.goal'"),
        ({"run_cap": 0}, "'run_cap'"),
    ],
    ids=lambda of: str(of)[:60],
)
def test_a_mistake_is_told_with_its_place(sweep, changed, says):
    with pytest.raises(ConfigurationError) as error:
        sweep(changed.get("parameters", {"a": {"value": 1}}), **{k: v for k, v in changed.items() if k != "parameters"})
    assert says in str(error.value) and "sweep.yaml" in str(error.value)


def test_a_number_that_weights_and_biases_takes_for_a_word_is_refused(tmp_path):
    path = tmp_path / "sweep.yaml"
    text = "method: random\nparameters:\n  training.lr: {min: MIN, max: 0.1, distribution: log_uniform_values}\n"
    path.write_text(text.replace("MIN", "1e-4"))
    with pytest.raises(ConfigurationError, match="reads '1e-4' as a word; write it as 0"):
        read_sweep(path)
    path.write_text(text.replace("MIN", "1.0e-4"))
    assert 1e-4 <= read_sweep(path).points(1)[0]["training.lr"] <= 0.1


def test_a_random_search_without_end_is_refused(sweep):
    with pytest.raises(ConfigurationError, match=r"set run_cap in the file, or give --runs"):
        sweep({"a": {"min": 0, "max": 9}}, "random").points()


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ([], "expected what each run is begun with"),
        (["python", "train.py", "${args}"], "expected what each run is begun with"),
        (["translate", "train", "cyclegan", "${args}"], "expected what each run is begun with"),
        (["translate", "train", "cyclegan", "${args_no_hyphens}", "${args}"], r"\$\{args\} cannot be filled in"),
    ],
)
def test_a_command_that_is_not_ours_is_refused_with_one_that_works(sweep, command, says):
    with pytest.raises(ConfigurationError, match=says):
        sweep({"a": {"value": 1}}, command=command).words(Path("sweep.yaml"))


@pytest.mark.parametrize("path", [EXAMPLE, None])
def test_an_agent_of_weights_and_biases_begins_the_very_runs(sweep, tmp_path, path):
    """Their own code reads the file and fills in the command; each run's recipe is then that of the sweep here."""
    from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args, load_sweep_config

    if path is None:
        values = {"training.lr": {"values": [1e-5, 0.25]}, "data.flip": {"values": [True, False]}}
        sweep({**values, "data.resize": {"value": "centre"}, "training.keep_every": {"values": [None, 5]}})
        path = tmp_path / "sweep.yaml"
    here, theirs = read_sweep(path), load_sweep_config(str(path))
    words = here.words(path)
    for point in here.points():
        filled = create_sweep_command_args({"args": {key: {"value": value} for key, value in point.items()}})
        line = []
        for word in create_sweep_command(theirs["command"]):
            line += filled[word[2:-1]] if word in ("${args_no_hyphens}", "${args}") else [word]
        begins = line.index("train") + 1
        ours = [word for word in words[1:] if "=" in word] + overrides(point)
        assert line[begins] == words[0]
        keyed = [word for word in line[begins + 1 :] if "=" in word]
        assert load_recipe(words[0], keyed) == load_recipe(words[0], ours)


def test_the_example_is_six_points_and_every_one_a_recipe():
    found = read_sweep(EXAMPLE)
    recipe, *fixed = found.words(EXAMPLE)
    points = found.points()
    assert len(points) == 6 and len({load_recipe(recipe, [*fixed, *overrides(p)]).to_yaml() for p in points}) == 6


def test_what_is_theirs_alone_may_stand_in_the_file(sweep):
    more = {"entity": "us", "project": "p", "name": "n", "early_terminate": {"type": "hyperband", "min_iter": 3}}
    assert sweep({"a": {"value": 1}}, program="translate", description="d", **more).points() == [{"a": 1}]
    assert isinstance(json.loads(overrides({"a": [1, "x"]})[0].partition("=")[2]), list)
    assert Sweep.model_fields.keys() >= more.keys()

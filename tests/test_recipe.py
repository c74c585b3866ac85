"""Recipes: strict, typed, forgiving in nothing, helpful in everything."""

import json
import time

import pytest

from translate.errors import ConfigurationError
from translate.recipe import Recipe, known_keys, load_recipe, parse_recipe, recipe_names
from translate.yaml_reader import read_yaml, read_yaml_value


@pytest.fixture
def write(tmp_path):
    def write(text, name="mine.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


MINE = "model: {name: cyclegan}\ntraining:\n  steps: 10\n"


def test_every_shipped_recipe_loads_and_survives_json_and_yaml(tmp_path):
    assert {"cyclegan", "cyclegan-paper", "pix2pix", "pix2pix-paper", "quickstart"} <= set(recipe_names())
    for name in recipe_names():
        recipe = load_recipe(name)
        assert recipe.summary
        assert parse_recipe(json.loads(json.dumps(recipe.to_json())), name) == recipe
        path = tmp_path / f"{name}.yaml"
        path.write_text(recipe.to_yaml())
        assert load_recipe(str(path)) == recipe


def test_a_number_without_a_point_is_a_number(write):
    assert load_recipe(write(MINE + "  lr: 1e-4\n")).training.lr == 1e-4
    assert load_recipe("cyclegan", ["training.lr=1e-4"]).training.lr == 1e-4


def test_overrides_change_single_keys_and_steps_replace_epochs():
    recipe = load_recipe("cyclegan", ["training.steps=7", "data.size=64", "model.generator.blocks=2"])
    assert (recipe.training.steps, recipe.training.epochs) == (7, None)
    assert recipe.data.size == 64
    assert recipe.data.loaded_size == 72  # the published proportion 286/256
    assert recipe.model.generator.blocks == 2
    assert recipe.model.generator.filters == 64


def test_a_recipe_stands_on_another(write):
    recipe = load_recipe(write("base: cyclegan\nmodel: {cycle: 5}\ntraining: {steps: 9}\n"))
    assert recipe.model.cycle == 5
    assert recipe.model.identity == 0.5
    assert (recipe.training.steps, recipe.training.epochs) == (9, None)
    assert recipe.name == "mine"


def test_a_generator_of_another_kind_replaces_the_one_below(write):
    recipe = load_recipe(write("base: cyclegan\nmodel:\n  generator: {kind: unet}\n"))
    assert recipe.model.generator.kind == "unet"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (MINE + "  learning_rate: 1\n", "line 4: unknown key 'training.learning_rate'"),
        (MINE + "  batchsize: 1\n", "did you mean 'training.batch_size'?"),
        ("model: {name: cyclegan, cyle: 3}\ntraining: {steps: 1}", "did you mean 'model.cycle'?"),
        (
            "model: {name: cyclegan, generator: {kind: resnet, blocs: 3}}\ntraining: {steps: 1}",
            "'model.generator.blocks'?",
        ),
        ("model: {name: cyclgan}\ntraining: {steps: 1}", "did you mean 'cyclegan'?"),
        (
            "model: {name: cyclegan, generator: {kind: resnett}}\ntraining: {steps: 1}",
            "did you mean 'resnet'?",
        ),
        (MINE.replace("10", "ten"), "'training.steps': input should be a valid integer, got \"ten\""),
        (MINE.replace("10", "no"), 'got "no"'),
        (MINE.replace("10", "0"), "greater than or equal to 1, got 0"),
        (MINE + "  epochs: 3\n", "exactly one of steps and epochs"),
        ("model: {name: cyclegan}\ntraining: {}", "exactly one of steps and epochs"),
        ("training: {steps: 1}", "'model': field required"),
        (MINE + "  batch_size: 3\n  accumulate: 2\n", "accumulate 2 does not split batch_size 3"),
        (MINE + "  steps: 3\n", "line 4: the key 'steps' stands twice (first in line 3)"),
        (MINE + "data: {load_size: 100, size: 256}", "load_size 100 is smaller than size 256"),
        ("a: &x [1]\nb: *x\n", "line 1: anchors and aliases are not allowed"),
        ("a: !!python/object/apply:os.system [echo]\n", "line 1: tag"),
        ("- 1\n", "expected `key: value` lines"),
        ("a: [1\n", "line 2"),
        ("true: 1\n", "the key 'true' is not a word"),
        ("base: mine.yaml\n", "no recipe 'mine.yaml'"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_a_way_out(write, text, says):
    with pytest.raises(ConfigurationError) as error:
        load_recipe(write(text))
    assert says in str(error.value)
    assert error.value.exit_code == 2


def test_yaml_bombs_end_quickly():
    bomb = "a: &a [x]\n" + "\n".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]" for i in range(20)
    )
    for text in (bomb, "a: " + "[" * 5000, "{" * 5000, "a: " + "x" * 2_000_000):
        began = time.monotonic()
        with pytest.raises(ConfigurationError):
            read_yaml(text, "bomb")
        assert time.monotonic() - began < 1


def test_scalars_mean_what_they_look_like():
    words = {"no": "no", "on": "on", "0123": "0123", "12:30:00": "12:30:00", "2026-01-01": "2026-01-01"}
    for text, value in (words | {"1e-4": 1e-4, "true": True, "~": None, "-3": -3, ".5": 0.5}).items():
        read = read_yaml_value(text)
        assert read == value and type(read) is type(value), text


def test_an_unknown_override_says_what_there_is():
    with pytest.raises(ConfigurationError, match=r"did you mean 'training.steps'"):
        load_recipe("cyclegan", ["training.step=3"])
    with pytest.raises(ConfigurationError, match=r"section.key=value"):
        load_recipe("cyclegan", ["training.steps"])


def test_an_unknown_recipe_proposes_the_nearest():
    with pytest.raises(ConfigurationError, match="did you mean 'cyclegan'"):
        load_recipe("cyclgan")


def test_known_keys_reach_into_every_model():
    keys = known_keys(Recipe)
    assert {
        "training.lr",
        "data.size",
        "model.pool",
        "model.reconstruction",
        "model.generator.levels",
    } <= set(keys)


def test_paper_recipes_differ_from_the_ports_where_they_should():
    port, paper = load_recipe("cyclegan"), load_recipe("cyclegan-paper")
    assert (port.model.turns, paper.model.turns) == ("joint", "separate")
    assert (port.model.adversarial.discriminator_weight, paper.model.adversarial.discriminator_weight) == (0.5, 1.0)
    assert (paper.data.size, paper.data.loaded_size, paper.model.generator.blocks) == (128, 143, 6)
    assert paper.model.generator.normalisation == "affine_instance"
    assert port.model.identity == paper.model.identity == 0.5
    port, paper = load_recipe("pix2pix"), load_recipe("pix2pix-paper")
    assert (port.training.schedule, paper.training.schedule) == ("linear", "constant")
    placements = (port.model.generator.dropout_placement, paper.model.generator.dropout_placement)
    assert placements == ("port", "paper")

"""Recipes: strict, typed, forgiving in nothing, helpful in everything."""

import json
import time

import pytest

from translate.errors import ConfigurationError
from translate.recipe import Recipe, known_keys, load_recipe, parse_recipe, recipe_names
from translate.utils.yaml_reader import read_yaml, read_yaml_value


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
    assert recipe.data.loaded == (72, 72)  # the published proportion 286/256
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
        (MINE + "  networks: {generator: {lrr: 1}}\n", "did you mean 'training.networks.generator.lr'?"),
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
        (MINE.replace("10", "ten"), "'training.steps': expected a whole number, 1 or more, or null, got \"ten\""),
        (MINE.replace("10", "no"), 'got "no"'),
        (MINE.replace("10", "0"), "expected a whole number, 1 or more, or null, got 0"),
        (MINE + "  epochs: 3\n", "exactly one of steps and epochs"),
        ("model: {name: cyclegan}\ntraining: {}", "exactly one of steps and epochs"),
        ("training: {steps: 1}", "'model' is missing: expected a section, whose name is pix2pix"),
        (MINE + "  seed: -1\n", "expected a whole number, 0 or more, less than"),
        (MINE + f"  seed: {2**63}\n", "less than 9,223,372,036,854,775,808, e.g. seed: 0, got 9223372036854775808"),
        (MINE + "data: {shapes: {seed: -1}}", "e.g. seed: 0, got -1"),
        (MINE + "  batch_size: 3\n  accumulate: 2\n", "accumulate 2 does not split batch_size 3"),
        (MINE + "  steps: 3\n", "line 4: the key 'steps' is given twice (first in line 3)"),
        (MINE + "data: {load_size: 100, size: 256}", "load_size 100 is smaller than size 256"),
        ("a: &x [1]\nb: *x\n", "line 1: anchors and aliases are not allowed"),
        ("a: !!python/object/apply:os.system [echo]\n", "line 1: tag"),
        ("- 1\n", "expected `key: value` lines"),
        ("a: [1\n", "line 2"),
        ("true: 1\n", "the key 'true' is not a word"),
        ("base: mine.yaml\n", "in a circle"),
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
        began = time.process_time()
        with pytest.raises(ConfigurationError):
            read_yaml(text, "bomb")
        assert time.process_time() - began < 10


def test_scalars_mean_what_they_look_like():
    words = {"no": "no", "on": "on", "0123": "0123", "12:30:00": "12:30:00", "2026-01-01": "2026-01-01"}
    for text, value in (words | {"1e-4": 1e-4, "true": True, "False": False, "~": None, "-3": -3, ".5": 0.5}).items():
        read = read_yaml_value(text)
        assert read == value and type(read) is type(value), text


def test_a_whole_number_may_be_written_as_a_float(write):
    recipe = load_recipe(
        write(MINE.replace("10", "1e4") + "  keep_every: 2.0\n"), ["model.pool=5e1", "data.workers=3.0"]
    )
    whole = (recipe.training.steps, recipe.training.keep_every, recipe.model.pool, recipe.data.workers)
    assert whole == (10_000, 2, 50, 3) and {type(number) for number in whole} == {int}
    with pytest.raises(ConfigurationError, match=r"data.workers.*got 2.5"):
        load_recipe("cyclegan", ["data.workers=2.5", "training.steps=1e4"])
    with pytest.raises(ConfigurationError, match=r"'training.steps'.*a whole number, 1 or more"):
        load_recipe("cyclegan", ["training.steps=-1e4"])


def test_a_float_stays_one_where_both_are_meant(write):
    augment = "{name: CoarseDropout, hole_height_range: [0.5, 1.0]}"
    given = load_recipe("cyclegan", [f"data.augment=[{augment}]", "training.steps=1e2"]).data.augment[0].arguments
    assert type(given["hole_height_range"][1]) is float


def test_none_by_itself_is_null_as_sweeps_write_it_and_a_word_in_a_list():
    assert load_recipe("cyclegan", ["training.ema=None"]).training.ema is None
    assert load_recipe("cyclegan", ["data.domains=[None, glioma]"]).data.domains == ("None", "glioma")


def test_an_unknown_override_says_what_there_is():
    with pytest.raises(ConfigurationError, match=r"did you mean 'training.steps'"):
        load_recipe("cyclegan", ["training.step=3"])
    with pytest.raises(ConfigurationError, match=r"section.key=value"):
        load_recipe("cyclegan", ["training.steps"])


def test_an_override_of_the_kind_begins_the_section_anew_whatever_its_place():
    recipe = load_recipe("cyclegan", ["model.generator.filters=8", "model.generator.kind=unet"])
    assert (recipe.model.generator.kind, recipe.model.generator.filters) == ("unet", 8)
    recipe = load_recipe("cyclegan", ["model.generator.kind=resnet"])
    assert recipe.model.generator.normalisation == "instance"  # the same kind: what stood there stays


def test_a_key_of_another_kind_is_not_proposed_for_itself():
    with pytest.raises(ConfigurationError, match=r"'unet' has no such key") as error:
        load_recipe("cyclegan", ["model.generator.kind=unet", "model.generator.blocks=2"])
    assert "did you mean" not in str(error.value)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["training.batch_size=abc"], "--set training.batch_size=abc: 'training.batch_size': expected a whole"),
        (["data={size: abc}"], "--set data={size: abc}: 'data.size': expected a whole"),
        (["model.generator.kind=unett"], "--set model.generator.kind=unett: 'model.generator.kind' is unett"),
        (["training.step=3"], "--set training.step=3: unknown key"),
    ],
)
def test_a_mistake_of_set_is_not_blamed_on_the_file(overrides, says):
    with pytest.raises(ConfigurationError) as error:
        load_recipe("cyclegan", overrides)
    assert str(error.value).startswith(says)


def test_a_section_that_does_not_agree_names_the_file_and_what_was_set_in_it():
    with pytest.raises(
        ConfigurationError, match=r"cyclegan\.yaml: line 11, --set data\.load_size=100: 'data': load_size"
    ):
        load_recipe("cyclegan", ["data.load_size=100", "training.steps=3"])


def test_a_base_lies_beside_the_recipe_that_names_it(write, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "low.yaml").write_text("base: pix2pix\n")
    write("base: cyclegan\ntraining: {steps: 3}\n", "low.yaml")
    assert load_recipe(write("base: low.yaml\n")).model.name == "cyclegan"
    (tmp_path / "low.yaml").unlink()
    assert load_recipe(write("base: low.yaml\n")).model.name == "pix2pix"  # else in the working folder


def test_a_mistake_of_the_base_names_the_base_and_a_missing_base_both_files(write, tmp_path):
    write("base: cyclegan\ntraining: {steps: 3, lrr: 3}\n", "low.yaml")
    with pytest.raises(ConfigurationError, match=r"low\.yaml: line 2: unknown key 'training\.lrr'"):
        load_recipe(write("base: low.yaml\n"))
    with pytest.raises(ConfigurationError) as error:
        load_recipe(write("base: lw.yaml\n"))
    assert str(error.value).startswith(f"{tmp_path / 'mine.yaml'}: base: no recipe 'lw.yaml'")
    assert str(tmp_path / "lw.yaml") in str(error.value)


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"])
def test_a_base_that_no_file_can_be_called_is_refused_in_words(write, name):
    with pytest.raises(ConfigurationError, match="no recipe"):
        load_recipe(write(f"base: {json.dumps(name)}\n"))


def test_bases_that_stand_on_each_other_are_refused_however_they_are_spelled(write, tmp_path):
    write(f"base: ../{tmp_path.name}/mine.yaml\n", "low.yaml")
    with pytest.raises(ConfigurationError, match="in a circle"):
        load_recipe(write("base: ./low.yaml\n"))


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
    assert (paper.data.size, paper.data.loaded.height, paper.model.generator.blocks) == (128, 143, 6)
    assert paper.model.generator.normalisation == "affine_instance"
    assert port.model.identity == paper.model.identity == 0.5
    port, paper = load_recipe("pix2pix"), load_recipe("pix2pix-paper")
    assert (port.training.schedule, paper.training.schedule) == ("linear", "constant")
    placements = (port.model.generator.dropout_placement, paper.model.generator.dropout_placement)
    assert placements == ("port", "paper")

"""What settings mean is reachable: `translate explain`, comments of recipes, the JSON schema, and hints in messages."""

from __future__ import annotations

import json
from functools import cache

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from translate.cli import main
from translate.errors import ConfigurationError
from translate.models import MODELS
from translate.recipe import Recipe, load_recipe, recipe_names
from translate.recipe.explaining import commented, explained
from translate.recipe.keys import Key, first_sentence, keys_of, meant
from translate.recipe.schema import json_schema
from translate.training.settings import TrainingSettings
from translate.utils.settings import meanings
from translate.utils.shipped import shipped
from translate.utils.yaml_reader import read_yaml

KEYS = list(keys_of(Recipe))


def test_every_key_says_what_it_means_and_which_values_it_takes() -> None:
    silent = {key.name for key in KEYS if not key.meaning.strip() or not key.values}
    assert not silent


def test_a_meaning_is_the_string_below_the_field() -> None:
    assert meanings(TrainingSettings)["keep"] == "Number of newest checkpoints to keep, in addition to the best."
    assert "schedule" in meanings(TrainingSettings), "those of the class it is based on, too"


@pytest.mark.parametrize(
    ("word", "key", "also"),
    [
        ("labels", "data.domains.NAME.kind", "data.domains.NAME.colours  Of label maps in colours"),
        ("instances", "data.domains.NAME.kind", "keys of instances:"),
        ("hinge", "model.adversarial.objective", "What real and generated images are to score"),
        ("bf16", "training.precision", "Of convolutions: `bf16` is faster"),
        ("cutout", "model.adversarial.augment", "For small sets"),
    ],
)
def test_a_value_is_explained_with_the_key_that_takes_it(word: str, key: str, also: str) -> None:
    lines = explained(word)
    assert lines[0] == f"{word}, a value of {key}"
    assert also.lower() in "\n".join(lines).lower()


def test_a_class_without_a_source_has_no_meanings() -> None:
    made = type("Made", (TrainingSettings,), {"__annotations__": {"further": int}, "further": 1})
    assert "further" not in meanings(made) and "keep" in meanings(made)


@pytest.mark.parametrize(
    ("key", "lines"),
    [
        ("training.ema", ["training.ema: a number, more than 0, less than 1, or null", "  default: null"]),
        ("training.lr", ["training.lr: a number, more than 0", "  default: 0.0002", "  see also: training.network_lr"]),
        ("data.cache", ["data.cache: off, ram, disk or device", '  default: "ram"']),
        ("training.schedule", ["training.schedule: constant, linear, cosine or halving"]),
        ("data.domains.ct.unit", ["data.domains.NAME.unit: text of at most 20 letters"]),
        ("data.range", ["data.range: a list of 2, each a number, or null"]),
        ("data.flip", ["data.flip: true or false", "  default: true"]),
    ],
)
def test_a_key_is_explained(key: str, lines: list[str]) -> None:
    assert set(lines) <= set(explained(key))


def test_what_other_recipes_say_stands_there() -> None:
    (line,) = [line for line in explained("training.precision") if "other recipes" in line] or [""]
    assert all(load_recipe(name).training.precision == "auto" for name in recipe_names()) == (line == "")
    (line,) = [line for line in explained("training.weight_decay") if "other recipes" in line]
    value, _, names = line.removeprefix("  other recipes: ").split(";")[0].partition(" in ")
    assert all(
        load_recipe(name).training.weight_decay == float(value) for name in names.removesuffix(" ...").split(", ")
    )


def test_the_end_of_a_key_explains_all_that_end_so() -> None:
    lines = explained("lr")
    assert lines[0].startswith("training.lr:") or lines[0].startswith("training.networks.NAME.lr:")
    assert {"training.lr: a number, more than 0", "training.networks.NAME.lr: a number, more than 0, or null"} <= set(
        lines
    )
    assert explained("filters")[0].endswith("keys end so; give one of them whole:")


@pytest.mark.parametrize("method", list(MODELS))
def test_a_method_says_what_it_learns_from_and_its_keys(method: str) -> None:
    lines = explained(method)
    assert lines[0] == f"{method}, a method that learns from {MODELS[method].batch_type.called}"
    for name in MODELS[method].Config.model_fields:
        assert any(line.startswith(f"  model.{name} ") for line in lines), name


@pytest.mark.parametrize("name", ["cyclegan-fast", "gan-ring"])
def test_a_recipe_says_its_summary_and_how_to_train_it(name: str) -> None:
    lines = explained(name)
    assert load_recipe(name).summary in lines[0] and f"  train it: translate train {name} --data FOLDER" in lines


def test_a_section_and_a_kind_of_network_list_their_keys() -> None:
    assert any(line.startswith("  training.networks.NAME.clip ") for line in explained("training.networks"))
    assert explained("unet")[0] == "unet, a kind of network: model.generator.kind=unet"
    assert any(line.startswith("  model.generator.levels ") for line in explained("unet"))
    more = [line for line in explained("model.generator") if "more of each" in line]
    assert more[0].startswith("  more of each: translate explain resnet|unet"), "plugins of other tests may add theirs"


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("trainnig.lr", "training.lr"),
        ("lrr", "training.lr"),
        ("learning_rate", "training.lr"),
        ("emma", "training.ema"),
    ],
)
def test_an_unknown_word_gets_the_nearest_key(word: str, near: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{word}: neither a key .*did you mean '{near}'"):
        explained(word)


def test_a_key_that_nothing_is_like_has_no_nearest() -> None:
    assert meant("qqqq", KEYS) is None


@pytest.mark.parametrize("key", ["lr", "learning_rate", "training.learning_rate", "training.lrr"])
def test_a_recipe_with_an_unknown_key_is_told_the_key(key: str) -> None:
    with pytest.raises(ConfigurationError, match=f"unknown key '{key}'; did you mean 'training.lr'"):
        load_recipe("cyclegan", [f"{key}=1e-4"])


def test_an_unknown_option_is_told_the_setting() -> None:
    said = CliRunner().invoke(main, ["train", "cyclegan", "--data", "shapes", "--lr", "1e-4"])
    assert said.exit_code == 2 and "training.lr=VALUE" in said.output
    said = CliRunner().invoke(main, ["recipes", "--lr"])
    assert said.exit_code == 2 and "training.lr" not in said.output, "it takes no settings"


@pytest.mark.parametrize("name", recipe_names())
def test_a_commented_recipe_reads_as_the_recipe(name: str) -> None:
    recipe = load_recipe(name)
    text = commented(recipe)
    assert yaml.safe_load(text) == yaml.safe_load(recipe.to_yaml())
    said = [line for line in text.splitlines() if "  # " in line]
    assert len(said) > 40 and any(line.lstrip().startswith("lr: ") and "Learning rate" in line for line in said)


def test_comments_are_those_of_the_network_that_the_recipe_has() -> None:
    (line,) = [line for line in commented(load_recipe("pix2pix")).splitlines() if line.startswith("    levels:")]
    assert "halved" in line


@cache
def _validator() -> jsonschema.protocols.Validator:
    """Of the schema, which is looked through once: that takes a second."""
    schema = json_schema()
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


@pytest.mark.parametrize("name", recipe_names())
def test_the_schema_accepts_every_shipped_recipe(name: str) -> None:
    written, _ = read_yaml(
        (shipped("recipes") / f"{name}.yaml").read_text(), name
    )  # 2e-4 is a number, as editors have it
    checked = _validator()
    checked.validate(written)
    checked.validate(load_recipe(name).to_json())


@pytest.mark.parametrize("wrong", [{"traning": {}}, {"training": {"steps": "many"}}, {"data": {"cache": "tape"}}])
def test_the_schema_refuses_what_the_reader_refuses(wrong: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, json_schema())


def test_the_schema_says_what_keys_mean() -> None:
    made = json_schema()
    pix2pix = next(
        one for one in made["properties"]["model"]["anyOf"] if one["properties"]["name"]["const"] == "pix2pix"
    )
    assert pix2pix["properties"]["reconstruction"]["description"].startswith("Weight of |target - G(input)|")
    assert made["$defs"]["DataSettings"]["properties"]["size"]["description"]


def test_the_commands_print_them() -> None:
    printed = CliRunner().invoke(main, ["explain", "training.keep"])
    assert printed.exit_code == 0 and printed.output.startswith("training.keep: a whole number, 1 or more\n")
    assert json.loads(CliRunner().invoke(main, ["schema"]).stdout) == json.loads(json.dumps(json_schema()))
    assert "# Learning rate" in CliRunner().invoke(main, ["recipes", "cyclegan"]).output
    assert CliRunner().invoke(main, ["explain", "nothing.like.it"]).exit_code == 2


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Weights, e.g. of G. More.", "Weights, e.g. of G"),
        ("As Miyato et al. 2018. Or not.", "As Miyato et al. 2018"),
        ("One.", "One"),
    ],
)
def test_the_first_sentence_ends_where_it_ends(text: str, first: str) -> None:
    assert first_sentence(text) == first


def test_a_key_of_a_list_or_a_section_is_told_in_words() -> None:
    values = {key.name: key.values for key in KEYS}
    assert values["training.betas"] == "a list of 2, each a number, 0 or more, less than 1"
    assert values["training.network_lr"] == "a section of NAME: a number"
    assert Key("training.seed", TrainingSettings).default == "0"


@pytest.mark.parametrize(
    ("word", "said"), [("", "''"), ("a\nb\x1b[31m", r"a\nb\x1b[31m"), ("q" * 5000, f"{'q' * 60}...")]
)
def test_a_word_of_any_kind_is_said_on_one_line(word: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        explained(word)
    first, *others = str(refused.value).splitlines()
    assert first.startswith(f"{said}: neither a key") and not others

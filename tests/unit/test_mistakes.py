"""What a recipe says of a value of the wrong kind: in plain words what the key takes, with an example that works."""

from __future__ import annotations

import re
import shlex

import pytest
import yaml

from translate.errors import ConfigurationError
from translate.models import MODELS
from translate.recipe import Recipe, load_recipe, recipe_names
from translate.recipe.keys import Key, keys_of

METHODS = {load_recipe(name).model.name: name for name in recipe_names()}  # type: ignore[attr-defined]
KEYS = {key.name: key for key in keys_of(Recipe) if not key.of or key.of in MODELS}
STRANGE = ("photo", "[1]", "{a: 1}")
PYDANTIC = r"\b(input should|valid|tuple|array|object|integer|boolean|field required|than or equal)\b"


def refusal(key: Key, name: str, value: str) -> str:
    """What is said of that value; nothing if it is taken."""
    try:
        load_recipe(METHODS.get(key.of, "pix2pix"), [f"{name}={value}"])
    except ConfigurationError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("key", KEYS.values(), ids=lambda key: key.name)
def test_a_value_of_the_wrong_kind_is_told_in_plain_words(key: Key) -> None:
    name = key.name.replace("NAME", "one")
    said = {value: refusal(key, name, value).removeprefix(f"--set {name}={value}: ") for value in STRANGE}
    assert not [text for text in said.values() if re.search(PYDANTIC, text)]
    assert not [text for text in said.values() if "\n" in text], "one mistake, one line"


@pytest.mark.parametrize("key", [key for key in KEYS.values() if key.example], ids=lambda key: key.name)
def test_the_example_that_is_given_is_taken(key: Key) -> None:
    name = key.name.replace("NAME", "one")
    said = next(text for text in (refusal(key, name, value) for value in ("photo", "[[x]]")) if ", e.g. " in text)
    (example,) = (word for word in shlex.split(said.split(", e.g. ")[1].split(", got ")[0]))
    assert example.startswith(f"{name}=")
    if key.name not in (
        "model",
        "training",
        "data.input",
        "data.target",
        "data.derive.noise.read",
    ):  # which want more than one key
        assert not refusal(key, *example.split("=", 1))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("data.input=photo", "expected a list of 1 or more, each text, or null, e.g. 'data.input=[photo, mask]'"),
        ("data.input=[]", "expected a list of 1 or more, each text, or null, e.g. 'data.input=[photo, mask]', got []"),
        ("data.augment=[D4]", "each a section, e.g. 'data.augment=[{name: Rotate, p: 0.5, limit: 10}]', got [\"D4\"]"),
        ("data.size=32x48", "or a list of 2, each a whole number from 8 to 4096, e.g. 'data.size=[192, 256]', got"),
        ("data.range=[]", "expected a list of 2, each a number, or null, e.g. 'data.range=[0, 4095]', got []"),
        ("training.betas=[1]", "expected a list of 2, each a number, 0 or more, less than 1, e.g. "),
        ("data.domains=[0, 1]", "got [0, 1]; in quotes it is text: '\"0\"'"),
        ("model.generator=unet", "expected a section, whose kind is resnet"),
        ("data.shapes=7", "expected a section, e.g. 'data.shapes={styles: [flat, outlined]}', got 7"),
        ("model.adversarial={a: 1}", "unknown key 'model.adversarial.a'; did you mean 'model.adversarial."),
        ("data.augment=[{name: Rotate, p: 5}]", "'data.augment.0.p': expected less than or equal to 1, got 5"),
    ],
)
def test_mistakes_that_people_make(given: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_recipe("pix2pix", [given])
    assert said in str(refused.value)


@pytest.mark.parametrize("idle", ["layout=unpaired", "domains=[a, b]", "direction=BtoA"])
def test_folders_that_are_named_leave_nothing_else_to_say_of_them(idle: str) -> None:
    named = ["data.input=[photo, mask]", "data.target=[clean]"]
    with pytest.raises(ConfigurationError, match=f"in pairs: leave out data.{idle.partition('=')[0]}"):
        load_recipe("pix2pix", [*named, f"data.{idle}"])
    assert load_recipe("pix2pix", [*named, "data.layout=paired"]).data.roles


def test_the_key_is_that_of_the_kind_that_is_chosen() -> None:
    for kind, default in (("resnet", 64), ("unet", 64)):
        with pytest.raises(ConfigurationError) as refused:
            load_recipe("cyclegan", [f"model.generator.kind={kind}", "model.generator.filters=x"])
        assert f"e.g. model.generator.filters={default}, got" in str(refused.value)
    for method, code in (("gan", "model.code=100"), ("vae", "model.code=50")):
        assert code in refusal(Key("model.code", Recipe, method), "model.code", "x")


def test_in_a_file_the_example_stands_as_yaml(tmp_path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"base": "pix2pix", "data": {"size": "32x48"}}))
    with pytest.raises(ConfigurationError, match=r"line 3: 'data.size': expected .*, e\.g\. size: \[192, 256\], got"):
        load_recipe(path)

"""Every method takes domains of different channels, or refuses them before its first step and says what helps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
import torch

from translate.data.domain import Domain
from translate.errors import ConfigurationError
from translate.models import MODELS
from translate.models.base import ImageSpec, Request, Translator
from translate.recipe import recipe_names
from translate.recipe.reading import load_recipe
from translate.runs.loading import build_model

TWO = [name for name, kind in MODELS.items() if kind.batch_type.domains() == 2 and issubclass(kind, Translator)]
CHANNELS = [(1, 3), (3, 1), (13, 3), (2, 3)]
OFF = {"identity": 0, "perceptual": 0}
"""What the refusals say to set."""


def unlike(name: str, channels: tuple[int, int]) -> ImageSpec:
    spec = tiny.SPECS.get(MODELS[name].batch_type, tiny.SPEC)
    each = tuple(Domain(*named) for named in zip(spec.domains, channels, strict=True))
    return replace(spec, channels=max(channels), each=each)


def settings(name: str) -> dict:
    chosen = tiny.tiny_settings(name)
    return chosen | {key: value for key, value in OFF.items() if key in MODELS[name].Config.model_fields}


def built(name: str, chosen: dict, images: ImageSpec) -> Translator:
    kind = MODELS[name]
    config = kind.Config.model_validate_json(json.dumps(chosen))
    kind.require_images(config, images)
    torch.manual_seed(0)
    return kind(config, images)


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("name", TWO)
def test_it_trains_and_translates_or_says_so_first(name: str, channels: tuple[int, int]) -> None:
    images = unlike(name, channels)
    try:
        model = built(name, settings(name), images)
    except ConfigurationError as refused:
        labels = "makes images of label maps" in str(refused)
        assert labels or ("equally many channels" in str(refused) and str(channels[0]) in str(refused))
        return
    trainer = tiny.tiny_trainer(model)
    sides = [torch.rand(2, count, images.size, images.size) * 2 - 1 for count in channels]
    batch = model.batch_type(*sides, *([torch.eye(3)[[0, 1]]] if model.batch_type.labelled() else []))
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    trainer.step(batch)
    trained = {name.partition(".")[0] for name, weight in model.named_parameters() if (weight != before[name]).any()}
    assert trained == {name.partition(".")[0] for name in before}, "every network moves"
    assert all(weight.isfinite().all() for weight in model.parameters())
    for to in model.targets():
        translated = model.translate(sides[1 - to], Request.to(to))
        assert translated.shape == sides[to].shape, "of the channels of its domain"
        assert images.translated(Request.to(to)).channels == channels[to]
        assert images.to_translate(Request.to(to)).channels == channels[1 - to]
    assert {column.shape[1] for column in model.show(batch).values()} <= set(channels)


def test_those_that_the_mathematics_allows_are_taken() -> None:
    taken = set()
    for name in TWO:
        try:
            built(name, settings(name), unlike(name, (1, 3)))
        except ConfigurationError:
            continue
        taken.add(name)
    assert {"pix2pix", "cyclegan", "unit"} <= taken


@pytest.mark.parametrize(
    ("name", "changed", "key"),
    [
        ("cyclegan", {"identity": 0.5}, "model.identity: 0"),
        (
            "cyclegan",
            {"generator": {"kind": "resnet", "residual": True, "filters": 4}},
            "model.generator.residual: false",
        ),
        ("unit", {"identity": 1.0}, "model.identity: 0"),
        ("unit", {"autoencoder": {"alike": True, "filters": 4}}, "model.autoencoder.alike: false"),
        ("direct", {}, "data.channels: 3"),
    ],
)
def test_a_loss_or_network_that_needs_equal_channels_names_the_setting(name: str, changed: dict, key: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        built(name, settings(name) | changed, unlike(name, (1, 3)))
    assert key in str(refused.value)


@pytest.mark.parametrize("recipe", recipe_names())
def test_recipes_as_shipped_train_or_name_the_way_out_before_the_first_step(recipe: str) -> None:
    chosen = load_recipe(recipe)
    if chosen.model.name not in TWO:  # type: ignore[attr-defined]
        return
    images = replace(unlike(chosen.model.name, (1, 3)), size=64)  # type: ignore[attr-defined]
    try:
        chosen.method.require_images(chosen.model, images)
    except ConfigurationError as refused:
        assert "set model." in str(refused) or "train with" in str(refused) or "take them as they are" in str(refused)


def test_many_bands_cannot_be_made_three_by_a_setting() -> None:
    with pytest.raises(ConfigurationError) as refused:
        built("direct", settings("direct"), unlike("direct", (13, 3)))
    assert "data.channels" not in str(refused.value) and "train with cyclegan or unit" in str(refused.value)


def test_a_generator_of_a_plugin_that_knows_one_number_is_refused_by_name(tmp_path: Path) -> None:
    from translate.networks.settings import GeneratorSettings

    class Same(GeneratorSettings):
        kind: str = "same"

        def build(self, channels: int, size: int):
            return torch.nn.Conv2d(channels, channels, 1)

    assert Same().between(3, 3, 16) is not None
    with pytest.raises(ConfigurationError, match=r"model\.generator\.kind same.*unet or resnet"):
        Same().between(1, 3, 16)


def test_old_specs_say_one_number_for_all() -> None:
    images = ImageSpec(2, 32, ("a", "b"), span=(0, 9))
    assert [images.domain(number) for number in (0, 1)] == [Domain("a", 2, (0, 9)), Domain("b", 2, (0, 9))]
    model = build_model(load_recipe("pix2pix", ["model.generator.filters=2", "model.discriminator.filters=2"]), images)
    assert model.generator(torch.zeros(1, 2, 32, 32)).shape == (1, 2, 32, 32)

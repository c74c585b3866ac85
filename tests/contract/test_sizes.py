"""Sizes of training images that the networks cannot take: refused, with those that fit, before anything is written."""

import re
from itertools import product

import pytest
import torch
from tiny import labelled_folder, paired_folder, unpaired_folder

from translate.errors import ConfigurationError
from translate.models.base import ImageSpec
from translate.models.parts import DISCRIMINATORS
from translate.networks.patchgan import PatchSettings
from translate.networks.resnet import ResnetSettings
from translate.networks.settings import require_multiple
from translate.networks.unet import UNetSettings
from translate.recipe import load_recipe
from translate.runs.loading import build_model

SETTINGS = [
    DISCRIMINATORS[kind](layers=layers, scales=scales, filters=1)
    for kind, layers, scales in product(DISCRIMINATORS, range(6), (1, 2, 3, 4))
    if kind == "patch" or (layers and "layers" in DISCRIMINATORS[kind].model_fields)
]


def _takes(network: torch.nn.Module, size: int) -> bool:
    try:
        network(torch.empty(1, 3, size, size, device="meta"))
    except (RuntimeError, ValueError):
        return False
    return True


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: f"{s.kind}-{s.layers}-{s.scales}")
def test_a_discriminator_takes_its_least_size_and_nothing_smaller(settings):
    least = settings.least_size
    network = settings.build(3, least).to("meta")
    assert _takes(network, least)
    assert least == 1 or not _takes(network, least - 1)


@pytest.mark.parametrize("downsamplings", range(3, 6))
def test_a_resnet_takes_what_it_says_and_nothing_smaller(downsamplings):
    settings = ResnetSettings(filters=1, blocks=1, downsamplings=downsamplings)
    least = 2 * 2**downsamplings
    assert _takes(settings.build(3, least).to("meta"), least)
    assert not _takes(settings.build(3, least).to("meta"), least // 2)
    with pytest.raises(ConfigurationError, match=rf"data\.size to {least} or more, or take fewer model.generator"):
        settings.build(3, least // 2)


@pytest.mark.parametrize(
    ("levels", "size", "says"),
    [
        (None, 50, "data.size to 48 or 52"),
        (3, 50, "data.size to 48 or 56"),
        (3, 52, "data.size to 48 or 56, or set model.generator.levels to 2 or less"),
        (None, (50, 80), "data.size to [48, 80] or [52, 80]"),
        (None, (80, 50), "data.size to [80, 48] or [80, 52]"),
        (3, (72, 60), "data.size to [72, 56] or [72, 64], or set model.generator.levels to 2 or less"),
        (3, (50, 76), "data.size to [48, 72] or [56, 80]"),
        (3, (84, 64), "data.size to [80, 64] or [88, 64], or set model.generator.levels to 2 or less"),
    ],
)
def test_a_unet_proposes_nothing_that_it_refuses_next(levels, size, says):
    with pytest.raises(ConfigurationError) as error:
        UNetSettings(levels=levels, filters=1).build(3, size)
    assert str(error.value).endswith(says)


@pytest.mark.parametrize("size", [(64, 10), (10, 64)])
def test_both_sides_of_a_rectangle_have_to_be_long_enough(size):
    longer = [max(side, 24) for side in size]
    with pytest.raises(ConfigurationError, match=re.escape(f"data.size is {list(size)}, and")) as error:
        PatchSettings(layers=3, filters=1).build(3, size)
    assert f"need 24 pixels at least: set data.size to {longer} or more" in str(error.value)


@pytest.mark.parametrize(
    ("model", "folder", "size", "says"),
    [
        ("cyclegan", unpaired_folder, 33, "multiples of 4: set data.size to 32 or 36"),
        ("direct", unpaired_folder, 34, "multiples of 4: set data.size to 32 or 36"),
        ("unit", unpaired_folder, 33, "multiples of 2: set data.size to 32 or 34"),
        ("stargan", labelled_folder, 10, "multiples of 4: set data.size to 8 or 12"),
        ("pix2pix", paired_folder, 33, "multiples of 8: set data.size to 32 or 40"),
        ("cyclegan", unpaired_folder, 8, "24 pixels at least: set data.size to 24 or more"),
        ("pix2pix", paired_folder, 8, "24 pixels at least: set data.size to 24 or more"),
    ],
)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_size_that_does_not_fit_is_refused_before_a_run_begins(
    run_cli, tiny_recipe, tmp_path, model, folder, size, says, dry
):
    options = ["--set", f"data.size={size}", "--set", f"data.load_size={size}"]
    if size == 8:
        options += ["--set", "model.discriminator.layers=3"]
    data = folder(tmp_path / "data")
    result = run_cli("train", tiny_recipe(model), "--data", data, "--device", "cpu", "--out", "run", *options, *dry)
    assert (result.exit_code, says in result.output) == (2, True), result.output
    assert f"data.size is {size}" in result.output
    assert not (tmp_path / "run").exists()


def test_the_nearest_sizes_are_proposed_and_none_that_recipes_refuse():
    recipe = load_recipe("cyclegan", ["data.size=9", "model.discriminator.layers=0"])
    with pytest.raises(ConfigurationError, match=r"data\.size to 8 or 12"):
        build_model(recipe, ImageSpec(3, 9, ("a", "b")))
    with pytest.raises(ConfigurationError, match=r"data\.size to 16, or"):
        require_multiple(9, 16, "networks", "change them")

"""Samples of a photo and a label map beside it, and a run that translates them, which takes no training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from label_files import classes, photo
from PIL import Image
from tiny import TINY

from translate.data.domain import Domain
from translate.models.base import ImageSpec, Translator
from translate.recipe import parse_recipe
from translate.runs.loading import build_model
from translate.training.checkpoint import save_checkpoint

PHOTO, MASK = Domain("photo", 3, dtype="uint8"), Domain("mask", 3, dtype="uint8", kind="labels")
CLEAN = Domain("clean", 3, dtype="uint8")
RECIPE = {"name": "tiny", "model": TINY["pix2pix"], "data": {"size": 16}, "training": {"steps": 2}}


def spec_of(layers: Sequence[Domain] = (PHOTO, MASK), target: Domain = CLEAN) -> ImageSpec:
    given = Domain.stacked("input", layers)
    return ImageSpec(max(given.channels, target.channels), 16, ("input", "target"), each=(given, target))


def model_of(images: ImageSpec) -> Translator:
    """With weights that make every input count."""
    model = build_model(parse_recipe(RECIPE, "tiny"), images)
    assert isinstance(model, Translator)
    torch.manual_seed(0)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, 0, 0.3)
    return model


def run_of_samples(folder: Path, images: ImageSpec | None = None) -> Path:
    """The folder of a run of pix2pix after one step."""
    images = images or spec_of()
    facts = {key: value for key, value in asdict(images).items() if key != "given"}
    facts |= {"format": 1, "recipe": parse_recipe(RECIPE, "tiny").to_json(), "skipped": {}}
    facts |= {"images": {}, "processes": 1, "accumulate": 1, "pending": False, "versions": {"translate": "1"}}
    save_checkpoint(folder / "checkpoints", 1, {"model": model_of(images).state_dict()}, facts)
    (folder / "recipe.yaml").write_text(parse_recipe(RECIPE, "tiny").to_yaml())
    return folder


def photos_and_masks(root: Path, names: Sequence[str] = ("one", "two"), size: int = 16) -> None:
    """photos/NAME.jpg and masks/NAME.png."""
    for number, name in enumerate(names):
        found = classes(number, size=size)
        for path in (root / "photos" / f"{name}.jpg", root / "masks" / f"{name}.png"):
            path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo(found, number)).save(root / "photos" / f"{name}.jpg", quality=95)
        Image.fromarray(found).save(root / "masks" / f"{name}.png")


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)

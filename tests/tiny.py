"""Tiny models, batches and folders that the tests share."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from translate.data.batch import Batch, Paired, Unpaired
from translate.engine import Engine
from translate.model import ImageSpec, Translator
from translate.models import MODELS
from translate.optim import build_optimizer
from translate.trainer import Trainer

SIZE = 16
SPEC = ImageSpec(channels=3, size=SIZE, domains=("a", "b"))
CPU = Engine(torch.device("cpu"))

# The smallest settings of each model, as a recipe would give them.
TINY: dict[str, dict] = {
    "pix2pix": {
        "name": "pix2pix",
        "generator": {"kind": "unet", "filters": 4, "levels": 3},
        "discriminator": {"filters": 4, "layers": 1, "normalisation": "batch"},
    },
    "cyclegan": {
        "name": "cyclegan",
        "pool": 3,
        "generator": {"kind": "resnet", "filters": 4, "blocks": 1},
        "discriminator": {"filters": 4, "layers": 1},
    },
}


def tiny_model(name: str, seed: int = 0, settings: dict | None = None) -> Translator:
    torch.manual_seed(seed)
    config = MODELS[name].Config.model_validate_json(json.dumps(settings or TINY[name]))
    return MODELS[name](config, SPEC)


def random_batch(model: Translator, size: int = 2, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    one, two = (torch.rand(size, 3, SIZE, SIZE, generator=generator) * 2 - 1 for _ in range(2))
    return {Paired: Paired, Unpaired: Unpaired}[model.batch_type](one, two)


def tiny_trainer(model: Translator, lr: float = 1e-3, **options: object) -> Trainer:
    model.train()
    moved = {id(network) for turn in model.turns() for network in turn.networks}
    optimizers = {
        name: build_optimizer(network, "adam", lr, (0.5, 0.999), 0.0)
        for name, network in model.named_children()
        if id(network) in moved
    }
    return Trainer(model, optimizers, CPU, **options)


def write_images(folder: Path, names: list[str], size: int = 24, seed: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    dice = np.random.default_rng(seed)
    for name in names:
        Image.fromarray(dice.integers(0, 256, (size, size, 3), dtype=np.uint8)).save(folder / name)


def unpaired_folder(root: Path) -> Path:
    for split, count in (("train", 6), ("test", 2)):
        for domain in "AB":
            names = [f"{domain}{split}{index}.png" for index in range(count)]
            write_images(root / f"{split}{domain}", names, seed=ord(domain) + count)
    return root


def paired_folder(root: Path) -> Path:
    for split, count in (("train", 6), ("test", 2)):
        for domain in "AB":
            names = [f"{split}{index}.png" for index in range(count)]
            write_images(root / f"{split}{domain}", names, seed=ord(domain) + count)
    return root

"""Tiny models, batches and folders that the tests share."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from frozen_files import VGG
from label_files import scenes
from PIL import Image

from translate.data.batch import Batch, Labelled, Mapped, Paired, Plain, Referenced, SourceLabelled, Unpaired
from translate.data.domain import Domain
from translate.data.io import images
from translate.data.io.images import Picture
from translate.data.label_maps import planes
from translate.data.labels import LabelGroup
from translate.models import MODELS
from translate.models.base import ImageSpec, Model, Translator
from translate.models.parts import SAMPLER_NETWORKS
from translate.networks.vit_unet import ViTUNetSettings
from translate.training.optim import build_optimizer
from translate.training.runtime import Runtime
from translate.training.trainer import Trainer
from translate.utils.settings import Settings

SIZE = 16
TINY_TRAINING = {
    "steps": 4,
    "batch_size": 2,
    "log_every": 2,
    "sample_every": 4,
    "validate_every": 4,
    "checkpoint_every": 2,
    "precision": "float32",
}
TINY_DATA = {"size": SIZE, "load_size": 18, "workers": 0}
SPEC = ImageSpec(channels=3, size=SIZE, domains=("a", "b"))
CLASSES = (LabelGroup(3, exclusive=True),)
SPECS = {
    Labelled: ImageSpec(channels=3, size=SIZE, domains=("a", "b", "c"), groups=CLASSES),
    Referenced: ImageSpec(channels=3, size=SIZE, domains=("a", "b", "c"), groups=CLASSES),
    SourceLabelled: ImageSpec(channels=3, size=32, domains=("a", "b"), groups=CLASSES),
    Plain: ImageSpec(channels=3, size=SIZE, domains=("a",)),
    Mapped: ImageSpec(channels=3, size=SIZE, domains=("a", "b"), each=(Domain("a", kind="labels"), Domain("b"))),
}
CPU = Runtime(torch.device("cpu"))

# What makes an option small, whatever network or method has it.
SMALL = {
    "filters": 4,
    "discriminator_filters": 4,
    "width": 8,
    "blocks": 1,
    "residual_blocks": 1,
    "layers": 1,
    "downsamplings": 2,
    "levels": 3,
    "hidden": 4,
    "pool": 3,
    "style": 4,
    "latent": 3,
    "widest": 8,
    "code": 4,
    "condition": 3,
    "enlargement": 2,
    "widths": (8, 16),
    "heads": 2,
    "embedding": 4,
    "enlarged": 0,
    "weights": str(VGG),
}
# What else a method takes, so that its tests meet more of its losses, or networks that are quicker still.
FURTHER: dict[str, dict] = {
    "stargan": {
        "adversarial": {"discriminator_turns": 2},
        "generator": {"downsamplings": 1},
        "discriminator": {"layers": 2},
    },
    "unit": {
        "code_adversary": 1,
        "semantic": 1,
        "cycle": "both",
        "autoencoder": {"downsamplings": 1, "blocks": 2},
        "discriminator": {"layers": 2, "scales": 2, "initialisation": {"kind": "kaiming"}},
    },
    "stargan-v2": {"generator": {"downsamplings": 1}, "diversity_steps": 10},
    "bridge": {
        "adversarial_weight": 1.0,
        "steps": 2,
        "generator": {"multiples": [1, 2], "attention": 0, "zero_head": False},
    },
    "unit-digits": {"translated": 1},
    "oasis": {"noise": 3},
}


def shrunk(settings: Settings) -> dict:
    """The settings, as a recipe would give them, with the small value of every option that has one."""
    values = {}
    for name, value in settings:
        if isinstance(value, Settings):
            inner = shrunk(value)
            if inner.keys() - {"kind"}:
                values[name] = inner
        elif name in SMALL or name in ("name", "kind") or name in settings.model_fields_set:
            values[name] = SMALL.get(name, value)
    return values


def merged(below: dict, above: dict) -> dict:
    return below | {
        key: merged(below[key], value) if isinstance(value, dict) and key in below else value
        for key, value in above.items()
    }


def tiny_settings(name: str) -> dict:
    """The smallest settings of a method in MODELS, as a recipe would give them."""
    return json.loads(json.dumps(merged(shrunk(MODELS[name].Config()), FURTHER.get(name, {}))))


TINY = {name: tiny_settings(name) for name in MODELS}
VIT = TINY["cyclegan"] | {
    "adversarial": {
        "objective": "lsgan", "discriminator_weight": 0.5, "gradient_penalty": 4, "penalty_centre": 0
    },
    "cycle": 2.5,
    "pool": 0,
    "cache": 2,
    "generator": shrunk(ViTUNetSettings()),
    "discriminator": {"filters": 4, "layers": 1, "spectral": True, "head": "batch_norm"},
}  # fmt: skip
"""UVCGAN v2, as a recipe sets cyclegan."""
MLP, DCGAN = (shrunk(SAMPLER_NETWORKS[kind]()) for kind in ("mlp", "dcgan"))


def config_of(name: str, settings: dict) -> Settings:
    return MODELS[name].Config.model_validate_json(json.dumps(settings))


def tiny_model(name: str, seed: int = 0, settings: dict | None = None) -> Model:
    torch.manual_seed(seed)
    kind = MODELS[name]
    return kind(config_of(name, settings or tiny_settings(name)), SPECS.get(kind.batch_type, SPEC))


def random_batch(model: Model, size: int = 2, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    side = SPECS.get(model.batch_type, SPEC).size
    scale = model.scale if isinstance(model, Translator) else 1
    one, two = (torch.rand(size, 3, of, of, generator=generator) * 2 - 1 for of in (side // scale, side))
    labels = torch.eye(3)[(torch.arange(size) + seed) % 3]
    fields = {
        Plain: [one],
        Mapped: [planes(one.argmax(1, keepdim=True), 3), two],
        Labelled: [one, labels],
        SourceLabelled: [one, two, labels],
    }
    fields[Referenced] = [one, labels, two, labels.roll(1, 1), two.flip(0)]
    return model.batch_type(*fields.get(model.batch_type, [one, two]))


def tiny_trainer(model: Model, lr: float = 1e-3, clip: float = 0.0, **options: object) -> Trainer:
    model.train()
    moved = {id(network) for turn in model.turns() for network in turn.networks}
    optimizers = {
        name: build_optimizer(network, "adam", lr, (0.5, 0.999), 0.0, clip)
        for name, network in model.named_children()
        if id(network) in moved
    }
    return Trainer(model, optimizers, CPU, **options)


def write_images(folder: Path, names: list[str], size: int = 24, seed: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for name in names:
        Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8)).save(folder / name)


_NOISE = np.random.default_rng(0)


def put(root: Path, *names: str, width: int = 8, height: int = 8) -> Path:
    """Images of noise at `root`/name, no two the same."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        images.write(path, Picture(_NOISE.integers(0, 256, (height, width, 3)).astype(np.uint8)))
    return root


def numbered(folder: str, count: int) -> list[str]:
    return [f"{folder}/{number}.png" for number in range(count)]


def unpaired_folder(root: Path) -> Path:
    return _two_domains(root, lambda domain: domain)


def paired_folder(root: Path) -> Path:
    return _two_domains(root, lambda domain: "")


def _two_domains(root: Path, prefix: Callable[[str], str]) -> Path:
    for split, count in (("train", 6), ("test", 2)):
        for domain in "AB":
            names = [f"{prefix(domain)}{split}{index}.png" for index in range(count)]
            write_images(root / f"{split}{domain}", names, seed=ord(domain) + count)
    return root


def labelled_folder(root: Path) -> Path:
    for split, count in (("train", 4), ("test", 2)):
        for number, domain in enumerate("abc"):
            names = [f"{domain}{index}.png" for index in range(count)]
            write_images(root / split / domain, names, seed=10 * number + count)
    return root


def _digits(root: Path, count: int, seed: int) -> Path:
    """idx files as MNIST has them."""
    rng = np.random.default_rng(seed)
    for part, many in (("train", count), ("t10k", count // 2)):
        pixels = rng.integers(0, 256, (many, 28, 28), dtype=np.uint8)
        labels = (np.arange(many) % 10).astype(np.uint8)
        root.mkdir(parents=True, exist_ok=True)
        for name, header, array in (
            (f"{part}-images-idx3-ubyte.gz", struct.pack(">IIII", 2051, many, 28, 28), pixels),
            (f"{part}-labels-idx1-ubyte.gz", struct.pack(">II", 2049, many), labels),
        ):
            (root / name).write_bytes(gzip.compress(header + array.tobytes()))
    return root


def digit_sets(folder: Path) -> Path:
    """Two sets of digits, and a card in `folder` that takes them for source and target."""
    _digits(folder.parent / "one", 20, 0), _digits(folder.parent / "two", 40, 1)
    folder.mkdir()
    (folder / "dataset.yaml").write_text("layout: unpaired\na: ../one\nb: ../two\n")
    return folder


FOLDERS: dict[type[Batch], Callable[[Path], Path]] = {
    Unpaired: unpaired_folder,
    Paired: paired_folder,
    Mapped: scenes,
    Labelled: labelled_folder,
    Referenced: labelled_folder,
    Plain: labelled_folder,
    SourceLabelled: digit_sets,
}


def data_of(name: str, folder: Path) -> dict:
    """The settings of `data` for a method in MODELS, whose images are made in `folder`."""
    kind = MODELS[name].batch_type
    of_digits = {"size": 32, "load_size": 32, "channels": 1} if kind is SourceLabelled else {}
    return TINY_DATA | of_digits | {"set": str(FOLDERS[kind](folder))}

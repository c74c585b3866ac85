"""Trained classifiers from files, frozen: what losses and discriminators see images by."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from translate.errors import ConfigurationError, TranslateError
from translate.networks.blocks import named
from translate.networks.weights_file import UnsafeFileError, read_weights
from translate.utils.tensor_file import read_tensors

Read = TypeVar("Read")
# What torchvision's classifiers were trained on: RGB in [0, 1], standardised by this mean and deviation.
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)
_WANTED = "a state dict of torchvision's VGG (without batch norm) or ResNet-18"


@dataclass(frozen=True)
class Stages:
    """A classifier up to its last features, in parts, each of which takes what the one before gives: (batch, width,
    height, width) at a stride of its own, and no gradient to its weights."""

    parts: nn.ModuleList
    widths: tuple[int, ...]
    sha256: bytes
    """Of the file of weights."""

    def __call__(self, images: Tensor) -> list[Tensor]:
        """The features behind each part, of images (batch, 3, height, width) as they are."""
        found = []
        for part in self.parts.to(images):
            images = part(images)
            found.append(images)
        return found


def standardised(images: Tensor) -> Tensor:
    """Images in [-1, 1] (batch, 1 or 3, height, width) as torchvision's classifiers take them: (batch, 3, ...)."""
    # Created on the device: a copy from the host would make it wait, and cannot be recorded as a CUDA graph.
    mean, deviation = (torch.stack([images.new_full((1, 1), one) for one in ones]) for ones in (_MEAN, _DEVIATION))
    return ((images + 1) / 2 - mean) / deviation


def read_stages(path: Path) -> Stages:
    """The stages of the classifier in a file: a state dict that torch.save wrote, or the folder of a classifier that
    `evaluate` keeps (or its weights.safetensors).

    VGG of any widths and depth, recognised by its keys, is read up to the first ReLU of each block: strides 1, 2, 4, 8,
    16. ResNet-18, with a head for any classes or none, up to the end of each stage: strides 4, 8, 16, 32. Raises
    FileNotFoundError, UnsafeFileError, and ValueError for a file of something else.
    """
    file = path / "weights.safetensors" if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(f"no weights at {file}: give {_WANTED} as torch.save writes it")
    state = _state(file)
    if "features.0.weight" in state:
        parts = _vgg(state, file)
    elif "layer1.0.conv1.weight" in state:
        parts = _resnet18(state, file)
    else:
        found = ", ".join(map(str, list(state)[:4])) or "none"
        raise ValueError(f"{file}: expected {_WANTED}, found keys {found}, ...")
    widths = tuple([one for one in part.modules() if isinstance(one, nn.Conv2d)][-1].out_channels for part in parts)
    frozen = nn.ModuleList(parts).eval().requires_grad_(False)
    return Stages(frozen, widths, hashlib.sha256(file.read_bytes()).digest())


def named_by(key: str, read: Callable[[Path], Read], path: Path) -> Read:
    """What `read` finds at the `path` that the setting `key` names. Raises ConfigurationError if the file is missing or
    holds something else, and TranslateError if it would run code."""
    try:
        return read(path)
    except UnsafeFileError as error:
        raise TranslateError(f"{key}: {error}") from error
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{key}: {error}") from error


def _state(file: Path) -> Mapping[str, Tensor]:
    if file.suffix != ".safetensors":
        return read_weights(file)
    try:
        return read_tensors(file)
    except SafetensorError as error:
        raise ValueError(f"{file}: damaged, or something else ({error})") from error


def _vgg(state: Mapping[str, Tensor], file: Path) -> list[nn.Sequential]:
    """The numbers of its convolutions say where it pools: a ReLU follows each, and a gap of three means pooling."""
    weights = {int(key.split(".")[1]): value for key, value in state.items() if key.startswith("features.")}
    convolutions = {n: one for n in sorted(weights) if (one := state[f"features.{n}.weight"]).dim() == 4}
    steps = [later - number for number, later in pairwise(convolutions)]
    if len(convolutions) < len(weights) or not set(steps) <= {2, 3} or steps.count(3) != 4:
        raise ValueError(f"{file}: expected {_WANTED}; these layers are not its five blocks")
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    firsts = []
    for number, step in zip(convolutions, [3, *steps], strict=True):
        if step == 3:
            firsts.append(number)
            if number:
                layers[str(number - 1)] = nn.MaxPool2d(2)
        wide, narrow = convolutions[number].shape[:2]
        layers[str(number)], layers[str(number + 1)] = nn.Conv2d(narrow, wide, 3, padding=1), nn.ReLU()
    whole = named(features=nn.Sequential(layers))
    _fill(whole, state, file)
    ends = [0, *(list(layers).index(str(number + 1)) + 1 for number in firsts)]
    return [whole.features[begin:end] for begin, end in pairwise(ends)]  # type: ignore[index, misc]


def _resnet18(state: Mapping[str, Tensor], file: Path) -> list[nn.Sequential]:
    from torchvision.models import resnet18  # type: ignore[import-untyped]

    whole = resnet18(weights=None)
    whole.fc = nn.Identity()
    _fill(whole, state, file)
    stem = nn.Sequential(whole.conv1, whole.bn1, whole.relu, whole.maxpool, whole.layer1)
    return [stem, *(nn.Sequential(whole.get_submodule(f"layer{number}")) for number in (2, 3, 4))]


def _fill(network: nn.Module, state: Mapping[str, Tensor], file: Path) -> None:
    expected = network.state_dict()
    try:
        network.load_state_dict({key: value for key, value in state.items() if key in expected})
    except RuntimeError as error:
        raise ValueError(f"{file}: the weights do not fit torchvision's network: {error}") from error

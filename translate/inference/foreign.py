"""Generators trained by other projects: the widely used PyTorch port of pix2pix and CycleGAN, CUT, released StarGAN."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from translate.data.domain import Domain
from translate.errors import ConfigurationError, TranslateError
from translate.inference.options import Dropout
from translate.inference.port_options import options_beside, size_in, trained_with_dropout
from translate.models.base import ImageSpec, ImageTranslator, Request
from translate.networks.blocks import BatchNorm2d
from translate.networks.foreign_file import described, read_network
from translate.networks.resnet import ResnetGenerator
from translate.networks.signatures import NamedError
from translate.networks.stargan import StarGANGenerator
from translate.networks.unet import UNetGenerator
from translate.networks.weights_file import UnsafeFileError

Generator = ResnetGenerator | UNetGenerator | StarGANGenerator
_CELEBA = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young")
"""The five labels of StarGAN's released model, in their order."""


class ForeignGenerator(ImageTranslator):
    """Converts with a generator from a state dict, like a run of ours; domain names and training settings are unknown.

    As in those projects' own test scripts, normalisation uses each image's own statistics and dropout stays on (their
    `--eval` turns both off: `evaluated`). Every image gets the same random numbers, so the same image gives the same
    file. A network of one domain converts to `output`. StarGAN's takes labels 0, 1, ...; labels not named are off.
    """

    def __init__(self, network: Generator, evaluated: bool, remarks: str = "") -> None:
        super().__init__()
        self.network, self.evaluated, self.remarks = network, evaluated, remarks
        self.labels = network.labels if isinstance(network, StarGANGenerator) else 0

    def translate(self, images: Tensor, request: Request) -> Tensor:
        self.network.train(not self.evaluated)
        # One at a time: with batch statistics, an image would depend on the others in its batch.
        return torch.cat([self._one(image, request) for image in images.split(1)])

    def _one(self, image: Tensor, request: Request) -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return self.translate_at_once(image, request)

    def translate_at_once(self, images: Tensor, request: Request) -> Tensor:
        """As of the base, in the network's current mode."""
        if not self.labels:
            return self.network(images)
        labels = images.new_tensor([float(number in request.set) for number in range(self.labels)])
        return self.network(images, labels.expand(images.shape[0], -1))

    def targets(self) -> Sequence[int]:
        return range(self.labels) if self.labels else [1]

    @property
    def attributes(self) -> Sequence[int]:
        return range(self.labels)

    @property
    def stride(self) -> int:
        return self.network.stride

    @property
    def converts_in_training_mode(self) -> bool:
        return not self.evaluated

    @property
    def without_dropout(self) -> bool:
        return any(isinstance(module, nn.Dropout) and not module.p for module in self.network.modules())


def read_generator(
    path: Path, evaluated: bool = False, dropout: Dropout = "auto"
) -> tuple[ForeignGenerator, ImageSpec]:
    """Reads a generator from a state dict file, recognised by keys and shapes, without running code from the file.

    `dropout` in conversion: `auto` is as it was trained, which for a U-Net follows from what lies beside the file, its
    name and its norm. Raises ConfigurationError, naming the file, if it holds no such generator or one that has no
    dropout to turn on, TranslateError if it would run code.
    """
    try:
        network = read_network(path, running_statistics=evaluated)
    except UnsafeFileError as error:
        raise TranslateError(str(error)) from error
    except NamedError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{path}: neither a run of ours nor a generator's state dict of the PyTorch port, CUT or StarGAN ({error})"
        ) from error
    if not isinstance(network, Generator):
        raise ConfigurationError(f"{path}: a discriminator; give the generator's file (..._net_G....pth)")
    images = _images(path, network)
    notes = [
        described(network),
        *_settle_dropout(path, network, evaluated, dropout),
        *_notes(path, network, evaluated),
    ]
    return ForeignGenerator(network, evaluated, f"{path}: {'; '.join(notes)}"), images


def _images(path: Path, network: Generator) -> ImageSpec:
    """What goes in. Raises ConfigurationError if what comes out is no image."""
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    labels = network.labels if isinstance(network, StarGANGenerator) else 0
    # StarGAN's network takes one input plane per label besides the image.
    channels, fakes = int(convolutions[0].in_channels - labels), int(network.head.out_channels)  # type: ignore[arg-type]
    if (channels, fakes) == (1, 2):
        raise ConfigurationError(
            f"{path}: a generator that colours grey images (the port's --model colorization): its outputs are a and b "
            "of Lab, which are not combined with L here; convert with the port's own script"
        )
    if fakes not in (1, 3, 4, channels):
        raise ConfigurationError(f"{path}: a generator from {channels} to {fakes} channels; images have 1, 3 or 4")
    if labels:
        return ImageSpec(channels, 0, tuple(map(str, range(labels))))
    each = Domain("input", channels), Domain("output", fakes)
    return ImageSpec(max(channels, fakes), 0, ("input", "output"), each=each)


def _settle_dropout(path: Path, network: Generator, evaluated: bool, dropout: Dropout) -> list[str]:
    """Turns the network's dropout off unless it is wanted; returns what was decided, and how to decide otherwise."""
    layers = [module for module in network.modules() if isinstance(module, nn.Dropout)]
    if dropout == "on" and (evaluated or not layers):
        other = "--eval turns it off; leave one of them out" if evaluated else f"{path} has no dropout; leave it out"
        raise ConfigurationError(f"--dropout on: {other}")
    if not layers or evaluated:
        return []
    on, why = dropout == "on", "--dropout"
    if dropout == "auto" and isinstance(network, UNetGenerator):
        on, why = trained_with_dropout(path, network, options_beside(path)[1])
    elif dropout == "auto":
        on, why = True, "it was trained with dropout, and the port's test script keeps it"
    for layer in () if on else layers:
        layer.p = 0.0
    other = "" if dropout != "auto" else f" (--dropout {'off' if on else 'on'} for the other)"
    return [f"dropout is {'on' if on else 'off'}: {why}{other}"]


def _notes(path: Path, network: Generator, evaluated: bool) -> list[str]:
    """Further defaults that a user can choose otherwise, or must know of."""
    name, options = options_beside(path)
    size = size_in(options)
    notes = [f"trained at {size} pixels ({name})"] if size else []
    if any(isinstance(module, BatchNorm2d) for module in network.modules()) and not evaluated:
        notes.append("batch norm by each image's own statistics, as in their test script (--eval for the running ones)")
    if isinstance(network, StarGANGenerator):
        named = f" (released for CelebA: {', '.join(_CELEBA)})" if network.labels == len(_CELEBA) else ""
        notes.append(f"its labels have no names in the file, only their order{named}; those not named by --to are off")
    return notes

"""Generators trained by other projects: the widely used PyTorch port of pix2pix and CycleGAN, and released StarGAN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from translate.errors import ConfigurationError, TranslateError
from translate.model import ImageSpec
from translate.networks.foreign import from_port, read_state, recognise
from translate.networks.resnet import ResnetGenerator
from translate.networks.stargan import StarGANGenerator
from translate.networks.unet import UNetGenerator
from translate.networks.weights_file import UnsafeFileError

SUFFIXES = (".pth", ".pt", ".ckpt")


class ForeignGenerator(nn.Module):
    """Converts with a generator from a state dict, like a run of ours; domain names and training settings are unknown.

    As in those projects' own test scripts, normalisation uses each image's own statistics and dropout stays on (their
    `--eval` turns both off: `evaluated`). Every image gets the same random numbers, so the same image gives the same
    file. A network of one domain converts to `output`. StarGAN's takes labels 0, 1, ...; labels not named are off.
    """

    def __init__(self, network: ResnetGenerator | UNetGenerator | StarGANGenerator, evaluated: bool) -> None:
        super().__init__()
        self.network, self.evaluated = network, evaluated
        self.labels = network.labels if isinstance(network, StarGANGenerator) else 0

    def edit(self, images: Tensor, changes: Mapping[int, bool]) -> Tensor:
        self.network.train(not self.evaluated)
        # One at a time: with batch statistics, an image would depend on the others in its batch.
        return torch.cat([self._one(image, changes) for image in images.split(1)])

    def _one(self, image: Tensor, changes: Mapping[int, bool]) -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return self.paint(image, changes)

    def paint(self, images: Tensor, changes: Mapping[int, bool]) -> Tensor:
        """Translates all images at once, in the network's current mode."""
        if not self.labels:
            return self.network(images)
        labels = images.new_tensor([float(changes.get(number, False)) for number in range(self.labels)])
        return self.network(images, labels.expand(images.shape[0], -1))

    def targets(self) -> Sequence[int]:
        return range(self.labels) if self.labels else [1]

    @property
    def attributes(self) -> Sequence[int]:
        return range(self.labels)

    @property
    def stride(self) -> int:
        return self.network.stride


def read_generator(path: Path, evaluated: bool = False) -> tuple[ForeignGenerator, ImageSpec]:
    """Reads a generator from a state dict file, recognised by keys and shapes, without running code from the file.

    Raises ConfigurationError, naming the file, if it holds no such generator, TranslateError if it would run code.
    """
    try:
        state = read_state(path)
        # Only StarGAN's instance norms keep running statistics.
        tracked = evaluated and isinstance(recognise(state), StarGANGenerator)
        network = from_port(state, running_statistics=tracked)
    except UnsafeFileError as error:
        raise TranslateError(str(error)) from error
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{path}: neither a run of ours nor a generator's state dict of the PyTorch port or of StarGAN ({error})"
        ) from error
    if not isinstance(network, ResnetGenerator | UNetGenerator | StarGANGenerator):
        raise ConfigurationError(f"{path}: a discriminator; give the generator's file (..._net_G....pth)")
    generator = ForeignGenerator(network, evaluated)
    names = tuple(map(str, range(generator.labels))) or ("input", "output")
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    # StarGAN's network takes one input plane per label besides the image.
    return generator, ImageSpec(first.in_channels - generator.labels, 0, names)

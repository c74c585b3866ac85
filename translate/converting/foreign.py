"""Generators that other projects trained: the widely used PyTorch port's, and StarGAN's released one."""

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
    """A generator from a state dict, to convert with as with a run of ours; it knows neither names nor training.

    As those projects' own test scripts do, normalisation takes each image's own statistics and dropout stays on (their
    `--eval` turns both off: `evaluated`). Dice are the same for each image, so the same image gives the same file.
    A network of one domain converts to `output`. StarGAN's takes label 0, 1, ...; those that are not named are off.
    """

    def __init__(self, network: ResnetGenerator | UNetGenerator | StarGANGenerator, evaluated: bool) -> None:
        super().__init__()
        self.network, self.evaluated = network, evaluated
        self.labels = network.labels if isinstance(network, StarGANGenerator) else 0

    def edit(self, images: Tensor, changes: Mapping[int, bool]) -> Tensor:
        self.network.train(not self.evaluated)
        # One at a time: batch statistics would tie an image to its company.
        return torch.cat([self._one(image, changes) for image in images.split(1)])

    def _one(self, image: Tensor, changes: Mapping[int, bool]) -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return self.paint(image, changes)

    def paint(self, images: Tensor, changes: Mapping[int, bool]) -> Tensor:
        """All images at once, in the network's present mode."""
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
    """The generator in a state dict's file, recognised from keys and shapes; no code in the file is run.

    Raises ConfigurationError that names the file, for one that is no such generator; TranslateError for one that would
    run code.
    """
    try:
        state = read_state(path)
        # Only StarGAN's instance norms have statistics of their own.
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
    # StarGAN's network takes a plane for each label beside the image.
    return generator, ImageSpec(first.in_channels - generator.labels, 0, names)

"""Generators trained by other projects: the widely used PyTorch port of pix2pix and CycleGAN, CUT, released StarGAN."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from translate.data.domain import Domain
from translate.errors import ConfigurationError, TranslateError
from translate.inference.options import Dropout
from translate.models.base import ImageSpec, ImageTranslator, Request
from translate.networks.blocks import BatchNorm2d, layers_of
from translate.networks.foreign import PortGenerator
from translate.networks.foreign_file import described, read_network
from translate.networks.signatures import NamedError
from translate.networks.stargan import StarGANGenerator
from translate.networks.unet import UNetGenerator
from translate.networks.weights_file import UnsafeFileError

_CELEBA = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young")
"""The five labels of StarGAN's released model, in their order."""
_FILES = ("train_opt.txt", "opt.txt", "test_opt.txt")
"""Where the port's scripts write all their options, beside the weights; `opt.txt` in its first years."""
_LARGEST = 1 << 16
_LINE = re.compile(r"\s*(\w+): ([^\t\n]*)")


class ForeignGenerator(ImageTranslator):
    """Converts with a generator from a state dict, like a run of ours; domain names and training settings are unknown.

    As in those projects' own test scripts, normalisation uses each image's own statistics and dropout stays on, unless
    `evaluated` (their `--eval`). Every image gets the same random numbers. A network of one domain converts to
    `output`. StarGAN's takes labels 0, 1, ...; labels not named are off.
    """

    def __init__(self, network: PortGenerator, evaluated: bool, remarks: str = "") -> None:
        super().__init__()
        self.network, self.evaluated, self.remarks = network, evaluated, remarks
        self.labels = _labels(network)

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
        return any(not layer.p for layer in layers_of(self.network, nn.Dropout))


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
    if not isinstance(network, PortGenerator):
        raise ConfigurationError(f"{path}: a discriminator; give the generator's file (..._net_G....pth)")
    images = _images(path, network)
    beside, options = options_beside(path)
    size = options.get("crop_size") or options.get("fineSize") or ""
    notes = [described(network), *_settle_dropout(path, network, evaluated, dropout, options)]
    notes += [f"trained at {size} pixels ({beside})"] if size.isdecimal() else []
    notes += _notes(network, evaluated)
    return ForeignGenerator(network, evaluated, f"{path}: {'; '.join(notes)}"), images


def _images(path: Path, network: PortGenerator) -> ImageSpec:
    """What goes in. Raises ConfigurationError if what comes out is no image."""
    labels = _labels(network)
    # StarGAN's network takes one input plane per label besides the image.
    channels, fakes = int(layers_of(network, nn.Conv2d)[0].in_channels - labels), int(network.head.out_channels)  # type: ignore[arg-type]
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


def _labels(network: PortGenerator) -> int:
    return network.labels if isinstance(network, StarGANGenerator) else 0


def _settle_dropout(
    path: Path, network: PortGenerator, evaluated: bool, dropout: Dropout, options: Mapping[str, str]
) -> list[str]:
    """Turns the network's dropout off unless it is wanted; returns what was decided, and how to decide otherwise."""
    layers = layers_of(network, nn.Dropout)
    if dropout == "on" and (evaluated or not layers):
        other = "--eval turns it off; leave one of them out" if evaluated else f"{path} has no dropout; leave it out"
        raise ConfigurationError(f"--dropout on: {other}")
    if not layers or evaluated:
        return []
    on, why = dropout == "on", "--dropout"
    if dropout == "auto" and isinstance(network, UNetGenerator):
        on, why = trained_with_dropout(path, network, options)
    elif dropout == "auto":
        on, why = True, "it was trained with dropout, and the port's test script keeps it"
    for layer in () if on else layers:
        layer.p = 0.0
    other = "" if dropout != "auto" else f" (--dropout {'off' if on else 'on'} for the other)"
    return [f"dropout is {'on' if on else 'off'}: {why}{other}"]


def _notes(network: PortGenerator, evaluated: bool) -> list[str]:
    """Further defaults that a user can choose otherwise, or must know of."""
    notes = []
    if layers_of(network, BatchNorm2d) and not evaluated:
        notes.append("batch norm by each image's own statistics, as in their test script (--eval for the running ones)")
    if isinstance(network, StarGANGenerator):
        named = f" (released for CelebA: {', '.join(_CELEBA)})" if network.labels == len(_CELEBA) else ""
        notes.append(f"its labels have no names in the file, only their order{named}; those not named by --to are off")
    return notes


def options_beside(path: Path) -> tuple[str, dict[str, str]]:
    """The name of the port's file of options beside the weights, and what it says; empty if there is none.

    Only for files named as the port names them, so that another project's opt.txt is not believed.
    """
    if not re.search(r"_net_G(_[AB])?\.pth$", path.name):
        return "", {}
    for name in _FILES:
        beside = path.with_name(name)
        if beside.is_file():
            with beside.open(encoding="utf-8", errors="replace") as file:
                lines = file.read(_LARGEST).splitlines()
            found = (_LINE.match(line) for line in lines)
            return name, {line[1]: line[2].strip() for line in found if line}
    return "", {}


def trained_with_dropout(path: Path, network: UNetGenerator, options: Mapping[str, str]) -> tuple[bool, str]:
    """Whether a U-Net was most likely trained with dropout, which its weights do not show, and why."""
    kind = options.get("netG") or options.get("which_model_netG") or ""
    if options.get("no_dropout") in ("True", "False") and kind.startswith("unet"):
        off = options["no_dropout"]
        return off == "False", f"no_dropout is {off} in the file of options beside it"
    if re.search(r"_net_G_[AB]\.pth$", path.name):
        return False, "it is named as a CycleGAN's, which the port trains without"
    if layers_of(network, BatchNorm2d):
        return True, "it has the batch norm of pix2pix, which the port trains with dropout"
    return False, "it has the norm of CycleGAN, which the port trains without"

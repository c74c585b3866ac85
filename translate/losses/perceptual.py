"""The distances between images in a trained classifier's features: the VGG loss of UNIT and MUNIT, and pix2pixHD's."""

from collections import OrderedDict
from pathlib import Path

import torch
from torch import Tensor, nn

from translate.losses.adversarial import full_precision
from translate.networks.blocks import InstanceNorm2d, named
from translate.networks.pretrained import read_stages, standardised
from translate.networks.weights_file import read_weights

_OF_BLOCKS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)


class LayeredDistance:
    """pix2pixHD's VGG loss, for images (batch, 1 or 3, height, width) in [-1, 1]: the mean absolute differences behind
    the first ReLU of each of VGG's five blocks, weighted 1/32, 1/16, 1/8, 1/4 and 1 (Wang et al. 2018, section 3.2).

    As released, the network sees the images as they are, not standardised; and the targets get no gradient. `weights`:
    a state dict of torchvision's VGG-19, as published, or another VGG without batch norm. The network is frozen, no
    part of a model, and follows the images' device. Raises what `read_stages` does, and ValueError for a ResNet.
    """

    def __init__(self, weights: Path | str) -> None:
        self._stages = read_stages(Path(weights))
        if len(self._stages.widths) != len(_OF_BLOCKS):
            raise ValueError(
                f"{weights}: a ResNet, and this loss compares the five blocks of a VGG; give VGG-19's file"
            )

    def __call__(self, images: Tensor, targets: Tensor) -> Tensor:
        found, wanted = self._features(images), self._features(targets.detach())
        blocks = zip(_OF_BLOCKS, found, wanted, strict=True)
        each = [weight * (full_precision(one) - full_precision(other)).abs().mean() for weight, one, other in blocks]
        return torch.stack(each).sum()

    def _features(self, images: Tensor) -> list[Tensor]:
        return self._stages(full_precision(images).expand(-1, 3, -1, -1))


class PerceptualDistance:
    """Mean squared difference of instance-normalised features, for images (batch, 1 or 3, height, width) in [-1, 1].

    Instance norm removes each map's mean and contrast, and with them much of the domain (Huang et al. 2018,
    domain-invariant perceptual loss). `weights` is the state dict of one of torchvision's classifiers, recognised by
    its keys: VGG-16, read at relu5_3 without the fourth pooling, as in the released code; or ResNet-18 with a head for
    any classes or none, read after its third stage.

    The network is frozen, no part of a model, and follows the images' device. Raises FileNotFoundError if there is no
    such file, and ValueError for a file of something else; a call, for images so small that a feature map is one pixel,
    which instance norm would make 0.
    """

    def __init__(self, weights: Path | str) -> None:
        self.weights = Path(weights)
        if not self.weights.is_file():
            raise FileNotFoundError(
                f"no weights at {self.weights}: give a state dict of torchvision's VGG-16 or ResNet-18 "
                "as torch.save writes it"
            )
        self._network = _read_classifier(self.weights)

    def __call__(self, images: Tensor, targets: Tensor) -> Tensor:
        difference = self.features(images) - self.features(targets)
        return difference.float().square().mean()

    def features(self, images: Tensor) -> Tensor:
        """Normalised: (batch, 512, height / 8, ...) for VGG-16, (batch, 256, height / 16, ...) for ResNet-18."""
        features: Tensor = self._network.to(images.device)(standardised(images))
        if features.shape[2] * features.shape[3] == 1:
            height, width = images.shape[2:]
            raise ValueError(f"images of {height}x{width} are too small for {self.weights}: one pixel of features")
        return features


def _read_classifier(path: Path) -> nn.Sequential:
    state = read_weights(path)
    if "features.0.weight" in state:
        network, channels = _vgg16(), 512
    elif "layer1.0.conv1.weight" in state:
        network, channels = _resnet18(), 256
    else:
        found = ", ".join(map(str, list(state)[:4])) or "none"
        raise ValueError(f"{path}: expected a state dict of torchvision's VGG-16 or ResNet-18, found keys {found}, ...")

    expected = network.state_dict()
    try:
        network.load_state_dict({key: value for key, value in state.items() if key in expected})
    except RuntimeError as error:
        raise ValueError(f"{path}: the weights do not fit torchvision's network: {error}") from error
    network.append(InstanceNorm2d(channels))
    return network.eval().requires_grad_(False)


def _vgg16() -> nn.Sequential:
    from torchvision.models import vgg16

    layers = vgg16(weights=None).features.named_children()
    # Up to the last ReLU, without the fourth pooling at position 23.
    used = OrderedDict((name, layer) for name, layer in layers if int(name) < 30 and name != "23")
    return named(features=nn.Sequential(used))


def _resnet18() -> nn.Sequential:
    from torchvision.models import resnet18

    names = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3")
    network = resnet18(weights=None)
    return named(**{name: network.get_submodule(name) for name in names})

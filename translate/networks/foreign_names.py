"""What the PyTorch port, CUT and StarGAN call our networks' modules: positions in nested nn.Sequentials.

Positions count the layers without weights, too: activations, padding, blurring.
"""

from torch import nn

from translate.networks.blocks import BlurPool2d, layers_of
from translate.networks.patchgan import PatchDiscriminator, PixelDiscriminator
from translate.networks.resnet import ResnetGenerator
from translate.networks.stargan import StarGANDiscriminator, StarGANGenerator
from translate.networks.unet import UNetGenerator


def module_names(network: nn.Module) -> dict[str, str]:
    """Maps our modules' names to theirs. Raises ValueError for a network that they lack."""
    match network:
        case ResnetGenerator():
            return _resnet(network, "model", "conv_block", padding=1)
        case StarGANGenerator():
            return _resnet(network, "main", "main", padding=0)  # padded with zeros, by the convolutions themselves
        case UNetGenerator():
            return _unet(len(network.down) - 1)
        case PatchDiscriminator() | PixelDiscriminator():
            blur = 1 if layers_of(network, BlurPool2d) else 0
            return _discriminator("net" if isinstance(network, PixelDiscriminator) else "model", network.layers, blur)
        case StarGANDiscriminator():
            names = {f"layers.{number}.conv": f"main.{2 * number}" for number in range(len(network.layers))}
            return names | {"score_head": "conv1", "class_head": "conv2"}
    raise ValueError(f"the port of pix2pix and CycleGAN has no {type(network).__name__}")


def _resnet(network: ResnetGenerator | StarGANGenerator, root: str, block: str, padding: int) -> dict[str, str]:
    """Names of a ResNet's modules; `padding` is the number of layers before a convolution that only pad."""
    place, blur = 3 + padding, 1 if layers_of(network, BlurPool2d) else 0
    names = _pair("stem.conv", "stem.norm", root, padding)
    for number in range(len(network.down)):
        names |= _pair(f"down.{number}.conv", f"down.{number}.norm", root, place)
        place += 3 + blur  # CUT blurs after the ReLU
    for number, residual in enumerate(network.body):
        theirs, second = f"{root}.{place}.{block}", 3 + 2 * padding + isinstance(residual.dropout, nn.Dropout)
        names |= _pair(f"body.{number}.conv1", f"body.{number}.norm1", theirs, padding)
        names |= _pair(f"body.{number}.conv2", f"body.{number}.norm2", theirs, second)
        place += 1
    for number in range(len(network.up)):
        place += blur  # and before the convolution
        names |= _pair(f"up.{number}.conv", f"up.{number}.norm", root, place)
        place += 3
    return names | {"head": f"{root}.{place + padding}"}


def _unet(innermost: int) -> dict[str, str]:
    """Each level's block contains the next, the outermost at position 1, the others at 3."""
    names = {"down.0.conv": "model.model.0", "head": "model.model.3"}
    block = "model.model.1.model"
    for level in range(1, innermost):
        step = innermost - level
        names |= _pair(f"down.{level}.conv", f"down.{level}.norm", block, 1)
        names |= _pair(f"up.{step}.conv", f"up.{step}.norm", block, 5)
        block += ".3.model"
    return names | {f"down.{innermost}.conv": f"{block}.1"} | _pair("up.0.conv", "up.0.norm", block, 3)


def _discriminator(root: str, stages: nn.Sequential, blur: int) -> dict[str, str]:
    """`blur`: the number of layers that only blur, behind all stages but the last."""
    place, names = 2 + blur, {"layers.0.conv": f"{root}.0"}
    for number in range(1, len(stages)):
        names |= _pair(f"layers.{number}.conv", f"layers.{number}.norm", root, place)
        place += 3 + (blur if number < len(stages) - 1 else 0)
    return names | {"head": f"{root}.{place}"}


def _pair(conv: str, norm: str, root: str, place: int) -> dict[str, str]:
    """A convolution, and the normalisation behind it."""
    return {conv: f"{root}.{place}", norm: f"{root}.{place + 1}"}

"""Reads and writes weights of the PyTorch port of pix2pix and CycleGAN, of CUT and of the released StarGAN.

The widely used port is junyanz/pytorch-CycleGAN-and-pix2pix. Its `*_net_G.pth` and `*_net_D.pth`, CUT's files of the
same names, and StarGAN's `*-G.ckpt` and `*-D.ckpt`, are bare state dicts with the keys that `foreign_names` makes.
"""

import re
from collections.abc import Mapping
from typing import TypeVar

from torch import Tensor, nn

from translate.networks.blocks import BatchNorm2d, BlurPool2d, Downsampling, InstanceNorm2d, Normalisation, layers_of
from translate.networks.foreign_names import module_names
from translate.networks.measured import no_larger_than
from translate.networks.patchgan import PatchDiscriminator, PixelDiscriminator
from translate.networks.resnet import ResnetGenerator
from translate.networks.signatures import refuse_signed, unwrapped
from translate.networks.stargan import StarGANDiscriminator, StarGANGenerator
from translate.networks.unet import UNetGenerator

State = Mapping[str, Tensor]
PortGenerator = ResnetGenerator | UNetGenerator | StarGANGenerator
PortNetwork = PortGenerator | PatchDiscriminator | PixelDiscriminator | StarGANDiscriminator
Network = TypeVar("Network", bound=nn.Module)

_MOST_DOWNSAMPLINGS = 12
_RUNNING = ("running_mean", "running_var", "num_batches_tracked")


def from_port(state: State, dropout: float = 0.5, running_statistics: bool = False) -> PortNetwork:
    """Builds the network of a port's state dict, with its weights; see `recognise` and `load_port_state`.

    With `running_statistics`, the instance norms keep the file's running statistics and use them in eval mode.
    StarGAN's files have them, but its own test script never enters eval mode, so its published results were made
    without them.
    """
    network = recognise(state, dropout)
    if running_statistics:
        track(network)
    return load_port_state(network, state)


def recognise(state: State, dropout: float = 0.5) -> PortNetwork:
    """Builds the untrained network that has these keys and shapes.

    Recognises ResNet generators (any blocks, with or without dropout, CUT's antialiased ones), U-Nets (any depth),
    PatchGANs (any layers, CUT's, too) and PixelGANs, with instance, batch or no norm and any channels and filters; and
    StarGAN's generator and discriminator with any labels, channels, filters and depth. A U-Net's keys do not tell
    whether it has dropout, so `dropout` does (0.5 in the port's pix2pix, none in its CycleGAN). Raises ValueError for
    other keys, NamedError if they are those of a network that is known (see `SIGNATURES`).
    """
    try:
        with no_larger_than(state):
            return _recognise(unwrapped(state), dropout)
    except (LookupError, TypeError) as error:  # a weight of too few dimensions
        raise ValueError(f"has keys of a known network, but not its shapes ({error})") from error


def _recognise(state: State, dropout: float) -> PortNetwork:
    refuse_signed(state)
    if (stargan := _stargan(state)) is not None:
        return stargan
    if "model.1.weight" in state and any(".conv_block." in key for key in state):
        return _resnet(state)
    if {"model.model.0.weight", "model.model.3.weight"} <= state.keys():
        return _unet(state, dropout)
    if "net.0.weight" in state:
        filters, channels = state["net.0.weight"].shape[:2]
        return PixelDiscriminator(channels, filters=filters, normalisation=_normalisation(state, "net.2", "net.3"))
    if {"model.0.weight", "model.2.weight", "model.5.weight"} <= state.keys():
        return _patchgan(state, "strided", "model.2", "model.3")
    if {"model.0.weight", "model.2.filt", "model.3.weight"} <= state.keys():
        return _patchgan(state, "blur", "model.3", "model.4")
    raise ValueError(
        "not a network of the PyTorch port of pix2pix and CycleGAN (ResNet, U-Net, PatchGAN or PixelGAN), "
        f"nor StarGAN's: keys {', '.join(list(state)[:4]) or 'none'}, ..."
    )


def load_port_state(network: Network, state: State) -> Network:
    """Fills the network with a port's weights, in place, and returns it.

    Strips the prefixes of wrappers, and drops what ours need not have: CUT's blurring filters, and the running
    statistics that old files hold for instance norm. Biases that the port lacks without norms become 0. Raises
    ValueError naming every key that is missing, left over or of another shape; the network is then unchanged.
    """
    blurred = layers_of(network, BlurPool2d)
    theirs = {key: value for key, value in unwrapped(state).items() if not (blurred and key.endswith(".filt"))}
    own, biasless = network.state_dict(), _biasless(network)
    mapped: dict[str, Tensor] = {}
    wrong: list[str] = []
    for key, port_key in port_keys(network).items():
        if port_key in theirs:
            value = theirs.pop(port_key)
            mapped[key] = value
            if value.shape != own[key].shape:
                wrong.append(f"{port_key} is {tuple(value.shape)}, expected {tuple(own[key].shape)}")
        elif key.endswith("num_batches_tracked"):  # missing in files of torch < 0.4.1, and only a counter
            mapped[key] = own[key]
        elif key in biasless:
            mapped[key] = own[key].new_zeros(own[key].shape)
        else:
            wrong.append(f"{port_key} is missing")
    untracked = {
        f"{port_name}.{statistic}"
        for name, port_name in module_names(network).items()
        if isinstance(network.get_submodule(name), InstanceNorm2d)
        for statistic in _RUNNING
    }
    wrong += [f"{key} is left over" for key in theirs if key not in untracked]
    if wrong:
        raise ValueError(f"the weights do not fit a {type(network).__name__}: {'; '.join(wrong)}")
    network.load_state_dict(mapped)
    return network


def port_state(network: nn.Module) -> dict[str, Tensor]:
    """The network's weights under the port's keys, as the port would save and load them."""
    keys = port_keys(network)
    return {keys[key]: value for key, value in network.state_dict().items()}


def port_keys(network: nn.Module) -> dict[str, str]:
    """Maps every key of our state dict to its name in the port. Raises ValueError for a network the port lacks."""
    names = module_names(network)
    keys = {}
    for key in network.state_dict():
        name, _, entry = key.rpartition(".")
        if name not in names:
            raise ValueError(f"the port has no counterpart of {key} in a {type(network).__name__}")
        keys[key] = f"{names[name]}.{entry}"
    return keys


def _resnet(state: State) -> ResnetGenerator:
    blocks = {int(found[1]) for key in state if (found := re.match(r"model\.(\d+)\.conv_block\.", key))}
    filters, channels_in = state["model.1.weight"].shape[:2]
    blurred = any(key.endswith(".filt") for key in state)
    return ResnetGenerator(
        channels_in,
        state[_convolutions(state)[-1]].shape[0],
        filters=filters,
        blocks=len(blocks),
        downsamplings=_downsamplings(min(blocks) - 4, 4 if blurred else 3),
        normalisation=_normalisation(state, "model.1", "model.2"),
        upsampling="blur" if blurred else "transposed",
        # Dropout is at position 4 of a block, which moves the second convolution from 5 to 6.
        dropout=f"model.{min(blocks)}.conv_block.5.weight" not in state,
    )


def _patchgan(state: State, downsampling: Downsampling, conv: str, norm: str) -> PatchDiscriminator:
    """`conv` and `norm`: the second convolution, and the layer behind it."""
    filters, channels = state["model.0.weight"].shape[:2]
    kind, layers = _normalisation(state, conv, norm), len(_convolutions(state)) - 2
    return PatchDiscriminator(channels, filters=filters, layers=layers, normalisation=kind, downsampling=downsampling)


def _unet(state: State, dropout: float) -> UNetGenerator:
    filters, channels_in = state["model.model.0.weight"].shape[:2]
    channels_out = state["model.model.3.weight"].shape[1]
    levels = 1 + sum(re.fullmatch(r"model\.model\.1\.model(\.3\.model)*\.1\.weight", key) is not None for key in state)
    kind = _normalisation(state, "model.model.0", "model.model.1.model.2")
    options = {"filters": filters, "levels": levels, "normalisation": kind, "dropout": dropout}
    return UNetGenerator(channels_in, channels_out, **options)


def _stargan(state: State) -> StarGANGenerator | StarGANDiscriminator | None:
    """None for another project's keys."""
    main = [key for key in _convolutions(state) if re.fullmatch(r"main\.\d+\.weight", key)]
    if "main.0.weight" not in main:
        return None
    filters, channels_in = state["main.0.weight"].shape[:2]
    if {"conv1.weight", "conv2.weight"} <= state.keys() and state["conv2.weight"].dim() == 4:
        labels, _, rows, columns = state["conv2.weight"].shape
        layers = len(main)
        size = rows * 2**layers, columns * 2**layers
        return StarGANDiscriminator(channels_in, labels, size, filters=filters, layers=layers)

    blocks = [int(found[1]) for key in state if (found := re.fullmatch(r"main\.(\d+)\.main\.0\.weight", key))]
    channels = state[main[-1]].shape[0]
    if blocks and channels_in > channels:
        options = {"filters": filters, "blocks": len(blocks), "downsamplings": _downsamplings(min(blocks) - 3, 3)}
        return StarGANGenerator(channels, channels_in - channels, **options)
    return None


def _downsamplings(layers: int, each: int) -> int:
    """The number of downsamplings, of so many layers `each`, before the residual blocks. Raises ValueError for more
    than any network has: a key can name any number."""
    if not 0 <= layers // each <= _MOST_DOWNSAMPLINGS:
        raise ValueError(f"{layers // each} downsamplings; expected 0 to {_MOST_DOWNSAMPLINGS}")
    return layers // each


def track(network: nn.Module) -> None:
    """Gives every instance norm running statistics, which it uses in eval mode; in place."""
    for module in list(network.modules()):
        for name, layer in module.named_children():
            if isinstance(layer, InstanceNorm2d):
                affine = layer.weight is not None
                tracked = nn.InstanceNorm2d(layer.channels, layer.eps, affine=affine, track_running_stats=True)
                setattr(module, name, tracked)


def _normalisation(state: State, conv: str, norm: str) -> Normalisation:
    """The kind of the layer `norm`, after the convolution `conv`.

    Only batch norm has both a weight and running statistics, and only convolutions before instance norm have a bias.
    """
    if f"{norm}.weight" in state:
        return "batch" if f"{norm}.running_var" in state else "affine_instance"
    return "instance" if f"{conv}.bias" in state else "none"


_BIASED: dict[type[nn.Module], set[str]] = {
    ResnetGenerator: {"head"},
    UNetGenerator: {"head"},
    PatchDiscriminator: {"layers.0.conv", "head"},
    PixelDiscriminator: {"layers.0.conv"},
}
"""The convolutions that have a bias in the port even without norms."""


def _biasless(network: nn.Module) -> set[str]:
    """The biases that the port lacks: those of a network without norms, but for `_BIASED`."""
    if layers_of(network, InstanceNorm2d, BatchNorm2d) or type(network) not in _BIASED:
        return set()
    biases = {key for key in network.state_dict() if key.endswith(".bias")}
    return biases - {f"{name}.bias" for name in _BIASED[type(network)]}


def _convolutions(state: State) -> list[str]:
    """The keys of convolution weights in the network's order, by their positions in its nn.Sequential."""
    convolutions = [key for key, value in state.items() if value.dim() == 4 and not key.endswith(".filt")]
    return sorted(convolutions, key=lambda key: [int(place) for place in re.findall(r"\d+", key)])

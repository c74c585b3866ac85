"""The keys of the released StarGAN's weights (yunjey/stargan); `foreign` reads the files."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from translate.networks.stargan import StarGANDiscriminator, StarGANGenerator

_MOST = 12


def recognise(state: Mapping[str, Tensor]) -> StarGANGenerator | StarGANDiscriminator | None:
    """Builds the untrained network that has these keys and shapes; None if they are another project's."""
    convolutions = [key for key, value in state.items() if re.fullmatch(r"main\.\d+\.weight", key) and value.dim() == 4]
    convolutions.sort(key=_place)
    if not convolutions or convolutions[0] != "main.0.weight":
        return None
    filters, channels_in = state["main.0.weight"].shape[:2]

    if {"conv1.weight", "conv2.weight"} <= state.keys() and state["conv2.weight"].dim() == 4:
        labels, _, side, _ = state["conv2.weight"].shape
        layers = len(convolutions)
        return StarGANDiscriminator(channels_in, labels, side * 2**layers, filters=filters, layers=layers)

    residual = [key for key in state if re.fullmatch(r"main\.\d+\.main\.0\.weight", key)]
    channels = state[convolutions[-1]].shape[0]
    if residual and channels_in > channels:
        depth = downsamplings(min(map(_place, residual)) - 3)
        options = {"filters": filters, "blocks": len(residual), "downsamplings": depth}
        return StarGANGenerator(channels, channels_in - channels, **options)
    return None


def downsamplings(layers: int, each: int = 3) -> int:
    """The number of downsamplings, of so many layers `each`, before the residual blocks. Raises ValueError for more
    than any network has: a key can name any number."""
    if not 0 <= layers // each <= _MOST:
        raise ValueError(f"{layers // each} downsamplings; expected 0 to {_MOST}")
    return layers // each


def generator_names(network: StarGANGenerator) -> dict[str, str]:
    """Maps our modules' names to the released ones, which are positions in nn.Sequentials."""
    names = {"stem.conv": "main.0", "stem.norm": "main.1"}  # 2: ReLU
    place = 3
    for number in range(len(network.down)):
        names |= {f"down.{number}.conv": f"main.{place}", f"down.{number}.norm": f"main.{place + 1}"}
        place += 3
    for number in range(len(network.body)):
        ours, theirs = f"body.{number}", f"main.{place}.main"
        names |= {f"{ours}.conv1": f"{theirs}.0", f"{ours}.norm1": f"{theirs}.1"}
        names |= {f"{ours}.conv2": f"{theirs}.3", f"{ours}.norm2": f"{theirs}.4"}
        place += 1
    for number in range(len(network.up)):
        names |= {f"up.{number}.conv": f"main.{place}", f"up.{number}.norm": f"main.{place + 1}"}
        place += 3
    return names | {"head": f"main.{place}"}


def discriminator_names(network: StarGANDiscriminator) -> dict[str, str]:
    """Maps our modules' names to the released ones."""
    names = {f"layers.{number}.conv": f"main.{2 * number}" for number in range(len(network.layers))}
    return names | {"score_head": "conv1", "class_head": "conv2"}


def _place(key: str) -> int:
    return int(key.split(".")[1])

"""StarGAN v2's weights as published: a file of several networks, and what its keys are called here.

`nets_ema` of the released checkpoints holds state dicts of a generator, a mapping network and a style encoder (those
of faces a landmark network, too, and a generator with skips under its masks).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn

from translate.networks.stargan_v2 import (
    DomainDiscriminator,
    MappingNetwork,
    StyledGenerator,
    StyleEncoder,
)

State = Mapping[str, Tensor]


def ours(network: nn.Module, state: State) -> dict[str, Tensor]:
    """The published state dict of such a network under our keys. Raises ValueError for a network of another method."""
    renamed = {_renamed(network, key): value for key, value in state.items()}
    if isinstance(network, DomainDiscriminator):
        renamed["head.weight"] = renamed["head.weight"].flatten(1)  # a convolution of 1x1 there, over one pixel
    return renamed


def fill(network: nn.Module, state: State) -> None:
    """Gives the network the published weights, in place. Raises ValueError that names the keys that do not fit."""
    try:
        network.load_state_dict(ours(network, state))
    except (RuntimeError, KeyError) as error:
        raise ValueError(
            f"the weights do not fit a {type(network).__name__}: {' '.join(str(error).split())}"
        ) from error


def _renamed(network: nn.Module, key: str) -> str:
    key = key.replace("conv1x1", "shortcut").replace("unshared.", "heads.")
    if isinstance(network, StyledGenerator):
        return _replaced(key, {"from_rgb": "stem", "to_rgb.0": "norm", "to_rgb.2": "head"})
    if isinstance(network, MappingNetwork):
        return key
    if isinstance(network, StyleEncoder | DomainDiscriminator):
        return _in_funnel(key, len(network.funnel.down))
    raise ValueError(f"StarGAN v2 has no {type(network).__name__}")


def _in_funnel(key: str, blocks: int) -> str:
    """`shared.N` of the style encoder, `main.N` of the discriminator: blocks count from 1, activations count, too."""
    place = re.match(r"(shared|main)\.(\d+)\.", key)
    if place is None:
        return key
    number, rest = int(place[2]), key[place.end() :]
    names = {0: "funnel.stem", blocks + 2: "funnel.last", blocks + 4: "head"}
    return f"{names.get(number, f'funnel.down.{number - 1}')}.{rest}"


def _replaced(key: str, names: Mapping[str, str]) -> str:
    for theirs, own in names.items():
        if key.startswith(f"{theirs}."):
            return own + key[len(theirs) :]
    return key

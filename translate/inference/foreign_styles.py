"""Published weights of StarGAN v2: a file of three networks, converted with as a run of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from translate.data.labels import LabelGroup
from translate.models.base import ImageSpec
from translate.models.stargan_v2 import StarGANv2, StarGANv2Config
from translate.networks.foreign_stargan_v2 import fill
from translate.networks.measured import no_larger_than
from translate.networks.signatures import NamedError
from translate.networks.weights_file import not_finite

NETWORKS = {"generator": "generator", "mapping_network": "mapping", "style_encoder": "style_encoder"}
"""What they are called in the file, and here."""
_LEFT = 4
"""Pixels that the published style encoder leaves of an image's side."""


def is_styled(contents: Mapping[str, Any]) -> bool:
    """Whether a file's contents are StarGAN v2's networks, as released (`nets_ema`)."""
    return all(isinstance(contents.get(name), Mapping) for name in NETWORKS)


def read_styled(contents: Mapping[str, Any]) -> tuple[StarGANv2, ImageSpec]:
    """The model, whose domains have no names in the file, only numbers. Raises NamedError for networks of faces, which
    need landmarks, and ValueError for weights that do not fit."""
    states: dict[str, dict[str, Tensor]] = {name: dict(contents[name]) for name in NETWORKS}
    try:
        config, images = _described(states)
    except (LookupError, TypeError) as error:
        raise ValueError(f"has the networks of StarGAN v2, but not their shapes ({error})") from error
    with no_larger_than({f"{name}.{key}": value for name, state in states.items() for key, value in state.items()}):
        model = StarGANv2(config, images)
    del model.discriminator
    for theirs, own in NETWORKS.items():
        fill(model.get_submodule(own), states[theirs])
    if spoilt := not_finite(model.state_dict()):
        raise NamedError(f"{spoilt} is not finite: all its images would be black")
    size = images.crop.height
    model.remarks = f"StarGAN v2 of {len(images.domains)} domains, which have no names in the file, at {size} pixels"
    return model, images


def _described(states: Mapping[str, Mapping[str, Tensor]]) -> tuple[StarGANv2Config, ImageSpec]:
    generator, mapping, encoder = (states[name] for name in NETWORKS)
    filters, channels = generator["from_rgb.weight"].shape[:2]
    style = generator["decode.0.norm1.fc.weight"].shape[1]
    layers, encoded = _blocks(encoder, "shared"), _blocks(generator, "encode")
    if encoded != layers:
        raise NamedError(
            "StarGAN v2 for faces, whose generator takes skips under masks of landmarks (w_hpf above 0); convert with "
            "the released code, or train stargan-v2 on classes of faces"
        )
    domains = len({key.split(".")[1] for key in mapping if key.startswith("unshared.")})
    size = _LEFT * 2**layers
    widest = max(value.shape[0] for value in generator.values() if value.dim() == 4)
    network = {"filters": int(filters), "widest": int(widest)}
    # The discriminator is not in the file: one as small as can be is built, and thrown away.
    settings = {
        "style": int(style),
        "generator": network | {"downsamplings": encoded - 2},
        "mapping": dict(zip(("hidden", "latent"), map(int, mapping["shared.0.weight"].shape), strict=True)),
        "style_encoder": network | {"layers": layers},
        "discriminator": {"filters": 1, "widest": 1, "layers": layers},
    }
    names = tuple(map(str, range(domains)))
    images = ImageSpec(int(channels), size, names, (LabelGroup(domains, exclusive=True),))
    return StarGANv2Config.model_validate(settings), images


def _blocks(state: Mapping[str, Tensor], of: str) -> int:
    return sum(re.fullmatch(rf"{of}\.\d+\.conv1\.weight", key) is not None for key in state)

"""The settings of a recipe that build a given network, read from its layers."""

from __future__ import annotations

from typing import Any

from torch import nn

from translate.networks.blocks import BatchNorm2d, BlurPool2d, InstanceNorm2d
from translate.networks.patchgan import PatchDiscriminator, PixelDiscriminator
from translate.networks.resnet import ResnetGenerator
from translate.networks.stargan import StarGANDiscriminator, StarGANGenerator
from translate.networks.unet import UNetGenerator


def settings_of(network: nn.Module) -> dict[str, Any]:
    """Dotted keys and values. Raises ValueError for a network of another class."""
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    labels = network.labels if isinstance(network, StarGANGenerator) else 0
    channels = {"data.channels": first.in_channels - labels} if first.in_channels - labels != 3 else {}
    section, found = _section(network, first.out_channels)
    return {f"model.{section}.{key}": value for key, value in found.items()} | channels


def _section(network: nn.Module, filters: int) -> tuple[str, dict[str, Any]]:
    if isinstance(network, StarGANGenerator):
        return "generator", {
            "filters": filters,
            "blocks": len(network.body),
            "downsamplings": len(network.down),
        }
    if isinstance(network, ResnetGenerator):
        blurs = any(isinstance(module, BlurPool2d) for module in network.modules())
        return "generator", {
            "kind": "resnet",
            "filters": filters,
            "blocks": len(network.body),
            "downsamplings": len(network.down),
            "normalisation": _normalisation(network),
            "upsampling": "blur" if blurs else "transposed",
            "residual": False,
        }
    if isinstance(network, UNetGenerator):
        return "generator", {
            "kind": "unet",
            "filters": filters,
            "levels": len(network.down),
            "normalisation": _normalisation(network),
        }
    if isinstance(network, StarGANDiscriminator):
        return "discriminator", {"filters": filters, "layers": len(network.layers)}
    if isinstance(network, PatchDiscriminator | PixelDiscriminator):
        layers = len(network.layers) - 1 if isinstance(network, PatchDiscriminator) else 0
        return "discriminator", {
            "kind": "patch",
            "filters": filters,
            "layers": layers,
            "normalisation": _normalisation(network),
        }
    raise ValueError(f"no settings are known for a {type(network).__name__}")


def _normalisation(network: nn.Module) -> str:
    norms = [module for module in network.modules() if isinstance(module, InstanceNorm2d | BatchNorm2d)]
    if not norms:
        return "none"
    if isinstance(norms[0], BatchNorm2d):
        return "batch"
    return "instance" if norms[0].weight is None else "affine_instance"

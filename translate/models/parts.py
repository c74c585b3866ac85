"""The networks that recipes name by their `kind`: one table a role, to which plugins add theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from translate.errors import ConfigurationError
from translate.losses.perceptual import PerceptualDistance
from translate.networks.dcgan import DCGANSettings
from translate.networks.mlp import MLPSettings
from translate.networks.patchgan import PatchSettings, StridedSettings
from translate.networks.pix2pixhd import EnhancedSettings
from translate.networks.pretrained import named_by
from translate.networks.projected import ProjectedSettings
from translate.networks.resnet import ResnetSettings
from translate.networks.settings import DiscriminatorSettings, GeneratorSettings, SamplerNetworkSettings
from translate.networks.settings import Generator as GeneratorNetwork
from translate.networks.spade import SPADESettings
from translate.networks.srresnet import SRResnetSettings
from translate.networks.unet import UNetSettings
from translate.networks.vit_unet import ViTUNetSettings
from translate.utils.one_of import OneOf

GENERATORS: dict[str, type[GeneratorSettings]] = {
    "resnet": ResnetSettings,
    "unet": UNetSettings,
    "srresnet": SRResnetSettings,
    "spade": SPADESettings,
    "vit-unet": ViTUNetSettings,
    "enhanced": EnhancedSettings,
}
DISCRIMINATORS: dict[str, type[DiscriminatorSettings]] = {
    "patch": PatchSettings,
    "strided": StridedSettings,
    "projected": ProjectedSettings,
}
SAMPLER_NETWORKS: dict[str, type[SamplerNetworkSettings]] = {"mlp": MLPSettings, "dcgan": DCGANSettings}
EXTENDED: dict[str, type] = {
    "GENERATORS": GeneratorSettings,
    "DISCRIMINATORS": DiscriminatorSettings,
    "SAMPLER_NETWORKS": SamplerNetworkSettings,
}
"""The class that all entries of a table extend."""

# Types of fields, for the settings of methods.
Generator = Annotated[GeneratorSettings, OneOf(GENERATORS)]
Discriminator = Annotated[DiscriminatorSettings, OneOf(DISCRIMINATORS, default="patch")]
SamplerNetwork = Annotated[SamplerNetworkSettings, OneOf(SAMPLER_NETWORKS)]


def require_features(network: GeneratorNetwork, kind: str, method: str) -> None:
    """Raises ConfigurationError, with a kind that helps, for a generator without inner features, which the method
    compares."""
    if not network.feature_channels:
        raise ConfigurationError(
            f"model.generator.kind {kind}: says of no inner features, and {method} compares an image and its "
            "translation by them; set model.generator.kind: resnet"
        )


def perceptual_distance(key: str, weights: Path) -> PerceptualDistance:
    """The perceptual distance of the classifier in the file `weights`, which the setting `key` of the model names.
    Raises as `named_by` does."""
    return named_by(f"model.{key}", PerceptualDistance, weights)

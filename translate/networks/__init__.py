"""Generators and discriminators, as published; torch only."""

from translate.networks.blocks import Initialisation, Normalisation, Padding, Upsampling, initialise
from translate.networks.patchgan import (
    MultiscaleDiscriminator,
    PatchDiscriminator,
    PixelDiscriminator,
    patch_discriminator,
)
from translate.networks.resnet import ResnetGenerator
from translate.networks.unet import DropoutPlacement, UNetGenerator

__all__ = [
    "DropoutPlacement",
    "Initialisation",
    "MultiscaleDiscriminator",
    "Normalisation",
    "Padding",
    "PatchDiscriminator",
    "PixelDiscriminator",
    "ResnetGenerator",
    "UNetGenerator",
    "Upsampling",
    "initialise",
    "patch_discriminator",
]

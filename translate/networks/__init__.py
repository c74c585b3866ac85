"""Generators and discriminators, as published; torch only."""

from translate.networks.autoencoder import CodeDiscriminator, Decoder, Encoder, SharedBlocks
from translate.networks.blocks import Initialisation, Normalisation, Padding, Upsampling, initialise
from translate.networks.digits import DigitCode, DigitCodeDecoder, DigitDecoder, DigitEncoder, DigitFront, DigitTrunk
from translate.networks.enlarging import BicubicEnlargement
from translate.networks.patchgan import (
    MultiscaleDiscriminator,
    PatchDiscriminator,
    PixelDiscriminator,
    StridedDiscriminator,
    patch_discriminator,
)
from translate.networks.resnet import ResnetGenerator
from translate.networks.srresnet import SRResnetGenerator
from translate.networks.stargan import StarGANDiscriminator, StarGANGenerator
from translate.networks.unet import DropoutPlacement, UNetGenerator

__all__ = [
    "BicubicEnlargement",
    "CodeDiscriminator",
    "Decoder",
    "DigitCode",
    "DigitCodeDecoder",
    "DigitDecoder",
    "DigitEncoder",
    "DigitFront",
    "DigitTrunk",
    "DropoutPlacement",
    "Encoder",
    "Initialisation",
    "MultiscaleDiscriminator",
    "Normalisation",
    "Padding",
    "PatchDiscriminator",
    "PixelDiscriminator",
    "ResnetGenerator",
    "SRResnetGenerator",
    "SharedBlocks",
    "StarGANDiscriminator",
    "StarGANGenerator",
    "StridedDiscriminator",
    "UNetGenerator",
    "Upsampling",
    "initialise",
    "patch_discriminator",
]

"""The methods, by name. To add one: a file here, a line in MODELS, a recipe; the contract tests pick it up."""

from translate.models.base import Model
from translate.models.bridge import BridgeModel
from translate.models.cgan import CGAN
from translate.models.cut import CUT
from translate.models.cyclegan import CycleGAN
from translate.models.direct import Direct
from translate.models.gan import GAN
from translate.models.oasis import OASIS
from translate.models.pix2pix import Pix2Pix
from translate.models.stackgan import StackGAN
from translate.models.stargan import StarGAN
from translate.models.stargan_v2 import StarGANv2
from translate.models.unit import UNIT
from translate.models.unit_digits import UNITDigits
from translate.models.vae import VAE

MODELS: dict[str, type[Model]] = {
    "pix2pix": Pix2Pix,
    "oasis": OASIS,
    "cyclegan": CycleGAN,
    "cut": CUT,
    "direct": Direct,
    "bridge": BridgeModel,
    "stargan": StarGAN,
    "stargan-v2": StarGANv2,
    "unit": UNIT,
    "unit-digits": UNITDigits,
    "gan": GAN,
    "cgan": CGAN,
    "vae": VAE,
    "stackgan": StackGAN,
}

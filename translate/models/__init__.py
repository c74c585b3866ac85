"""The methods, by name. To add one: a file here, a line in MODELS, a recipe; the contract tests pick it up."""

from translate.model import Translator
from translate.models.cyclegan import CycleGAN
from translate.models.pix2pix import Pix2Pix

MODELS: dict[str, type[Translator]] = {
    "pix2pix": Pix2Pix,
    "cyclegan": CycleGAN,
}

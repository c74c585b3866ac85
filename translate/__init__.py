"""Image-to-image translation: train a translator on folders of images, and convert folders with it.

import translate

run = translate.train("cyclegan", data="horse2zebra")
zebra = translate.load(run).convert(horse, to="zebra")
"""

from translate.errors import ConfigurationError, ImageError, TranslateError
from translate.loading import load
from translate.recipe import Recipe, load_recipe
from translate.run import train
from translate.version import __version__

__all__ = [
    "ConfigurationError",
    "ImageError",
    "Recipe",
    "TranslateError",
    "__version__",
    "load",
    "load_recipe",
    "train",
]

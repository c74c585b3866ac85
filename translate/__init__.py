"""Image-to-image translation: train a translator on folders of images, and convert folders with it.

import translate

run = translate.train("cyclegan", data="horse2zebra")
zebra = translate.load(run).convert(horse, to="zebra")
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from translate.errors import ConfigurationError, ImageError, TranslateError
from translate.utils.deprecated import OldModules
from translate.version import __version__

if TYPE_CHECKING:
    from translate.recipe import Recipe, load_plugin, load_recipe
    from translate.runs.comparing import compare
    from translate.runs.loading import load
    from translate.runs.train import train
else:
    # Lazy: these import torch, which takes seconds that `translate --help` need not spend.
    _LATER = {
        "compare": "runs.comparing",
        "load": "runs.loading",
        "Recipe": "recipe",
        "load_plugin": "recipe",
        "load_recipe": "recipe",
        "train": "runs.train",
    }

    _MOVED = {
        "translate.adversarial": "translate.losses.adversarial",
        "translate.model": "translate.models.base",
        "translate.settings": "translate.utils.settings",
        "translate.theory": "translate.losses.theory",
    }
    sys.meta_path.append(OldModules(_MOVED))

    def __getattr__(name: str) -> object:
        if f"translate.{name}" in _MOVED:
            return import_module(f"translate.{name}")
        if name not in _LATER:
            raise AttributeError(f"module 'translate' has no attribute '{name}'")
        return getattr(import_module(f"translate.{_LATER[name]}"), name)

    def __dir__() -> list[str]:
        return [*globals(), *_LATER]


__all__ = [
    "ConfigurationError",
    "ImageError",
    "Recipe",
    "TranslateError",
    "__version__",
    "compare",
    "load",
    "load_plugin",
    "load_recipe",
    "train",
]

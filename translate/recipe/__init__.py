"""Recipes: strict, typed settings of a whole training run, as YAML outside and JSON inside checkpoints."""

from translate.data.domain_settings import ShapesSettings
from translate.data.settings import DataSettings
from translate.recipe.mistakes import known_keys
from translate.recipe.plugins import load_plugin
from translate.recipe.reading import load_recipe, parse_recipe, recipe_names, recipe_of
from translate.recipe.schema import Recipe
from translate.training.settings import TrainingSettings

__all__ = [
    "DataSettings",
    "Recipe",
    "ShapesSettings",
    "TrainingSettings",
    "known_keys",
    "load_plugin",
    "load_recipe",
    "parse_recipe",
    "recipe_names",
    "recipe_of",
]

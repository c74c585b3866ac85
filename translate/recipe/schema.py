"""A recipe as one value; the settings of its sections stand beside what they configure."""

from operator import attrgetter
from typing import Annotated, Any

import yaml

from translate.data.settings import DataSettings
from translate.models import MODELS
from translate.models.base import Model
from translate.training.settings import TrainingSettings
from translate.utils.one_of import OneOf
from translate.utils.settings import Settings


class Recipe(Settings):
    """A whole training run as one value."""

    name: str
    """Name of the recipe, which names its runs; by default that of its file."""
    summary: str = ""
    """What it is for, in a line."""
    model: Annotated[Settings, OneOf(MODELS, key="name", settings=attrgetter("Config"))]
    """The method, by its `name`, and that method's own keys."""
    data: DataSettings = DataSettings()
    training: TrainingSettings

    @property
    def method(self) -> type[Model]:
        """The class of the model that `model` configures."""
        return MODELS[self.model.name]  # type: ignore[attr-defined]

    def to_json(self) -> dict[str, Any]:
        """Returns every key with its value, defaults included, of types that JSON has."""
        return self.model_dump(mode="json")

    def to_yaml(self, width: float = 100) -> str:
        """Returns the text of a recipe that `load_recipe` reads as this one; defaults are written out."""
        return yaml.safe_dump(self.to_json(), sort_keys=False, allow_unicode=True, width=width)


def json_schema() -> dict[str, Any]:
    """The JSON schema of recipe files, in which keys that a `base` has may be left out."""
    made = Recipe.model_json_schema()
    of_base = {"type": "string", "description": "Name or file of a recipe whose values count where this one has none."}
    return made | {"properties": {"base": of_base} | made["properties"], "required": []}

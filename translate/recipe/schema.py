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
    summary: str = ""
    model: Annotated[Settings, OneOf(MODELS, key="name", settings=attrgetter("Config"))]
    """`name` is a key of `MODELS`; the other keys are that model's Config."""
    data: DataSettings = DataSettings()
    training: TrainingSettings

    @property
    def method(self) -> type[Model]:
        """The class of the model that `model` configures."""
        return MODELS[self.model.name]  # type: ignore[attr-defined]

    def to_json(self) -> dict[str, Any]:
        """Returns every key with its value, defaults included, of types that JSON has."""
        return self.model_dump(mode="json")

    def to_yaml(self) -> str:
        """Returns the text of a recipe that `load_recipe` reads as this one; defaults are written out."""
        return yaml.safe_dump(self.to_json(), sort_keys=False, allow_unicode=True, width=100)

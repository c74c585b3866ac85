"""A field of settings that takes one of several classes, by name, from a table to which entries may be added later."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from translate.utils.settings import Settings


@dataclass(frozen=True)
class OneOf:
    """Marks a field as `Annotated[Base, OneOf(TABLE)]`: settings of the class that TABLE has under their `key`.

    The table is read whenever settings are, so that an entry of a plugin counts as much as one of this package.
    `settings` maps an entry to its class of settings; `default` is the name that may be left out.
    """

    table: Mapping[str, Any]
    key: str = "kind"
    default: str | None = None
    settings: Callable[[Any], type[Settings]] = lambda entry: entry

    def classes(self) -> dict[str, type[Settings]]:
        return {name: self.settings(entry) for name, entry in self.table.items()}

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        every = self.classes().values()
        return {"anyOf": [one.__get_pydantic_json_schema__(one.__pydantic_core_schema__, handler) for one in every]}

    def _read(self, value: Any) -> Settings:
        classes = self.classes()
        if isinstance(value, Settings) and isinstance(value, tuple(classes.values())):
            return value
        if not isinstance(value, dict):
            raise PydanticCustomError("no_section", "expected a section of settings")
        name = value.get(self.key, self.default)
        if not isinstance(name, str) or name not in classes:
            given = {"key": self.key, "given": "missing" if name is None else name, "known": list(classes)}
            raise PydanticCustomError("unknown_name", "expected one of {known}", given)
        # Through JSON, because strict mode then still accepts lists as tuples and integers as floats.
        return classes[name].model_validate_json(json.dumps(value))

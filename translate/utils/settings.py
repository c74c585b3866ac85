"""The base of every typed setting: frozen, strict, and closed to unknown keys."""

import ast
import inspect
import textwrap
from functools import cache
from itertools import pairwise
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema

Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""The range that both torch and NumPy accept."""


class Settings(BaseModel):
    """Immutable settings; an unknown key or a wrong type is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """JSON schema with what each key means. Read only now: pydantic would read all sources at every start."""
        made = handler(schema)
        keys = handler.resolve_ref_schema(made).get("properties", {})
        for name, meaning in meanings(cls).items():
            if name in keys:
                keys[name]["description"] = meaning
        return made


@cache
def meanings(settings: type[Settings]) -> dict[str, str]:
    """What each key means, as the string below its field says; those of the classes that it is based on, too."""
    found: dict[str, str] = {}
    for kind in reversed(settings.__mro__):
        if issubclass(kind, Settings) and kind is not Settings:
            found |= _said(kind)
    return found


def _said(settings: type[Settings]) -> dict[str, str]:
    """The strings below the fields in the class's own source; empty where there is none, as of a class made at run
    time."""
    try:
        source = textwrap.dedent(inspect.getsource(settings))
    except (OSError, TypeError):
        return {}
    (made,) = ast.parse(source).body
    body = made.body if isinstance(made, ast.ClassDef) else []
    said = {}
    for above, below in pairwise(body):
        match above, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                said[name] = inspect.cleandoc(text)
    return said

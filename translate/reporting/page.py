"""Pages from templates: what a run says is escaped, and nothing in a page runs or asks the network."""

import math
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def rendered(template: str, **values: Any) -> Markup:
    """The HTML of a template in translate/reporting/templates; only Markup among the values is taken as HTML."""
    return Markup(_TEMPLATES.get_template(template).render(values))


def cell(value: Any, decimals: int | None = None) -> str:
    """A number, a text or nothing, as tables show it."""
    if value is None:
        return "–"
    if not is_number(value):
        return str(value)
    return f"{value:.5g}" if decimals is None else f"{value:.{decimals}f}"


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def duration(seconds: float) -> str:
    """Rounded: 40 s, 12 min, 3 h 5 min."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


_TEMPLATES = Environment(
    loader=PackageLoader("translate.reporting"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_TEMPLATES.filters |= {"cell": cell, "px": "{:.1f}".format}

"""Pages from templates: what a run says is escaped, and nothing in a page runs or asks the network."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

_FOOTER = "Made by translate; a click on an image shows it larger."
FOOTER = f"<footer>{_FOOTER}</footer>"
"""Distinguishes such a page from others."""


def rendered(template: str, **values: Any) -> Markup:
    """The HTML of a template in translate/reporting/templates; only Markup among the values is taken as HTML."""
    return Markup(_TEMPLATES.get_template(template).render(values))


@dataclass(frozen=True)
class Shown:
    """An image embedded in a page: a data: URL and its size in pixels."""

    data: str
    width: int
    height: int


def gallery(title: str, facts: Mapping[str, str], rows: Sequence[tuple[str, Mapping[str, Shown]]], note: str) -> str:
    """The HTML of a page of images. `rows`: names, each with its images by caption, shown side by side; a click
    enlarges them."""
    return rendered("gallery.html.j2", title=title, facts=facts.items(), rows=rows, note=note, footer=_FOOTER)


def cell(value: Any, decimals: int | None = None) -> str:
    """A number, a text or nothing, as tables show it."""
    if value is None:
        return "–"
    if not is_number(value):
        return str(value)
    return f"{value:.5g}" if decimals is None else f"{value:.{decimals}f}"


def is_number(value: Any) -> bool:
    """Returns whether a value is an int or a finite float, and no bool."""
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

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
_LEAST = 512
"""Pixels of a screen up to which a click enlarges small pictures, by a whole factor."""


def rendered(template: str, **values: Any) -> Markup:
    """The HTML of a template in translate/reporting/templates; only Markup among the values is taken as HTML."""
    return Markup(_TEMPLATES.get_template(template).render(values))


@dataclass(frozen=True)
class Shown:
    """An image embedded in a page: a data: URL and its size in pixels; the size of its file in words, and a relative
    address of that, if there is one."""

    data: str
    width: int
    height: int
    size: str = ""
    link: str = ""

    @property
    def enlarged(self) -> int:
        """The width at which a click shows it: its pixels, or the tiles that small ones become, all of one size."""
        return self.width * max(1, _LEAST // max(self.width, self.height, 1))


def gallery(
    title: str,
    facts: Mapping[str, str],
    captions: Sequence[str],
    rows: Sequence[tuple[str, Mapping[str, Shown]]],
    note: str,
) -> str:
    """The HTML of a page of images. `rows`: names, each with its images by caption, shown in the columns `captions`; a
    click enlarges them."""
    values = {"title": title, "facts": facts.items(), "captions": captions, "rows": rows, "note": note}
    return rendered("gallery.html.j2", **values, footer=_FOOTER)


def unreached(value: Any, better: Any, others: Mapping[str, Any]) -> list[str]:
    """The names of those that the value does not reach, where it is known which is better."""
    if not is_number(value) or better not in ("lower", "higher"):
        return []
    numbers = {name: other for name, other in others.items() if is_number(other)}
    return [name for name, other in numbers.items() if (value > other if better == "lower" else value < other)]


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

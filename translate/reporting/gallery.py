"""A self-contained HTML page of inputs and outputs side by side: no scripts, no network access."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from translate.reporting.page import rendered

_FOOTER = "Made by translate; a click on an image shows it larger."
FOOTER = f"<footer>{_FOOTER}</footer>"
"""Distinguishes such a page from others."""


@dataclass(frozen=True)
class Shown:
    """An image embedded in a page: a data: URL and its size in pixels."""

    data: str
    width: int
    height: int


def gallery(title: str, facts: Mapping[str, str], rows: Sequence[tuple[str, Mapping[str, Shown]]], note: str) -> str:
    """The HTML document. `rows`: names, each with its images by caption, shown side by side; a click enlarges them."""
    return rendered("gallery.html.j2", title=title, facts=facts.items(), rows=rows, note=note, footer=_FOOTER)

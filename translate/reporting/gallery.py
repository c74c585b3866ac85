"""A self-contained HTML page of inputs and outputs side by side: no scripts, no network access."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from translate.reporting.page import HEAD
from translate.reporting.style import STYLE

_STYLE = """
.pairs { display: grid; gap: 18px; margin-top: 28px;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 360px), 1fr)); }
.pair { padding: 12px; content-visibility: auto; contain-intrinsic-size: auto 240px; }
.pair label { position: relative; display: flex; gap: 6px; align-items: flex-start; cursor: zoom-in; }
.pair input { position: absolute; opacity: 0; }
.pair label:focus-within { outline: 2px solid var(--c0); outline-offset: 3px; border-radius: 4px; }
.pair span { flex: 1 1 0; min-width: 0; }
.pair img { display: block; width: 100%; height: auto; border-radius: 4px; }
.pair i { color: var(--soft); font-size: 12px; font-style: normal; }
.pair figcaption { overflow-wrap: anywhere; }
.pair:has(:checked) { grid-column: 1 / -1; }
.pair:has(:checked) label { cursor: zoom-out; }
"""

FOOTER = "<footer>Made by translate; a click on an image shows it larger.</footer>"
"""Tells such a page from others."""


@dataclass(frozen=True)
class Shown:
    """An image embedded in a page: a data: URL and its size in pixels."""

    data: str
    width: int
    height: int


def gallery(title: str, facts: Mapping[str, str], rows: Sequence[tuple[str, Mapping[str, Shown]]], note: str) -> str:
    """The HTML document. `rows`: names, each with its images by caption, shown side by side; a click enlarges them."""
    cells = "".join(f"<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd></div>" for label, value in facts.items())
    figures = "\n".join(_figure(name, images) for name, images in rows)
    return (
        f"{HEAD}<title>{escape(title)}</title>\n<style>{STYLE}{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<header><p class='kind'>Converted images</p><h1>{escape(title)}</h1><dl>{cells}</dl></header>\n"
        f"<p class='soft'>{escape(note)}</p>\n<section class='pairs'>\n{figures}\n</section>\n"
        f"{FOOTER}\n</main>\n</body>\n</html>\n"
    )


def _figure(name: str, images: Mapping[str, Shown]) -> str:
    columns = "".join(
        f'<span><img src="{image.data}" width="{image.width}" height="{image.height}" loading="lazy" decoding="async"'
        f' alt="{escape(f"{name}, {caption}")}"><i>{escape(caption)}</i></span>'
        for caption, image in images.items()
    )
    box = f'<input type="checkbox" aria-label="{escape(f"show {name} larger")}">'
    return f"<figure class='card pair'><figcaption>{escape(name)}</figcaption><label>{box}{columns}</label></figure>"

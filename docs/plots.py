"""Small plots as SVG files that need nothing else: panels side by side on a white card, each with its legend below."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from translate.reporting.axes import Axis, short

BLUE, ORANGE, GREEN, PURPLE, GREY = "#2563c9", "#d2601a", "#12856b", "#9b3fb0", "#66707e"

_WIDTH, _MARGIN = 860, 22
_LEFT, _TOP, _PLOT_HEIGHT, _LEGEND_ROW = 42, 64, 208, 20
_STYLE = """
text { font: 13px system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; fill: #4a5665; }
.title { font-weight: 600; fill: #1b2430; font-size: 14px; }
.grid { stroke: #e3e7ec; } .axis { stroke: #5c6878; }
.line { fill: none; stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round; }
.area { opacity: 0.14; }
"""


@dataclass(frozen=True)
class Curve:
    """A line through (x, y); gaps where y is not finite; `filled` down to 0."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: str
    dashes: str = ""
    filled: bool = False


@dataclass(frozen=True)
class Panel:
    title: str
    x_label: str
    y_label: str
    curves: Sequence[Curve]
    x: Axis
    y: Axis


def draw(path: Path, description: str, panels: Sequence[Panel]) -> None:
    """Writes the panels side by side; `description` is for readers who do not see them."""
    width = (_WIDTH - _MARGIN) / len(panels)
    rows = max(len(panel.curves) for panel in panels)
    height = _TOP + _PLOT_HEIGHT + 52 + rows * _LEGEND_ROW + 8
    content = "\n".join(_panel(panel, i * width + _MARGIN, width - _MARGIN) for i, panel in enumerate(panels))
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
        f' role="img" aria-label="{escape(description)}">\n<style>{_STYLE}</style>\n'
        f'<rect width="{_WIDTH}" height="{height}" rx="10" fill="#ffffff"/>\n{content}\n</svg>\n',
        encoding="utf-8",
    )


def _panel(panel: Panel, at: float, width: float) -> str:
    plot = width - _LEFT
    place = lambda x, y: (panel.x.place(x) * plot, (1 - panel.y.place(y)) * _PLOT_HEIGHT)  # noqa: E731
    parts = [
        f'<g transform="translate({at:.0f} 0)">',
        f'<text class="title" x="{_LEFT}" y="28">{escape(panel.title)}</text>',
        f'<text x="{_LEFT}" y="48">↑ {escape(panel.y_label)}</text>',
    ]
    floor = _TOP + _PLOT_HEIGHT
    for value in panel.y.ticks(about=5):
        y = _TOP + place(panel.x.low, value)[1]
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{width:.0f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4.5:.1f}" text-anchor="end">{_number(value)}</text>')
    for value in panel.x.ticks(about=5):
        x = _LEFT + place(value, panel.y.low)[0]
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{floor}" y2="{floor + 4}"/>')
        parts.append(f'<text x="{x:.1f}" y="{floor + 19}" text-anchor="middle">{_number(value)}</text>')
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{width:.0f}" y1="{floor}" y2="{floor}"/>')
    parts.append(
        f'<text x="{_LEFT + plot / 2:.0f}" y="{floor + 40}" text-anchor="middle">{escape(panel.x_label)}</text>'
    )
    parts.append(f'<svg x="{_LEFT}" y="{_TOP - 2}" width="{plot:.0f}" height="{_PLOT_HEIGHT + 4}">')
    parts += [_curve(curve, panel, place) for curve in panel.curves]
    parts.append("</svg>")
    for row, curve in enumerate(panel.curves):
        y = floor + 62 + row * _LEGEND_ROW
        parts.append(
            f'<path class="line" stroke="{curve.colour}" stroke-dasharray="{curve.dashes}" d="M{_LEFT} {y - 4}h24"/>'
            f'<text x="{_LEFT + 32}" y="{y}">{escape(curve.name)}</text>'
        )
    return "\n".join([*parts, "</g>"])


def _curve(curve: Curve, panel: Panel, place: Callable[[float, float], tuple[float, float]]) -> str:
    shown = [(x, y) for x, y in zip(curve.x, curve.y, strict=True) if -0.05 < panel.x.place(x) < 1.05]
    runs, open_run = [], False
    for x, y in shown:
        if math.isfinite(y):
            right, down = place(x, y)
            runs.append(f"{'L' if open_run else 'M'}{right:.1f} {down + 2:.1f}")
        open_run = math.isfinite(y)
    line = "".join(runs)
    area = ""
    if curve.filled:
        start, end = place(shown[0][0], 0.0), place(shown[-1][0], 0.0)
        outline = f"{line}L{end[0]:.1f} {end[1] + 2:.1f}L{start[0]:.1f} {start[1] + 2:.1f}Z"
        area = f'<path class="area" fill="{curve.colour}" d="{outline}"/>'
    dashes = f' stroke-dasharray="{curve.dashes}"' if curve.dashes else ""
    return f'{area}<path class="line" stroke="{curve.colour}"{dashes} d="{line}"/>'


def _number(value: float) -> str:
    return short(0.0 if abs(value) < 1e-12 else value).replace("-", "−")

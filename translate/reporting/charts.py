"""Curves as inline SVG; colours come from the page's style, so they follow light and dark mode."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from statistics import median
from typing import Any

from translate.reporting.axes import Axis, axis_of_steps, axis_of_values, short

COLOURS = 8
_WIDTH, _HEIGHT = 560, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 14, 10, 38
_PLOT_WIDTH, _PLOT_HEIGHT = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
_BINS = 120  # a longer curve is smoothed to at most this many means
_SAME_SIZE = 30.0
_DOTS = 40  # a curve of at most this many points shows them as dots


@dataclass(frozen=True)
class Curve:
    """A metric's finite values as (step, value), and the number of values that were not finite."""

    name: str
    points: list[tuple[int, float]]
    not_finite: int
    colour: int


@dataclass(frozen=True)
class Bin:
    """Neighbouring points merged into one: mean step, and mean, smallest and largest value."""

    step: float
    mean: float
    low: float
    high: float


def curves_by_chart(rows: Iterable[Mapping[str, Any]]) -> list[tuple[str, list[Curve]]]:
    """The metrics of a run as titled charts, in order of appearance.

    Metrics that share a prefix before "/" share a chart, except that very different magnitudes (validation/fid and
    validation/ssim) get separate charts, because on one axis they would be flat lines.
    """
    logged: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        for name, value in row.items():
            if name not in ("step", "time") and isinstance(value, int | float):
                logged.setdefault(name, []).append((row["step"], float(value)))
    groups: dict[str, list[Curve]] = {}
    for name, points in logged.items():
        prefix, _, rest = name.partition("/")
        group = groups.setdefault(prefix, [])
        finite = [point for point in points if math.isfinite(point[1])]
        group.append(Curve(rest or name, finite, len(points) - len(finite), len(group) % COLOURS))
    return [(title, chart) for title, group in groups.items() for chart in _by_size(group)]


def _by_size(curves: Sequence[Curve]) -> list[list[Curve]]:
    """Splits curves into charts so that no curve is more than `_SAME_SIZE` times larger than another in its chart."""
    charts: list[list[Curve]] = []
    least = 0.0
    for curve in sorted(curves, key=_size):
        if not charts or 0 < least * _SAME_SIZE < _size(curve):
            charts.append([])
            least = 0.0
        charts[-1].append(curve)
        least = least or _size(curve)
    in_order = [sorted(chart, key=curves.index) for chart in charts]
    return sorted(in_order, key=lambda chart: curves.index(chart[0]))


def _size(curve: Curve) -> float:
    """The median magnitude of the curve's values; 0, which fits any chart, if there are none."""
    return median(abs(value) for _, value in curve.points) if curve.points else 0.0


def chart(title: str, curves: Sequence[Curve]) -> str:
    """One chart as an HTML figure with axes and legend; a smoothed curve's band shows the range of its points."""
    drawn = [(curve, smoothed(curve.points)) for curve in curves if curve.points]
    if drawn:
        steps = axis_of_steps([step for curve, _ in drawn for step, _ in curve.points])
        values = axis_of_values([value for _, bins in drawn for value in _extent(bins)])
        bands = [_band(curve, bins, steps, values) for curve, bins in drawn if len(curve.points) > _BINS]
        lines = [_line(curve, bins, steps, values) for curve, bins in drawn]
        picture = _frame(title, steps, values, "".join(bands + lines))
    else:
        picture = "<p class='note'>No finite value was logged.</p>"
    legend = "".join(_legend_entry(curve) for curve in curves)
    return f"<figure class='card'><h3>{escape(title)}</h3>{picture}<ul class='legend'>{legend}</ul></figure>"


def smoothed(points: Sequence[tuple[int, float]]) -> list[Bin]:
    """The points themselves, or means of neighbours if there are more points than can be distinguished."""
    size = math.ceil(len(points) / _BINS)
    chunks = [points[i : i + size] for i in range(0, len(points), size)]
    return [_bin(chunk) for chunk in chunks]


def _extent(bins: Sequence[Bin]) -> list[float]:
    """Values that the axis must include: all means, and all ranges but rare outliers, which would squeeze the rest."""
    rare = len(bins) // 50
    lows, highs = sorted(bin.low for bin in bins), sorted(bin.high for bin in bins)
    return [*(bin.mean for bin in bins), lows[rare], highs[-1 - rare]]


def _bin(points: Sequence[tuple[int, float]]) -> Bin:
    steps, values = [step for step, _ in points], [value for _, value in points]
    return Bin(sum(steps) / len(steps), sum(value / len(values) for value in values), min(values), max(values))


def _frame(title: str, steps: Axis, values: Axis, content: str) -> str:
    """Draws axes, grid lines and labels around `content`, which is clipped to the plot."""
    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)} by step">']
    for value in values.ticks(about=5):
        y = _TOP + _y(values, value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{short(value)}</text>')
    floor = _TOP + _PLOT_HEIGHT
    for step in steps.ticks(about=6):
        x = _LEFT + _x(steps, step)
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{floor}" y2="{floor + 4}"/>')
        parts.append(f'<text x="{x:.1f}" y="{floor + 17}" text-anchor="middle">{short(step)}</text>')
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{floor}" y2="{floor}"/>')
    parts.append(f'<text x="{_LEFT + _PLOT_WIDTH / 2}" y="{_HEIGHT - 5}" text-anchor="middle">step</text>')
    parts.append(f'<svg x="{_LEFT}" y="{_TOP}" width="{_PLOT_WIDTH}" height="{_PLOT_HEIGHT}">{content}</svg></svg>')
    return "".join(parts)


def _line(curve: Curve, bins: Sequence[Bin], steps: Axis, values: Axis) -> str:
    places = [(_x(steps, bin.step), _y(values, bin.mean)) for bin in bins]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places) if len(bins) <= _DOTS else ""
    return f'<g class="line c{curve.colour}"><title>{escape(curve.name)}</title><path d="{path}"/>{dots}</g>'


def _band(curve: Curve, bins: Sequence[Bin], steps: Axis, values: Axis) -> str:
    upper = [f"{_x(steps, bin.step):.1f} {_y(values, bin.high):.1f}" for bin in bins]
    lower = [f"{_x(steps, bin.step):.1f} {_y(values, bin.low):.1f}" for bin in reversed(bins)]
    return f'<path class="band c{curve.colour}" d="M{"L".join(upper + lower)}Z"/>'


def _legend_entry(curve: Curve) -> str:
    last = f" <b>{curve.points[-1][1]:.4g}</b>" if curve.points else ""
    bad = f" <em>{curve.not_finite} not finite</em>" if curve.not_finite else ""
    return f'<li class="c{curve.colour}"><i></i>{escape(curve.name)}{last}{bad}</li>'


def _x(steps: Axis, step: float) -> float:
    return steps.place(step) * _PLOT_WIDTH


def _y(values: Axis, value: float) -> float:
    return (1 - values.place(value)) * _PLOT_HEIGHT

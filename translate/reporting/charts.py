"""Curves as inline SVG, drawn by templates/chart.html.j2."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

from markupsafe import Markup

from translate.reporting.axes import Axis, axis_of_steps, axis_of_values, labelled
from translate.reporting.keys import caption
from translate.reporting.page import rendered

COLOURS = 8
_SIZES = {"left": 54, "width": 492, "right": 14, "top": 10, "height": 202, "bottom": 38}  # in pixels, of the plot
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
    """The metrics of a run as titled charts, in order of appearance: those that share a prefix before "/" share one.

    Very different magnitudes (validation/to_b/psnr and validation/to_b/ssim) get charts of their own: on one axis they
    are flat.
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
        group.append(Curve(caption(rest or name), finite, len(points) - len(finite), len(group) % COLOURS))
    return [(caption(title), chart) for title, group in groups.items() for chart in _by_size(group)]


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


def chart(title: str, curves: Sequence[Curve]) -> Markup:
    """One chart as an HTML figure with axes and legend; a smoothed curve's band shows the range of its points."""
    drawn = [(curve, smoothed(curve.points)) for curve in curves if curve.points]
    if not drawn:
        return rendered("chart.html.j2", title=title, curves=curves, lines=[])
    steps = axis_of_steps([step for curve, _ in drawn for step, _ in curve.points])
    values = axis_of_values([value for _, bins in drawn for value in _extent(bins)])
    plot = _Plot(steps, values)
    return rendered(
        "chart.html.j2",
        title=title,
        curves=curves,
        lines=[_line(curve, bins, plot) for curve, bins in drawn],
        values=[(plot.y(value), label) for value, label in labelled(values.ticks(about=5))],
        steps=[(plot.x(step), label) for step, label in labelled(steps.ticks(about=6))],
        **_SIZES,
    )


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


class _Plot(NamedTuple):
    """Places steps and values within the plot, in pixels from its left and top."""

    steps: Axis
    values: Axis

    def x(self, step: float) -> float:
        return self.steps.place(step) * _SIZES["width"]

    def y(self, value: float) -> float:
        return (1 - self.values.place(value)) * _SIZES["height"]


def _line(curve: Curve, bins: Sequence[Bin], plot: _Plot) -> dict[str, Any]:
    """A curve's path, its dots if they are few, and the band around it if it is smoothed."""
    places = [(plot.x(bin.step), plot.y(bin.mean)) for bin in bins]
    upper = [(plot.x(bin.step), plot.y(bin.high)) for bin in bins]
    lower = [(plot.x(bin.step), plot.y(bin.low)) for bin in reversed(bins)]
    return {
        "name": curve.name,
        "colour": curve.colour,
        "path": _path(places),
        "dots": places if len(bins) <= _DOTS else [],
        "band": f"{_path(upper + lower)}Z" if len(curve.points) > _BINS else "",
    }


def _path(places: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)

"""Scores as tables for people and as JSON for programs, each with the protocol it was measured by."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from translate.evaluation.intervals import Estimate
from translate.evaluation.metrics import Better, key_in_space, measure_of
from translate.utils.outputs import beginning
from translate.utils.stored import finite, json_text
from translate.utils.wrapping import wrapped

Protocol = Mapping[str, str | int | float]
"""How a number was obtained: split, images, resize filter, extractor and its hash, ..."""


@dataclass(frozen=True)
class Score:
    """One number with references, by name: what needs no model (`floor`) and what real images reach (`ceiling`).

    Scores of the same `table` and protocol are printed together, one per row. `value` is None if it could not be
    measured; `note` then says why.
    """

    table: str
    name: str
    value: float | None
    unit: str = ""
    better: Better = "neither"
    low: float | None = None
    high: float | None = None
    images: int | None = None
    """Number of images it is based on; for distances, of translations."""
    reals: int | None = None
    """For distances, the number of real images they are taken to."""
    floor: Mapping[str, float | None] = field(default_factory=dict)
    ceiling: Mapping[str, float | None] = field(default_factory=dict)
    protocol: Protocol = field(default_factory=dict)
    note: str = ""
    warning: str = ""
    """Why the number may be wrong; printed before all tables."""
    key: str = ""
    """Of the measure, for programs: `table` is what people read."""


def score(name: str, row: str, value: Estimate | float | None, *, space: str = "", **more: Any) -> Score:
    """The Score of a measure, by its key, from an estimate or a bare number; `space`: of which features."""
    measure = measure_of(name)
    table = f"{measure.title} in {space}" if space else measure.title
    unit = "" if table.endswith(f", {measure.unit}") else measure.unit
    how = {**more.pop("protocol", {}), **({"measure": measure.protocol} if measure.protocol else {})}
    if isinstance(value, Estimate):
        more = {"low": value.low, "high": value.high, "images": value.images, "warning": value.warning, **more}
        how = {**how, "interval": how.get("interval", value.how)}
        value = value.value
    facts = {"unit": unit, "better": measure.better, "protocol": how, "key": key_in_space(name, space)}
    return Score(table, row, value, **facts | more)


def as_text(scores: Sequence[Score], width: int | None = None) -> str:
    """Aligned tables, each with its title above and its protocol below; before them the scores' warnings, once each,
    and behind them what several have in common. Lines have at most `width` columns (None: no limit)."""
    tables: dict[str, list[Score]] = {}
    for one in scores:
        tables.setdefault(_together(one), []).append(one)
    warnings = [f"warning: {text}" for text in dict.fromkeys(one.warning for one in scores) if text]
    common = _common([rows[0].protocol for rows in tables.values() if rows[0].protocol])
    blocks = [[warning] for warning in warnings] + [_table(rows, common, width) for rows in tables.values()]
    blocks += [["all tables:", *_facts(common)]] if common else []
    return "\n\n".join("\n".join(wrapped(line, width) for line in block) for block in blocks)


def as_json(scores: Iterable[Score]) -> list[dict[str, Any]]:
    """The scores as JSON values; numbers that are not finite, such as an infinite PSNR, become null."""
    return [finite(asdict(one)) for one in scores]


def dumped(scores: Iterable[Score]) -> str:
    """`as_json` as text that any JSON parser accepts."""
    return json_text(as_json(scores), indent=1) + "\n"


def are_scores(path: Path) -> bool:
    """Whether the file holds scores as `dumped` writes them, so that it may be replaced."""
    return re.match(rb'\[\s*(\]|\{\s*"table":)', beginning(path, 256)) is not None


def _together(one: Score) -> str:
    """A key that is equal for scores of the same table."""
    return repr((one.table, one.unit, one.better, list(one.floor), list(one.ceiling), sorted(one.protocol.items())))


def _common(protocols: Sequence[Protocol]) -> Protocol:
    """What is the same in all of several protocols."""
    first, *others = protocols or [{}]
    return {key: value for key, value in first.items() if others and all(one.get(key) == value for one in others)}


def _facts(protocol: Protocol) -> list[str]:
    return [f"  {key}: {value}" for key, value in protocol.items()]


def _table(rows: list[Score], said: Protocol, width: int | None) -> list[str]:
    """The lines of a table, without what is `said` elsewhere of its protocol."""
    first = rows[0]
    text = numbers_of(first.key)
    columns = [["model", *(text(row.value) for row in rows)]]
    if any(row.low is not None for row in rows):
        ends = [(row.low, row.high) for row in rows]
        columns.append(["95 % interval", *("" if None in end else " to ".join(map(text, end)) for end in ends)])
    columns += [[f"floor: {name}", *(text(row.floor[name]) for row in rows)] for name in first.floor]
    columns += [[f"ceiling: {name}", *(text(row.ceiling[name]) for row in rows)] for name in first.ceiling]
    columns += [
        [title, *("" if count is None else str(count) for count in counts)]
        for title, counts in (("images", [row.images for row in rows]), ("real images", [row.reals for row in rows]))
        if any(count is not None for count in counts)
    ]
    names = ["", *(row.name for row in rows)]
    lines = [titled(first.table, first.unit, first.better), *beside(names, columns, width)]
    lines += _facts({key: value for key, value in first.protocol.items() if key not in said})
    notes: dict[str, list[str]] = {}
    for row in rows:
        if row.note:
            notes.setdefault(row.note, []).append(row.name)
    return lines + [f"  {', '.join(names)}: {note}" for note, names in notes.items()]


def titled(table: str, unit: str, better: Better) -> str:
    """A table's first line."""
    direction = f" ({better} is better)" if better != "neither" else ""
    return f"{table}{f', {unit}' if unit else ''}{direction}"


def beside(names: list[str], columns: Sequence[list[str]], width: int | None) -> Iterator[str]:
    """Indented lines: as many columns as fit into `width` (None: all) beside the names; below them, the names again and
    the next columns."""
    part: list[list[str]] = []
    for column in [*columns, None]:
        wide = sum(2 + max(map(len, each)) for each in (names, *part, *([column] if column else [])))
        if part and (column is None or (width is not None and wide > width)):
            yield from (f"  {line}".rstrip() for line in aligned([names, *part]))
            part = []
        part += [column] if column else []


def aligned(columns: list[list[str]]) -> list[str]:
    """Lines with left-aligned names and right-aligned numbers."""
    widths = [max(map(len, column)) for column in columns]
    return [
        "  ".join(cell.ljust(width) if place == 0 else cell.rjust(width) for place, (cell, width) in enumerate(row))
        for row in (list(zip(cells, widths, strict=True)) for cells in zip(*columns, strict=True))
    ]


def numbers_of(key: str) -> Callable[[float | None], str]:
    """How numbers of a measure are written: with its decimals."""
    return partial(number, decimals=measure_of(key).decimals)


def number(value: float | None, decimals: int | None = None) -> str:
    """Formats with so many decimals, or with at most four significant digits and no exponent for everyday sizes."""
    if value is None or math.isnan(value):
        return "-"
    if decimals is not None and math.isfinite(value):
        return f"{value:.{decimals}f}"
    if value == 0 or math.isinf(value):
        return f"{value:g}"
    if 1e4 <= abs(value) < 1e7:
        return f"{value:.0f}"
    return f"{value:.4g}" if 1e-3 <= abs(value) < 1e4 else f"{value:.3g}"

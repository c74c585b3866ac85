"""The report page: all text from the run is escaped, and a policy in the head forbids scripts and network access."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

import yaml

from translate.reporting.charts import chart, curves_by_chart
from translate.reporting.pictures import Sample
from translate.reporting.style import STYLE

HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
"""


def page(
    *,
    name: str,
    recipe: str,
    rows: Sequence[Mapping[str, Any]],
    summary: Mapping[str, Mapping[str, Any]],
    samples: Sequence[Sample],
    findings: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The complete HTML document of a run."""
    sections = [
        _header(name, recipe, rows),
        _section("What is wrong", _complaints(findings)),
        _section("Validation", _table(summary) if summary else ""),
        _section("Samples", _figures(samples) if samples else "<p class='note'>No sample was saved.</p>"),
        _section("Curves", _charts(rows) if rows else "<p class='note'>No metric was logged.</p>"),
        _section(
            "Recipe",
            f"<details><summary>recipe.yaml</summary><pre>{escape(recipe)}</pre></details>" if recipe else "",
        ),
    ]
    body = "\n".join(section for section in sections if section)
    return (
        f"{HEAD}<title>{escape(name)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n"
        f"<footer>Made by translate from the files in the run folder.</footer>\n</main>\n</body>\n</html>\n"
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>" if content else ""


def _header(name: str, recipe: str, rows: Sequence[Mapping[str, Any]]) -> str:
    facts = [*_recipe_facts(recipe), *_row_facts(rows)]
    cells = "".join(f"<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd></div>" for label, value in facts)
    return f"<header><p class='kind'>Training report</p><h1>{escape(name)}</h1><dl>{cells}</dl></header>"


def _recipe_facts(recipe: str) -> list[tuple[str, str]]:
    """The scalar settings at the top level of the recipe, and nested ones that distinguish runs of one recipe."""
    try:
        settings = yaml.safe_load(recipe)
    except (yaml.YAMLError, RecursionError):
        return []
    if not isinstance(settings, dict):
        return []
    telling = [("method", "model", "name"), ("data", "data", "set"), ("seed", "training", "seed")]
    sections = [(label, settings.get(section), key) for label, section, key in telling]
    nested = [(label, section.get(key)) for label, section, key in sections if isinstance(section, dict)]
    given = [*settings.items(), *nested]
    plain = [(str(key), str(value)) for key, value in given if isinstance(value, str | int | float)]
    return [(key.replace("_", " "), value) for key, value in plain if len(value) <= 80][:8]


def _row_facts(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    if not rows:
        return []
    facts = [("last step", f"{rows[-1]['step']:,}")]
    times = [row["time"] for row in rows if isinstance(row.get("time"), int | float) and math.isfinite(row["time"])]
    if times:
        facts.append(("first row", f"{datetime.fromtimestamp(times[0], UTC):%Y-%m-%d %H:%M} UTC"))
        facts.append(("first to last row", duration(times[-1] - times[0])))
    return facts


def duration(seconds: float) -> str:
    """Rounded: 40 s, 12 min, 3 h 5 min."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def _table(summary: Mapping[str, Mapping[str, Any]]) -> str:
    """A table with a row per measure: the run's value, then every baseline; below it, how they were measured."""
    known = list(dict.fromkeys(key for entry in summary.values() for key in baselines(entry)))
    told = dict.fromkeys(map(_how, summary.values()))
    notes = "".join(f"<p class='note'>{escape(note)}</p>" for note in told if note)
    head = "".join(f"<th>{escape(title)}</th>" for title in ("measure", "this run", *known))
    body = "".join(
        f"<tr><th>{escape(name)}</th><td><b>{_cell(entry.get('value'))}</b></td>"
        + "".join(f"<td>{_cell(entry.get(key))}</td>" for key in known)
        + "</tr>"
        for name, entry in summary.items()
    )
    return f"<div class='card scroll'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notes}</div>"


def baselines(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What stands beside the value in an entry of summary.json: the same measure without a model, by name."""
    return {key: value for key, value in entry.items() if key not in ("value", "protocol", "precision")}


def _how(entry: Mapping[str, Any]) -> str:
    """How it was measured; empty where the run is from before that was recorded."""
    if "protocol" not in entry:
        return ""
    precision = f"; the model in {entry['precision']}" if "precision" in entry else ""
    return f"After the last step, of {entry['protocol']}{precision}."


def _complaints(findings: Sequence[Mapping[str, Any]]) -> str:
    """The doctor's findings as a list; empty if there are none."""
    entries = (
        f"<li><b>{escape(str(finding['kind']))}</b> since step {escape(str(finding['step']))} "
        f"({escape(str(finding['measure']))}: {_cell(finding['value'])}). {escape(str(finding['remedy']))}.</li>"
        for finding in findings
    )
    return f"<div class='card'><ul>{''.join(entries)}</ul></div>" if findings else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.5g}" if _is_number(value) else escape(str(value))


def _figures(samples: Sequence[Sample]) -> str:
    return f"<div class='samples'>{''.join(map(_figure, samples))}</div>"


def _figure(sample: Sample) -> str:
    caption = f"<figcaption>step {sample.step:,}</figcaption>"
    if sample.data is None:
        picture = f"<p class='note'>{escape(sample.file)} cannot be read.</p>"
    else:
        size = f'width="{sample.width}" height="{sample.height}"'
        picture = f'<img src="{sample.data}" {size} alt="samples at step {sample.step}">'
    return f"<figure class='card'>{caption}{picture}</figure>"


def _charts(rows: Sequence[Mapping[str, Any]]) -> str:
    charts = "".join(chart(title, curves) for title, curves in curves_by_chart(rows))
    return f"<div class='charts'>{charts}</div>"

"""A comparison as an HTML page, with the tables of its text."""

from pathlib import Path

from translate.reporting.page import rendered
from translate.runs.comparing.comparison import Comparison
from translate.runs.comparing.text import Table, notes_of, settings_of, states_of, tables
from translate.utils.atomic_files import write_atomic
from translate.utils.outputs import beginning, ending

_FOOTER = "Made by translate compare from the files in the folders of the runs."


def write_page(comparison: Comparison, path: Path) -> None:
    """Writes the page atomically: no script, nothing from elsewhere."""
    settings, states = settings_of(comparison), states_of(comparison)
    facts = list(next(iter(states.values()), {}))
    shown = [
        Table(
            "settings that differ", list(settings), [[name, *(of[name] for of in settings.values())] for name in states]
        ),
        Table("training", facts, [[name, *state.values()] for name, state in states.items()]),
        *tables(comparison),
    ]
    kept = [table for table in shown if table.names]
    html = rendered(
        "compare.html.j2", title=path.stem, facts=[], tables=kept, notes=notes_of(comparison), footer=_FOOTER
    )
    write_atomic(path, html)


def is_page(path: Path) -> bool:
    """Whether the file is a page that `write_page` wrote, so that it may be replaced."""
    return beginning(path, 9).lower() == b"<!doctype" and _FOOTER.encode() in ending(path, 512)

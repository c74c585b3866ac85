"""The page of a run, written when somebody asks for it."""

from pathlib import Path

from translate.reporting.report import write_report
from translate.runs.folder import trains
from translate.runs.not_a_run import require_recipe


def report(run: Path) -> Path:
    """Writes `report.html` into the run's folder and returns its path; while the run trains, as a page that reloads.

    Raises ConfigurationError for what is no run, TranslateError for a file in it that cannot be read.
    """
    require_recipe(run)
    return write_report(run, live=trains(run))

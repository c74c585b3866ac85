"""Checks a folder as a recipe would read it."""

from pathlib import Path

from translate.data.batch import Batch
from translate.data.catalog.cards import locate
from translate.data.checks.folder import Report, check, examine
from translate.errors import ConfigurationError
from translate.recipe import DataSettings
from translate.runs.image_sets.opening import open_data, refuse_idle


def check_alone(data: DataSettings) -> Report:
    """Checks `data.set` without a method, with the settings that say how folders are read. Raises
    ConfigurationError."""
    path = Path(str(data.set))
    root, card = (path, None) if path.exists() else locate(str(data.set))
    return check(
        root,
        domains=data.domains or (card.domains if card else None),
        layout=data.layout,
        follow_links=data.follow_links,
        span=data.range,
    )


def check_as(data: DataSettings, batch_type: type[Batch]) -> list[Report]:
    """Checks what a method that learns from such batches would train on. Raises ConfigurationError where training
    would."""
    refuse_idle(data, batch_type)
    opened = open_data(data, batch_type, log=lambda line: None)
    if not opened.folders:
        raise ConfigurationError(f"{data.set}: generated as it is needed; there is nothing to check")
    return [examine(folder, data.range, data.channels) for folder in opened.folders]

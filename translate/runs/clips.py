"""Whether a run's model takes frames of clips, known before it is loaded."""

from pathlib import Path

from translate.data.clips.window import window_of
from translate.data.domain import Domain
from translate.errors import TranslateError
from translate.inference.clip_jobs import CLIPS
from translate.inference.media import Medium, medium_of
from translate.training.checkpoint_json import Facts, HubFacts, read_facts


def medium_for(source: Path, run: Path) -> Medium | None:
    """What INPUT is, for this model; None for images."""
    return medium_of(source) or (CLIPS if source.is_dir() and takes_clips(run) else None)


def takes_clips(run: Path) -> bool:
    """Whether the run, or the folder of a checkpoint or of a hub, is of a model of the next frame. What cannot be read
    is none: loading it says why."""
    saved = sorted((run / "checkpoints").glob("step-*/checkpoint.json"))
    kinds: dict[Path, type] = {run / "config.json": HubFacts, run / "checkpoint.json": Facts}
    kinds |= dict.fromkeys(saved[-1:], Facts)
    for path, kind in kinds.items():
        try:
            each = read_facts(path, kind).get("each", ()) if path.is_file() else ()
            if len(each) == 2:
                return window_of(*map(Domain.of, each)) is not None
        except (TranslateError, ValueError, TypeError, KeyError):
            return False
    return False

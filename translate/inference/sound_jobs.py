"""Plans which sound files are converted, and what their translations are named."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path, PurePosixPath

from translate.data.layouts.listing import SOUNDS, iterate_images
from translate.data.sound.files import UNREAD, facts_of, soundfile
from translate.errors import ConfigurationError
from translate.inference.jobs import Jobs, refuse_around, refuse_other_kinds, refuse_same
from translate.inference.naming import key_of
from translate.utils.outputs import refuse_in_run
from translate.utils.printing import shown
from translate.utils.user_paths import folder_named, said_folder


def is_sound(path: Path) -> bool:
    """Whether the path is a sound file, by its suffix, read here or not, or a folder of such files, and of no image."""
    if path.is_dir():
        first = next(iterate_images(path), None)
        return first is not None and first.suffix.lower() in SOUNDS
    return path.suffix.lower() in SOUNDS | UNREAD and path.is_file()


def plan_sound(source: Path, output: str) -> Jobs:
    """The jobs for a sound file or a folder of them. Raises ConfigurationError, also without soundfile."""
    soundfile()
    if source.is_file():
        if source.suffix.lower() in UNREAD:
            raise ConfigurationError(f"{shown(source)}: sound is read from WAV, FLAC and OGG: save it as one of these")
        named = Path(output).suffix.lower() in SOUNDS and not said_folder(output)
        if not named:
            refuse_other_kinds(output, sorted(SOUNDS))
        target = Path(output) if named else Path(output) / output_name(source.name)
        refuse_same(source, target)
        return Jobs(source.parent, target.parent, [source.name], lambda name: target.name)
    folder = folder_named(output, "OUTPUT")
    refuse_in_run(folder)
    refuse_around(folder, [source])
    names = [path.relative_to(source).as_posix() for path in iterate_images(source)]
    claimed = Counter(key_of(output_name(name)) for name in names)

    def named_for(name: str) -> str:
        wanted = output_name(name)
        return wanted if claimed[key_of(wanted)] == 1 or wanted == name else f"{name}.wav"

    jobs = Jobs(source, folder, names, named_for)
    jobs.refuse_inputs()
    return jobs


def output_name(name: str) -> str:
    """The name of a translation: WAV and FLAC keep theirs; others, which lose at every writing, become WAV."""
    suffix = PurePosixPath(name).suffix
    return name if suffix.lower() in (".wav", ".flac") else name.removesuffix(suffix) + ".wav"


def seconds_of(source: Path) -> int:
    """How long a file plays, for progress. Raises ImageError."""
    return math.floor(facts_of(source).seconds)

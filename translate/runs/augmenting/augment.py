"""`translate augment`: a labelled set of translations of the training pictures of another, with their labels."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

from translate.data.annotated import AnnotatedSet, Made, Original, open_annotated
from translate.data.annotated.annotated_set import copied
from translate.data.catalog.cards import locate
from translate.data.catalog.description import FILE_NAME
from translate.errors import ConfigurationError
from translate.inference.converter import BF16_APART
from translate.inference.delivery import fits, written_as
from translate.inference.folder import convert_folder
from translate.inference.jobs import Job
from translate.inference.manifest import Manifest
from translate.inference.naming import key_of, output_name
from translate.inference.options import OutputOptions
from translate.inference.provenance import MARK, Translation, held_in, locked_folder, require_writable, translation
from translate.inference.records import Outcome, Record
from translate.runs.augmenting.variants import Loaded, Pick, Way, pick, say_what_changes, ways_of
from translate.runs.loading import load
from translate.utils.atomic_files import is_leftover
from translate.utils.outputs import Inputs, refuse_in_run
from translate.utils.printing import logger, say, shown
from translate.utils.progress import Progress
from translate.utils.stored import json_text

MANIFEST = "manifest.jsonl"
"""Which translation was made of which picture, a line each."""


@dataclass(frozen=True)
class Planned:
    """A translation to be made: of what, how, and where it lies."""

    made: Made
    pick: Pick

    @property
    def row(self) -> dict[str, Any]:
        """What the manifest says of it, beside what became of it."""
        way = self.pick.way
        return {
            "picture": self.made.original.name,
            "file": self.made.name,
            "run": str(way.loaded.run),
            "to": way.to,
            "seed": self.pick.seed,
            "labels": dict(self.made.changes),
        }


@dataclass(frozen=True)
class Augmentation:
    """What is made of what, with which models. `data`: a folder or the name of a data set."""

    runs: tuple[Path, ...]
    data: str
    output: Path
    to: tuple[str, ...]
    copies: int
    with_originals: bool
    checkpoint: str = "latest"
    device: str = "auto"
    quiet: bool = False

    def carry_out(self) -> tuple[Outcome, AnnotatedSet]:
        """Translates, and then writes the labels of all translations that are there; returns the labelled set, too.

        Raises ConfigurationError before anything is written; pictures that fail are in the outcome.
        """
        log, root = logger(self.quiet), locate(self.data)[0]
        self._refuse_places(root)
        labelled = open_annotated(root)
        models = [Loaded(run, load(run, self.checkpoint, device=self.device)) for run in self.runs]
        ways = ways_of(models, self.to, labelled)
        planned = self._plan(labelled, ways)
        wanted = self._wanted(labelled, planned, models)
        self._refuse_others(wanted)
        for warning in labelled.warnings:
            log(f"warning: {warning}")
        self._say_what_is_made(labelled, planned, ways)
        with locked_folder(self.output, wanted, overwrite=False) as folder:
            outcome = self._translate(planned, folder.all_ours)
            self._write_labels(labelled, planned)
        return outcome, labelled

    def _refuse_places(self, root: Path) -> None:
        refuse_in_run(self.output)
        real, data = self.output.resolve(), root.resolve()
        if real.is_relative_to(data) or data.is_relative_to(real):
            raise ConfigurationError(
                f"{shown(self.output)}: the new set would lie in the labelled set, or around it; choose another folder"
            )
        require_writable(self.output)

    def _refuse_others(self, wanted: Translation) -> None:
        """Raises ConfigurationError for a folder that holds anything else than this augmentation."""
        held = held_in(self.output / MARK, forgiving=True)
        if held == wanted or not self.output.is_dir():
            return
        if held is not None:
            raise ConfigurationError(
                f"{shown(self.output)}: holds {held}; this is {wanted}: repeat the command that began it, or give "
                "another folder"
            )
        if found := [path.name for path in self.output.iterdir() if not is_leftover(path.name)]:
            raise ConfigurationError(
                f"{shown(self.output)}: holds other files, such as {shown(found[0])}; give a new or empty folder"
            )

    def _wanted(self, labelled: AnnotatedSet, planned: Sequence[Planned], models: Sequence[Loaded]) -> Translation:
        """Marks the folder: all that determines what is made. Raises ConfigurationError for two models of the same
        weights."""
        digests: dict[str, Path] = {}
        for loaded in models:
            first = next(one.pick.way for one in planned if one.pick.way.loaded is loaded)
            digest = translation(loaded.converter, first.request).model
            if digest in digests:
                raise ConfigurationError(
                    f"{shown(digests[digest])} and {shown(loaded.run)}: the same weights, so the same "
                    "pictures; name each model once"
                )
            digests[digest] = loaded.run
        rows = [{key: value for key, value in one.row.items() if key != "run"} for one in planned]
        whole = json_text([list(digests), rows, self.with_originals, labelled.called])
        to = sorted({" ".join(one.pick.way.to) for one in planned})
        name = f"translations of {labelled.root.resolve().name} with labels"
        return Translation(hashlib.sha256(whole.encode()).hexdigest(), to, evaluated=False, name=shown(name))

    def _plan(self, labelled: AnnotatedSet, ways: Sequence[Way]) -> list[Planned]:
        """All translations, each picture's ways beginning where those of the one before ended. Raises
        ConfigurationError if there are none."""
        names, planned, turn = _Names(labelled.originals), list[Planned](), 0
        for original in (one for one in labelled.originals if one.training):
            possible = [(way, changes) for way in ways if (changes := way.changes(labelled, original)) is not None]
            for chosen in pick(possible, turn, self.copies) if possible else ():
                folder = labelled.folder_of(original, chosen.changes)
                stem, suffix = os.path.splitext(PurePosixPath(original.name).name)
                suffix = _suffix(chosen.way, suffix)
                name = names.new(folder, f"{stem}-{chosen.tag(len(self.runs) > 1)}", suffix)
                planned.append(Planned(Made(original, name, chosen.changes), chosen))
            turn += self.copies
        if not planned:
            raise ConfigurationError(
                f"{shown(labelled.root)}: no picture of it is of a class that {shown(self.runs[0])} translates from"
            )
        return planned

    def _say_what_is_made(self, labelled: AnnotatedSet, planned: Sequence[Planned], ways: Sequence[Way]) -> None:
        log = logger(self.quiet)
        training = [one for one in labelled.originals if one.training]
        kept = len(labelled.originals) - len(training)
        log(
            f"{labelled.called}: {len(training)} training pictures are translated; "
            + (f"{kept} for tests are left as they are" if kept else "none is marked as one for tests")
        )
        if not kept:
            log("keep the pictures that you test on out of the folder, or in test/: translations of them would tell")
        say_what_changes(ways, labelled, log)
        counts = dict.fromkeys((original.name for original in training), 0)
        for one in planned:
            counts[one.made.original.name] += 1
        short = sorted({count for count in counts.values() if count < self.copies})
        if short:
            few = sum(count < self.copies for count in counts.values())
            number = str(short[0]) if len(short) == 1 else f"{short[0]} to {short[-1]}"
            runs = ", ".join(shown(run) for run in self.runs)
            say(
                f"note: {runs}: {number} different translation{'s' * (number != '1')} of {few} of the pictures, not "
                f"{self.copies}; no duplicates are written. More runs or targets make more"
            )
        if any(way.loaded.converter.runtime.bf16 for way in ways):
            log(f"bf16: {BF16_APART}")

    def _translate(self, planned: Sequence[Planned], all_ours: bool) -> Outcome:
        outcome, by_output = Outcome(), {self.output / one.made.name: one for one in planned}
        inputs = Inputs(lambda: {one.pick.way.source(one.made.original) for one in planned})
        manifest = Manifest(self.output / MANIFEST, all_ours)
        with Progress(len(planned), unit="image", label="translating", quiet=self.quiet) as bar:

            def done(record: Record) -> None:
                manifest.add(record, by_output[record.output].row)
                bar.advance(1, images=1)

            for (way, seed), some in groupby(
                sorted(planned, key=_order), key=lambda one: (one.pick.way, one.pick.seed)
            ):
                converter = way.loaded.converter
                converter.draw(seed)
                jobs = [self._job(one) for one in some]
                outcome.take(convert_folder(converter, jobs, way.request, OutputOptions(), inputs=inputs, done=done))
        outcome.missing += [reason.removeprefix("--manifest ") for reason in manifest.close()]
        return outcome

    def _job(self, one: Planned) -> Job:
        return Job(one.pick.way.source(one.made.original), self.output / one.made.name, one.made.original.name)

    def _write_labels(self, labelled: AnnotatedSet, planned: Sequence[Planned]) -> None:
        """Of what is there: a translation that failed gets none."""
        there = [one.made for one in planned if os.path.lexists(self.output / one.made.name)]
        for original in labelled.originals if self.with_originals else ():
            copied(original.path, self.output / original.name)
        if self.with_originals and (said := labelled.root / FILE_NAME).is_file():
            copied(said, self.output / FILE_NAME)
        labelled.write(self.output, there, self.with_originals)


class _Names:
    """New names, none of which is a name of the set's pictures, or of another new one, with any suffix."""

    def __init__(self, originals: Sequence[Original]) -> None:
        self._taken = {key_of(os.path.splitext(one.name)[0]) for one in originals}

    def new(self, folder: str, stem: str, suffix: str) -> str:
        """The first of STEM, STEM-copy2, STEM-copy3, ... that is free in the folder."""
        place = PurePosixPath(folder)
        tried, number = stem, 1
        while key_of((place / tried).as_posix()) in self._taken:
            number += 1
            tried = f"{stem}-copy{number}"
        self._taken.add(key_of((place / tried).as_posix()))
        return (place / f"{tried}{suffix}").as_posix()


def _suffix(way: Way, suffix: str) -> str:
    """The suffix of a translation: that of the picture, if such files hold it."""
    form = written_as(way.images.translated(way.request), "target")
    own = os.path.splitext(output_name(f"x{suffix}", "same"))[1]
    return next(one for one in (own, ".png", ".tiff") if fits(one, form))


def _order(one: Planned) -> tuple[int, int]:
    return id(one.pick.way), one.pick.seed


def made_in(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Of the rows of a manifest, which picture each file was made of, both relative to their sets' folders."""
    there = (row for row in rows if row.get("status") in ("written", "skipped"))
    return {row["file"]: row["picture"] for row in there if {"file", "picture"} <= row.keys()}

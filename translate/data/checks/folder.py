"""`translate data check DIR`: reports what a folder contains, what is wrong with it, and how to fix it."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from translate.data.catalog.description import describe
from translate.data.checks.facts import (
    Facts,
    alike,
    in_words,
    outside,
    read_all,
    remarks,
    repeated,
    unlike,
    unreadable,
)
from translate.data.checks.files import Files
from translate.data.checks.finding_labels import colours_in
from translate.data.checks.labels import contradicting, differently_labelled, empty, shares, tiny
from translate.data.checks.looking import introduced, key_of, kinds_of, layers_of
from translate.data.checks.poor import too_few
from translate.data.checks.scan import decoding, failures
from translate.data.checks.some_pairs import require_some_pairs
from translate.data.domain import Domain
from translate.data.folds import folded
from translate.data.labelled import LabelledFolder, open_labelled
from translate.data.labelled.attributes import find_attributes
from translate.data.layouts.folders import Folder, recognise
from translate.data.messages import by_fault, few
from translate.data.settings import DataSettings
from translate.data.sound.checking import examined
from translate.data.source import Readable
from translate.data.source_file import Source
from translate.data.volumes.folder import is_of_volumes, recognise_volumes
from translate.errors import ConfigurationError
from translate.utils.printing import shown


@dataclass(frozen=True)
class Report:
    """The result of `check`, as text for the user."""

    folder: Folder | LabelledFolder
    facts: tuple[str, ...]
    """What the folder contains."""
    notes: tuple[str, ...]
    """Worth knowing before training, but no obstacle to it."""
    problems: tuple[str, ...]
    """What should be fixed, and how."""
    clips: bool = False
    """Whether it holds clips, and its pairs are frames of them."""

    def lines(self) -> list[str]:
        verdict = f"problems found: {len(self.problems)}" if self.problems else "ready to train on"
        notes = [f"note: {note}" for note in self.notes]
        problems = [f"problem: {problem}" for problem in self.problems]
        return [*self.facts, *notes, *problems, f"{shown(self.folder.root)}: {verdict}"]


def check(root: Path, data: DataSettings | None = None) -> Report:
    """Reads every image below `root` as the settings say, and reports.

    A labelled set is opened as one if a file declares it; else two domains are looked for, then labelled folders.
    Raises ConfigurationError, that of two domains, if there is neither.
    """
    wanted = data or DataSettings()
    domains, follow_links = wanted.domain_names, wanted.follow_links
    if root.is_dir() and _says_labelled(root):
        labelled = open_labelled(root, domains=domains, follow_links=follow_links)
        return examine(folded(labelled, wanted.fold, wanted.fold_seed), wanted)
    folder: Folder | LabelledFolder
    if is_of_volumes(root):
        volumes = recognise_volumes(root, wanted, domains, data.direction == "BtoA" if data else False)
        return examine(folded(volumes, wanted.fold, wanted.fold_seed), wanted)
    try:
        folder = recognise(
            root,
            domains=domains,
            layout="paired" if wanted.pairs == "all" else wanted.layout,
            follow_links=follow_links,
            roles=wanted.roles,
            some_pairs=wanted.pairs == "some",
        )
    except ConfigurationError as reason:
        if wanted.roles:
            raise
        try:
            folder = open_labelled(root, domains=domains, follow_links=follow_links)
        except ConfigurationError:
            raise reason from None
    return examine(folded(folder, wanted.fold, wanted.fold_seed), wanted)


def examine(folder: Folder | LabelledFolder, data: DataSettings) -> Report:
    """Reads every image of a data set, and reports. Raises ConfigurationError for `data.pairs: some` without some."""
    if data.pairs == "some" and isinstance(folder, Folder):
        require_some_pairs(folder)
    if isinstance(folder, Folder) and folder.of_sound:
        facts, problems = examined(folder.splits, folder.domains)
        return Report(folder, (*folder.found, *facts), folder.notes, (*folder.warnings, *problems))
    whole = folder.columns()
    folder = folder.in_layers() if isinstance(folder, Folder) else folder
    groups, columns = _groups(folder), folder.columns()
    files = Files(quiet=False)
    read = read_all((source for sources in columns.values() for source in sources), files)
    kinds = layers_of(kinds_of(whole, data, files))
    facts, notes, problems = list(folder.found), [*folder.notes], [*folder.warnings, *unreadable(read.values())]
    for name, (number, sources) in groups.items():
        sound = [read[source.path] for source in sources if not read[source.path].error]
        facts.append(f"{name}: {in_words(sound)}")
        notes += [f"{name}: {line}" for line in remarks(sound, None if kinds[number].numbered else kinds[number].span)]
        if again := repeated((source.path for source in sources), read):
            notes.append(f"{name}: {len(again)} files repeat another byte for byte, and count twice: {few(again)}")
    facts += introduced(kinds)
    for kind, sources in zip(kinds, columns.values(), strict=True):
        sound = [one for path in dict.fromkeys(source.path for source in sources) if not (one := read[path]).error]
        if kind.numbered:
            problems += _no_numbers([source for source in sources if not read[source.path].error], kind)
            continue
        if isinstance(folder, Folder) and not kind.deep and (colours := colours_in(sources)):
            facts.append(
                f"{kind.name}: {len(colours)} colours in flat areas; if they stand for classes, set "
                f"data.domains.{kind.name}.colours={json.dumps(colours, separators=(',', ':'))}"
            )
        problems += unlike(sound, kind, key_of(kinds, kind, "channels"))
        problems += outside(sound, kind, key_of(kinds, kind, "span"))
    if isinstance(folder, Folder):
        notes += too_few(dict(zip(folder.domains, folder.splits["train"], strict=True)))
        problems += [
            *_leaked(folder.splits, read, [kind.numbered or kind.slicing is not None for kind in kinds]),
            *_unequal(folder, read),
        ]
    else:
        facts += shares(folder) if folder.groups else []
        images = folder.splits["train"].sources
        notes += [*too_few({"images": images}), *tiny(folder), *contradicting(folder)]
        splits = {split: [part.sources] for split, part in folder.splits.items()}
        problems += [*empty(folder), *differently_labelled(folder, read), *_leaked(splits, read)]
    return Report(folder, tuple(facts), tuple(notes), tuple(problems))


def _no_numbers(sources: Sequence[Readable], kind: Domain) -> list[str]:
    """Reports files that hold what is no number of the domain, such as no class of label maps."""
    maps = [Source.of(source, kind) for source in sources if isinstance(source, Source)]
    return by_fault(failures(decoding(maps, 1), os.cpu_count() or 1, lambda: None))


def _says_labelled(root: Path) -> bool:
    return describe(root).layout == "labelled" or (root / "labels.csv").is_file() or find_attributes(root) is not None


def _groups(folder: Folder | LabelledFolder) -> dict[str, tuple[int, list[Readable]]]:
    """The images of a split and domain, or of a labelled set by split, with the number of their domain; a file that
    holds a pair counts once."""
    if isinstance(folder, LabelledFolder):
        return {f"{split} images": (0, list(part.sources)) for split, part in folder.splits.items()}
    groups: dict[str, tuple[int, list[Readable]]] = {}
    for split, columns in folder.splits.items():
        if columns[0] and isinstance(first := columns[0][0], Source) and first.half:
            groups[f"{split} files"] = 0, list(columns[0])
            continue
        for number, (domain, column) in enumerate(zip(folder.domains, columns, strict=True)):
            groups[f"{split} {domain}"] = number, list(column)
    return groups


def _leaked(
    splits: Mapping[str, Sequence[Sequence[Readable]]], read: dict[Path, Facts], numbered: Sequence[bool] = (False,)
) -> Iterable[str]:
    """Reports held-out images that equal a training file of any domain, or look like one of their own domain, unless
    that holds numbers: many maps look alike."""
    trained = [[source.path for source in column] for column in splits["train"]]
    for split, columns in splits.items():
        if split == "train":
            continue
        leaked: dict[Path, Path] = {}
        for known, column, of_numbers in zip(trained, columns, numbered, strict=True):
            paths = [source.path for source in column]
            leaked |= ({} if of_numbers else alike(paths, known, read)) | _same(
                paths, [*chain.from_iterable(trained)], read
            )
        if leaked:
            twins = few(sorted(leaked), leaked)
            yield f"{split} images that are, or look like, training images (in brackets); keep one of each: {twins}"


def _same(paths: Sequence[Path], others: Sequence[Path], read: Mapping[Path, Facts]) -> dict[Path, Path]:
    """Returns those of `paths` that are byte for byte one of `others`, each with that one."""
    known = {read[path].digest: path for path in reversed(others) if read[path].digest}
    return {path: known[read[path].digest] for path in paths if read[path].digest in known}


def _unequal(folder: Folder, read: dict[Path, Facts]) -> Iterable[str]:
    """Reports pairs whose images cannot be aligned."""
    for split, columns in folder.splits.items() if folder.kind == "paired" or folder.pairs else ():
        known = [(columns[0][a], columns[1][b]) for a, b in folder.known(split)]
        together = known if folder.pairs else zip(*columns, strict=True)
        pairs = [[read[source.path] for source in pair] for pair in together]
        whole = [pair for pair in pairs if not any(one.error for one in pair)]
        unlike = [pair[0].path for pair in whole if len(set(map(_ratio, pair))) > 1]
        if unlike:
            what = "pairs whose two" if len(columns) == 2 else "samples whose"
            yield f"{split} {what} images differ in proportions; crop them alike: {few(unlike)}"
        halves = {first.path for first, *others in pairs if others[0].path == first.path and first.size[1] % 2}
        if halves:
            yield f"{split} pairs side by side of an odd width; crop a column: {few(sorted(halves))}"


def _ratio(facts: Facts) -> float:
    return round(facts.size[1] / facts.size[0], 2)

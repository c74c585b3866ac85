"""Class folders: one folder per class, inside train/ and test/, around them, or without splits."""

from __future__ import annotations

from pathlib import Path

from translate.data.catalog.description import describe
from translate.data.labelled.labelling import SPLIT_ORDER, Labelling, Part, in_order, one_hot, require_few, with_a_test
from translate.data.layouts import folders
from translate.data.layouts.columns import Column, Look, held_out, matched, scan
from translate.data.layouts.folders import Source
from translate.data.layouts.on_disk import (
    WHOLE,
    around,
    domains_in,
    files_in,
    folders_in,
    left_out,
    marks_in,
    splits_in,
)
from translate.data.telling import few
from translate.errors import folded
from translate.utils.printing import shown

LOOKED_FOR = (
    "train/CLASS/ (test/CLASS/, val/CLASS/); CLASS/train/; train_CLASS/; trainA/ trainB/; or CLASS/ with images"
)
HELD_OUT = "held out of each class, chosen by a hash of the names"
Places = dict[str, dict[str, Path]]
"""For each split, the folder of each class."""
Columns = dict[str, Column]
"""The images of each class."""


def read_classes(root: Path, follow_links: bool = True) -> Labelling | None:
    """Reads the folders below `root` as classes; returns None if there are none. Raises ConfigurationError."""
    if {name.lower() for name in marks_in(root).domains} == {"a", "b"}:
        return _of_two_domains(root, follow_links)
    places = _marked(root) or _within_splits(root) or _around_splits(root) or _alone(root)
    look = Look(root, follow_links)
    warnings, taken = look.warnings, [folder for classes in places.values() for folder in classes.values()]
    warnings += left_out(root, taken)
    for folder in around(root, taken):
        look.seen.pass_over(folder)
    columns = {
        split: {name: scan(folder, look, training=split in ("train", WHOLE)) for name, folder in classes.items()}
        for split, classes in places.items()
    }
    trained = columns.get("train") or columns.get(WHOLE) or {}
    classes = tuple(in_order(name for name, column in trained.items() if column))
    if not classes:
        return None
    images = max(sum(len(column) for column in split.values()) for split in columns.values())
    require_few(shown(root), len(classes), images)
    if empty := [name for name in in_order(trained) if name not in classes]:
        warnings.append(f"classes without images to train on are left out: {folded([*map(shown, empty)])}")
    origin = ""
    if WHOLE in columns:
        if loose := files_in(root):
            warnings.append(f"images beside the folders belong to no class and are left out: {few(loose)}")
        columns, origin = _held_out(columns[WHOLE]), HELD_OUT
    paired = describe(root).test_paired and "test" in columns and _pair(columns["test"], classes, warnings)
    parts, stand_in = with_a_test({split: _part(split, columns[split], classes, warnings) for split in columns})
    used = [source.path for part in parts.values() for source in part.sources]
    return Labelling(
        arrangement="class folders",
        domains=classes,
        exclusive=True,
        parts=parts,
        origin=origin or stand_in,
        by_class=True,
        test_is_paired=paired,
        notes=tuple(look.notes()),
        warnings=tuple(look.all_warnings(used)),
    )


def _held_out(columns: Columns) -> dict[str, Columns]:
    parted = {name: held_out(column) for name, column in columns.items()}
    return {split: {name: parts[i] for name, parts in parted.items()} for i, split in enumerate(("train", "test"))}


def _pair(columns: Columns, classes: tuple[str, ...], warnings: list[str]) -> bool:
    """Keeps the names present in all classes and returns True; if there are none, only warns and returns False."""
    tested = tuple(columns.get(name, {}) for name in classes)
    if not set.intersection(*(set(column) for column in tested)):
        warnings.append("dataset.yaml says test_paired, but no name stands in all classes of the test images")
        return False
    columns.update(zip(classes, matched("test", tested, warnings), strict=True))
    return True


def _part(split: str, columns: Columns, classes: tuple[str, ...], warnings: list[str]) -> Part:
    if split != "train":
        if unknown := [name for name in in_order(columns) if columns[name] and name not in classes]:
            listed = folded([*map(shown, unknown)])
            warnings.append(f"{split} classes without images to train on are left out: {listed}")
        if bare := [name for name in classes if not columns.get(name)]:
            warnings.append(f"classes without {split} images: {folded([*map(shown, bare)])}")
    found = [(Source(path), index) for index, name in enumerate(classes) for path in columns.get(name, {}).values()]
    return Part(tuple(source for source, _ in found), one_hot([index for _, index in found], len(classes)))


def _marked(root: Path) -> Places:
    """train_CLASS, or trainA, trainB, trainC, ..."""
    places: Places = {}
    for name, found in marks_in(root).domains.items():
        for split, folder in found.items():
            places.setdefault(split, {})[name] = root / folder
    return places


def _within_splits(root: Path) -> Places:
    """train/CLASS."""
    splits = splits_in(root)
    if "train" not in splits or files_in(splits["train"]):
        return {}
    inside = {split: domains_in(root) if folder == root else folders_in(folder) for split, folder in splits.items()}
    places = {split: {f.name: f for f in inside[split]} for split in SPLIT_ORDER if split in splits}
    return places if places["train"] else {}


def _around_splits(root: Path) -> Places:
    """CLASS/train."""
    places: Places = {}
    for folder in folders_in(root):
        splits = splits_in(folder)
        for split in SPLIT_ORDER if "train" in splits else ():
            if split in splits:
                places.setdefault(split, {})[folder.name] = splits[split]
    return places


def _alone(root: Path) -> Places:
    """CLASS."""
    return {WHOLE: {folder.name: folder for folder in domains_in(root)}} if not splits_in(root) else {}


def _of_two_domains(root: Path, follow_links: bool) -> Labelling:
    """Reads a two-domain set (trainA/, trainB/, ...) as two classes."""
    folder = folders.recognise(root, follow_links=follow_links)
    parts = {
        split: Part(
            tuple(source for column in columns for source in column),
            one_hot([index for index, column in enumerate(columns) for _ in column], 2),
        )
        for split, columns in folder.splits.items()
    }
    return Labelling(
        arrangement="two domains",
        domains=folder.domains,
        exclusive=True,
        parts=parts,
        by_class=True,
        test_is_paired=folder.test_is_paired,
        notes=folder.notes,
        warnings=folder.warnings,
    )

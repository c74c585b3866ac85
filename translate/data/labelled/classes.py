"""Class folders: one folder per class, inside train/ and test/, around them, or without splits."""

from collections.abc import Callable
from pathlib import Path

from translate.data.catalog.description import describe
from translate.data.labelled.labelling import LabelledSplit, Labelling, in_order, require_few
from translate.data.layouts import folders
from translate.data.layouts.columns import Column, Scan, held_out, matched
from translate.data.layouts.splits import WHOLE
from translate.data.layouts.subfolders import (
    Places,
    domains_in,
    domains_within_splits,
    files_in,
    left_out,
    marked,
    marks_in,
    splits_in,
    splits_within_domains,
)
from translate.data.messages import few
from translate.data.source_file import Source
from translate.errors import folded
from translate.utils.printing import shown

Columns = dict[str, Column]
"""The images of each class."""


def _alone(root: Path) -> Places:
    return {} if splits_in(root) else {WHOLE: {folder.name: folder for folder in domains_in(root)}}


LAYOUTS: dict[str, Callable[[Path], Places]] = {
    "CLASS/ with images": _alone,
    "CLASS/train/": splits_within_domains,
    "train/CLASS/ (test/CLASS/, val/CLASS/)": domains_within_splits,
    "train_CLASS/; trainA/ trainB/": marked,
}
"""How classes lie on disk, in words, and the function that finds them so. The last is asked first, so that
`LAYOUTS["my/folders"] = f` comes before all others."""


def read_classes(root: Path, follow_links: bool = True) -> Labelling | None:
    """Reads the folders below `root` as classes; returns None if there are none. Raises ConfigurationError."""
    if {name.lower() for name in marks_in(root).domains} == {"a", "b"}:
        return _of_two_domains(root, follow_links)
    places = folders_of_classes(root)
    scan = Scan(root, follow_links, left_out(root, [folder for of in places.values() for folder in of.values()]))
    listed = scan.splits({split: list(of.values()) for split, of in places.items()})
    columns = {split: dict(zip(of, listed[split], strict=True)) for split, of in places.items()}
    classes = _trained_classes(root, columns, scan.warnings)
    if not classes:
        return None
    columns, origin = _with_test(root, columns, scan.warnings)
    paired = describe(root).test_paired and "test" in columns and _pair(columns["test"], classes, scan.warnings)
    parts = {split: _part(split, columns[split], classes, scan.warnings) for split in columns}
    found = Labelling("class folders", classes, True, parts, origin, by_class=True, test_is_paired=paired)
    return found.scanned(scan)


def folders_of_classes(root: Path) -> Places:
    """For each split, the folder of each class; empty if there are none."""
    return next(filter(None, (layout(root) for layout in reversed(LAYOUTS.values()))), {})


def _trained_classes(root: Path, columns: dict[str, Columns], warnings: list[str]) -> tuple[str, ...]:
    """Returns the classes with images to train on, in natural order; warns of others. Raises ConfigurationError."""
    trained = columns.get("train") or columns.get(WHOLE) or {}
    classes = tuple(in_order(name for name, column in trained.items() if column))
    if classes:
        require_few(shown(root), len(classes), max(sum(map(len, of.values())) for of in columns.values()))
        if empty := [name for name in in_order(trained) if name not in classes]:
            warnings.append(f"classes without images to train on are left out: {folded([*map(shown, empty)])}")
    return classes


def _with_test(root: Path, columns: dict[str, Columns], warnings: list[str]) -> tuple[dict[str, Columns], str]:
    """Holds test images out of each class, if there are no splits."""
    if WHOLE not in columns:
        return columns, ""
    if loose := files_in(root):
        warnings.append(f"images beside the folders belong to no class and are left out: {few(loose)}")
    parted = {name: held_out(column) for name, column in columns[WHOLE].items()}
    parts = {split: {name: both[i] for name, both in parted.items()} for i, split in enumerate(("train", "test"))}
    return parts, "held out of each class, chosen by a hash of the names"


def _pair(columns: Columns, classes: tuple[str, ...], warnings: list[str]) -> bool:
    """Keeps the names present in all classes and returns True; if there are none, only warns and returns False."""
    tested = tuple(columns.get(name, {}) for name in classes)
    if not set.intersection(*(set(column) for column in tested)):
        warnings.append("dataset.yaml says test_paired, but no name is in all classes of the test images")
        return False
    columns.update(zip(classes, matched("test", tested, warnings), strict=True))
    return True


def _part(split: str, columns: Columns, classes: tuple[str, ...], warnings: list[str]) -> LabelledSplit:
    if split != "train":
        if unknown := [name for name in in_order(columns) if columns[name] and name not in classes]:
            listed = folded([*map(shown, unknown)])
            warnings.append(f"{split} classes without images to train on are left out: {listed}")
        if bare := [name for name in classes if not columns.get(name)]:
            warnings.append(f"classes without {split} images: {folded([*map(shown, bare)])}")
    return LabelledSplit.of_classes([[*map(Source, columns.get(name, {}).values())] for name in classes])


def _of_two_domains(root: Path, follow_links: bool) -> Labelling:
    """Reads a two-domain set (trainA/, trainB/, ...) as two classes."""
    folder = folders.recognise(root, follow_links=follow_links)
    return Labelling(
        arrangement="two domains",
        domains=folder.domains,
        exclusive=True,
        parts={split: LabelledSplit.of_classes(columns) for split, columns in folder.splits.items()},
        by_class=True,
        test_is_paired=folder.test_is_paired,
        notes=folder.notes,
        warnings=folder.warnings,
    )

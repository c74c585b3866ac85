"""Opens folders of labelled images as data sets: finds domains and labels, and describes them in words."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from translate.data.catalog.cards import locate_both
from translate.data.catalog.description import Description, describe
from translate.data.labelled import attributes, classes, csv_table, digits
from translate.data.labelled.labelling import LabelledFolder, LabelledSplit, Labelling
from translate.data.labelled.sets import join
from translate.data.labels import LabelGroup
from translate.data.layouts.columns import Scan, split_of_test, with_origin
from translate.data.layouts.photos import all_images
from translate.data.layouts.subfolders import contents, files_in, require_folder
from translate.data.source_file import Source
from translate.errors import ConfigurationError, folded, nearest
from translate.utils.printing import shown


def open_labelled(
    root: Path,
    *,
    domains: Sequence[str] | None = None,
    exclusive: Sequence[Sequence[str]] | None = None,
    follow_links: bool = True,
) -> LabelledFolder:
    """Opens the labelled set below `root`: class folders, an attribute file, a CSV file, or files of digits.

    `domains` chooses classes (dropping images of others) or attributes, and their order; the default is that of
    `dataset.yaml`, else all. `exclusive` lists groups of attributes of which an image has at most one; the default is
    that of `dataset.yaml`. Without `follow_links`, links to files elsewhere are left out.
    Raises ConfigurationError if there is no labelled set, one of its files is invalid, or a name is unknown.
    """
    found = find_labels(root, follow_links)
    if found is None:
        raise ConfigurationError(f"{shown(root)}: no labelled images here. {_looked_for()}. Found: {contents(root)}")
    said = describe(root)
    chosen = _chosen(root, found, domains or said.domains)
    splits = {split: _select(found, part, chosen) for split, part in found.parts.items()}
    splits = {split: part for split, part in splits.items() if len(part)}
    if "train" not in splits:
        raise ConfigurationError(f"{shown(root)}: {found.arrangement}: no images to train on of {', '.join(chosen)}")
    return LabelledFolder(
        root=root,
        domains=chosen,
        groups=(LabelGroup(len(chosen), found.exclusive),),
        splits=splits,
        test_is_paired=found.test_is_paired,
        found=tuple(_in_words(found, chosen, splits)),
        warnings=found.warnings,
        notes=found.notes,
        test_split=split_of_test(found.origin),
        alternatives=_alternatives(found, chosen, exclusive, said),
    )


def unlabelled(root: Path, follow_links: bool = True) -> LabelledFolder:
    """Opens the images below `root` and ignores labels: one domain, named like the folder, and no groups.

    A labelled set keeps its splits; otherwise train/ and test/ are the splits, or a tenth is held out by name.
    Labels are (images, 0). Raises ConfigurationError if there are no images.
    """
    found = find_labels(root, follow_links)
    if found is None or (found.by_class and files_in(root)):  # loose images next to the folders count too
        found = _plain(root, follow_links)
    if "train" not in found.parts:
        raise ConfigurationError(f"{shown(root)}: {found.arrangement}: no images to train on")
    splits = {split: LabelledSplit.of(part.sources) for split, part in found.parts.items()}
    lines = [f"images of {found.arrangement}", *(f"{split}: {len(part)} images" for split, part in splits.items())]
    return LabelledFolder(
        root=root,
        domains=(root.resolve().name,),
        groups=(),
        splits=splits,
        test_is_paired=False,
        found=tuple(with_origin(lines, found.origin)),
        warnings=found.warnings,
        notes=found.notes,
        test_split=split_of_test(found.origin),
    )


def open_jointly(
    roots: Sequence[Path], *, domains: Sequence[str] | None = None, follow_links: bool = True
) -> LabelledFolder:
    """Opens several labelled sets and joins them, see `join`. `domains` chooses among all their names; a set with no
    chosen name keeps all its domains. Raises ConfigurationError, also for a name that is in none of the sets.
    """
    folders = [open_labelled(root, follow_links=follow_links) for root in roots]
    known = [name for folder in folders for name in folder.domains]
    for name in domains or ():
        if name not in known:
            raise ConfigurationError(f"no domain '{name}' in any of the sets{nearest(name, known)}")
    chosen = [[name for name in domains or () if name in folder.domains] for folder in folders]
    each = zip(roots, chosen, strict=True)
    return join([open_labelled(root, domains=names, follow_links=follow_links) for root, names in each])


def open_source_labelled(name_or_path: str, follow_links: bool = True) -> tuple[LabelledFolder, LabelledFolder]:
    """Opens the source and target sets named by a card, such as mnist2usps, or by a `dataset.yaml`.

    The target may be unlabelled; its labels, if any, must be of the same classes; they come in the source's order, for
    evaluation only. Raises ConfigurationError.
    """
    first, second = locate_both(name_or_path)
    source = open_labelled(first, follow_links=follow_links)
    found = find_labels(second, follow_links)
    if found is None or (found.exclusive and len(found.domains) == 1):  # one folder of images says nothing of classes
        return source, unlabelled(second, follow_links)
    return source, open_labelled(second, domains=source.domains, follow_links=follow_links)


def find_labels(root: Path, follow_links: bool = True) -> Labelling | None:
    """Reads all labels of the images below `root`; returns None if there are none. Raises ConfigurationError."""
    require_folder(root)
    return next(filter(None, (read(root, follow_links) for read in reversed(READERS.values()))), None)


READERS: dict[str, Callable[[Path, bool], Labelling | None]] = {
    "; ".join(reversed(classes.LAYOUTS)): classes.read_classes,
    digits.LOOKED_FOR: lambda root, follow_links: digits.read_digits(root),
    csv_table.LOOKED_FOR: csv_table.read_csv,
    attributes.LOOKED_FOR: attributes.read_attributes,
}
"""How labels lie on disk, in words, and the function that reads them. The last is asked first, so that
`READERS["my labels"] = f` comes before all others."""


def _looked_for() -> str:
    return f"Looked for: {'; '.join(READERS)}"


def _plain(root: Path, follow_links: bool) -> Labelling:
    """Reads all images below `root`, without labels."""
    scan = Scan(root, follow_links)
    columns, origin = all_images(scan)
    parts = {split: LabelledSplit.of(map(Source, column.values())) for split, (column,) in columns.items()}
    return Labelling("a folder", (), False, parts, origin).scanned(scan)


def _chosen(root: Path, found: Labelling, wanted: Sequence[str] | None) -> tuple[str, ...]:
    chosen = tuple(wanted or found.domains)
    for name in chosen:
        if name not in found.domains:
            raise ConfigurationError(f"{shown(root)}: no domain '{name}'{nearest(name, found.domains)}")
    if len(set(chosen)) < len(chosen):
        raise ConfigurationError(f"{shown(root)}: name each domain once, not {', '.join(chosen)}")
    if found.exclusive and len(chosen) < 2:
        raise ConfigurationError(f"{shown(root)}: only one class, {chosen[0]}; two or more are needed. {_looked_for()}")
    return chosen


def _select(found: Labelling, part: LabelledSplit, chosen: tuple[str, ...]) -> LabelledSplit:
    """Selects the labels of the chosen domains. Of classes, keeps only their images, still ordered by class if so."""
    labels = part.labels[:, [found.domains.index(name) for name in chosen]]
    rows = np.arange(len(labels))
    if found.exclusive:
        rows = rows[labels.any(1)]
        if found.by_class:
            rows = rows[np.argsort(labels[rows].argmax(1), kind="stable")]
    return replace(part, labels=labels).rows(rows)


def _in_words(found: Labelling, chosen: tuple[str, ...], splits: dict[str, LabelledSplit]) -> list[str]:
    kind = "classes" if found.exclusive else "attributes"
    few_of = f"{len(chosen)} of {len(found.domains)}" if len(chosen) < len(found.domains) else str(len(chosen))
    lines = [f"{found.arrangement}: {few_of} {kind}"]
    for split, part in splits.items():
        counts = [f"{int(n)} {name}" for n, name in zip((part.labels == 1).sum(0), chosen, strict=True)]
        lines.append(f"{split}: {len(part)} images: {folded(counts)}")
    return with_origin(lines, found.origin)


def _alternatives(
    found: Labelling, chosen: tuple[str, ...], exclusive: Sequence[Sequence[str]] | None, said: Description
) -> tuple[tuple[int, ...], ...]:
    for name in (name for names in exclusive or () for name in names):
        if name not in found.domains:
            raise ConfigurationError(f"exclusive: no domain '{name}'{nearest(name, found.domains)}")
    return places_of(said.alternatives if exclusive is None else exclusive, chosen)


def places_of(sets: Sequence[Sequence[str]], domains: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Converts groups of names to indices in `domains`; drops unknown names, then groups with fewer than two."""
    places = (tuple(domains.index(name) for name in names if name in domains) for names in sets)
    return tuple(group for group in places if len(group) > 1)

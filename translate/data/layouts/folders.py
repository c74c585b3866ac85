"""Folders of images as data sets: finds the images, pairs them, and describes the result in words."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

from translate.data.catalog.description import describe
from translate.data.layers import Layered, holds_any, in_layers, layer_names
from translate.data.layouts.columns import Column, Scan, TestSplit, matched, split_of_test, with_origin, with_test
from translate.data.layouts.listing import SOUNDS, SUFFIXES
from translate.data.layouts.pairing import CANNOT_BE_UNPAIRED, Columns, Kind, paired_up
from translate.data.layouts.several import Roles, called, find_sides, require_one_target, samples
from translate.data.layouts.some_pairs import Pairs, held_out_together, pairs_in, with_some_pairs
from translate.data.layouts.splits import WHOLE
from translate.data.layouts.two_domains import Layout, find_layout
from translate.data.sound.source import Sound
from translate.data.source import Readable
from translate.data.source_file import Source
from translate.data.volumes.slices import VolumeSlice
from translate.errors import ConfigurationError
from translate.utils.printing import shown

Direction = Literal["AtoB", "BtoA"]


Split = tuple[tuple[Source | Layered | Sound | VolumeSlice, ...], ...]
"""The images of each domain, in the order of `Folder.domains`; the images of a pair have the same index."""


@dataclass(frozen=True)
class Folder:
    """A data set of two domains on disk. Domain 0 is the input, domain 1 the target."""

    root: Path
    kind: Kind
    domains: tuple[str, ...]
    splits: dict[str, Split]
    """"train"; "test" if there are images to measure on; "validation" if it is a separate split."""
    test_is_paired: bool
    """Whether test images with the same index in both domains show the same thing."""
    found: tuple[str, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """Worth knowing, but no fault."""
    test_split: TestSplit = "test"
    pairs: Pairs = field(default=(), kw_only=True)
    """Images of all splits that are pairs, where others are not."""

    @property
    def of_sound(self) -> bool:
        """Whether it holds sound, and no images."""
        return isinstance(self.splits["train"][0][0], Sound)

    def columns(self) -> dict[str, list[Readable]]:
        """The images of all splits, by domain."""
        return {
            name: [source for columns in self.splits.values() for source in columns[number]]
            for number, name in enumerate(self.domains)
        }

    def known(self, split: str) -> list[tuple[int, int]]:
        """The places, in both domains of a split, of `pairs`."""
        if not self.pairs:
            return []
        a, b = ({one.path: place for place, one in enumerate(column)} for column in self.splits[split])
        return [(a[one], b[other]) for one, other in self.pairs if one in a and other in b]

    def in_layers(self) -> Folder:
        """The set as one of single images: each layer of a sample is a domain."""
        splits = {
            split: in_layers(dict(zip(self.domains, columns, strict=True))) for split, columns in self.splits.items()
        }
        columns = {split: tuple(map(tuple, layers.values())) for split, layers in splits.items()}
        return replace(self, domains=tuple(splits["train"]), splits=columns)

    def without(self, paths: Collection[Path]) -> Folder:
        """Returns the set without these files and the partners of pairs; drops splits, but train, without a domain."""
        splits = {split: _without(columns, paths, self._is_paired(split)) for split, columns in self.splits.items()}
        splits = {split: columns for split, columns in splits.items() if split == "train" or all(columns)}
        return replace(self, splits=splits, test_is_paired=self.test_is_paired and "test" in splits)

    def _is_paired(self, split: str) -> bool:
        return self.kind == "paired" or (split == "test" and self.test_is_paired)


def open_folder(
    root: Path,
    *,
    wanted: Kind,
    direction: Direction | None = None,
    domains: tuple[str, ...] | None = None,
    layout: Literal["auto", "paired", "unpaired"] = "auto",
    follow_links: bool = True,
    roles: Roles | None = None,
    some_pairs: bool = False,
) -> Folder:
    """Opens the data set below `root`, which must be of the kind `wanted`.

    `direction` and `domains` (names of A and B; of several folders, the two to take) override the folder's
    `dataset.yaml`. `direction` is for pairs only: BtoA makes B the input; of sound, a folder called clean is the
    target unless it is given. `layout="unpaired"` treats two folders as
    unpaired even if their file names match. Without `follow_links`, links to files elsewhere are left out. `roles`:
    the folders of the input and of the target, of samples of several images. `some_pairs`: unpaired images of one name
    are pairs.
    Raises ConfigurationError if there is no data set, or one of the other kind, or a target of several images.
    """
    folder = recognise(
        root,
        domains=domains,
        layout=layout,
        wanted=wanted,
        follow_links=follow_links,
        roles=roles,
        some_pairs=some_pairs,
    )
    require_kind(folder, wanted)
    said = None if roles else describe(root).direction or (None if domains else _towards_clean(folder))
    direction = direction or said or "AtoB"
    folder = _swap(folder) if direction == "BtoA" and wanted == "paired" else folder
    require_one_target(*(layer_names(*of) for of in zip(folder.domains, folder.splits["train"], strict=True)))
    return folder


def require_kind(folder: Folder, wanted: Kind) -> None:
    """Raises ConfigurationError that says what to do, unless the set is of the kind wanted."""
    if folder.kind != wanted:
        raise ConfigurationError(_refusal(folder))


def recognise(
    root: Path,
    *,
    domains: tuple[str, ...] | None = None,
    layout: Literal["auto", "paired", "unpaired"] = "auto",
    wanted: Kind | None = None,
    follow_links: bool = True,
    roles: Roles | None = None,
    some_pairs: bool = False,
) -> Folder:
    """Opens the data set below `root`, with A as domain 0; for the rest see `open_folder`.

    If equal names are the only sign of pairs, and the images speak against it, it is of the kind `wanted`, else
    unpaired. Raises ConfigurationError.
    """
    said, scan = describe(root), Scan(root, follow_links)
    layout = "unpaired" if some_pairs else layout
    declared, asked = said.layout if layout == "auto" else layout, domains or said.domains
    found = find_sides(root, roles, asked, declared, wanted) or find_layout(root, asked)
    scan.warnings += found.warnings
    columns = _with_images(found, scan)
    kind: Kind = "paired"
    if found.layers:
        names, remark = called(found.layers), ""
        columns = samples(root, columns, found.layers, scan.warnings)
    else:
        names = _distinct(root, asked or found.names or names_in(root) or ("A", "B"))
        columns = with_some_pairs(root, columns) if some_pairs else columns
        kind, columns, remark = paired_up(root, columns, declared, wanted, scan.warnings)
    columns, origin = with_test(columns, partial(held_out_together, columns) if some_pairs else None)
    test_is_paired = kind == "paired" or said.test_paired
    if kind == "unpaired" and test_is_paired and "test" in columns:
        columns["test"] = matched("test", columns["test"], scan.warnings)
    splits = {split: _sources(sides, found.layers) for split, sides in columns.items() if all(sides)}
    pairs = pairs_in(columns, scan.warnings) if some_pairs else ()
    folder = Folder(
        root=root,
        kind=kind,
        domains=names,
        splits=splits,
        test_is_paired="test" in splits and test_is_paired,
        found=(f"{_arrangement(root, found, kind, names)}{remark}",),
        warnings=scan.all_warnings(source.path for split in splits.values() for side in split for source in side),
        notes=scan.notes(),
        test_split=split_of_test(origin),
        pairs=pairs,
    )
    return replace(folder, found=(*folder.found, *_counts(folder, origin)))


def _without(columns: Split, paths: Collection[Path], paired: bool) -> Split:
    if not paired:
        return tuple(tuple(source for source in column if source.path not in paths) for column in columns)
    kept = [pair for pair in zip(*columns, strict=True) if not any(holds_any(source, paths) for source in pair)]
    return tuple(tuple(pair[domain] for pair in kept) for domain in range(len(columns)))


def _with_images(found: Layout, scan: Scan) -> Columns:
    """Returns the splits with images of each domain; raises ConfigurationError if that is not the training split."""
    columns = scan.splits(found.places)
    for split, folders in found.places.items():
        empty = next((folder for folder, column in zip(folders, columns[split], strict=True) if not column), None)
        if empty and split in ("train", WHOLE):
            missing = f"{shown(empty)}: no images in it, of {' '.join(sorted(SUFFIXES))}"
            raise ConfigurationError("; ".join([missing, *scan.all_warnings(())]))
        if empty:
            scan.warnings.append(f"the {split} images are left out: {shown(empty)} has none")
            del columns[split]
    return columns


def _sources(columns: tuple[Column, ...], layers: Roles | None) -> Split:
    if layers:
        _require_images(columns)
        each = iter(columns)
        return tuple(_samples([next(each) for _ in names], names) for names in layers)
    if len(columns) == 2:
        return tuple(tuple(map(_source, column.values())) for column in columns)
    files = columns[0].values()
    return tuple(Source(path, "left") for path in files), tuple(Source(path, "right") for path in files)


def _source(path: Path) -> Source | Sound:
    return Sound(path) if path.suffix.lower() in SOUNDS else Source(path)


def _require_images(columns: Sequence[Column]) -> None:
    sound = next((path for column in columns for path in column.values() if path.suffix.lower() in SOUNDS), None)
    if sound:
        raise ConfigurationError(
            f"{shown(sound)}: samples of several images hold no sound: keep two folders, one of noisy and one of clean "
            "sound"
        )


def _samples(columns: Sequence[Column], names: tuple[str, ...]) -> tuple[Source | Layered, ...]:
    """The images of a side, those of a sample together; of one layer, as they are."""
    rows = zip(*(map(Source, column.values()) for column in columns), strict=True)
    return tuple(Layered(row, names) if len(names) > 1 else row[0] for row in rows)


def _towards_clean(folder: Folder) -> Direction | None:
    """The direction of sound whose first folder alone is called clean: folders lie in the order of their names."""
    first, second = ("clean" in name.lower() for name in folder.domains)
    return "BtoA" if folder.of_sound and folder.kind == "paired" and first and not second else None


def _swap(folder: Folder) -> Folder:
    first, second = folder.domains
    return replace(
        folder,
        domains=(second, first),
        splits={split: (b, a) for split, (a, b) in folder.splits.items()},
        found=(*folder.found, f"direction BtoA: from {second} to {first}"),
    )


def _refusal(folder: Folder) -> str:
    where = f"{shown(folder.root)}: {folder.found[0]}"
    if folder.kind == "unpaired":
        return (
            f"{where}; this method learns from pairs: two images of the same thing, with the same file name "
            "in both folders, or side by side in one file. "
            "Name them so, or train with a method for unpaired images (CycleGAN)"
        )
    if isinstance(first := folder.splits["train"][0][0], Source) and first.half:
        return f"{shown(folder.root)}: {CANNOT_BE_UNPAIRED}, or train with a method for pairs (pix2pix)"
    return (
        f"{where}, with the same file names in both; a method for pairs (pix2pix) learns more from them. "
        "To train without the pairs all the same, set data.layout=unpaired"
    )


def _distinct(root: Path, names: tuple[str, ...]) -> tuple[str, str]:
    if len(names) != 2 or not all(names) or names[0] == names[1]:
        raise ConfigurationError(f"{shown(root)}: the domains need two different names, not {names}")
    return names[0], names[1]


def names_in(root: Path) -> tuple[str, str] | None:
    """Returns the domain names in folder names such as horse2zebra, else None."""
    match = re.fullmatch(r"([A-Za-z][\w-]*?)2([A-Za-z][\w-]*)", root.resolve().name)
    return (match[1], match[2]) if match else None


def _arrangement(root: Path, found: Layout, kind: Kind, names: tuple[str, str]) -> str:
    beside = f"pairs side by side, {names[0]} left and {names[1]} right,"
    if found.layers:
        beside = (
            f"samples of {' and '.join(map(shown, found.layers[0]))} to {' and '.join(map(shown, found.layers[1]))}"
        )
    folders = (folder.relative_to(root) for folders in found.places.values() for folder in folders)
    listed = " ".join(f"{shown(folder)}/" if folder.name else "the folder itself" for folder in folders)
    return f"{beside if found.side_by_side or found.layers else f'{kind} images'} in {listed}"


def _counts(folder: Folder, origin: str) -> list[str]:
    names, lines = folder.domains, []
    for split, sides in folder.splits.items():
        each = ", ".join(f"{len(column)} {name}" for name, column in zip(names, sides, strict=True))
        pairs = f"{len(sides[0])} pairs of {names[0]} and {names[1]}"
        known = len(folder.known(split))
        some = f", among them {known} pair{'s' * (known != 1)} of the same names" if folder.pairs else ""
        lines.append(f"{split}: {pairs if folder.kind == 'paired' else each + some}")
    return with_origin(lines, origin)

"""The layout of samples of several images: which folders hold the layers of the input, and the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from translate.data.layouts.columns import Column, Scan, matched
from translate.data.layouts.pairing import MATCHED, Columns, Kind, named_alike
from translate.data.layouts.splits import WHOLE
from translate.data.layouts.subfolders import (
    Places,
    domains_in,
    domains_within_splits,
    files_in,
    folders_in,
    holds_images,
    left_out,
    marked,
    require_folder,
    splits_in,
    splits_within_domains,
)
from translate.data.layouts.two_domains import Layout, complete
from translate.errors import ConfigurationError, nearest
from translate.utils.printing import shown

Roles = tuple[tuple[str, ...], tuple[str, ...]]
"""The names of the folders of the input, and of the target."""
SIDES = ("input", "target")


def find_sides(
    root: Path, roles: Roles | None, domains: object, declared: str | None, wanted: Kind | None
) -> Layout | None:
    """The folders of samples of several images: those of `roles`, or in the folders input/ and target/, unless
    `domains` are named or `declared` to be unpaired; None if there are none."""
    require_folder(root)
    if roles:
        return _named(root, roles)
    return None if domains or declared not in (None, "paired", "auto") else _in_sides(root, wanted)


def _named(root: Path, roles: Roles) -> Layout:
    """The folders below `root` of these names, wherever folders of domains lie, or below input/ and target/.

    Raises ConfigurationError for a name that there is not.
    """
    found = _ways(root)
    every = [{name.lower(): name for name in _names(places)} for places in found]
    wanted = [name for side in roles for name in side]
    missing = [[name for name in wanted if name.lower() not in spelt] for spelt in every]
    best = min(range(len(every)), key=lambda number: len(missing[number]))
    if strange := missing[best]:
        key = "data.input" if strange[0] in roles[0] else "data.target"
        known = list(dict.fromkeys(name for spelt in every for name in spelt.values()))
        others = nearest(strange[0], known) if known else "; there are no folders of images"
        raise ConfigurationError(f"{key}: {shown(root)} has no folder '{shown(strange[0])}'{others}")
    inputs, targets = (tuple(every[best][name.lower()] for name in side) for side in roles)
    return _layout(root, found[best], (inputs, targets))


def _in_sides(root: Path, wanted: Kind | None) -> Layout | None:
    """The layers in the folders input/ and target/ below `root`; None if these hold images themselves, or folders of
    the same names in both, or if methods for unpaired images may well learn from all of them."""
    below = _below_sides(root)
    inputs, targets = (tuple(_names(below[side])) for side in SIDES)
    ordinary = (inputs, targets) == (SIDES[:1], SIDES[1:]) if wanted == "paired" else len(inputs + targets) == 2
    if ordinary or not (inputs and targets) or {*inputs} & {*targets}:
        return None
    layout = _layout(root, _both(below), (inputs, targets))
    if wanted != "paired" and not _alike(root, layout):
        return None
    folders = [folder for places in layout.places.values() for folder in places]
    return replace(layout, warnings=(*layout.warnings, *left_out(root, folders)))


def _whole(root: Path) -> Places:
    found = {folder.name: folder for folder in domains_in(root) if holds_images(folder)}
    return {WHOLE: found} if found else {}


def _ways(root: Path) -> list[Places]:
    """The folders of images by split, in each way that folders of domains may lie."""
    return [
        marked(root),
        splits_within_domains(root),
        domains_within_splits(root),
        _whole(root),
        _both(_below_sides(root)),
    ]


def _below_sides(root: Path) -> dict[str, Places]:
    """The layers of input/ and of target/, by split: input/photo, train/input/photo, input/train/photo,
    input/photo/train; a side without folders is a layer itself."""
    for places in ({WHOLE: root}, splits_in(root)):
        sides: dict[str, Places] = {side: {} for side in SIDES}
        for split, place in places.items():
            for folder in folders_in(place):
                for inner, layers in _layers(folder, split).items() if folder.name.lower() in SIDES else ():
                    sides[folder.name.lower()].setdefault(inner, {}).update(layers)
        if all(sides.values()):
            return sides
    return {side: {} for side in SIDES}


def _layers(side: Path, split: str) -> Places:
    """The layers in the folder of a side, which belongs to the split."""
    if files_in(side):
        return {split: {side.name.lower(): side}}
    if split != WHOLE:
        return {split: {folder.name: folder for folder in folders_in(side) if holds_images(folder)}}
    own = splits_in(side)
    if "train" in own and files_in(own["train"]):
        return {split: {side.name.lower(): folder} for split, folder in own.items()}
    return domains_within_splits(side) or splits_within_domains(side) or _whole(side)


def _both(below: dict[str, Places]) -> Places:
    every = dict.fromkeys(split for places in below.values() for split in places)
    return {
        split: {name: path for side in SIDES for name, path in below[side].get(split, {}).items()} for split in every
    }


def _names(places: Places) -> list[str]:
    """The names of the folders with training images."""
    return list(places.get("train") or places.get(WHOLE) or {})


def _layout(root: Path, places: Places, roles: Roles) -> Layout:
    return replace(complete(root, places, (*roles[0], *roles[1])), layers=roles)


def _alike(root: Path, layout: Layout) -> bool:
    """Whether the images of all layers go by the same names."""
    scan = Scan(root)
    columns = scan.splits({split: folders for split, folders in layout.places.items() if split in ("train", WHOLE)})
    ((first, *others),) = columns.values()
    return sum(all(name in column for column in others) for name in first) >= MATCHED * max(map(len, (first, *others)))


def called(roles: Roles) -> tuple[str, str]:
    """What the domains are called: as their one folder, or `input` or `target` where there are several."""
    inputs, targets = (names[0] if len(names) == 1 else side for side, names in zip(SIDES, roles, strict=True))
    return inputs, targets


def samples(root: Path, columns: Columns, roles: Roles, warnings: list[str]) -> Columns:
    """The images of samples: those whose name is in all layers; warns of the others. Raises ConfigurationError if there
    are none in training."""
    columns = named_alike(columns)
    _require_samples(root, columns["train"] if "train" in columns else columns[WHOLE], [*roles[0], *roles[1]])
    return {split: matched(split, layers, warnings) for split, layers in columns.items()}


def require_one_target(inputs: Sequence[str], targets: Sequence[str]) -> None:
    """Raises ConfigurationError, with the settings that help, for a target of several images."""
    if len(targets) > 1:
        given, names = ", ".join(map(shown, inputs)), " and ".join(map(shown, targets))
        raise ConfigurationError(
            f"a translation is one image, and samples of the target have {len(targets)}, {names}: train a "
            f"run for each: 'data.input=[{given}]' 'data.target=[{shown(targets[0])}]'"
        )


def _require_samples(root: Path, columns: Sequence[Column], names: Sequence[str]) -> None:
    """Raises ConfigurationError unless some name is in all layers."""
    common = list(columns[0])
    for name, column in zip(names, columns, strict=True):
        strange = common[0]
        if not (common := [one for one in common if one in column]):
            raise ConfigurationError(
                f"{shown(root)}: no samples: the images of a sample have the same file name in all folders, but "
                f"{shown(strange)} of {shown(names[0])}/ is not in {shown(name)}/"
            )

"""Data sets of volumes: finds them, pairs them by name, splits them by patient, and cuts them into slices."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from translate.data.catalog.description import describe
from translate.data.layouts.columns import split_of_test, validation_as_test, with_origin
from translate.data.layouts.folders import Folder, Split, names_in, require_kind
from translate.data.layouts.pairing import MATCHED, Kind
from translate.data.layouts.splits import WHOLE
from translate.data.layouts.subfolders import holds_images
from translate.data.messages import counted, few
from translate.data.settings import DataSettings
from translate.data.volumes.extra import require_medical
from translate.data.volumes.grid import PLANES
from translate.data.volumes.layout import Found, Volumes, find_volumes
from translate.data.volumes.patients import held_out, patients_of
from translate.data.volumes.reading import holds_volumes, look
from translate.data.volumes.slices import VolumeSlice, count_along
from translate.data.volumes.slicing import Slicing
from translate.data.volumes.volume_file import VolumeFile
from translate.errors import ConfigurationError, ImageError
from translate.utils.printing import shown
from translate.utils.progress import Progress

Looked = dict[str, VolumeFile]
"""The volumes of a domain, by name."""


@dataclass(frozen=True)
class VolumeFolder(Folder):
    """A data set of volumes, as slices."""

    bodies: Mapping[Path, Path] = field(default_factory=dict)
    """Where the set says where the body is: masks by the path of the volume."""


def is_of_volumes(root: Path) -> bool:
    """Whether a folder holds volumes, and no images."""
    return root.is_dir() and not holds_images(root) and holds_volumes(root)


def open_volumes(root: Path, wanted: Kind, data: DataSettings, domains: tuple[str, ...] | None) -> VolumeFolder:
    """Opens the volumes below `root`, which must be of the kind `wanted`. Raises ConfigurationError."""
    direction = data.direction or describe(root).direction
    folder = recognise_volumes(root, data, domains, direction == "BtoA")
    require_kind(folder, wanted)
    return folder


def recognise_volumes(
    root: Path, data: DataSettings, domains: tuple[str, ...] | None, swap: bool = False
) -> VolumeFolder:
    """Opens the volumes below `root`. Domain 0 is the input, with `data.neighbours`; `swap` exchanges the two, of
    pairs.

    Raises ConfigurationError if there are no two domains, if volumes cannot be read, if pairs lie on different grids,
    if a patient is in several splits, or if the libraries are missing.
    """
    require_medical()
    _refuse_layers(data)
    said = describe(root)
    found = find_volumes(root, domains or said.domains)
    looked = _looked(found)
    declared = data.layout if data.layout != "auto" else said.layout
    kind, warnings = _kind_of(root, looked, declared), list[str]()
    names = domains or said.domains or found.names or names_in(root) or ("A", "B")
    if kind == "paired":
        looked = {split: _matched(split, each, warnings) for split, each in looked.items()}
        for a, b in looked.values():
            _require_same_grids(a, b, names)
        if swap:
            looked, names = {split: (b, a) for split, (a, b) in looked.items()}, (names[1], names[0])
    elif data.neighbours:
        raise ConfigurationError(
            "data.neighbours: for pairs, whose input gets them; unpaired, each domain is input and output: leave it out"
        )
    patients, note = patients_of([each for sides in looked.values() for each in sides])
    axis = _axis(root, data, [file for sides in looked.values() for each in sides for file in each.values()])
    bodies = _bodies(found, looked)
    whole, origin = _split(root, looked, patients)
    slicings = Slicing(axis, data.neighbours), Slicing(axis)
    splits: dict[str, Split] = {
        split: tuple(_slices(each, slicing, patients) for each, slicing in zip(sides, slicings, strict=True))
        for split, sides in whole.items()
    }
    facts = [
        f"{kind} volumes in {found.where}, cut into {PLANES[axis]} slices (data.axis={axis})",
        *_counts(names, whole, splits, patients, origin),
        *_described(names, whole),
        "slices of air are kept, as every slice is translated",
        *([f"{len(bodies)} volumes have a mask of the body"] if bodies else []),
    ]
    return VolumeFolder(
        root, kind, (names[0], names[1]), splits, kind == "paired" and "test" in splits, tuple(facts), tuple(warnings),
        (note,) if note else (), split_of_test(origin), bodies,
    )  # fmt: skip


def _refuse_layers(data: DataSettings) -> None:
    if data.roles:
        raise ConfigurationError(
            "data.input: samples of several volumes are not read; leave data.input and data.target out"
        )


def _looked(found: Found) -> dict[str, tuple[Looked, Looked]]:
    """Looks at the headers of all volumes. Raises ConfigurationError that names those that cannot be read."""
    every = [path for sides in found.splits.values() for volumes in sides for path in volumes.values()]
    with (
        Progress(len(every), unit="image", label="looking at volumes", quiet=False, after=3.0) as bar,
        ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool,
    ):
        known = dict(zip(every, pool.map(partial(_tried, done=bar.advance), every), strict=True))
    if wrong := [str(one) for one in known.values() if isinstance(one, ImageError)]:
        more = f"\nand {len(wrong) - 10} more" if len(wrong) > 10 else ""
        raise ConfigurationError("\n".join(wrong[:10]) + more)

    def files(volumes: Volumes) -> Looked:
        return {name: one for name, path in volumes.items() if isinstance(one := known[path], VolumeFile)}

    return {split: (files(a), files(b)) for split, (a, b) in found.splits.items()}


def _tried(path: Path, done: object) -> VolumeFile | ImageError:
    try:
        return look(path)
    except ImageError as error:
        return error
    finally:
        if callable(done):
            done(1)


def _kind_of(root: Path, looked: Mapping[str, tuple[Looked, Looked]], said: str | None) -> Kind:
    """Pairs have equal names, unless the settings say otherwise."""
    a, b = looked["train"] if "train" in looked else looked[WHOLE]
    both = a.keys() & b.keys()
    if said == "paired" and not both:
        raise ConfigurationError(
            f"{shown(root)}: no pairs: the two volumes of a pair have one name, or lie in folders of one name; "
            f" {shown(next(iter(a)))} of one domain is not in the other"
        )
    if said in ("paired", "unpaired"):
        return "paired" if said == "paired" else "unpaired"
    return "paired" if len(both) >= MATCHED * max(len(a), len(b)) else "unpaired"


def _matched(split: str, sides: tuple[Looked, Looked], warnings: list[str]) -> tuple[Looked, Looked]:
    a, b = sides
    if alone := [file.path for x, y in ((a, b), (b, a)) for name, file in x.items() if name not in y]:
        warnings.append(f"{split} volumes without a partner of the same name are left out: {few(alone)}")
    return {name: a[name] for name in a if name in b}, {name: b[name] for name in a if name in b}


def _require_same_grids(a: Looked, b: Looked, names: Sequence[str]) -> None:
    for name, one in a.items():
        if not one.grid.same_as(b[name].grid):
            apart = one.grid.apart(b[name].grid)
            how = f", {apart:.3g} mm apart" if apart < float("inf") else ""
            raise ConfigurationError(
                f"{shown(name)}: {names[0]} and {names[1]} lie on different grids{how}: {shown(one.path)} has "
                f"{one.grid}, and "
                f"{shown(b[name].path)} {b[name].grid}; resample one to the other, or, if they are not registered, "
                "train with cyclegan and data.layout=unpaired"
            )


def _bodies(found: Found, looked: Mapping[str, tuple[Looked, Looked]]) -> dict[Path, Path]:
    """The masks of the body, by the paths of their volumes. Raises ConfigurationError for one of another grid."""
    masks: dict[str, VolumeFile] = {}
    for name, path in found.masks.items():
        try:
            masks[name] = look(path)
        except ImageError as error:
            raise ConfigurationError(str(error)) from error
    bodies = {}
    for name, file in ((name, file) for sides in looked.values() for each in sides for name, file in each.items()):
        if name not in masks:
            continue
        if not masks[name].grid.same_as(file.grid):
            raise ConfigurationError(
                f"{shown(masks[name].path)}: a mask of {masks[name].grid}, where {shown(file.path)} has {file.grid}; "
                "resample the mask to the volume, or move it away"
            )
        bodies[file.path] = masks[name].path
    return bodies


def _axis(root: Path, data: DataSettings, files: Sequence[VolumeFile]) -> Literal[0, 1, 2]:
    if data.axis != "auto":
        return data.axis
    axes = Counter(file.grid.thickest for file in files)
    if len(axes) > 1:
        each = ", ".join(f"{count} {PLANES[axis]}" for axis, count in axes.most_common())
        raise ConfigurationError(
            f"{shown(root)}: slices are thickest across different axes: {each}; say which is meant: data.axis=0 "
            "(axial), 1 (coronal) or 2 (sagittal)"
        )
    return next(iter(axes))


def _split(
    root: Path, looked: dict[str, tuple[Looked, Looked]], patients: Mapping[str, str]
) -> tuple[dict[str, tuple[Looked, Looked]], str]:
    """The volumes with a test split, and how that was chosen, if not by the set. Raises ConfigurationError if a patient
    is in two splits, or if there are too few."""
    if WHOLE not in looked:
        splits, origin = validation_as_test({split: sides for split, sides in looked.items() if all(sides)})
        trained = {patients[name] for side in splits["train"] for name in side}
        for split, sides in splits.items():
            if both := sorted(
                {patients[name] for side in sides for name in side} & trained if split != "train" else ()
            ):
                raise ConfigurationError(
                    f"{shown(root)}: volumes of {shown(both[0])} are in train and in {split}; put all volumes of a "
                    "patient into one of them"
                )
        return splits, origin
    sides = looked[WHOLE]
    aside = held_out([[patients[name] for name in side] for side in sides])

    def part(side: Looked, test: bool) -> Looked:
        return {name: file for name, file in side.items() if (patients[name] in aside) == test}

    train, test = [(part(sides[0], of_test), part(sides[1], of_test)) for of_test in (False, True)]
    if not all(train):
        raise ConfigurationError(f"{shown(root)}: too few patients to train on and to hold some out; add others")
    return {"train": train, **({"test": test} if all(test) else {})}, "held out by patient, chosen by a hash of names"


def _slices(volumes: Looked, slicing: Slicing, patients: Mapping[str, str]) -> tuple[VolumeSlice, ...]:
    return tuple(
        VolumeSlice(file, slicing, index, patients[name])
        for name, file in volumes.items()
        for index in range(count_along(file, slicing.axis))
    )


def _counts(
    names: Sequence[str],
    whole: Mapping[str, tuple[Looked, Looked]],
    splits: Mapping[str, Split],
    patients: Mapping[str, str],
    origin: str,
) -> list[str]:
    lines = []
    for split, sides in whole.items():
        each = [
            f"{counted(len({patients[name] for name in side}), 'patient')}, {counted(len(side), 'volume')}, "
            f"{counted(len(slices), 'slice')} of {domain}"
            for side, slices, domain in zip(sides, splits[split], names, strict=True)
        ]
        lines.append(f"{split}: {'; '.join(each)}")
    return with_origin(lines, origin)


def _described(names: Sequence[str], whole: Mapping[str, tuple[Looked, Looked]]) -> list[str]:
    """A line for each domain: formats, grids and unit."""
    lines = []
    for number, name in enumerate(names):
        files = [file for sides in whole.values() for file in sides[number].values()]
        grids = Counter(str(file.grid) for file in files).most_common()
        more = f" and {len(grids) - 3} other grids" if len(grids) > 3 else ""
        kinds = Counter({"nifti": "NIfTI", "dicom": "DICOM"}[file.format] for file in files)
        units = sorted({file.unit for file in files if file.unit})
        lines.append(
            f"{name}: {', '.join(f'{count} {kind}' for kind, count in kinds.items())}; "
            f"{', '.join(f'{count} of {grid}' for grid, count in grids[:3])}{more}"
            f"{f'; values in {units[0]}' if len(units) == 1 else ''}"
        )
    return lines

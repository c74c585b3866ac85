"""How volumes of two domains lie on disk, and which of them are of one patient."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from translate.data.layouts.columns import same_letters
from translate.data.layouts.splits import WHOLE
from translate.data.layouts.subfolders import (
    domains_in,
    domains_within_splits,
    folders_in,
    marked,
    splits_within_domains,
)
from translate.data.layouts.two_domains import Layout, Names, complete, two_of
from translate.data.volumes.reading import holds_volumes, is_volume, volumes_in
from translate.data.volumes.volume_file import without_suffix
from translate.errors import ConfigurationError
from translate.utils.printing import shown

MASKS = ("mask", "masks", "body", "body_mask")
"""Folders, or files in the folders of patients, that say where the body is, and are no domain."""
Volumes = dict[str, Path]
"""Those of a domain, by a name that they share with those of other domains: of the file, or of the patient's folder."""


@dataclass(frozen=True)
class Found:
    """The volumes of a data set, before they are looked at."""

    splits: dict[str, tuple[Volumes, Volumes]]
    """By split; `WHOLE` if nothing is split."""
    names: tuple[str, str] | None
    """Those of the domains; None if they are A and B."""
    where: str
    """In words."""
    masks: Volumes


LOOKED_FOR = (
    "trainA/ trainB/ (testA/ testB/), mr/train ct/train, train/mr train/ct, mr/ ct/, or a folder for each patient with "
    "files such as mr.nii.gz and ct.nii.gz; volumes are NIfTI files (.nii, .nii.gz) or folders of one DICOM series each"
)


def find_volumes(root: Path, wanted: Names) -> Found:
    """Finds the volumes of two domains below `root`. Raises ConfigurationError that says what was expected."""
    masks = _masks(root)
    places = marked(root) or splits_within_domains(root) or domains_within_splits(root)
    if len(places.get("train", {})) > 1:
        known = sorted(name for name in places["train"] if name.lower() not in MASKS)
        return _of_folders(root, complete(root, places, two_of(root, known, "training volumes", wanted)), masks)
    if found := _of_patients(root, wanted, masks):
        return found
    holding = [folder.name for folder in domains_in(root) if folder.name not in MASKS and holds_volumes(folder)]
    if len(holding) < 2:
        raise ConfigurationError(f"{shown(root)}: no two domains of volumes here. Looked for: {LOOKED_FOR}")
    names = two_of(root, holding, "volumes", wanted)
    return _of_folders(root, Layout({WHOLE: (root / names[0], root / names[1])}, names), masks)


def _of_folders(root: Path, layout: Layout, masks: Volumes) -> Found:
    splits: dict[str, tuple[Volumes, Volumes]] = {}
    for split, (a, b) in layout.places.items():
        splits[split] = _named(a), _named(b)
        for folder, volumes in zip((a, b), splits[split], strict=True):
            if not volumes and split in ("train", WHOLE):
                raise ConfigurationError(f"{shown(folder)}: no volumes in it; expected {LOOKED_FOR}")
    folders = [shown(folder.relative_to(root)) for both in layout.places.values() for folder in both]
    return Found(splits, layout.names, f"{'/ '.join(folders)}/", masks)


def _named(folder: Path) -> Volumes:
    """The volumes in a folder by their names; by the patients' folders, if each of these holds one."""
    paths = list(volumes_in(folder))
    whole = {_name(path.relative_to(folder).as_posix(), folder): path for path in paths}
    patients = {name.split("/")[0]: path for name, path in whole.items()}
    return patients if len(patients) == len(whole) else whole


def _name(inside: str, folder: Path) -> str:
    return same_letters(folder.name if inside == "." else without_suffix(inside))


def _of_patients(root: Path, wanted: Names, masks: Volumes) -> Found | None:
    """A folder for each patient, with a volume of each domain: p01/mr.nii.gz p01/ct.nii.gz."""
    folders = [folder for folder in folders_in(root) if not is_volume(folder)]
    inside = {
        folder.name: {
            same_letters(without_suffix(path.name)): path for path in sorted(folder.iterdir()) if is_volume(path)
        }
        for folder in folders
    }
    inside = {name: volumes for name, volumes in inside.items() if volumes}
    common = set[str].intersection(*map(set, inside.values())) - set(MASKS) if inside else set()
    # Two folders with ten files each are two domains, ten folders with two files each are ten patients.
    if len(common) < 2 or not (len(inside) > len(common) or common.issuperset(wanted or (None,))):
        return None
    names = two_of(root, sorted(common), "volumes of each patient", wanted)
    if not set(names) <= common:
        return None
    columns = [{patient: volumes[name] for patient, volumes in inside.items()} for name in names]
    masks = masks | {
        patient: path for patient, volumes in inside.items() for name, path in volumes.items() if name in MASKS
    }
    where = f"a folder for each of {len(inside)} patients"
    return Found({WHOLE: (columns[0], columns[1])}, names, where, masks)


def _masks(root: Path) -> Volumes:
    """The masks of the body in a folder beside those of the domains, by name."""
    around = [root, *folders_in(root)]
    folders = [folder for place in around for folder in folders_in(place) if folder.name.lower() in MASKS]
    return {name: path for folder in folders for name, path in _named(folder).items()}


def patient_of(name: str) -> str:
    """The patient by the name of a volume: the folder in which it lies, or the file."""
    return name.split("/")[0]

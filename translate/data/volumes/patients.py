"""Which volumes are of one patient, and which patients are held out: all of a patient's volumes, or none."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from translate.data.layouts.columns import TEST_LIMIT, TEST_SHARE
from translate.data.volumes.layout import patient_of
from translate.data.volumes.volume_file import VolumeFile


def patients_of(volumes: Iterable[Mapping[str, VolumeFile]]) -> tuple[dict[str, str], str]:
    """The patient of each volume by its name, and a note for the user or nothing.

    Volumes are of one patient if they lie in a folder of one name, or if their files say so. Where all files say the
    same, as where names were taken out, they say nothing.
    """
    named = [(name, file.patient) for each in volumes for name, file in each.items()]
    said = {patient for _, patient in named if patient}
    silent = len(said) == 1 and len({patient_of(name) for name, _ in named}) > 1
    first: dict[str, str] = {}

    def leader(key: str) -> str:
        while first.setdefault(key, key) != key:
            key = first[key]
        return key

    for name, patient in named:
        for other in [f"name {patient_of(name)}", *([f"said {patient}"] if patient and not silent else [])]:
            a, b = sorted((leader(f"of {name}"), leader(other)))
            first[b] = a
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for name, _ in named):
        groups.setdefault(leader(f"of {name}"), []).append(name)
    found = {name: patient_of(names[0]) for names in groups.values() for name in names}
    note = "all DICOM files say the same patient; patients are told apart by the names of folders" if silent else ""
    return found, note


def held_out(columns: Sequence[Sequence[str]]) -> set[str]:
    """The patients to test on: of those of each domain one in ten, chosen by a hash of their names."""
    chosen: set[str] = set()
    for patients in columns:
        each = sorted(set(patients), key=_hash)
        count = min(TEST_LIMIT, max(1, round(TEST_SHARE * len(each)))) if len(each) > 1 else 0
        chosen.update(each[:count])
    return chosen


def _hash(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()

"""Converts volumes slice by slice: NIfTI files to NIfTI, DICOM series to derived series or NIfTI; folders of either."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from translate.data.domain import Domain
from translate.data.io.picture import Picture, in_own_kind
from translate.data.layouts.subfolders import holds_images
from translate.data.volumes import dicom, dicom_writing, nifti
from translate.data.volumes.extra import require_medical
from translate.data.volumes.grid import slices_along
from translate.data.volumes.reading import holds_volumes, look, read, volumes_in
from translate.data.volumes.slices import clipped, in_type, picture_of, size_of, stacked
from translate.data.volumes.slicing import Slicing
from translate.data.volumes.volume_file import VolumeFile, without_suffix
from translate.errors import ConfigurationError, ImageError
from translate.inference.converter import Converter
from translate.inference.jobs import Job, Jobs, refuse_same
from translate.inference.options import OutputOptions
from translate.inference.records import Record
from translate.models.base import Request
from translate.utils.atomic_files import clear_leftovers
from translate.utils.out_of_memory import out_of_memory
from translate.utils.outputs import refuse_in_run
from translate.utils.printing import Log, shown
from translate.utils.user_paths import said_folder


def holds_volume(path: Path) -> bool:
    """Whether INPUT is a NIfTI or DICOM file, or a folder with a DICOM series or other volumes, and no images."""
    if not path.is_dir():
        return nifti.is_nifti(path) or dicom.looks_like_dicom(path)
    return not holds_images(path) and (dicom.is_series(path) or holds_volumes(path))


def plan_volumes(source: Path, output: str) -> Jobs:
    """What becomes what. Raises ConfigurationError for an output that is, or lies in, the input, or of a NIfTI file as
    DICOM, and without the libraries."""
    require_medical()
    if source.is_dir() and not dicom.is_series(source):
        return _plan_folder(source, Path(output))
    target = _target(source, output)
    if target.resolve().is_relative_to(source.resolve()) and source.is_dir():
        raise ConfigurationError(f"{shown(target)}: is or lies in the series that is converted; choose another place")
    if target.name.lower().endswith(nifti.SUFFIXES):
        refuse_same(source, target)
    else:
        refuse_in_run(target)
    return Jobs(source.parent, target.parent, [source.name], lambda name: target.name)


def _target(source: Path, output: str) -> Path:
    target, named = Path(output), output.lower().endswith(nifti.SUFFIXES)
    if named and not said_folder(output):
        return target
    if not nifti.is_nifti(source):
        name = source.name if source.is_dir() else without_suffix(source.name)
        return target / name if target.is_dir() and not dicom.is_series(target) else target
    if target.suffix and not target.is_dir() and not said_folder(output):
        raise ConfigurationError(
            f"{shown(target)}: a NIfTI file becomes NIfTI, as it says nothing of patient and study, which DICOM needs: "
            "name a file that ends in .nii.gz or .nii, or a folder"
        )
    return target / source.name


def _plan_folder(source: Path, output: Path) -> Jobs:
    if output.resolve().is_relative_to(source.resolve()):
        raise ConfigurationError(f"{shown(output)}: is or lies in the folder that is converted; choose another place")
    if os.path.lexists(output) and not output.is_dir():
        raise ConfigurationError(f"{shown(output)}: a file; a folder of volumes is converted to a folder")
    return Jobs(source, output, [path.relative_to(source).as_posix() for path in volumes_in(source)], lambda name: name)


def count_slices(source: Path) -> int | None:
    """The slices of a volume where they are thickest, which a model may cut otherwise: the usual number."""
    file = look(source)
    return file.grid.shape[file.grid.thickest]


def convert_volume(
    converter: Converter, job: Job, request: Request, writing: OutputOptions, log: Log, done: Callable[[], None]
) -> Record:
    """Converts a volume; the output, of the same grid, appears only once it is whole. Calls `done` for each slice.

    Raises ImageError if it cannot be read or written, ConfigurationError for a model that takes or gives something else
    than grey slices.
    """
    start = time.perf_counter()
    given, target = converter.images.to_translate(request), converter.images.translated(request)
    _refuse_others(given, target, writing, job)
    with _shortage_in_words(job.source):
        file = look(job.source)
        given_values, note = clipped(read(file), given)
        values = translated_volume(converter, file, given_values, request, writing.batch or 1, done)
        job.output.parent.mkdir(parents=True, exist_ok=True)
        clear_leftovers(job.output.parent)
        if job.output.name.lower().endswith(nifti.SUFFIXES):
            nifti.write(job.output, values, file, writing.anonymise)
        elif dropped := dicom_writing.write(job.output, values, file, target.unit, writing.anonymise):
            log(f"{shown(job.output)}: left out: {', '.join(dropped)}")
    height, width = size_of(file, _slicing(given, file).axis)
    return Record(job.source, job.output, "written", (width, height), time.perf_counter() - start, note=note)


def translated_volume(
    converter: Converter,
    file: VolumeFile,
    values: np.ndarray,
    request: Request,
    batch: int = 1,
    done: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """The translation of a volume's values (slices, height, width), turned as `Grid` says, in the type and values of
    its domain. Slices go through the model `batch` at a time; one volume of inputs and one of outputs are in memory.
    Raises ImageError, also for values beyond the domain's span."""
    given, target = converter.images.to_translate(request), converter.images.translated(request)
    slicing = _slicing(given, file)
    slices = slices_along(values, slicing.axis)
    made = np.empty(values.shape, _type(target, converter.depth))
    into = slices_along(made, slicing.axis)
    for first in range(0, len(slices), batch):
        numbers = range(first, min(first + batch, len(slices)))
        pictures = [_picture(slices, number, slicing, given, file) for number in numbers]
        for picture in pictures:
            converter.refuse(picture, file.path, request)
        for number, translated in zip(numbers, converter.convert_pictures(pictures, request), strict=True):
            into[number] = in_own_kind(translated)[0][..., 0]
            done()
    return made


def _picture(slices: np.ndarray, number: int, slicing: Slicing, given: Domain, file: VolumeFile) -> Picture:
    values = in_type(stacked(slices, number, slicing.neighbours), given.dtype)
    return picture_of(values, given.span, file.path / f"slice {number + 1}")


def _slicing(given: Domain, file: VolumeFile) -> Slicing:
    """How the model wants volumes cut: as in training, or, if that knew single images only, where they are thickest."""
    return given.slicing or Slicing(file.grid.thickest)


def _type(target: Domain, depth: str) -> np.dtype:
    """The type of the translation's values: that of the domain; whole numbers that fit into 16 bits are written so."""
    kind = target.type or np.dtype(np.uint8)
    if depth == "float":
        return np.dtype(np.float32)
    low, high = target.ends
    narrow = np.iinfo(np.int16)
    if kind.kind == "i" and kind.itemsize > 2 and narrow.min <= low and high <= narrow.max:
        return np.dtype(np.int16)
    return kind


def _refuse_others(given: Domain, target: Domain, writing: OutputOptions, job: Job) -> None:
    if given.numbered or given.layers or target.numbered or target.layers or target.channels != 1:
        raise ConfigurationError(
            f"{shown(job.source)}: the model translates {given} to {target}, and slices of volumes are grey images; "
            "train it on volumes"
        )
    if writing.depth not in ("target", "float"):
        raise ConfigurationError(
            f"--depth {writing.depth} is for images; volumes keep the values of their domain: leave it out, or give "
            "--depth float"
        )
    if not given.slicing and not given.measured:
        raise ConfigurationError(
            f"{shown(job.source)}: the model was trained on shades, {given}, and volumes hold values; train on volumes"
        )


@contextmanager
def _shortage_in_words(source: Path) -> Iterator[None]:
    """Turns too little memory, and what the system raises while writing, into ImageError."""
    try:
        yield
    except OSError as error:
        raise ImageError(f"{shown(source)}: its translation cannot be written: {error.strerror or error}") from error
    except Exception as error:
        if not out_of_memory(error):
            raise
        raise ImageError(f"{shown(source)}: too large for the memory that is free; close other programs") from error

"""DICOM series: a folder of files, one for each slice or for many, in the order in which slices lie in the body."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from translate.data.io.images import MAX_PIXELS
from translate.data.layouts.listing import is_private
from translate.data.volumes.extra import pydicom, require_medical
from translate.data.volumes.frames import OWN, SHARED, frame_of, slices_in
from translate.data.volumes.geometry import in_order
from translate.data.volumes.grid import turned_by
from translate.data.volumes.volume_file import HU, MAX_VOXELS, VolumeFile, type_of_values
from translate.errors import ImageError
from translate.utils.printing import shown

SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})
CT = "1.2.840.10008.5.1.4.1.1.2"
TAGS = (
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesDescription", "Modality", "PatientID", "Rows",
    "Columns", "SamplesPerPixel", "NumberOfFrames", "BitsAllocated", "BitsStored", "PixelRepresentation",
    "PixelSpacing", "SpacingBetweenSlices", "SliceThickness", "ImagePositionPatient", "ImageOrientationPatient",
    "RescaleSlope", "RescaleIntercept", "RescaleType", SHARED, OWN,
)  # fmt: skip
"""What is looked at in each file."""


def looks_like_dicom(path: Path) -> bool:
    """Whether a file is named as DICOM, or begins so where its name says nothing."""
    if is_private(path.name) or path.name.upper() == "DICOMDIR":
        return False
    if path.suffix.lower() in SUFFIXES:
        return path.is_file()
    if path.suffix and not path.suffix[1:].isdigit():
        return False
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def files_in(folder: Path) -> list[Path]:
    """The DICOM files directly in a folder, sorted by name."""
    try:
        return sorted(path for path in folder.iterdir() if looks_like_dicom(path))
    except OSError:
        return []


def is_series(folder: Path) -> bool:
    """Whether a folder directly holds DICOM files; stops at the first."""
    try:
        return folder.is_dir() and any(looks_like_dicom(path) for path in folder.iterdir())
    except OSError:
        return False


def look(folder: Path) -> VolumeFile:
    """What the headers of the files in a folder, or of a file alone, say, which are one series.

    Raises ImageError for several series, for slices that do not lie evenly, one behind the other and all alike, and for
    files that are no single grey slices.
    """
    whole = [_header(path) for path in (files_in(folder) if folder.is_dir() else [folder])]
    if not whole:
        raise ImageError(f"{shown(folder)}: no DICOM file in it")
    _require_one_series(folder, whole)
    headers = [each for header in whole for each in slices_in(header)]
    for header in headers:
        _require_slice(header)
    ordered, affine = in_order(folder, headers)
    first = ordered[0]
    shape = (len(ordered), int(first.Rows), int(first.Columns))
    if float(np.prod([float(side) for side in shape])) > MAX_VOXELS:
        raise ImageError(f"{shown(folder)}: its headers claim {' x '.join(map(str, shape))} voxels, which is not read")
    kind = np.result_type(*{_type(header) for header in ordered})
    files = tuple(Path(header.filename) for header in ordered)
    turned = turned_by(affine)
    return VolumeFile(
        folder, "dicom", turned.grid(affine, shape), turned, kind.name, _version(files), _unit(first),
        str(first.get("PatientID", "") or "").strip(), files, tuple(header.frame for header in ordered),
    )  # fmt: skip


def read(file: VolumeFile) -> np.ndarray:
    """The values (slices, height, width), turned as `Grid` says: those of the rescale slope and intercept. Raises
    ImageError."""
    as_filed = [file.grid.shape[axis] for axis in np.argsort(file.turned.order)]
    values = np.empty(as_filed, file.dtype)
    places: dict[Path, list[tuple[int, int | None]]] = {}
    for number, (path, frame) in enumerate(zip(file.files, file.frames, strict=True)):
        places.setdefault(path, []).append((number, frame))
    for path, inside in places.items():
        data, stored = _opened(path)
        for number, frame in inside:
            own, pixels = (data, stored) if frame is None else (frame_of(data, frame), _frame(stored, frame))
            if pixels.shape != (as_filed[1], as_filed[2]):
                raise ImageError(f"{shown(path)}: holds {pixels.shape} pixels, where its header claimed {as_filed[1:]}")
            values[number] = _meant(pixels, np.dtype(file.dtype), *rescale(own))
    return file.turned(values)


def _opened(path: Path) -> tuple[Any, np.ndarray]:
    with _errors_in_words(path):
        data = pydicom().dcmread(path)
        return data, data.pixel_array


def _frame(stored: np.ndarray, number: int) -> np.ndarray:
    """A frame of (frames, height, width), or of (height, width) where there is one."""
    frames = stored if stored.ndim == 3 else stored[None]
    return frames[number] if number < len(frames) else frames[:0, 0]


def _meant(stored: np.ndarray, kind: np.dtype, slope: float, intercept: float) -> np.ndarray:
    if kind.kind in "iu":
        whole: np.ndarray = (stored.astype(np.int64) * int(slope) + int(intercept)).astype(kind)
        return whole
    return (stored.astype(np.float64) * slope + intercept).astype(kind)


def rescale(data: Any) -> tuple[float, float]:
    """Slope and intercept from what is stored to what is meant."""
    slope, intercept = data.get("RescaleSlope"), data.get("RescaleIntercept")
    return float(1 if slope is None else slope), float(0 if intercept is None else intercept)


def _type(data: Any) -> np.dtype:
    """The type that holds all that a file may hold."""
    bits, signed = int(data.get("BitsStored", 16)), int(data.get("PixelRepresentation", 0)) == 1
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    return type_of_values(low, high, *rescale(data))


def _unit(data: Any) -> str:
    """HU of CT, unless the file says that its values are others."""
    of_ct = data.get("Modality") == "CT" or data.get("SOPClassUID") == CT
    return HU if of_ct and str(data.get("RescaleType", HU) or HU).upper() in (HU, "US") else ""


def _header(path: Path) -> Any:
    with _errors_in_words(path):
        return pydicom().dcmread(path, stop_before_pixels=True, specific_tags=list(TAGS))


def _require_one_series(folder: Path, headers: Sequence[Any]) -> None:
    series: dict[str, list[Any]] = {}
    for header in headers:
        series.setdefault(str(header.get("SeriesInstanceUID", "")), []).append(header)
    if len(series) == 1:
        return
    each = [f"{_called(files[0])} ({len(files)}: {shown(files[0].filename)}, ...)" for files in series.values()]
    more = f", and {len(each) - 5} more" if len(each) > 5 else ""
    raise ImageError(
        f"{shown(folder)}: holds {len(series)} series: {', '.join(each[:5])}{more}; put each into a folder of its own"
    )


def _called(header: Any) -> str:
    words = shown(str(header.get("SeriesDescription", "") or "")).strip()
    return f"'{words}'" if words else f"series {shown(str(header.get('SeriesInstanceUID', ''))) or 'without a UID'}"


def _require_slice(data: Any) -> None:
    """Raises ImageError unless it is a grey slice whose place is known."""
    path = shown(data.filename) if data.frame is None else f"{shown(data.filename)}: frame {data.frame + 1}"
    if int(data.get("SamplesPerPixel", 1)) != 1:
        raise ImageError(f"{path}: holds colours, and slices of volumes are grey")
    for tag in ("Rows", "Columns", "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient"):
        if data.get(tag) in (None, "", []):
            raise ImageError(f"{path}: does not say {tag}, so that its place in the volume is not known; leave it out")
    if int(data.Rows) * int(data.Columns) > MAX_PIXELS or min(int(data.Rows), int(data.Columns)) < 1:
        raise ImageError(f"{path}: its header claims {data.Columns} x {data.Rows} pixels, which is not read")


def _version(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in dict.fromkeys(files):
        status = path.stat()
        facts = (os.path.abspath(path), status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        digest.update(repr(facts).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


@contextmanager
def _errors_in_words(path: Path) -> Iterator[None]:
    """Turns what pydicom, its decoders and the system raise into ImageError; its warnings are of other programs."""
    require_medical()
    from pydicom.errors import InvalidDicomError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InvalidDicomError as error:
        raise ImageError(f"{shown(path)}: is not DICOM, or has lost its beginning; leave it out") from error
    except NotImplementedError as error:
        raise ImageError(f"{shown(path)}: compressed in a way that is not read here: {error}") from error
    except OSError as error:
        raise ImageError(f"{shown(path)}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # pydicom and its decoders raise of all kinds on damaged files
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ImageError(f"{shown(path)}: cut, damaged, or compressed in a way that is not read: {reason}") from error

"""NIfTI files: looked at, read, and written like another one."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from translate.data.io import images
from translate.data.volumes.extra import nibabel, require_medical
from translate.data.volumes.grid import turned_by
from translate.data.volumes.volume_file import MAX_VOXELS, VolumeFile, type_of_values
from translate.errors import ImageError
from translate.utils.atomic_files import atomic_file
from translate.utils.printing import shown
from translate.version import __version__

SUFFIXES = (".nii", ".nii.gz")
DEFLATE = 1032
"""The most bytes that one byte of a gzip file can become."""
DESCRIPTION = f"translate {__version__}: translated, not for diagnosis"
"""What outputs say of themselves; 79 letters at most."""
TEXTS = ("descrip", "db_name", "aux_file", "intent_name")
"""Fields of a header that hold text."""


def is_nifti(path: Path) -> bool:
    """Whether it is a file that is named as NIfTI."""
    return path.name.lower().endswith(SUFFIXES) and path.is_file()


def look(path: Path) -> VolumeFile:
    """What the header says. Raises ImageError, also for a file that is too short for what it claims to hold."""
    with _errors_in_words(path):
        image = _opened(path)
        kind = _type(image, path)
        shape = _shape(image, path)
        turned = turned_by(image.affine)
        grid = turned.grid(image.affine, shape)
    return VolumeFile(path, "nifti", grid, turned, kind.name, images.version(path))


def read(file: VolumeFile) -> np.ndarray:
    """The values (slices, height, width), turned as `Grid` says. Raises ImageError."""
    with _errors_in_words(file.path):
        image = _opened(file.path)
        shape = _shape(image, file.path)
        slope, intercept = _scaling(image)
        plain = (slope, intercept) == (1, 0)
        found = np.asanyarray(image.dataobj.get_unscaled() if plain else image.dataobj)
    values = found.reshape(shape).astype(file.dtype, copy=False)
    return file.turned(values)


def write(path: Path, values: np.ndarray, like: VolumeFile, anonymise: bool = False) -> None:
    """Writes values, turned as `Grid` says, as a NIfTI file; whole or not at all.

    Beside a NIfTI file, affine, codes, units and dimensions are its own, to the bit; `anonymise` leaves out its texts
    and extensions. Beside a DICOM series, the affine is that of the series. Raises OSError.
    """
    library = nibabel()
    found = np.ascontiguousarray(like.turned.back(values))
    if like.format == "nifti":
        source = _opened(like.path)
        header, affine = source.header.copy(), source.affine
        found = found.reshape(source.shape)
        header["cal_min"], header["cal_max"] = 0, 0  # a window for other values
        if anonymise:
            header.extensions.clear()
            for field in TEXTS:
                header[field] = b""
    else:
        header, affine = library.Nifti1Header(), _own_affine(like)
        # As readers of NIfTI expect them: columns, rows, slices.
        found, affine = found.transpose(2, 1, 0), affine[:, [2, 1, 0, 3]]
        header.set_xyzt_units("mm")
    header.set_data_dtype(found.dtype)  # else floats would be stored in the integers of the source
    header["descrip"] = DESCRIPTION.encode()
    made = type(source) if like.format == "nifti" else library.Nifti1Image
    image = made(found, affine, header)
    if like.format == "dicom":
        image.set_sform(affine, code="scanner")
        image.set_qform(affine, code="scanner", strip_shears=True)
    with atomic_file(path) as working, working.open("wb") as plain:
        packed = path.name.lower().endswith(".gz")
        # Without name and time, so that the same values give the same file.
        target: Any = gzip.GzipFile("", "wb", 6, plain, mtime=0) if packed else plain
        image.file_map["image"].fileobj = target
        image.to_file_map()
        if packed:
            target.close()
        plain.flush()
        os.fsync(plain.fileno())


def _own_affine(file: VolumeFile) -> np.ndarray:
    """The affine of the array as it lies in the file."""
    sides = [file.grid.shape[axis] for axis in np.argsort(file.turned.order)]
    indices = np.zeros((4, 4))
    indices[3, 3] = 1
    for axis, (of, flipped) in enumerate(zip(file.turned.order, file.turned.flipped, strict=True)):
        indices[axis, of] = -1 if flipped else 1
        indices[axis, 3] = sides[of] - 1 if flipped else 0
    affine: np.ndarray = np.array(file.grid.affine) @ indices
    return affine


def _opened(path: Path) -> Any:
    return nibabel().load(os.fspath(path), mmap=False)


def _scaling(image: Any) -> tuple[float, float]:
    proxy = image.dataobj
    return float(proxy.slope), float(proxy.inter)


def _type(image: Any, path: Path) -> np.dtype:
    kind = np.dtype(image.get_data_dtype()).newbyteorder("=")
    if kind.kind not in "iuf" or kind.itemsize > 8:
        what = "colours" if kind.names else f"values of type {kind.name}"
        raise ImageError(f"{shown(path)}: holds {what}; save it as integers or floats of up to 64 bits")
    slope, intercept = _scaling(image)
    if kind.kind == "f":
        return kind
    ends = np.iinfo(kind)
    if (slope, intercept) == (1, 0) and kind.itemsize <= 4:
        return kind
    return type_of_values(ends.min, ends.max, slope, intercept) if kind.itemsize <= 4 else np.dtype(np.float64)


def _shape(image: Any, path: Path) -> tuple[int, int, int]:
    """Those of a volume. Raises ImageError for other dimensions, and for more voxels than the file can hold."""
    sides = [int(side) for side in image.shape]
    while len(sides) > 3 and sides[-1] == 1:
        sides.pop()
    if len(sides) != 3:
        words = " x ".join(map(str, sides))
        way = (
            "save one of its volumes, or their mean, as a file of its own" if len(sides) > 3 else "save it as an image"
        )
        raise ImageError(f"{shown(path)}: has {len(sides)} dimensions, {words}, and a volume has 3; {way}")
    claimed = int(np.prod([float(side) for side in sides]))
    if min(sides) < 1 or claimed > MAX_VOXELS:
        raise ImageError(f"{shown(path)}: its header claims {' x '.join(map(str, sides))} voxels, which is not read")
    held, needed = path.stat().st_size, claimed * image.get_data_dtype().itemsize + int(image.dataobj.offset)
    most = held * DEFLATE if path.name.lower().endswith(".gz") else held
    if needed > most:
        raise ImageError(
            f"{shown(path)}: too short for the {' x '.join(map(str, sides))} voxels that its header claims: "
            "cut, or damaged; copy it again"
        )
    return sides[0], sides[1], sides[2]


@contextmanager
def _errors_in_words(path: Path) -> Iterator[None]:
    """Turns what nibabel, gzip and the system raise into ImageError."""
    require_medical()
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ImageError(f"{shown(path)}: cut, or damaged: its compressed data ends early; copy it again") from error
    except (ImageFileError, HeaderDataError, ValueError, OverflowError) as error:
        raise ImageError(f"{shown(path)}: cannot be read as NIfTI: {error}") from error
    except OSError as error:
        raise ImageError(f"{shown(path)}: cannot be read: {error.strerror or error}") from error

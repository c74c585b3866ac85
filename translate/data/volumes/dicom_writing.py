"""Derived DICOM series: a translation beside the series that it was made from, which appears whole or not at all."""

from __future__ import annotations

import os
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from translate.data.volumes.anonymising import anonymised
from translate.data.volumes.dicom import CT, files_in
from translate.data.volumes.extra import pydicom
from translate.data.volumes.frames import frame_of
from translate.data.volumes.volume_file import HU, VolumeFile
from translate.errors import ConfigurationError, ImageError
from translate.utils.atomic_files import atomic_folder, clear_leftovers
from translate.utils.printing import shown
from translate.version import __version__

DERIVATION = f"Translated by translate {__version__}. For research, not for diagnosis."
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
OF_VALUES = (
    "SmallestImagePixelValue", "LargestImagePixelValue", "SmallestPixelValueInSeries", "LargestPixelValueInSeries",
    "PixelPaddingValue", "PixelPaddingRangeLimit", "WindowCenter", "WindowWidth", "WindowCenterWidthExplanation",
    "VOILUTFunction", "VOILUTSequence", "ModalityLUTSequence", "RealWorldValueMappingSequence", "RescaleType",
    "IconImageSequence", "PaletteColorLookupTableUID", "FrameVOILUTSequence",
)  # fmt: skip
"""What a file says of values that are no longer its own."""
OF_MR = (
    "ScanningSequence", "SequenceVariant", "ScanOptions", "MRAcquisitionType", "SequenceName", "AngioFlag",
    "RepetitionTime", "EchoTime", "InversionTime", "NumberOfAverages", "ImagingFrequency", "ImagedNucleus",
    "EchoNumbers", "MagneticFieldStrength", "NumberOfPhaseEncodingSteps", "EchoTrainLength", "PercentSampling",
    "PercentPhaseFieldOfView", "PixelBandwidth", "ReceiveCoilName", "TransmitCoilName", "AcquisitionMatrix",
    "InPlanePhaseEncodingDirection", "FlipAngle", "VariableFlipAngleFlag", "SAR", "dBdt",
)  # fmt: skip
"""How an MR image was taken, which a CT image was not."""
MR = "1.2.840.10008.5.1.4.1.1.4"
OF_SLICES = {f"{CT}.1": CT, f"{CT}.2": CT, f"{MR}.1": MR, f"{MR}.4": MR}
"""The class of single slices, by that of files of many: enhanced, and enhanced by conversion."""
WHOLE, FINE = np.dtype(np.int16), np.dtype(np.uint16)


@dataclass(frozen=True)
class Stored:
    """How values are stored: the type, and slope and intercept from it to values."""

    type: np.dtype
    slope: float
    intercept: float

    @classmethod
    def of(cls, values: np.ndarray, unit: str) -> Stored:
        """Whole numbers and HU as such, others in 65,536 steps. Raises ImageError for values that are not finite."""
        low, high = float(values.min()), float(values.max())
        if not np.isfinite([low, high]).all():
            raise ImageError("values that are not finite numbers cannot be stored as DICOM")
        if unit == HU or (values.dtype.kind in "iu" and high - low <= np.iinfo(FINE).max):
            if np.iinfo(WHOLE).min <= np.rint(low) and np.rint(high) <= np.iinfo(WHOLE).max:
                return cls(WHOLE, 1.0, 0.0)
            if high - low <= np.iinfo(FINE).max:
                return cls(FINE, 1.0, float(np.floor(low)))
        # 16 characters are all that a number has in DICOM.
        return cls(FINE, float(f"{max(high - low, 1e-6) / np.iinfo(FINE).max * (1 + 1e-6):.9e}"), float(f"{low:.8e}"))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """What is stored of values. Raises ImageError if the type does not hold it: nothing is clipped."""
        stored = np.rint((values.astype(np.float64) - self.intercept) / self.slope)
        ends = np.iinfo(self.type)
        slack = 0 if self.slope == 1 else 1  # the least value, as DICOM writes it, may lie beyond itself
        if stored.min() < ends.min - slack or stored.max() > ends.max + slack:
            raise ImageError(f"values from {values.min():g} to {values.max():g} do not fit into {self.type.name}")
        return stored.clip(ends.min, ends.max).astype(self.type)


def write(folder: Path, values: np.ndarray, like: VolumeFile, unit: str, anonymise: bool = False) -> list[str]:
    """Writes values, turned as `Grid` says, as a series derived from `like`: new series and instances of the same
    study, place and patient, HU as CT.

    Everything that the series says of the patient and the examination stays, private parts, too; `anonymise` keeps only
    what `anonymising.KEPT` names. Returns the names of what was dropped for that. Raises ImageError and OSError.
    """
    library = pydicom()
    as_filed = like.turned.back(values)
    stored = Stored.of(values, unit)
    series, study, frame = (library.uid.generate_uid(prefix=None) for _ in range(3))
    dropped: set[str] = set()
    folder.parent.mkdir(parents=True, exist_ok=True)
    clear_leftovers(folder.parent)
    require_replaceable(folder)
    opened = lru_cache(1)(library.dcmread)  # a file of many frames once
    with atomic_folder(folder) as working:
        slices = zip(like.files, like.frames, as_filed, strict=True)
        for number, (path, inside, slice_of) in enumerate(slices, start=1):
            made = _derived(opened(path), inside, series, number, stored, unit)
            if anonymise:
                made, names = anonymised(made, study, frame)
                dropped |= names
            made.set_pixel_data(
                np.ascontiguousarray(stored(slice_of)), "MONOCHROME2", 8 * stored.type.itemsize,
                generate_instance_uid=False,
            )  # fmt: skip
            made.save_as(working / f"{number:04d}.dcm", enforce_file_format=True)
        for written in working.iterdir():
            with written.open("rb") as file:
                os.fsync(file.fileno())
    return sorted(dropped)


def _derived(source: Any, frame: int | None, series: str, number: int, stored: Stored, unit: str) -> Any:
    """The file of a slice before its pixels are set: what the source, or its frame, says, but for what is no longer
    so."""
    library = pydicom()
    made = deepcopy(source if frame is None else frame_of(source, frame))
    for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData", *OF_VALUES):
        if name in made:
            delattr(made, name)
    reference = library.Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
    if frame is not None:
        reference.ReferencedFrameNumber = frame + 1
        made.SOPClassUID = OF_SLICES.get(source.SOPClassUID, SECONDARY_CAPTURE)
    made.SourceImageSequence = [reference]
    _classed(made, unit)
    made.SOPInstanceUID, made.SeriesInstanceUID = library.uid.generate_uid(prefix=None), series
    kind = list(source.get("ImageType", []) or [])
    made.ImageType = ["DERIVED", "SECONDARY", *kind[2:]]
    made.DerivationDescription = DERIVATION
    made.SeriesDescription = f"translated: {source.get('SeriesDescription', '') or ''}"[:64].rstrip(": ")
    made.SeriesNumber = int(source.get("SeriesNumber", 0) or 0) + 1000
    made.InstanceNumber = number
    made.RescaleSlope, made.RescaleIntercept = f"{stored.slope:.10g}", f"{stored.intercept:.10g}"
    if unit == HU:
        made.RescaleType = HU
    made.file_meta = library.dataset.FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID, made.file_meta.MediaStorageSOPInstanceUID = (
        made.SOPClassUID, made.SOPInstanceUID,
    )  # fmt: skip
    made.file_meta.TransferSyntaxUID = EXPLICIT_LITTLE
    return made


def _classed(made: Any, unit: str) -> None:
    """Makes it a CT image if its values are HU, and none if it was one and they are not."""
    of_ct = made.SOPClassUID == CT
    if unit == HU and not of_ct:
        made.SOPClassUID, made.Modality = CT, "CT"
        for name in (*OF_MR, *(name for name in made.dir("MR") if name.startswith("MR"))):
            if name in made:
                delattr(made, name)
        made.KVP = None
    elif of_ct and unit != HU:
        made.SOPClassUID, made.Modality = SECONDARY_CAPTURE, "OT"
        made.ConversionType = "WSD"


def require_replaceable(folder: Path) -> None:
    """Raises ConfigurationError unless a series may take the place of what is there: nothing, or one that was derived
    here."""
    if not os.path.lexists(folder):
        return
    found = list(folder.iterdir()) if folder.is_dir() else []
    if folder.is_dir() and all(path in files_in(folder) and _is_ours(path) for path in found):
        return
    raise ConfigurationError(
        f"{shown(folder)}: is there already, and not a series that was derived by translate; choose another folder"
    )


def _is_ours(path: Path) -> bool:
    library = pydicom()
    try:
        found = library.dcmread(path, stop_before_pixels=True, specific_tags=["DerivationDescription"])
    except Exception:  # whatever it is, it is not ours
        return False
    return str(found.get("DerivationDescription", "")).startswith("Translated by translate ")

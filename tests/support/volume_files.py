"""Phantoms of heads as NIfTI files and DICOM series: MR and CT whose relation is known, in the same grid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

AIR, SKIN, BONE, BRAIN, FLUID, LESION = range(6)
MR_OF = np.array([10, 900, 60, 600, 250, 800], np.float64)
"""What MR shows of each tissue; air and bone are both dark, so that their place tells them apart."""
HU_OF = np.array([-1000, 40, 900, 35, 5, 60], np.float64)
_TURN = np.array([[-0.96, -0.28, 0.0], [-0.28, 0.96, 0.0], [0.0, 0.0, 1.0]]) @ np.array(
    [[1.0, 0.0, 0.0], [0.0, 0.8, -0.6], [0.0, 0.6, 0.8]]
)
OBLIQUE = np.block(
    [[_TURN * [1.25, 1.5, 3.0], np.array([[20.5], [-31.25], [11.75]])], [np.zeros((1, 3)), np.ones((1, 1))]]
)
"""An affine that is turned a little, as scans are: columns go to the left, slices to the head, 3 mm apart."""


def tissues(seed: int, shape: tuple[int, int, int] = (12, 40, 36)) -> np.ndarray:
    """A head (slices, height, width): tissue numbers, with another form for each seed."""
    rng = np.random.default_rng(seed)
    grids = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij")
    z, y, x = grids[0] * 0.8, grids[1] - rng.uniform(-0.08, 0.08), grids[2] - rng.uniform(-0.08, 0.08)
    size, flat = rng.uniform(0.74, 0.86), rng.uniform(0.85, 1.0)
    radius = np.sqrt(x**2 / flat**2 + y**2 + z**2) / size
    found = np.full(shape, AIR)
    found[radius < 1] = SKIN
    found[radius < 0.9] = BONE
    found[radius < 0.76] = BRAIN
    for side in (-1, 1):
        offset = rng.uniform(0.12, 0.2)
        inside = ((x - side * offset) / 0.1) ** 2 + ((y + 0.05) / 0.28) ** 2 + (z / 0.4) ** 2 < 1
        found[inside & (found == BRAIN)] = FLUID
    angle = rng.uniform(0, 2 * np.pi)
    spot = (x - 0.35 * np.cos(angle)) ** 2 + (y - 0.35 * np.sin(angle)) ** 2 + z**2 < rng.uniform(0.08, 0.14) ** 2
    found[spot & (found == BRAIN)] = LESION
    return found


def head(seed: int, shape: tuple[int, int, int] = (12, 40, 36)) -> tuple[np.ndarray, np.ndarray]:
    """MR, uint16, and CT in HU, int16, of a head; both with the noise of their kind."""
    found, rng = tissues(seed, shape), np.random.default_rng(1000 + seed)
    mr = np.clip(MR_OF[found] + rng.normal(0, 12, shape), 0, 1200)
    ct = np.clip(HU_OF[found] + rng.normal(0, 8, shape), -1024, 1200)
    return mr.round().astype(np.uint16), ct.round().astype(np.int16)


def write_nifti(path: Path, values: np.ndarray, affine: np.ndarray = OBLIQUE, **header: object) -> Path:
    """Writes (slices, height, width), rows to the back and columns to the left, as columns, rows and slices."""
    import nibabel

    path.parent.mkdir(parents=True, exist_ok=True)
    # The file's rows go to the front.
    image = nibabel.Nifti1Image(np.ascontiguousarray(values[:, ::-1].transpose(2, 1, 0)), affine)
    image.header.set_data_dtype(values.dtype)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=2)
    for key, value in header.items():
        image.header[key] = value
    image.to_filename(path)
    return path


def write_series(
    folder: Path,
    values: np.ndarray,
    modality: str = "MR",
    *,
    affine: np.ndarray = OBLIQUE,
    patient: str = "p01",
    names: str = "shuffled",
    slope: float = 1,
    intercept: float = 0,
) -> Path:
    """Writes (slices, height, width) as a series that lies as `write_nifti` writes it; file names and numbers are
    shuffled, as they mean nothing. `slope` and `intercept` lead from what is stored to the values."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    folder.mkdir(parents=True, exist_ok=True)
    count, height, _ = values.shape
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    across, front, step = lps[:3, 0], lps[:3, 1], lps[:3, 2]
    spacing = np.linalg.norm(front), np.linalg.norm(across)
    # DICOM's rows and columns are perpendicular, and written with 16 letters.
    row, normal = across / spacing[1], np.cross(across, -front)
    column = np.cross(normal / np.linalg.norm(normal), row)
    study, series, frame = (generate_uid(prefix=None) for _ in range(3))
    order = np.random.default_rng(3).permutation(count)
    for index in range(count):
        data = Dataset()
        data.SOPClassUID = f"1.2.840.10008.5.1.4.1.1.{'4' if modality == 'MR' else '2'}"
        data.SOPInstanceUID, data.SeriesInstanceUID, data.StudyInstanceUID = generate_uid(prefix=None), series, study
        data.FrameOfReferenceUID, data.Modality, data.ImageType = frame, modality, ["ORIGINAL", "PRIMARY", "AXIAL"]
        data.PatientName, data.PatientID, data.PatientBirthDate = f"Name^{patient}", patient, "19500102"
        data.InstitutionName, data.OperatorsName, data.StudyDate = "Hospital", "Somebody", "20200304"
        data.SeriesNumber, data.InstanceNumber = 3, int(order[index]) + 1
        data.Rows, data.Columns = values.shape[1:]
        data.ImageOrientationPatient = [f"{value:.12f}"[:16] for value in (*row, *column)]
        place = lps[:3, 3] + index * step + (height - 1) * front
        data.ImagePositionPatient = [f"{value:.10f}"[:16] for value in place]
        data.PixelSpacing = [f"{value:.12f}"[:16] for value in spacing]
        data.SliceThickness = f"{np.linalg.norm(step):.10f}"[:16]
        if modality == "MR":
            data.EchoTime, data.ScanningSequence = "12", "SE"
        if (slope, intercept) != (1, 0) or modality == "CT":
            data.RescaleSlope, data.RescaleIntercept = slope, intercept
        data.add_new(0x00090010, "LO", "A MAKER")
        data.add_new(0x00091001, "LO", f"private of {patient}")
        stored = np.rint((values[index] - float(intercept)) / slope)
        kind = np.uint16 if stored.min() >= 0 else np.int16
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.set_pixel_data(np.ascontiguousarray(stored.astype(kind)), "MONOCHROME2", 16, generate_instance_uid=False)
        number = order[index] if names == "shuffled" else index
        data.save_as(folder / f"IM{number:04d}.dcm", enforce_file_format=True)
    return folder


def write_enhanced(path: Path, values: np.ndarray, *, slopes: Sequence[float] = (1.0,), **facts: Any) -> Path:
    """Writes (slices, height, width) as one file of frames, which lie as `write_series` puts its files, in an order
    that means nothing; frame n with slope n of `slopes`, in turn. `facts` are those of `write_series`."""
    import pydicom
    from pydicom.dataset import Dataset
    from pydicom.uid import generate_uid

    with TemporaryDirectory() as folder:
        slices = [pydicom.dcmread(file) for file in sorted(write_series(Path(folder), values, **facts).iterdir())]
    made = slices[0]
    frames, stored = [], []
    for number, one in enumerate(slices):
        slope, intercept = slopes[number % len(slopes)], float(one.get("RescaleIntercept", 0))
        place, meaning, group = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = one.ImagePositionPatient
        meaning.RescaleSlope, meaning.RescaleIntercept, meaning.RescaleType = slope, intercept, "US"
        group.PlanePositionSequence, group.PixelValueTransformationSequence = [place], [meaning]
        frames.append(group)
        stored.append(np.rint(one.pixel_array / slope).astype(one.pixel_array.dtype))
    measures, plane, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = made.PixelSpacing, made.SliceThickness
    plane.ImageOrientationPatient = made.ImageOrientationPatient
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [plane]
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(made, name)
    made.SharedFunctionalGroupsSequence, made.PerFrameFunctionalGroupsSequence = [shared], frames
    made.SOPClassUID = f"{made.SOPClassUID}.1"
    made.SOPInstanceUID = generate_uid(prefix=None)
    made.file_meta.MediaStorageSOPClassUID, made.file_meta.MediaStorageSOPInstanceUID = (
        made.SOPClassUID, made.SOPInstanceUID,
    )  # fmt: skip
    made.NumberOfFrames = len(frames)
    made.PixelData = np.stack(stored).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path)
    return path


def write_heads(root: Path, count: int = 6, form: str = "nifti", shape: tuple[int, int, int] = (12, 40, 36)) -> Path:
    """A data set of pairs: mr/p00 and ct/p00, ..., as NIfTI files or as DICOM series, of the same values."""
    for seed in range(count):
        for name, values in zip(("mr", "ct"), head(seed, shape), strict=True):
            if form == "nifti":
                write_nifti(root / name / f"p{seed:02d}.nii.gz", values)
            else:
                shifted = {"intercept": -1024} if name == "ct" else {}
                write_series(root / name / f"p{seed:02d}", values, name.upper(), patient=f"p{seed:02d}", **shifted)
    return root

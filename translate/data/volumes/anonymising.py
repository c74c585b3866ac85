"""What `--anonymise` leaves of a DICOM file: what the pixels, their place and their technique need, and no more."""

from __future__ import annotations

from typing import Any

from translate.data.volumes.extra import pydicom

KEPT = frozenset({
    # what it is
    "SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "Modality",
    "SeriesNumber", "InstanceNumber", "DerivationDescription", "ConversionType", "LossyImageCompression",
    "LossyImageCompressionRatio", "LossyImageCompressionMethod", "BurnedInAnnotation", "PresentationIntentType",
    # where it lies
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices",
    "SliceLocation", "PatientPosition", "BodyPartExamined", "Laterality", "ImageLaterality", "PixelAspectRatio",
    "GantryDetectorTilt", "TableHeight",
    # what its numbers are
    "SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "RescaleSlope", "RescaleIntercept", "RescaleType",
    # how it was taken
    "KVP", "ConvolutionKernel", "ReconstructionDiameter", "ScanningSequence", "SequenceVariant",
    "MRAcquisitionType", "RepetitionTime", "EchoTime", "InversionTime", "FlipAngle", "MagneticFieldStrength",
    "EchoTrainLength", "NumberOfAverages", "ImagingFrequency", "ImagedNucleus", "PixelBandwidth",
})  # fmt: skip
"""By DICOM's names; all else is dropped: people, places, dates, free text, numbers of cases, private parts, overlays,
and the UIDs of study, frame and sources."""
EMPTY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber",
    "ReferringPhysicianName", "StudyID",
)  # fmt: skip
"""What every file must have, and may be empty."""
METHOD = "translate --anonymise: kept are pixels, place and technique"


def anonymised(data: Any, study: str, frame: str) -> tuple[Any, set[str]]:
    """The data set with what is `KEPT`, as part of the study and frame of reference of these UIDs, and the names of
    what was dropped."""
    made = pydicom().Dataset()
    dropped = set()
    for element in data:
        # A sequence may hold anything, whatever it is called.
        if element.keyword in KEPT and element.VR != "SQ" and not element.tag.is_private:
            made.add(element)
        elif element.value not in (None, "", []):
            dropped.add(element.keyword or ("private elements" if element.tag.is_private else f"element {element.tag}"))
    for name in EMPTY:
        setattr(made, name, "")
    made.StudyInstanceUID, made.FrameOfReferenceUID = study, frame
    made.PatientIdentityRemoved, made.DeidentificationMethod = "YES", METHOD
    made.file_meta = data.file_meta
    return made, dropped - {"SourceImageSequence"}

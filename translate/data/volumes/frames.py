"""Enhanced DICOM: files of many frames, each with a place of its own, as the slices that they could have been."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from translate.data.volumes.extra import pydicom
from translate.errors import ImageError
from translate.utils.printing import shown

SHARED, OWN = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
OF_ALL = frozenset({
    SHARED, OWN, "NumberOfFrames", "DimensionOrganizationSequence", "DimensionIndexSequence",
    "DimensionOrganizationType", "FrameIncrementPointer", "PixelData", "FloatPixelData", "DoubleFloatPixelData",
})  # fmt: skip
"""What a file says of its frames together, and a slice does not."""
OF_SLICES = (
    "PixelMeasuresSequence", "PlanePositionSequence", "PlaneOrientationSequence", "PixelValueTransformationSequence",
)  # fmt: skip
"""Functional groups whose elements a slice has as its own (DICOM PS3.3, C.7.6.16.2): its place, what values mean."""


def slices_in(data: Any) -> Iterator[Any]:
    """The data set of each slice in a file: of each frame, with its number from 0 as `frame`, or of the file itself,
    whose `frame` is None. Raises ImageError for frames whose places are not known."""
    path, count = data.filename, int(data.get("NumberOfFrames", 1) or 1)
    described = len(data.get(OWN) or ())
    if count > 1 and not described:
        raise ImageError(
            f"{shown(path)}: holds {count} frames, and does not say where each of them lies ({OWN}); convert it to a "
            "series with a file for each slice, or to NIfTI"
        )
    if described and described != count:
        raise ImageError(f"{shown(path)}: claims {count} frames, and says where {described} lie; it is damaged")
    for number in range(described):
        yield frame_of(data, number)
    if not described:
        data.frame = None
        yield data


def frame_of(data: Any, number: int) -> Any:
    """The slice that a frame could have been, without pixels: with what its own functional groups and those of all
    frames say of it, and all that the file says."""
    made = pydicom().Dataset()
    for group in (data[OWN][number], *(data.get(SHARED) or ())[:1]):
        for element in group:
            plain = element.value[0] if element.keyword in OF_SLICES and element.value else (element,)
            _add(made, plain)
    _add(made, (element for element in data if element.keyword not in OF_ALL))
    made.filename, made.frame = data.filename, number
    return made


def _add(made: Any, elements: Any) -> None:
    """Adds those that are not there yet."""
    for element in elements:
        if element.tag not in made:
            made.add(element)

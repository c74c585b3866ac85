"""Draws axial slices of volumes side by side: MR, translated CT, true CT, and how far the two CTs are apart.

`python docs/gallery/volumes.py mr.nii.gz made.nii.gz ct.nii.gz OUT.webp`: NIfTI files or DICOM series on one grid. CT
is shown from -1000 HU (black) to 1000 HU (white), errors from 0 (black) by 100 (red) and 200 (yellow) to 300 (white).
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from translate.data.volumes.reading import look, read

TIMES, GAP, WHITE = 3, 4, 255
AT = (0.5, 0.7)
"""Where slices are cut, as shares of the way from the feet to the head."""
CT, ERRORS = (-1000, 1000), (0, 300)


def shades(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values as RGB greys, uint8 (height, width, 3)."""
    grey = ((values.astype(float) - low) * (255 / (high - low))).clip(0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, 2)


def heat(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values as colours, uint8 (height, width, 3): red, then green, then blue is added."""
    share = (values.astype(float) - low) / (high - low)
    return ((share[..., None] * 3 - np.arange(3)).clip(0, 1) * 255).astype(np.uint8)


def picture(mr: np.ndarray, made: np.ndarray, true: np.ndarray) -> Image.Image:
    """A row for each slice of the volumes (slices, height, width)."""
    rows = []
    for index in (int(share * len(mr)) for share in AT):
        error = np.abs(made[index].astype(float) - true[index])
        panels = [shades(mr[index], 0, mr.max()), shades(made[index], *CT), shades(true[index], *CT)]
        large = [np.kron(one, np.ones((TIMES, TIMES, 1), np.uint8)) for one in (*panels, heat(error, *ERRORS))]
        rows.append(np.hstack([np.pad(one, ((0, GAP), (0, GAP), (0, 0)), constant_values=WHITE) for one in large]))
    return Image.fromarray(np.vstack(rows)[:-GAP, :-GAP])


if __name__ == "__main__":
    *volumes, out = map(Path, sys.argv[1:])
    picture(*(read(look(path)) for path in volumes)).save(out, quality=85, method=6)

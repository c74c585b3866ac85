"""A translation that was made at another size, brought back to that of its picture."""

from __future__ import annotations

import numpy as np

from translate.data.domain import Domain
from translate.data.io.images import resize
from translate.utils.sides import Sides


def brought_back(
    translation: np.ndarray, working: np.ndarray, picture: np.ndarray, given: Domain, target: Domain
) -> np.ndarray:
    """The `translation` of `working`, which is `picture` resized, in the picture's size, or as many times that as it is
    larger than `working`: (height, width, channels), in the translation's type.

    Resizing gives no detail finer than the translation's own. As much of the picture's is added as the translation
    keeps of the finest in `working`: photos stay sharp, and a translation unlike its picture gets nothing from it.
    Nothing is added either where detail of one domain is none of the other. Of samples of several images, it is the
    detail of the first that could be a translation.
    """
    scale = translation.shape[0] // working.shape[0]
    height, width = Sides(*picture.shape[:2]).times(scale)
    if translation.shape[:2] == (height, width):
        return translation
    if scale > 1:  # the picture has no detail as fine as the translation's
        return target.resized(translation, height, width)
    layers = zip(given.parts, given.split(working), given.split(picture), strict=True)
    alike = next(((small, whole) for part, small, whole in layers if part.shares_detail_with(target)), None)
    share = _kept(_unit(alike[0]), _unit(translation)) if alike else 0.0
    if alike is None or not share:
        return target.resized(translation, height, width)
    return np.dstack([_plane(translation, *alike, channel, share) for channel in range(translation.shape[2])])


def _kept(working: np.ndarray, translation: np.ndarray) -> float:
    """How much of the finest detail of one image is in another, by least squares: from 0 to 1."""
    one, other = _finest(working), _finest(translation)
    return float(np.clip((one * other).sum() / max(float((one * one).sum()), 1e-12), 0, 1))


def _finest(image: np.ndarray) -> np.ndarray:
    """What is lost at half the size."""
    height, width = image.shape[:2]
    return image - resize(resize(image, max(1, height // 2), max(1, width // 2)), height, width)


def _plane(translation: np.ndarray, working: np.ndarray, picture: np.ndarray, channel: int, share: float) -> np.ndarray:
    """One channel; apart, because several copies of a large picture would not fit."""
    small, low, whole = (_unit(of[..., channel, None]) for of in (translation, working, picture))
    made = resize(small, *whole.shape[:2]) + share * (whole - resize(low, *whole.shape[:2]))
    if translation.dtype.kind == "f":
        return made
    top = np.iinfo(translation.dtype).max
    return np.rint(made * top).clip(0, top).astype(translation.dtype)


def _unit(pixels: np.ndarray) -> np.ndarray:
    """As float32, integers from 0 to 1."""
    floats = pixels.astype(np.float32)
    return floats if pixels.dtype.kind == "f" else floats / np.iinfo(pixels.dtype).max

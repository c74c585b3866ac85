"""What restores pictures without learning: the floors that a model of derived inputs is measured beside."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from translate.data.derived.settings import Derive

Floor = Callable[[Tensor], Tensor]
"""Takes inputs (batch, channels, height, width) in [-1, 1], and gives images as the targets, in [-1, 1]."""
TELEA_RADIUS = 3
"""Of the pixels around that OpenCV's inpainting looks at."""


def floors_of(derive: Derive) -> Mapping[str, Floor]:
    """The floors of what was derived so, by their names in tables."""
    if list(derive.kinds) == ["noise"]:
        return {"OpenCV fastNlMeans": non_local_means}
    if list(derive.kinds) == ["holes"]:
        return {"OpenCV inpaint (Telea)": telea}
    if derive.grey is not None:
        return {"grey as RGB": lambda images: images[:, :1].expand(-1, 3, -1, -1)}
    return {}


def non_local_means(images: Tensor) -> Tensor:
    """Non-local means (Buades et al. 2005) as OpenCV does them, with the noise's own sigma as strength, which is
    estimated in each image."""
    return _each(images, _denoised)


def telea(images: Tensor) -> Tensor:
    """Fast marching (Telea 2004) as OpenCV does it; the last plane is the mask, white where the hole is."""
    return _each(images, lambda pixels: _filled(pixels[..., :-1], pixels[..., -1]))


def sigma_of(pixels: np.ndarray) -> float:
    """The standard deviation of noise in an image (height, width, channels), in its own levels, as if it were Gaussian
    (Immerkaer 1996)."""
    import cv2

    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float64)
    height, width = pixels.shape[:2]
    each = [
        np.abs(cv2.filter2D(plane, -1, mask))[1:-1, 1:-1].sum() for plane in np.moveaxis(pixels.astype(float), 2, 0)
    ]
    return float(np.mean(each) * np.sqrt(np.pi / 2) / (6 * (width - 2) * (height - 2)))


def _denoised(pixels: np.ndarray) -> np.ndarray:
    import cv2

    strength = sigma_of(pixels)
    if pixels.shape[2] == 3:
        return cv2.fastNlMeansDenoisingColored(pixels, None, strength, strength)
    return np.dstack(
        [cv2.fastNlMeansDenoising(np.ascontiguousarray(plane), None, strength) for plane in np.moveaxis(pixels, 2, 0)]
    )


def _filled(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    import cv2

    hole = (mask > 127).astype(np.uint8)
    if pixels.shape[2] in (1, 3):
        return cv2.inpaint(np.ascontiguousarray(pixels), hole, TELEA_RADIUS, cv2.INPAINT_TELEA).reshape(pixels.shape)
    planes = (np.ascontiguousarray(plane) for plane in np.moveaxis(pixels, 2, 0))
    return np.dstack([cv2.inpaint(plane, hole, TELEA_RADIUS, cv2.INPAINT_TELEA) for plane in planes])


def _each(images: Tensor, restore: Callable[[np.ndarray], np.ndarray]) -> Tensor:
    """What OpenCV makes of each image, which takes 8 bits."""
    levels = ((images.float().cpu() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    made = np.stack([restore(np.ascontiguousarray(pixels)) for pixels in levels])
    return (torch.from_numpy(made).permute(0, 3, 1, 2).float() / 127.5 - 1).to(images.device)

"""Distance of images to the truth: L1, PSNR, SSIM, and the best that a mere map of colours achieves.

Images are (batch, channels, height, width) in [-1, 1]; everything is computed and returned in float64.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

RANGE = 2.0  # of image values


def l1(images: Tensor, truths: Tensor) -> Tensor:
    """Mean absolute difference on the scale where black is 0 and white is 1."""
    images, truths = _pair(images, truths)
    return (images - truths).abs().mean() / RANGE


def psnr(images: Tensor, truths: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, averaged over images; infinite if any image equals its truth."""
    images, truths = _pair(images, truths)
    squared = (images - truths).square().flatten(1).mean(1)
    return (10 * torch.log10(RANGE**2 / squared)).mean()


def ssim(images: Tensor, truths: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004, eq. 13), averaged over windows, channels and images; 1 means equal.

    Computed where black is 0 and white is 1, because its luminance term compares brightnesses in proportion. Uses
    Gaussian windows of 11 x 11 pixels with sigma 1.5 that lie fully inside the image. For images with a side below 11
    the window shrinks to the largest odd size that fits; such values are comparable only with one another.
    """
    images, truths = ((values + 1) / RANGE for values in _pair(images, truths))
    window = _gaussian(min(11, *(side - 1 + side % 2 for side in images.shape[-2:])), images.device)
    products = torch.stack([images, truths, images * images, truths * truths, images * truths])
    mean_x, mean_y, square_x, square_y, product = _windows(products, window)
    variance_x, variance_y = square_x - mean_x.square(), square_y - mean_y.square()
    covariance = product - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return (luminance * structure).mean()


def fit_affine_colour(inputs: Tensor, targets: Tensor) -> Tensor:
    """The affine colour map that takes inputs nearest to targets by least squares: a matrix (channels, channels + 1),
    (3, 4) for RGB, applied to each pixel's colour with a 1 appended. A translation must beat it to show that it sees
    shapes."""
    inputs, targets = _pair(inputs, targets)
    colours = _with_one(_colours(inputs))
    # The pseudo-inverse also works where the colours leave the map undetermined, as in grey pictures stored as RGB.
    inverse = torch.linalg.pinv(colours.T @ colours, rtol=1e-10, hermitian=True)
    return (inverse @ (colours.T @ _colours(targets))).T


def apply_affine_colour(images: Tensor, colour_map: Tensor) -> Tensor:
    """Applies a matrix from `fit_affine_colour` to the colours of `images`; in float64, not clamped."""
    colours = _with_one(_colours(images.double())) @ colour_map.to(images.device).T
    return colours.unflatten(0, (images.shape[0], *images.shape[2:])).permute(0, 3, 1, 2)


def _pair(images: Tensor, truths: Tensor) -> tuple[Tensor, Tensor]:
    if images.shape != truths.shape or images.dim() != 4:
        shapes = f"{tuple(images.shape)} and {tuple(truths.shape)}"
        raise ValueError(f"expected two batches of equal shape (b, c, h, w), not {shapes}")
    return images.double(), truths.double()


def _gaussian(size: int, device: torch.device) -> Tensor:
    offsets = torch.arange(size, dtype=torch.float64, device=device) - size // 2
    weights = torch.exp(-offsets.square() / (2 * 1.5**2))
    return weights / weights.sum()


def _windows(stack: Tensor, window: Tensor) -> Tensor:
    """Weighted means over all windows that lie fully inside: (n, b, c, h, w) to (n, b, c, h', w')."""
    planes = stack.flatten(0, 2).unsqueeze(1)
    planes = F.conv2d(F.conv2d(planes, window.view(1, 1, -1, 1)), window.view(1, 1, 1, -1))
    return planes.squeeze(1).unflatten(0, stack.shape[:3])


def _colours(images: Tensor) -> Tensor:
    return images.permute(0, 2, 3, 1).flatten(0, 2)


def _with_one(colours: Tensor) -> Tensor:
    return F.pad(colours, (0, 1), value=1.0)

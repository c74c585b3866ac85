"""Crops squares from images and mirrors them, directly into the memory of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from translate.data.augment import crop, flip
from translate.data.order import RNG, generator


class Crop(NamedTuple):
    """A square's position in an image, whether it is mirrored, and the seed for further augmentation."""

    top: int
    left: int
    mirrored: bool
    seed: int


class Square(NamedTuple):
    """Pixels (height, width, channels), uint8 or uint16, and the cut to take from them."""

    pixels: np.ndarray
    cut: Crop


WHOLE = Crop(0, 0, mirrored=False, seed=0)


def random_crop(seed: int, domain: int, position: int, height: int, width: int, size: int, flip: bool) -> Crop:
    """Draws a random square of `size` for a domain and position; if `flip`, mirrors it with probability 1/2."""
    rng = generator(seed, RNG, domain, position)
    top, left = rng.integers(height - size + 1), rng.integers(width - size + 1)
    mirrored, further = rng.random() < 0.5, int(rng.integers(2**31))
    return Crop(int(top), int(left), bool(mirrored and flip), further)


def cut_out(square: Square, size: int) -> np.ndarray:
    """Returns a view (size, size, channels) of the square."""
    pixels, (top, left, mirrored, _) = square
    window = crop(pixels, top, left, size)
    return flip(window) if mirrored else window


def assemble(squares: Sequence[Square], size: int, pin: bool = False) -> Tensor:
    """Returns a batch (squares, channels, size, size), channels-last in memory; uint16 if any image is.

    `pin`: uses pinned memory, which CUDA copies asynchronously.
    """
    deep = any(square.pixels.dtype == np.uint16 for square in squares)
    channels = squares[0].pixels.shape[2]
    batch = torch.empty(
        (len(squares), size, size, channels), dtype=torch.uint16 if deep else torch.uint8, pin_memory=pin
    )
    for image, square in zip(batch.numpy(), squares, strict=True):
        _write(image, square)
    return batch.permute(0, 3, 1, 2)


def _write(image: np.ndarray, square: Square) -> None:
    window = cut_out(square, len(image))
    if window.dtype != image.dtype:
        window = window.astype(np.uint16) * 257
    if square.cut.mirrored:
        # numpy copies reversed pixels one at a time but a reversed plane in one loop: five times as fast.
        for channel in range(image.shape[2]):
            image[..., channel] = window[..., channel]
    else:
        image[...] = window

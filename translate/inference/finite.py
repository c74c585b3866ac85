"""Refuses outputs with numbers that are not finite, which would be written as black pixels."""

from __future__ import annotations

from torch import Tensor

from translate.errors import TranslateError


class NotFiniteError(TranslateError):
    """The network gave numbers that are not finite for an image."""


def finite(images: Tensor) -> Tensor:
    """Returns `images`. Raises NotFiniteError."""
    if not bool(images.isfinite().all()):
        raise NotFiniteError(
            "the network's output has numbers that are not finite; convert with --precision float32, or with another "
            "checkpoint"
        )
    return images

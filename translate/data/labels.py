"""Which domains are labelled together, and how."""

from __future__ import annotations

from dataclasses import dataclass

UNKNOWN = -1.0
"""A label that nobody gave: 1 says that an image belongs to a domain, 0 that it does not."""


@dataclass(frozen=True)
class LabelGroup:
    """`size` neighbouring domains that one set labels together.

    `exclusive`: every image belongs to exactly one of them (classes); else each is an attribute that an image has or
    has not. Several groups stand side by side where several labelled sets are trained on jointly.
    """

    size: int
    exclusive: bool
